//! Reading back: dumps of the table's parts put together, and single elements.

use super::attr::Writer;
use super::connection::{Connection, Each, Outcome};
use super::decode::{self, Collected, SetHead};
use super::query::{self, Expected, Query};
use super::wire::{chain, elem, flag, msg, object, rule, set, table};
use super::{GenId, KernelError};
use crate::ruleset::{Chain, ElementKey, ElementValue, Elements, Object, Ruleset, Set, TABLE};
use nix::libc;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

pub fn generation(connection: &mut Connection) -> Result<GenId, KernelError> {
    let mut id = None;
    let outcome = connection.request(msg::GETGEN, 0, |_| {}, &mut |header, body| {
        id = Some(decode::generation(header, body)?);
        Ok(ControlFlow::Continue(()))
    })?;
    succeeded(outcome, "ask for the generation id")?;
    id.ok_or(KernelError::Malformed("no generation id"))
}

/// The value that a set holds for exactly this key.
pub fn lookup(
    connection: &mut Connection,
    set: &str,
    head: &Set,
    key: &ElementKey,
) -> Result<Option<ElementValue>, KernelError> {
    let mut value = None;
    for query in query::queries(head, key).map_err(KernelError::Malformed)? {
        let found = ask(connection, set, &query)?;
        let expected = match (&query.expected, &found) {
            (Expected::Element { first, last }, Some(found)) => found.is_at(first, last.as_deref()),
            (Expected::Element { .. }, None) => false,
            (Expected::NotFrom(first), found) => {
                !found.as_ref().is_some_and(|found| found.is_at(first, None))
            }
        };
        if !expected {
            return Ok(None);
        }
        value = value.or(found.map(Collected::into_value));
    }
    Ok(value)
}

/// The element that a key falls into.
fn ask(connection: &mut Connection, set: &str, query: &Query) -> Result<Option<Collected>, KernelError> {
    let mut found = Vec::new();
    let content = |w: &mut Writer<'_>| query::write_query(w, set, query);
    let outcome = connection.request(msg::GETSETELEM, 0, content, &mut |header, body| {
        decode::collect_elements(header, body, &mut found)?;
        Ok(ControlFlow::Continue(()))
    })?;
    if outcome.errno == libc::ENOENT {
        return Ok(None);
    }
    succeeded(outcome, "look an element up")?;
    Ok(found.pop())
}

fn succeeded(outcome: Outcome, what: &'static str) -> Result<(), KernelError> {
    match outcome.errno {
        0 => Ok(()),
        errno => Err(KernelError::Io(what, std::io::Error::from_raw_os_error(errno))),
    }
}

/// One pass over the table.
pub struct Reading {
    connection: Connection,
    dump_limit: u32,
    disturbed: bool,
}

impl Reading {
    pub fn new(dump_limit: u32) -> Result<Self, KernelError> {
        Ok(Self { connection: Connection::open()?, dump_limit, disturbed: false })
    }

    /// Whether somebody committed meanwhile, so that the parts may be of different generations.
    pub fn disturbed(&self) -> bool {
        self.disturbed
    }

    pub fn table(&mut self) -> Result<Option<Ruleset>, KernelError> {
        let before = generation(&mut self.connection)?;
        let ruleset = match self.dormant()? {
            None => None,
            Some(dormant) => {
                let objects = self.objects()?;
                let sets = self.sets()?;
                let chains = self.chains()?;
                Some(Ruleset { objects, sets, chains, dormant })
            }
        };
        self.disturbed |= generation(&mut self.connection)? != before;
        Ok(ruleset)
    }

    /// Whether the table is dormant; `None` if there is none.
    fn dormant(&mut self) -> Result<Option<bool>, KernelError> {
        let mut dormant = None;
        let ask = |w: &mut Writer<'_>| w.string(table::NAME, TABLE);
        let outcome = self.connection.request(msg::GETTABLE, 0, ask, &mut |header, body| {
            dormant = decode::table(header, body)?;
            Ok(ControlFlow::Continue(()))
        })?;
        if outcome.errno == libc::ENOENT {
            return Ok(None);
        }
        succeeded(outcome, "read the table")?;
        Ok(dormant)
    }

    fn objects(&mut self) -> Result<BTreeMap<String, Object>, KernelError> {
        let mut objects = BTreeMap::new();
        self.dump(msg::GETOBJ, |w| w.string(object::TABLE, TABLE), &mut |header, body| {
            objects.extend(decode::object(header, body)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(objects)
    }

    fn chains(&mut self) -> Result<BTreeMap<String, Chain>, KernelError> {
        let mut chains: BTreeMap<String, Chain> = BTreeMap::new();
        self.dump(msg::GETCHAIN, |w| w.string(chain::TABLE, TABLE), &mut |header, body| {
            chains.extend(decode::chain(header, body)?);
            Ok(ControlFlow::Continue(()))
        })?;
        let mut orphans = false;
        self.dump(msg::GETRULE, |w| w.string(rule::TABLE, TABLE), &mut |header, body| {
            if let Some((name, rule)) = decode::rule(header, body)? {
                match chains.get_mut(&name) {
                    Some(chain) => chain.rules.push(rule),
                    None => orphans = true,
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        self.disturbed |= orphans;
        Ok(chains)
    }

    fn sets(&mut self) -> Result<BTreeMap<String, Set>, KernelError> {
        let mut heads: Vec<SetHead> = Vec::new();
        self.dump(msg::GETSET, |w| w.string(set::TABLE, TABLE), &mut |header, body| {
            heads.extend(decode::set(header, body)?);
            Ok(ControlFlow::Continue(()))
        })?;
        heads.into_iter().map(|head| self.set(head)).collect()
    }

    fn set(&mut self, head: SetHead) -> Result<(String, Set), KernelError> {
        let elements = self.elements(&head)?;
        Ok((head.name, Set { elements, ..head.set }))
    }

    fn elements(&mut self, SetHead { name, set, count }: &SetHead) -> Result<Elements, KernelError> {
        if set.dynamic {
            return Ok(Elements::default());
        }
        // A foreign set has no fields.
        if set.key.is_empty() || count.is_some_and(|count| count > self.dump_limit) {
            return Ok(Elements::Unread(*count));
        }
        // Older kernels do not tell the number: the dump of a large set is broken off.
        let most = wire_elements(set, self.dump_limit);
        let mut collected = Vec::new();
        let ask = |w: &mut Writer<'_>| {
            w.string(elem::LIST_TABLE, TABLE);
            w.string(elem::LIST_SET, name);
        };
        let outcome = self.dump(msg::GETSETELEM, ask, &mut |header, body| {
            decode::collect_elements(header, body, &mut collected)?;
            let enough = collected.len() > most;
            Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if outcome.stopped {
            self.connection = Connection::open()?;
            return Ok(Elements::Unread(None));
        }
        Ok(Elements::Known(decode::merge_elements(set, collected)?))
    }

    fn dump(
        &mut self,
        msg: u16,
        content: impl FnOnce(&mut Writer<'_>),
        each: Each<'_>,
    ) -> Result<Outcome, KernelError> {
        let outcome = self.connection.request(msg, flag::DUMP, content, each)?;
        self.disturbed |= outcome.interrupted;
        // The table or the set went away since it was seen.
        if outcome.errno == libc::ENOENT {
            self.disturbed = true;
            return Ok(outcome);
        }
        succeeded(outcome, "dump the table")?;
        Ok(outcome)
    }
}

/// How many elements the kernel dumps for so many of ours: a range has one more for its end, and nft adds one for
/// the keys before the first range.
fn wire_elements(set: &Set, ours: u32) -> usize {
    let ours = ours as usize;
    if set.interval && set.key.len() == 1 { ours * 2 + 1 } else { ours }
}
