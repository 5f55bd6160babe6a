//! A few looked-up addresses by themselves: what they come to in the sets of names, without the rest of the policy.

use super::{Features, compile};
use crate::diag::Findings;
use crate::model::{AddressBook, Policy, Rule, Source};
use crate::ruleset::Ruleset;
use std::collections::BTreeMap;

/// The ruleset of those rules alone that reach a name of the book. In the sets that hold looked-up addresses it has, of the book's
/// addresses, the very elements that the whole policy has; everything else in it is of no account. Every name that has one
/// of the addresses must be in the book.
pub fn of_names(policy: &Policy, book: &AddressBook, features: &Features) -> Result<Ruleset, Findings> {
    let reached = |rule: &&Rule| rule.peers.names().any(|name| book.names.contains_key(name));
    let mut rules: Vec<Rule> = policy.rules.iter().filter(reached).cloned().collect();
    for rule in &mut rules {
        rule.peers
            .parts
            .retain(|part| matches!(&part.source, Source::Name(name) if book.names.contains_key(name)));
    }
    let names = policy.names.iter().filter(|(name, _)| book.names.contains_key(*name));
    let names = names.map(|(name, of_groups)| (name.clone(), of_groups.clone())).collect();
    let part = Policy {
        default: policy.default,
        baseline: policy.baseline.clone(),
        rules,
        names,
        groups: BTreeMap::new(),
        log: policy.log,
    };
    compile(&part, book, features)
}
