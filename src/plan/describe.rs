//! A plan as text and as a summary: one stable form for `plan`, for logs and for tests.

use super::{Op, Plan};
use crate::ruleset::{
    Addresses, ElementKey, ElementValue, ObjectKind, Ruleset, Set, element_words, key_words,
};
use serde::Serialize;
use std::fmt;

/// One change in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `add`, `delete` or `renew`.
    pub change: &'static str,
    /// `table`, `counter`, `ct helper`, `set`, `chain`, `elements` or `rule`.
    pub what: &'static str,
    /// The chain of a rule, the set of elements, or the name of the thing itself.
    pub name: String,
    /// The rule's text or the elements; empty for the rest.
    pub items: Vec<String>,
}

/// How much a plan changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub rules_added: usize,
    pub rules_deleted: usize,
    /// Sets, maps, chains, counters and helpers.
    pub objects_added: usize,
    pub objects_deleted: usize,
    pub elements_added: usize,
    pub elements_deleted: usize,
    /// Elements of looked-up names that only live on; no other figure counts them.
    pub lifetimes_renewed: usize,
}

impl Summary {
    /// Whether anything but lifetimes changes.
    pub fn changes(&self) -> bool {
        *self != Self { lifetimes_renewed: self.lifetimes_renewed, ..Self::default() }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return f.write_str("nothing changes");
        }
        write!(f, "rules: {} added, {} deleted; ", self.rules_added, self.rules_deleted)?;
        write!(
            f,
            "sets, chains and counters: {} added, {} deleted; ",
            self.objects_added, self.objects_deleted
        )?;
        write!(f, "elements: {} added, {} deleted", self.elements_added, self.elements_deleted)?;
        if self.lifetimes_renewed > 0 {
            write!(f, "; lifetimes renewed: {}", self.lifetimes_renewed)?;
        }
        Ok(())
    }
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    pub fn summary(&self, have: Option<&Ruleset>) -> Summary {
        let mut sum = Summary::default();
        for op in &self.ops {
            match op {
                Op::AddRule { .. } => sum.rules_added += 1,
                Op::DeleteRule { .. } => sum.rules_deleted += 1,
                Op::AddTable | Op::AddObject { .. } | Op::AddSet { .. } | Op::AddChain { .. } => {
                    sum.objects_added += 1
                }
                Op::DeleteTable | Op::DeleteObject { .. } | Op::DeleteSet { .. } | Op::DeleteChain { .. } => {
                    sum.objects_deleted += 1;
                }
                Op::AddElements { elements, .. } => sum.elements_added += elements.len(),
                Op::DeleteElements { keys, .. } => sum.elements_deleted += keys.len(),
                Op::AddAddresses { addresses, .. } => sum.elements_added += addresses.len(),
                Op::DeleteAddresses { addresses, .. } => sum.elements_deleted += addresses.len(),
                Op::FlushSet { name } => sum.elements_deleted += held_elements(have, name),
                Op::RenewElements { elements, .. } => sum.lifetimes_renewed += elements.len(),
            }
        }
        sum
    }

    /// The changes, in the order of the batch. `have` gives the texts of what goes.
    pub fn describe(&self, have: Option<&Ruleset>) -> Vec<Change> {
        self.ops.iter().map(|op| describe(op, have)).collect()
    }
}

fn held_elements(have: Option<&Ruleset>, name: &str) -> usize {
    have.and_then(|have| have.sets.get(name)).map_or(0, |set| set.elements.len())
}

fn describe(op: &Op, have: Option<&Ruleset>) -> Change {
    let change = |change, what, name: &str, items| Change { change, what, name: name.to_owned(), items };
    let words = |head: &Set, elements: &[(ElementKey, ElementValue)]| {
        elements.iter().map(|(key, value)| element_words(head, key, value)).collect()
    };
    let keys =
        |head: &Set, addresses: &Addresses| addresses.keys().map(|key| key_words(&head.key, &key)).collect();
    match op {
        Op::AddTable => change("add", "table", crate::ruleset::TABLE, vec![]),
        Op::DeleteTable => change("delete", "table", crate::ruleset::TABLE, vec![]),
        Op::AddObject { name, object } => change("add", object_word(object.kind.kind()), name, vec![]),
        Op::DeleteObject { name, kind } => change("delete", object_word(*kind), name, vec![]),
        Op::AddSet { name, .. } => change("add", "set", name, vec![]),
        Op::DeleteSet { name } => change("delete", "set", name, vec![]),
        Op::FlushSet { name } => change("delete", "elements", name, vec!["all".into()]),
        Op::AddChain { name, .. } => change("add", "chain", name, vec![]),
        Op::DeleteChain { name } => change("delete", "chain", name, vec![]),
        Op::AddElements { set, head, elements } => change("add", "elements", set, words(head, elements)),
        Op::RenewElements { set, head, elements } => change("renew", "elements", set, words(head, elements)),
        Op::DeleteElements { set, head, keys } => {
            change("delete", "elements", set, keys.iter().map(|key| key_words(&head.key, key)).collect())
        }
        Op::AddAddresses { set, head, addresses } => change("add", "elements", set, keys(head, addresses)),
        Op::DeleteAddresses { set, head, addresses } => {
            change("delete", "elements", set, keys(head, addresses))
        }
        Op::AddRule { chain, rule, .. } => change("add", "rule", chain, vec![rule.text.clone()]),
        Op::DeleteRule { chain, handle } => {
            change("delete", "rule", chain, vec![held_text(have, chain, *handle)])
        }
    }
}

fn object_word(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Counter => "counter",
        ObjectKind::CtHelper => "ct helper",
    }
}

fn held_text(have: Option<&Ruleset>, chain: &str, handle: u64) -> String {
    let rules = have.and_then(|have| have.chains.get(chain)).map_or(&[][..], |chain| &chain.rules);
    let rule = rules.iter().find(|rule| rule.handle == Some(handle));
    match rule {
        Some(rule) if !rule.text.is_empty() => rule.text.clone(),
        _ => format!("handle {handle}"),
    }
}

/// Elements shown of one operation; the rest is a count.
const SHOWN: usize = 10;

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.change {
            "add" => '+',
            "delete" => '-',
            _ => '~',
        };
        write!(f, "{sign} {} {}", self.what, self.name)?;
        if self.items.is_empty() {
            return Ok(());
        }
        write!(f, ": {}", self.items[..self.items.len().min(SHOWN)].join(", "))?;
        match self.items.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
