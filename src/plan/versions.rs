//! Sets whose content differs are made beside the old ones, under a second name, and the two names take turns.
//!
//! A name of `compile` is the first name; the second has [`SECOND`] after it, which no name of `compile` can end with. What is
//! held is always looked at under first names: where the set in force has its second name, the two are exchanged.

use super::{Op, Plan};
use crate::ruleset::{Expr, Rule, Ruleset};
use std::collections::{BTreeMap, BTreeSet};

/// Names of rules and groups, which names of sets may end with, have no slash.
const SECOND: &str = "/b";

/// First names of the sets whose two names are exchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchanged(BTreeSet<String>);

impl Exchanged {
    /// The name in the kernel of a name that is looked at, and the reverse.
    pub fn name(&self, name: &str) -> String {
        let first = name.strip_suffix(SECOND).unwrap_or(name);
        if !self.0.contains(first) {
            return name.to_owned();
        }
        if first == name { second(first) } else { first.to_owned() }
    }

    /// With the names of these sets exchanged once more.
    pub(super) fn turned<'a>(&self, sets: impl Iterator<Item = &'a str>) -> Self {
        let mut turned = self.clone();
        for set in sets {
            if !turned.0.remove(set) {
                turned.0.insert(set.to_owned());
            }
        }
        turned
    }

    /// Operations under the names in the kernel.
    pub fn plan(&self, mut ops: Vec<Op>) -> Plan {
        for op in &mut ops {
            self.op(op);
        }
        Plan { ops }
    }

    fn op(&self, op: &mut Op) {
        match op {
            Op::AddSet { name, .. } | Op::DeleteSet { name } | Op::FlushSet { name } => {
                *name = self.name(name)
            }
            Op::AddElements { set, .. }
            | Op::DeleteElements { set, .. }
            | Op::AddAddresses { set, .. }
            | Op::DeleteAddresses { set, .. }
            | Op::RenewElements { set, .. } => *set = self.name(set),
            Op::AddRule { rule, .. } => self.rule(rule),
            Op::AddTable
            | Op::DeleteTable
            | Op::AddObject { .. }
            | Op::DeleteObject { .. }
            | Op::AddChain { .. }
            | Op::DeleteChain { .. }
            | Op::DeleteRule { .. } => {}
        }
    }

    fn rule(&self, rule: &mut Rule) {
        for set in rule.exprs.iter_mut().filter_map(Expr::set_mut) {
            *set = self.name(set);
        }
    }
}

/// What the kernel holds, under first names.
#[derive(Clone, Debug, Default)]
pub struct Held {
    pub ruleset: Ruleset,
    pub exchanged: Exchanged,
}

impl Held {
    /// Of two sets with the two names of one, that one is in force which a rule asks.
    pub fn new(mut ruleset: Ruleset) -> Self {
        let asked = asked(&ruleset);
        let in_force = |name: &String| {
            let first = name.strip_suffix(SECOND)?;
            (asked.contains(name) && !asked.contains(first)).then(|| first.to_owned())
        };
        let exchanged = Exchanged(ruleset.sets.keys().filter_map(in_force).collect());
        ruleset.sets = ruleset.sets.into_iter().map(|(name, set)| (exchanged.name(&name), set)).collect();
        for rule in ruleset.chains.values_mut().flat_map(|chain| &mut chain.rules) {
            exchanged.rule(rule);
        }
        Self { ruleset, exchanged }
    }
}

fn second(first: &str) -> String {
    format!("{first}{SECOND}")
}

/// The sets that rules ask or fill.
pub(super) fn asked(ruleset: &Ruleset) -> BTreeSet<String> {
    rules(ruleset).flat_map(|rule| rule.exprs.iter().filter_map(Expr::set)).map(str::to_owned).collect()
}

/// The rules that ask or fill each set.
pub(super) fn askers(ruleset: &Ruleset) -> BTreeMap<&str, Vec<&Rule>> {
    let mut askers = BTreeMap::<&str, Vec<&Rule>>::new();
    for rule in rules(ruleset) {
        for set in rule.exprs.iter().filter_map(Expr::set) {
            askers.entry(set).or_default().push(rule);
        }
    }
    askers
}

fn rules(ruleset: &Ruleset) -> impl Iterator<Item = &Rule> {
    ruleset.chains.values().flat_map(|chain| &chain.rules)
}
