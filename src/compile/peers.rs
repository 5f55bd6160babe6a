//! The addresses of a rule's peers, of one side, with what exceptions take out of them.

use super::key::{self, KeyBytes};
use super::{Build, Side};
use crate::model::{BROADCAST, Exception, ListRef, PeerPart, Rule, Source, never};
use crate::ruleset::{Part, RuleBuilder};
use crate::types::{AddrRange, Direction, Family, HostName, merged};
use std::time::Duration;

/// Written addresses, and how many the range had as written, less one: what is taken off it does not make it narrower.
#[derive(Clone, Copy)]
pub(super) struct Written {
    pub(super) addresses: (u128, u128),
    pub(super) span: u128,
}

/// An address of a name.
#[derive(Clone, Copy)]
pub(super) struct LookedUp {
    pub(super) address: u128,
    pub(super) life: Duration,
    /// One that only `allow-net` lets the name stand for.
    pub(super) opened: bool,
}

impl Build<'_> {
    /// The written addresses of a rule's peers.
    pub(super) fn written(&self, side: Side, rule: &Rule) -> Vec<Written> {
        let mut written = Vec::new();
        for part in &rule.peers.parts {
            let less = self.excepted(side, &part.except);
            for range in self.written_ranges(side, &part.source) {
                let left = without(range.bits(), &less);
                written.extend(left.into_iter().map(|addresses| Written { addresses, span: range.span() }));
            }
        }
        written
    }

    /// Servers of resolv.conf and broadcast addresses count as if they were written.
    fn written_ranges(&self, side: Side, source: &Source) -> Vec<AddrRange> {
        let singles =
            |addresses: &[std::net::IpAddr]| addresses.iter().copied().map(AddrRange::single).collect();
        let mut ranges: Vec<AddrRange> = match source {
            Source::Range(range) => vec![*range],
            Source::ResolvConf => singles(&self.book.resolv_conf),
            Source::Broadcast if side.direction == Direction::Out => {
                singles(&[self.book.broadcast.as_slice(), &[BROADCAST]].concat())
            }
            Source::Broadcast | Source::Name(_) | Source::List(_) | Source::Any => Vec::new(),
        };
        ranges.retain(|range| range.family() == side.family);
        ranges
    }

    /// The looked-up addresses of a rule's peers, without those that a name may never stand for.
    pub(super) fn looked_up(&self, side: Side, rule: &Rule) -> Vec<LookedUp> {
        let mut all = Vec::new();
        for part in &rule.peers.parts {
            if let Source::Name(name) = &part.source {
                let less = self.excepted(side, &part.except);
                let excepted =
                    |address: u128| less.iter().any(|(first, last)| (*first..=*last).contains(&address));
                all.extend(self.usable(side, name).filter(|entry| !excepted(entry.address)));
            }
        }
        all
    }

    fn usable(&self, side: Side, name: &HostName) -> impl Iterator<Item = LookedUp> {
        let opens = self.opened_networks(name);
        let learned = self.book.names.get(name).into_iter().flatten();
        // A timeout of zero would make an element permanent.
        let of_side = learned.filter(move |entry| {
            Family::of(entry.address) == side.family && entry.remaining >= Duration::from_secs(1)
        });
        of_side.filter_map(move |entry| {
            let opened = never::refuses(self.book, entry.address);
            let usable = !opened || never::is_opened(self.book, opens, entry.address);
            let address = AddrRange::single(entry.address).bits().0;
            usable.then_some(LookedUp { address, life: entry.remaining, opened })
        })
    }

    fn opened_networks(&self, name: &HostName) -> &[AddrRange] {
        self.policy.names.get(name).map_or(&[][..], |names| &names.allow_net)
    }

    /// Whether any name of a rule may stand for private addresses.
    pub(super) fn has_opened_names(&self, side: Side, rule: &Rule) -> bool {
        let of_side =
            |name: &HostName| self.opened_networks(name).iter().any(|net| net.family() == side.family);
        rule.peers.names().any(of_side)
    }

    /// Every peer less the exceptions.
    pub(super) fn any_ranges(&self, side: Side, except: &[Exception]) -> Vec<(u128, u128)> {
        without(AddrRange::all(side.family).bits(), &self.excepted(side, except))
    }

    /// What exceptions take out, sorted and disjoint.
    fn excepted(&self, side: Side, except: &[Exception]) -> Vec<(u128, u128)> {
        let held = except.iter().flat_map(|exception| self.held(side, &exception.parts)).collect();
        merged(held)
    }

    /// The addresses of parts that hold no name.
    fn held(&self, side: Side, parts: &[PeerPart]) -> Vec<(u128, u128)> {
        let mut held = Vec::new();
        for part in parts {
            let less = self.excepted(side, &part.except);
            for range in self.held_ranges(side, &part.source) {
                held.extend(without(range.bits(), &less));
            }
        }
        held
    }

    fn held_ranges(&self, side: Side, source: &Source) -> Vec<AddrRange> {
        match source {
            Source::List(list) => self.list_ranges(side.family, list),
            Source::Any => vec![AddrRange::all(side.family)],
            Source::Range(_) | Source::ResolvConf | Source::Broadcast | Source::Name(_) => {
                self.written_ranges(side, source)
            }
        }
    }

    fn list_ranges(&self, family: Family, list: &ListRef) -> Vec<AddrRange> {
        let ranges = self.book.lists.get(&list.path).map(|contents| contents.of(family));
        let ranges = ranges.into_iter().flat_map(|ranges| ranges.iter());
        ranges.map(|(first, last)| AddrRange::from_bits(family, first, last)).collect()
    }

    /// The peer is none of the exceptions' addresses: a set a group.
    pub(super) fn not_excepted(
        &mut self,
        side: Side,
        except: &[Exception],
        mut rule: RuleBuilder,
    ) -> RuleBuilder {
        for exception in except {
            let ranges = merged(self.held(side, &exception.parts));
            if ranges.is_empty() {
                continue;
            }
            let name = format!("except{}.{}", side.digit(), exception.group);
            if !self.ruleset.sets.contains_key(&name) {
                self.add_set(&name, super::emit::address_set(side.family, &ranges));
            }
            rule = rule.lookup(&[Part::Peer(side.direction, side.family)], &name, true);
        }
        rule
    }

    /// The written addresses of a rule as one set; `None` if it has none.
    pub(super) fn written_set(&mut self, side: Side, rule: &Rule, name: &str) -> Option<String> {
        let ranges = merged(self.written(side, rule).iter().map(|written| written.addresses).collect());
        if ranges.is_empty() {
            return None;
        }
        self.add_set(name, super::emit::address_set(side.family, &ranges));
        Some(name.to_owned())
    }
}

/// An address as the beginning of a key.
pub(super) fn address_key(side: Side, address: u128) -> KeyBytes {
    KeyBytes::default().address(side.family, address)
}

pub(super) fn address_fields(side: Side, more: Vec<crate::ruleset::Field>) -> Vec<crate::ruleset::Field> {
    std::iter::once(key::address_field(side.family)).chain(more).collect()
}

/// What of a range is left when others, sorted and disjoint, are taken out.
fn without((first, last): (u128, u128), less: &[(u128, u128)]) -> Vec<(u128, u128)> {
    let mut left = Vec::new();
    let mut next = Some(first);
    for (from, to) in less.iter().filter(|(from, to)| *to >= first && *from <= last) {
        let Some(begin) = next else { break };
        if *from > begin {
            left.push((begin, from - 1));
        }
        next = to.checked_add(1).map(|after| after.max(begin)).filter(|after| *after <= last);
    }
    left.extend(next.map(|begin| (begin, last)));
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_range_is_what_no_other_has() {
        assert_eq!(without((10, 20), &[]), [(10, 20)]);
        assert_eq!(without((10, 20), &[(0, 9), (21, 30)]), [(10, 20)]);
        assert_eq!(without((10, 20), &[(0, 12), (15, 15), (19, 40)]), [(13, 14), (16, 18)]);
        assert_eq!(without((10, 20), &[(10, 20)]), []);
        assert_eq!(without((10, u128::MAX), &[(12, u128::MAX)]), [(10, 11)]);
    }
}
