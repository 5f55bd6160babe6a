//! Which rules have to be compared with a rule.

use super::rank::on_line;
use super::stab::Stabbed;
use crate::model::{Rule, Source};
use crate::types::Family;
use std::collections::BTreeMap;

/// How many rules of a kind a rule is compared with at most: a policy may be large, and what is not found is not said.
const MOST: usize = 200;

/// Rules by what they match, so that only few have to be compared with each.
pub(super) struct Candidates<'r> {
    rules: Vec<&'r Rule>,
    ports: Stabbed,
    addresses: [Stabbed; 2],
    /// Rules that have something but addresses, by its kind and name.
    others: BTreeMap<(u8, String), Vec<usize>>,
    any: Vec<usize>,
}

impl<'r> Candidates<'r> {
    pub(super) fn of(rules: Vec<&'r Rule>) -> Self {
        let mut ports = Vec::new();
        let mut addresses = [Vec::new(), Vec::new()];
        let mut others: BTreeMap<(u8, String), Vec<usize>> = BTreeMap::new();
        let mut any = Vec::new();
        for (index, rule) in rules.iter().enumerate() {
            ports.extend(rule.ports.iter().map(|entry| (on_line(*entry), index)));
            for source in rule.peers.sources() {
                match source {
                    Source::Range(range) => addresses[family(range.family())].push((range.bits(), index)),
                    Source::Any => any.push(index),
                    Source::ResolvConf | Source::Broadcast | Source::Name(_) | Source::List(_) => {
                        others.entry(key(source)).or_default().push(index);
                    }
                }
            }
        }
        Self { rules, ports: Stabbed::new(ports), addresses: addresses.map(Stabbed::new), others, any }
    }

    /// The rules that may go before this one, and some more; by name, the stronger actions first.
    pub(super) fn for_rule(&self, rule: &Rule) -> impl Iterator<Item = &'r Rule> {
        let port = rule.ports.first().map(|entry| on_line(*entry).0).unwrap_or_default();
        let by_port = self.ports.at(port, MOST);
        let by_peer = rule.peers.parts.first().map(|part| self.by_peer(&part.source)).unwrap_or_default();
        let mut found = if by_port.len() < by_peer.len() { by_port } else { by_peer };
        found.sort_unstable_by_key(|index| (self.rules[*index].action, *index));
        found.dedup();
        found.into_iter().map(|index| self.rules[index])
    }

    fn by_peer(&self, source: &Source) -> Vec<usize> {
        let mut found: Vec<usize> = self.any.iter().copied().take(MOST).collect();
        match source {
            Source::Range(range) => {
                found.extend(self.addresses[family(range.family())].at(range.bits().0, MOST));
            }
            Source::ResolvConf | Source::Broadcast | Source::Name(_) | Source::List(_) | Source::Any => {
                found.extend(self.others.get(&key(source)).into_iter().flatten().take(MOST));
                // Whole families.
                found.extend(self.addresses[family(Family::V4)].at(0, MOST));
            }
        }
        found
    }
}

fn key(source: &Source) -> (u8, String) {
    match source {
        Source::Range(range) => (0, range.to_string()),
        Source::ResolvConf => (1, String::new()),
        Source::Broadcast => (2, String::new()),
        Source::Name(name) => (3, name.to_string()),
        Source::List(list) => (4, list.path.to_string_lossy().into_owned()),
        Source::Any => (5, String::new()),
    }
}

fn family(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}
