//! Writes stages as maps and as the rules that ask them.

use super::cells::{Area, Rank, Stack, cut};
use super::collect::{Linear, Named};
use super::key::{self, COUNTERS, KeyBytes};
use super::peers::address_key;
use super::space::Space;
use super::{Build, Side};
use crate::model::{Action, ListRef};
use crate::ruleset::{
    ElementKey, ElementValue, Elements, Field, Part, Rule, RuleBuilder, Set, SetData, Verdict,
};
use crate::types::{Family, PortMatch};
use std::collections::BTreeMap;
use std::time::Duration;

/// The elements of one lookup: those whose rule is a plain counter, and those that lead to chains.
#[derive(Default)]
pub(super) struct Lookup {
    pub(super) counters: BTreeMap<ElementKey, ElementValue>,
    pub(super) chains: BTreeMap<ElementKey, ElementValue>,
    /// Some of the chains are of rules whose ports are not special.
    everywhere: bool,
}

/// Rules for a chain: `plain` for every packet, `special` for those ports that lead to a chain of their own.
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

    fn lead_to_chains(&mut self, rule: Rule, everywhere: bool) {
        if everywhere {
            self.plain.push(rule.clone());
        }
        self.special.push(rule);
    }
}

/// How many (name, port) entries may lead to counters and to chains.
#[derive(Clone, Copy, Default)]
pub(super) struct Entries {
    counters: usize,
    chains: usize,
    /// Some of the chains are of rules whose ports are not special.
    everywhere: bool,
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
    /// Adds an element for the rules of a cell: to the counters, or, if they need more than a counter, to the chains.
    pub(super) fn lead(
        &mut self,
        side: Side,
        lookup: &mut Lookup,
        key: ElementKey,
        stack: &Stack,
        timeout: Option<Duration>,
    ) {
        if let Some(verdict) = self.way_to(side, stack) {
            lookup.everywhere |= stack.iter().any(|rule| !self.is_special(&self.policy.rules[*rule]));
            lookup.chains.insert(key, ElementValue { timeout, ..key::to_verdict(verdict) });
        } else if let [rule] = stack.as_slice() {
            let counter = self.rule_counter(side.direction, &self.policy.rules[*rule]);
            lookup.counters.insert(key, ElementValue { timeout, ..key::to_counter(counter) });
        }
    }

    /// The rules of one rank in their order, up to the first that always matches.
    pub(super) fn asked(&self, rules: &[usize]) -> Stack {
        let decides = |rule: &usize| !self.policy.rules[*rule].has_conditions();
        let last = rules.iter().position(decides).map_or(rules.len(), |at| at + 1);
        rules[..last].to_vec()
    }

    /// Cells of areas as elements; `with_address` for keys that begin with an address.
    pub(super) fn area_lookup(
        &mut self,
        side: Side,
        space: Space,
        areas: &[(Area, Rank)],
        with_address: bool,
    ) -> Lookup {
        let policy = self.policy;
        let cells = cut(areas, &|rule| policy.rules[rule].has_conditions());
        self.cells += cells.len();
        let mut lookup = Lookup::default();
        for (area, stack) in cells {
            let bound = |address: u128, value: u16| {
                let bytes = if with_address { address_key(side, address) } else { KeyBytes::default() };
                space.key(bytes, area.protocol, value)
            };
            let first = bound(area.addresses.0, area.ports.0);
            let key = first.to(bound(area.addresses.1, area.ports.1));
            self.lead(side, &mut lookup, key, &stack, None);
        }
        lookup
    }

    /// Makes the maps of a lookup and the rules that ask them.
    pub(super) fn emit_maps(&mut self, ask: &Ask<'_>, lookup: Lookup, lines: &mut Lines) {
        let Ask { name, key, fields, guard, consequence } = *ask;
        if !lookup.chains.is_empty() {
            let map = format!("{name}.chains");
            self.add_set(&map, static_map(fields, SetData::Verdict, lookup.chains));
            lines.lead_to_chains(guard(RuleBuilder::new()).verdict_map(key, &map).rule(), lookup.everywhere);
        }
        if !lookup.counters.is_empty() {
            self.add_set(name, static_map(fields, COUNTERS, lookup.counters));
            lines.both(guard(RuleBuilder::new()).counter_map(key, name).verdict(consequence.clone()));
        }
    }

    /// Makes the maps of looked-up addresses, which stand before the first address comes, and the rules that ask them.
    pub(super) fn emit_named(
        &mut self,
        side: Side,
        space: Space,
        ask: &Ask<'_>,
        named: &Named,
        entries: Entries,
        lines: &mut Lines,
    ) {
        let mut lookup = Lookup::default();
        for ((address, protocol, value), (rules, life)) in named {
            let key = space.key(address_key(side, *address), *protocol, *value).key();
            let stack = self.asked(rules);
            self.lead(side, &mut lookup, key, &stack, Some(*life));
        }
        let Ask { name, key, fields, guard, consequence } = *ask;
        let map = |data, size, elements| Set {
            elements: Elements::Known(elements),
            ..key::expiring(fields.to_vec(), data, Self::names_size(size), NAMES_TIMEOUT)
        };
        if entries.chains > 0 {
            let of_chains = format!("{name}.chains");
            self.add_set(&of_chains, map(SetData::Verdict, entries.chains, lookup.chains));
            lines.lead_to_chains(
                guard(RuleBuilder::new()).verdict_map(key, &of_chains).rule(),
                entries.everywhere,
            );
        }
        if entries.counters > 0 {
            self.add_set(name, map(COUNTERS, entries.counters, lookup.counters));
            lines.both(guard(RuleBuilder::new()).counter_map(key, name).verdict(consequence.clone()));
        }
    }

    /// The entries of names, whether or not an address is known yet. An entry of a plain rule may lead to a chain where a rule
    /// with conditions shares its address.
    pub(super) fn name_entries(&self, side: Side, space: Space, action: Action, opened: bool) -> Entries {
        let mut counts = Entries::default();
        let mut shared = false;
        for (_, rule) in self.rules(side, action) {
            if opened && !self.has_opened_names(side, rule) {
                continue;
            }
            let entries = rule.ports.iter().filter(|entry| entry.width() == 0);
            let here = entries.filter(|entry| !self.runs(side, space, **entry).is_empty()).count();
            let names = rule.peers.names().count() * here;
            shared |= rule.has_conditions() && names > 0;
            if self.has_chain(rule) {
                counts.chains += names
            } else {
                counts.counters += names
            }
            counts.everywhere |= names > 0 && self.has_chain(rule) && !self.is_special(rule);
        }
        if shared {
            counts.chains += counts.counters;
        }
        counts
    }

    /// A rule of a line of its own, after its addresses are matched: its ports, then what it does.
    pub(super) fn linear_line(
        &mut self,
        side: Side,
        space: Space,
        name: &str,
        line: &Linear,
        before: RuleBuilder,
        lines: &mut Lines,
    ) {
        let rule = &self.policy.rules[line.rule];
        let builder = self.match_ports(side, space, name, &line.ports, before.origin(Some(rule.origin)));
        match self.way_to(side, &vec![line.rule]) {
            Some(verdict) => lines.lead_to_chains(builder.verdict(verdict), !self.is_special(rule)),
            None => {
                let counter = self.rule_counter(side.direction, rule);
                let consequence = self.consequence(side.direction, rule.action);
                lines.both(builder.counter(&counter).verdict(consequence));
            }
        }
    }

    /// Ports of one width.
    pub(super) fn match_ports(
        &mut self,
        side: Side,
        space: Space,
        name: &str,
        ports: &[PortMatch],
        builder: RuleBuilder,
    ) -> RuleBuilder {
        match ports {
            [PortMatch::Any] => builder,
            [PortMatch::Icmp(family, None)] => builder.protocol(family.icmp()),
            [PortMatch::Ports(protocol, range)] => builder.destination_port(*protocol, *range),
            [PortMatch::Icmp(family, Some(kind))] => builder.icmp_type(*family, *kind),
            [PortMatch::Protocol(number)] => builder.protocol(*number),
            many => {
                let set = format!("{name}.ports");
                let runs = many.iter().flat_map(|entry| self.runs(side, space, *entry));
                let runs = runs.map(|run| (run.protocol, run.values.0, run.values.1)).collect();
                self.add_set(&set, run_set(side, space, runs));
                builder.lookup(&space.parts(side), &set, false)
            }
        }
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
fn static_map(fields: &[Field], data: SetData, elements: BTreeMap<ElementKey, ElementValue>) -> Set {
    let single = |key: &ElementKey| key.last.as_ref().is_none_or(|last| *last == key.first);
    if elements.keys().all(single) {
        let points =
            elements.into_iter().map(|(key, value)| (ElementKey { last: None, ..key }, value)).collect();
        key::hash(fields.to_vec(), data, points)
    } else {
        key::intervals(fields.to_vec(), data, elements)
    }
}

/// Addresses, sorted and disjoint, as a set: a hash if each stands alone, else intervals.
pub(super) fn address_set(family: Family, ranges: &[(u128, u128)]) -> Set {
    let fields = vec![key::address_field(family)];
    let bytes = |bits: u128| KeyBytes::default().address(family, bits);
    let entry = |(first, last): &(u128, u128)| (bytes(*first).to(bytes(*last)), key::nothing());
    static_map(&fields, SetData::None, ranges.iter().map(entry).collect())
}

/// Ports of protocols: (protocol, first, last).
pub(super) fn port_set(runs: Vec<(u8, u16, u16)>) -> Set {
    value_set(vec![Field::InetProto, Field::InetService], Space::Ports, runs)
}

fn run_set(side: Side, space: Space, runs: Vec<(u8, u16, u16)>) -> Set {
    value_set(space.fields(side), space, runs)
}

fn value_set(fields: Vec<Field>, space: Space, mut merged: Vec<(u8, u16, u16)>) -> Set {
    merged.sort_unstable();
    merged.dedup_by(|next, kept| {
        let joins = next.0 == kept.0 && u32::from(next.1) <= u32::from(kept.2) + 1;
        if joins {
            kept.2 = kept.2.max(next.2);
        }
        joins
    });
    let mut elements = BTreeMap::new();
    for (protocol, first, last) in merged {
        let bound = |value: u16| space.key(KeyBytes::default(), protocol, value);
        elements.insert(bound(first).to(bound(last)), key::nothing());
    }
    static_map(&fields, SetData::None, elements)
}
