//! Writes stages as maps and as the rules that ask them.

use super::cells::{Area, cut};
use super::collect::{Linear, RuleIndex};
use super::key::{self, COUNTERS, KeyBytes};
use super::{Build, Side, rejected_chain};
use crate::model::{Action, ListRef};
use crate::ruleset::{ElementKey, ElementValue, Field, Part, Rule, RuleBuilder, SetData, Verdict};
use crate::types::{AddrRange, Direction, Family, PortMatch};
use std::collections::BTreeMap;
use std::time::Duration;

/// The elements of one lookup: those whose rule is a plain counter, and those that need the rule's own chain.
#[derive(Default)]
pub(super) struct Lookup {
    pub(super) counters: BTreeMap<ElementKey, ElementValue>,
    pub(super) chains: BTreeMap<ElementKey, ElementValue>,
}

/// Rules for a chain: `plain` for every packet, `special` for those ports that may lead to a rule's own chain.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) plain: Vec<Rule>,
    pub(super) special: Vec<Rule>,
}

impl Lines {
    pub(super) fn both(&mut self, rule: Rule) {
        self.plain.push(rule.clone());
        self.special.push(rule);
    }
}

/// How a map is asked.
pub(super) struct Ask<'a> {
    pub(super) name: &'a str,
    pub(super) key: &'a [Part],
    pub(super) fields: &'a [Field],
    /// What a packet must be before the map is asked.
    pub(super) guard: &'a dyn Fn(RuleBuilder) -> RuleBuilder,
    pub(super) consequence: &'a Verdict,
}

/// A set of addresses that names need: a quarter more than 256 addresses of each of so many entries.
pub(super) const NAMES_TIMEOUT: Duration = Duration::from_secs(3600);
const ADDRESSES_PER_NAME: usize = 256;
const MAX_NAME_ELEMENTS: usize = 65_536;

impl Build<'_> {
    /// What a rule does with a packet once it is counted.
    pub(super) fn consequence(direction: Direction, action: Action) -> Verdict {
        match action {
            Action::Allow => Verdict::Accept,
            Action::Deny => Verdict::Drop,
            Action::Reject => Verdict::Goto(rejected_chain(direction)),
        }
    }

    /// Adds an element for a rule: to the counters, or, if the rule needs more than a counter, to its chain.
    pub(super) fn lead(
        &mut self,
        side: Side,
        lookup: &mut Lookup,
        key: ElementKey,
        rule: RuleIndex,
        life: Option<Duration>,
    ) {
        let timeout = life;
        let of = &self.policy.rules[rule];
        if of.helper.is_some() && of.action == Action::Allow {
            let chain = self.rule_chain(side, rule);
            let value = ElementValue { timeout, ..key::to_verdict(Verdict::Goto(chain)) };
            lookup.chains.insert(key, value);
        } else {
            let counter = self.rule_counter(side.direction, &self.policy.rules[rule]);
            lookup.counters.insert(key, ElementValue { timeout, ..key::to_counter(counter) });
        }
    }

    /// Cells of areas as elements; `with_address` for keys that begin with an address.
    pub(super) fn area_lookup(
        &mut self,
        side: Side,
        areas: &[(Area, super::cells::Rank)],
        with_address: bool,
    ) -> Lookup {
        let cells = cut(areas);
        self.cells += cells.len();
        let mut lookup = Lookup::default();
        for (area, rule) in cells {
            let bound = |address: u128, port: u16| {
                let bytes = KeyBytes::default();
                let bytes = if with_address { bytes.address(side.family, address) } else { bytes };
                bytes.octet(area.protocol).port(port)
            };
            let first = bound(area.addresses.0, area.ports.0);
            let key = first.to(bound(area.addresses.1, area.ports.1));
            self.lead(side, &mut lookup, key, rule, None);
        }
        lookup
    }

    /// Makes the maps of a lookup and the rules that ask them.
    pub(super) fn emit_maps(&mut self, ask: &Ask<'_>, lookup: Lookup, lines: &mut Lines) {
        let Ask { name, key, fields, guard, consequence } = *ask;
        if !lookup.chains.is_empty() {
            let map = format!("{name}.chains");
            self.add_set(&map, static_map(fields, SetData::Verdict, lookup.chains));
            lines.special.push(guard(RuleBuilder::new()).verdict_map(key, &map).rule());
        }
        if !lookup.counters.is_empty() {
            self.add_set(name, static_map(fields, COUNTERS, lookup.counters));
            lines.both(guard(RuleBuilder::new()).counter_map(key, name).verdict(consequence.clone()));
        }
    }

    /// A rule of a line of its own: addresses of a set, then its ports.
    pub(super) fn linear_rule(
        &mut self,
        side: Side,
        name: &str,
        line: &Linear,
        before: RuleBuilder,
    ) -> (Rule, bool) {
        let rule = &self.policy.rules[line.rule];
        let builder = self.match_ports(name, &line.ports, before.origin(Some(rule.origin)));
        self.finish_linear(side, line.rule, builder)
    }

    fn match_ports(&mut self, name: &str, ports: &[PortMatch], builder: RuleBuilder) -> RuleBuilder {
        match ports {
            [PortMatch::Any] => builder,
            [PortMatch::Ports(protocol, range)] => builder.destination_port(*protocol, *range),
            many => {
                let set = format!("{name}.ports");
                self.add_set(&set, port_set(many));
                builder.lookup(&[Part::L4Proto, Part::DestinationPort], &set, false)
            }
        }
    }

    /// Ends a line for a rule; the flag says that it leads to the rule's own chain.
    pub(super) fn finish_linear(
        &mut self,
        side: Side,
        index: RuleIndex,
        builder: RuleBuilder,
    ) -> (Rule, bool) {
        let rule = &self.policy.rules[index];
        if rule.helper.is_some() && rule.action == Action::Allow {
            let chain = self.rule_chain(side, index);
            return (builder.verdict(Verdict::Goto(chain)), true);
        }
        let counter = self.rule_counter(side.direction, rule);
        (builder.counter(&counter).verdict(Self::consequence(side.direction, rule.action)), false)
    }

    /// The set of a list file's addresses of one family; `None` if it has none.
    pub(super) fn list_set(&mut self, family: Family, list: &ListRef) -> Option<String> {
        let ranges = self.book.lists.get(&list.path)?.of(family);
        if ranges.is_empty() {
            return None;
        }
        let name = format!("list{}.{}", if family == Family::V4 { 4 } else { 6 }, list.group);
        if !self.ruleset.sets.contains_key(&name) {
            self.add_set(&name, key::addresses(ranges, list.span));
        }
        Some(name)
    }

    /// `size` of a set of looked-up addresses, stable while addresses come and go.
    pub(super) fn names_size(entries: usize) -> u32 {
        key::size_for(entries.saturating_mul(ADDRESSES_PER_NAME).min(MAX_NAME_ELEMENTS))
    }
}

/// A hash if every key is a single value, else intervals.
fn static_map(
    fields: &[Field],
    data: SetData,
    elements: BTreeMap<ElementKey, ElementValue>,
) -> crate::ruleset::Set {
    let single = |key: &ElementKey| key.last.as_ref().is_none_or(|last| *last == key.first);
    if elements.keys().all(single) {
        let points =
            elements.into_iter().map(|(key, value)| (ElementKey { last: None, ..key }, value)).collect();
        key::hash(fields.to_vec(), data, points)
    } else {
        key::intervals(fields.to_vec(), data, elements)
    }
}

/// Addresses as a set: a hash if each stands alone, else intervals.
pub(super) fn address_set(family: Family, ranges: &[&AddrRange]) -> crate::ruleset::Set {
    let fields = vec![key::address_field(family)];
    let bytes = |bits: u128| KeyBytes::default().address(family, bits);
    let entry = |range: &&AddrRange| {
        let (first, last) = range.bits();
        (bytes(first).to(bytes(last)), key::nothing())
    };
    static_map(&fields, SetData::None, ranges.iter().map(entry).collect())
}

fn port_set(ports: &[PortMatch]) -> crate::ruleset::Set {
    let mut merged: Vec<(u8, u16, u16)> = Vec::new();
    for entry in ports {
        if let PortMatch::Ports(protocol, range) = entry {
            merged.push((protocol.number(), range.first(), range.last()));
        }
    }
    merged.sort_unstable();
    merged.dedup_by(|next, kept| {
        let joins = next.0 == kept.0 && u32::from(next.1) <= u32::from(kept.2) + 1;
        if joins {
            kept.2 = kept.2.max(next.2);
        }
        joins
    });
    let bytes = |protocol: u8, port: u16| KeyBytes::default().octet(protocol).port(port);
    let mut elements = BTreeMap::new();
    for (protocol, first, last) in merged {
        elements.insert(bytes(protocol, first).to(bytes(protocol, last)), key::nothing());
    }
    static_map(&[Field::InetProto, Field::InetService], SetData::None, elements)
}
