//! The chains that judge new TCP and UDP packets: one lookup a stage, in the order in which rules are named.

use super::collect::{Linear, Stages};
use super::emit::{Ask, Lines, Lookup, NAMES_TIMEOUT};
use super::key::{self, COUNTERS, KeyBytes};
use super::{Build, Side, denied_chain};
use crate::model::Action;
use crate::ruleset::{Elements, Field, Part, RuleBuilder, SetData, Verdict};
use crate::types::{AddrRange, Direction, Family, Protocol};

const PORT_KEY: [Part; 2] = [Part::L4Proto, Part::DestinationPort];
const PORT_FIELDS: [Field; 2] = [Field::InetProto, Field::InetService];

impl Build<'_> {
    /// The lines of all stages of a side.
    pub(super) fn port_lines(&mut self, side: Side) -> Lines {
        let mut lines = Lines::default();
        for action in Action::ALL {
            let stages = self.collect(side, action);
            let name = format!("{}.{}", side.prefix(), action.as_str());
            self.written_lines(side, action, &name, &stages, &mut lines);
            self.name_lines(side, action, &name, &stages, &mut lines);
            self.list_lines(side, &stages, &mut lines);
            self.any_lines(side, action, &name, &stages, &mut lines);
        }
        lines
    }

    fn written_lines(&mut self, side: Side, action: Action, name: &str, stages: &Stages, lines: &mut Lines) {
        let (key, fields) = peer_port_key(side);
        let consequence = Self::consequence(side.direction, action);
        let mut exact = Lookup::default();
        for ((address, protocol, port), rule) in &stages.exact {
            let key = KeyBytes::default().address(side.family, *address).octet(*protocol).port(*port).key();
            self.lead(side, &mut exact, key, *rule, None);
        }
        let names = [format!("{name}.exact"), format!("{name}.areas")];
        let ask =
            |name| Ask { name, key: &key, fields: &fields, guard: &|rule| rule, consequence: &consequence };
        self.emit_maps(&ask(&names[0]), exact, lines);
        let areas = self.area_lookup(side, &stages.areas, true);
        self.emit_maps(&ask(&names[1]), areas, lines);
    }

    fn name_lines(&mut self, side: Side, action: Action, name: &str, stages: &Stages, lines: &mut Lines) {
        let (key, fields) = peer_port_key(side);
        let consequence = Self::consequence(side.direction, action);
        let (counters, chains) = self.name_entries(side, action);
        let mut lookup = Lookup::default();
        for ((address, protocol, port), (rule, life)) in &stages.names {
            let key = KeyBytes::default().address(side.family, *address).octet(*protocol).port(*port).key();
            self.lead(side, &mut lookup, key, *rule, Some(*life));
        }
        let never = never_set(side.family);
        let guarded = || RuleBuilder::new().lookup(&[Part::Peer(side.direction, side.family)], never, true);
        if chains > 0 {
            let map = format!("{name}.names.chains");
            let head =
                key::expiring(fields.clone(), SetData::Verdict, Self::names_size(chains), NAMES_TIMEOUT);
            self.add_set(&map, crate::ruleset::Set { elements: Elements::Known(lookup.chains), ..head });
            lines.special.push(guarded().verdict_map(&key, &map).rule());
        }
        if counters > 0 {
            let map = format!("{name}.names");
            let head = key::expiring(fields, COUNTERS, Self::names_size(counters), NAMES_TIMEOUT);
            self.add_set(&map, crate::ruleset::Set { elements: Elements::Known(lookup.counters), ..head });
            lines.both(guarded().counter_map(&key, &map).verdict(consequence));
        }
        for line in &stages.wide_names {
            let rule = &self.policy.rules[line.rule];
            let set = self.names_set(side, line);
            let before = guarded().lookup(&[Part::Peer(side.direction, side.family)], &set, false);
            let unique = format!("{}.{}.{}", side.prefix(), rule.name, line.width);
            let (rule, special) = self.linear_rule(side, &unique, line, before);
            if special { lines.special.push(rule) } else { lines.both(rule) }
        }
    }

    /// How many (name, port) entries with counters, and with chains, a side's rules have, whether or not an address is
    /// known yet: the maps stand before the first address comes.
    fn name_entries(&self, side: Side, action: Action) -> (usize, usize) {
        let mut counts = (0, 0);
        for (_, rule) in self.rules(side.direction, action) {
            let single = |ports: &&crate::types::PortMatch| super::collect::single(**ports).is_some();
            let entries = rule.peers.names().count() * rule.ports.iter().filter(single).count();
            if rule.helper.is_some() { counts.1 += entries } else { counts.0 += entries }
        }
        counts
    }

    /// The set of a rule's looked-up addresses.
    pub(super) fn names_set(&mut self, side: Side, line: &Linear) -> String {
        let rule = &self.policy.rules[line.rule];
        let set = format!("{}.names.{}", side.prefix(), rule.name);
        let mut elements = std::collections::BTreeMap::new();
        for (address, life) in self.looked_up(side, rule) {
            let key = KeyBytes::default().address(side.family, address).key();
            let value = elements.entry(key).or_insert_with(key::nothing);
            value.timeout = value.timeout.max(Some(life));
        }
        let size = Self::names_size(rule.peers.names().count());
        let head = key::expiring(vec![key::address_field(side.family)], SetData::None, size, NAMES_TIMEOUT);
        self.add_set(&set, crate::ruleset::Set { elements: Elements::Known(elements), ..head });
        set
    }

    fn list_lines(&mut self, side: Side, stages: &Stages, lines: &mut Lines) {
        for line in &stages.lists {
            let Some(set) = line.list.as_ref().and_then(|list| self.list_set(side.family, list)) else {
                continue;
            };
            let rule = &self.policy.rules[line.rule];
            let before = guard_loopback(side, rule.action, RuleBuilder::new());
            let before = before.lookup(&[Part::Peer(side.direction, side.family)], &set, false);
            let unique = format!("{}.{}.{set}.{}", side.prefix(), rule.name, line.width);
            let (rule, special) = self.linear_rule(side, &unique, line, before);
            if special { lines.special.push(rule) } else { lines.both(rule) }
        }
    }

    fn any_lines(&mut self, side: Side, action: Action, name: &str, stages: &Stages, lines: &mut Lines) {
        let lookup = self.area_lookup(side, &stages.any, false);
        let consequence = Self::consequence(side.direction, action);
        let guard = |rule| guard_loopback(side, action, rule);
        let name = format!("{name}.any");
        let ask = Ask {
            name: &name,
            key: &PORT_KEY,
            fields: &PORT_FIELDS,
            guard: &guard,
            consequence: &consequence,
        };
        self.emit_maps(&ask, lookup, lines);
    }

    /// The chains of TCP and UDP of one side: `in4.tcp`, and for special ports `in4.tcp.special`.
    pub(super) fn port_chains(&mut self, side: Side) {
        let lines = self.port_lines(side);
        for protocol in Protocol::ALL {
            let chain = super::base::port_chain(side, protocol, false);
            let special = super::base::port_chain(side, protocol, true);
            self.port_chain(side, protocol, &chain, lines.plain.clone(), false);
            if !self.special_ports(side, protocol).is_empty() {
                self.port_chain(side, protocol, &special, lines.special.clone(), true);
            }
        }
    }

    fn port_chain(
        &mut self,
        side: Side,
        protocol: Protocol,
        chain: &str,
        lines: Vec<crate::ruleset::Rule>,
        special: bool,
    ) {
        self.syn_line(side, protocol, chain);
        if special {
            self.baseline_port_lines(side, protocol, chain);
        }
        for line in lines {
            self.append(chain, line);
        }
        self.end_chain(side, chain);
    }

    /// What nothing allowed: loopback addresses from another interface are counted apart.
    pub(super) fn end_chain(&mut self, side: Side, chain: &str) {
        self.loopback_address_line(side, chain);
        self.append(chain, RuleBuilder::new().verdict(Verdict::Goto(denied_chain(side.direction))));
    }
}

fn peer_port_key(side: Side) -> ([Part; 3], Vec<Field>) {
    let key = [Part::Peer(side.direction, side.family), Part::L4Proto, Part::DestinationPort];
    (key, vec![key::address_field(side.family), Field::InetProto, Field::InetService])
}

/// The addresses that a name may never stand for.
pub(super) fn never_set(family: Family) -> &'static str {
    match family {
        Family::V4 => "never4",
        Family::V6 => "never6",
    }
}

/// A stage that does not look at written addresses must not let loopback addresses in from another interface. The kernel
/// itself drops them (unless `route_localnet` is set), those of IPv6 always.
pub(super) fn guard_loopback(side: Side, action: Action, rule: RuleBuilder) -> RuleBuilder {
    if side.direction == Direction::In && side.family == Family::V4 && action == Action::Allow {
        rule.address_in(Part::Peer(side.direction, side.family), loopback_v4(), true)
    } else {
        rule
    }
}

pub(super) fn loopback_v4() -> AddrRange {
    "127.0.0.0/8".parse().expect("a prefix")
}
