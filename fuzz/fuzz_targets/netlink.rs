//! Answers of nf_tables: whatever a dump has, it is refused or comes to a ruleset that can be shown, planned against, and replaced.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portgrave::netlink::Kernel;
use portgrave::netlink::attr::Malformed;
use portgrave::netlink::decode::{self, Collected, SetHead};
use portgrave::netlink::fake::FakeKernel;
use portgrave::netlink::message::{Answer, Header, Messages, inet_attrs};
use portgrave::netlink::wire::{elem, msg};
use portgrave::plan::diff;
use portgrave::ruleset::{Elements, Ruleset, Set};
use std::collections::BTreeMap;

fuzz_target!(|data: &[u8]| {
    let mut dump = Dump::default();
    for message in Messages::new(data) {
        let Ok((header, body)) = message else { break };
        let _ = Answer::parse(header, body);
        // What cannot be read ends the reading of a table; here the rest is looked at as well.
        let _ = dump.take(header, body);
    }
    let table = dump.table();
    let empty = Ruleset::default();
    let _ = table.to_string();
    let plan = diff(&empty, Some(&table));
    plan.describe(Some(&table));
    put_in_place(&table);
    let mut kernel = FakeKernel::holding(table);
    if kernel.commit(&plan, None).is_ok() {
        let left = kernel.table().expect("the table stays");
        assert!(left.chains.values().all(|chain| chain.rules.is_empty()), "rules are left");
        assert!(left.sets.is_empty() && left.objects.is_empty(), "sets or objects are left");
    }
});

/// A table that a kernel takes is then as it should be.
fn put_in_place(table: &Ruleset) {
    let mut kernel = FakeKernel::new();
    if kernel.commit(&diff(table, None), None).is_ok() {
        let held = kernel.read(u32::MAX).expect("it is read");
        let more = diff(table, held.as_ref());
        assert!(more.ops.is_empty(), "{:?}", more.ops);
    }
}

#[derive(Default)]
struct Dump {
    ruleset: Ruleset,
    heads: Vec<SetHead>,
    /// By set.
    elements: BTreeMap<String, Vec<Collected>>,
}

impl Dump {
    fn take(&mut self, header: Header, body: &[u8]) -> Result<(), Malformed> {
        match header.nf_tables() {
            Some(msg::NEWGEN) => drop(decode::generation(header, body)?),
            Some(msg::NEWTABLE) => self.ruleset.dormant |= decode::table(header, body)?.unwrap_or(false),
            Some(msg::NEWCHAIN) => self.ruleset.chains.extend(decode::chain(header, body)?),
            Some(msg::NEWOBJ) => self.ruleset.objects.extend(decode::object(header, body)?),
            Some(msg::NEWSET) => self.heads.extend(decode::set(header, body)?),
            Some(msg::NEWSETELEM) => {
                let set = inet_attrs(body)?.map(|attrs| attrs.string(elem::LIST_SET)).transpose()?.flatten();
                let held = self.elements.entry(set.unwrap_or_default().to_owned()).or_default();
                decode::collect_elements(header, body, held)?;
            }
            Some(msg::NEWRULE) => {
                if let Some((name, rule)) = decode::rule(header, body)? {
                    if let Some(chain) = self.ruleset.chains.get_mut(&name) {
                        chain.rules.push(rule);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Every set gets its elements, if they fit its head.
    fn table(mut self) -> Ruleset {
        for SetHead { name, set, .. } in self.heads {
            let elements = match decode::merge_elements(&set, self.elements.remove(&name).unwrap_or_default())
            {
                Ok(merged) if !set.dynamic => Elements::Known(merged),
                Ok(_) | Err(_) => Elements::default(),
            };
            self.ruleset.sets.insert(name, Set { elements, ..set });
        }
        self.ruleset
    }
}
