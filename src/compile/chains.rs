//! The chains that judge new packets: one lookup a stage, in the order in which rules are named.

use super::collect::{Linear, RuleIndex, Stages};
use super::emit::{Ask, Lines, Lookup};
use super::key;
use super::peers::{address_fields, address_key};
use super::space::Space;
use super::{Build, Side, denied_chain};
use crate::model::Action;
use crate::ruleset::{Elements, Field, Part, RuleBuilder, Set, SetData, Verdict};
use crate::types::{Family, PortMatch, Protocol};
use std::collections::BTreeMap;

pub(super) fn port_chain(side: Side, protocol: Protocol, special: bool) -> String {
    format!("{}.{}{}", side.prefix(), protocol.as_str(), if special { ".special" } else { "" })
}

pub(super) fn other_chain(side: Side) -> String {
    format!("{}.other", side.prefix())
}

/// How a space's stages are asked.
struct Asking<'a> {
    side: Side,
    space: Space,
    action: Action,
    /// What the names of its maps begin with.
    name: String,
    key: Vec<Part>,
    fields: Vec<Field>,
    stages: &'a Stages,
}

impl Build<'_> {
    /// The chains of protocols with ports, of ICMP where it is told apart by type, and of all other protocols.
    pub(super) fn side_chains(&mut self, side: Side) {
        self.never_set(side.family);
        self.audit_chain(side);
        let lines = self.stage_lines(side, Space::Ports);
        for protocol in self.protocols(side.direction) {
            let chain = port_chain(side, protocol, false);
            self.port_chain(side, protocol, &chain, lines.plain.clone(), false);
            if !self.special_ports(side, protocol).is_empty() {
                let special = port_chain(side, protocol, true);
                self.port_chain(side, protocol, &special, lines.special.clone(), true);
            }
        }
        self.other_chains(side);
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
        self.judge(side, chain, lines);
    }

    fn other_chains(&mut self, side: Side) {
        let chain = other_chain(side);
        self.baseline_other_lines(side, &chain);
        if self.tells_icmp_types(side) {
            let icmp = format!("{}.icmp", side.prefix());
            let to_icmp =
                RuleBuilder::new().protocol(side.family.icmp()).verdict(Verdict::Goto(icmp.clone()));
            self.append(&chain, to_icmp);
            let lines = self.stage_lines(side, Space::Icmp);
            self.judge(side, &icmp, lines.special);
        }
        let lines = self.stage_lines(side, self.other_space(side));
        self.judge(side, &chain, lines.special);
    }

    /// The rules in audit mode, those that decide, and what nothing allowed.
    fn judge(&mut self, side: Side, chain: &str, lines: Vec<crate::ruleset::Rule>) {
        self.audit_line(side, chain);
        for line in lines {
            self.append(chain, line);
        }
        self.append(chain, RuleBuilder::new().verdict(Verdict::Goto(denied_chain(side))));
    }

    /// The lines of all stages of a space.
    fn stage_lines(&mut self, side: Side, space: Space) -> Lines {
        let mut lines = Lines::default();
        for action in Action::ALL {
            let stages = self.collect(side, space, action);
            let asking = Asking {
                side,
                space,
                action,
                name: format!("{}.{}", space.prefix(side), action.as_str()),
                key: std::iter::once(Part::Peer(side.direction, side.family))
                    .chain(space.parts(side))
                    .collect(),
                fields: address_fields(side, space.fields(side)),
                stages: &stages,
            };
            self.written_lines(&asking, &mut lines);
            self.name_lines(&asking, &mut lines);
            self.list_lines(&asking, &mut lines);
            self.any_lines(&asking, &mut lines);
        }
        lines
    }

    fn written_lines(&mut self, asking: &Asking<'_>, lines: &mut Lines) {
        let Asking { side, space, stages, .. } = *asking;
        let consequence = self.consequence(side.direction, asking.action);
        let mut exact = Lookup::default();
        for ((address, protocol, value), rules) in &stages.exact {
            let key = space.key(address_key(side, *address), *protocol, *value).key();
            let stack = self.asked(rules);
            self.lead(side, &mut exact, key, &stack, None);
        }
        let names = [format!("{}.exact", asking.name), format!("{}.areas", asking.name)];
        let ask = |name| asking.ask(name, &|rule| rule, &consequence);
        self.emit_maps(&ask(&names[0]), exact, lines);
        let areas = self.area_lookup(side, space, &stages.areas, true);
        self.emit_maps(&ask(&names[1]), areas, lines);
    }

    fn name_lines(&mut self, asking: &Asking<'_>, lines: &mut Lines) {
        let Asking { side, space, action, stages, .. } = *asking;
        let consequence = self.consequence(side.direction, action);
        let peer = [Part::Peer(side.direction, side.family)];
        let guarded = |rule: RuleBuilder| rule.lookup(&peer, never_set(side.family), true);
        let name = format!("{}.names", asking.name);
        let entries = self.name_entries(side, space, action, false);
        self.emit_named(
            side,
            space,
            &asking.ask(&name, &guarded, &consequence),
            &stages.names,
            entries,
            lines,
        );
        let opened = format!("{}.opened-names", asking.name);
        let entries = self.name_entries(side, space, action, true);
        let ask = asking.ask(&opened, &|rule| rule, &consequence);
        self.emit_named(side, space, &ask, &stages.opened_names, entries, lines);
        for line in &stages.wide_names {
            let rule = &self.policy.rules[line.rule];
            let unique = format!("{}.{}.{}", space.prefix(side), rule.name, line.width);
            let set = self.names_set(side, line.rule, false);
            let before = guarded(RuleBuilder::new()).lookup(&peer, &set, false);
            self.linear_line(side, space, &unique, line, before, lines);
            if self.has_opened_names(side, rule) {
                let set = self.names_set(side, line.rule, true);
                let before = RuleBuilder::new().lookup(&peer, &set, false);
                self.linear_line(side, space, &unique, line, before, lines);
            }
        }
    }

    /// The set of a rule's looked-up addresses.
    fn names_set(&mut self, side: Side, index: RuleIndex, opened: bool) -> String {
        let rule = &self.policy.rules[index];
        let word = if opened { "opened-names" } else { "names" };
        let set = format!("{}.{word}.{}", side.prefix(), rule.name);
        let mut elements = BTreeMap::new();
        for entry in self.looked_up(side, rule).into_iter().filter(|entry| entry.opened == opened) {
            let value = elements.entry(address_key(side, entry.address).key()).or_insert_with(key::nothing);
            value.timeout = value.timeout.max(Some(entry.life));
        }
        let size = Self::names_size(rule.peers.names().count());
        let fields = vec![key::address_field(side.family)];
        let head = key::expiring(fields, SetData::None, size, super::emit::NAMES_TIMEOUT);
        self.add_set(&set, Set { elements: Elements::Known(elements), ..head });
        set
    }

    fn list_lines(&mut self, asking: &Asking<'_>, lines: &mut Lines) {
        let Asking { side, space, stages, .. } = *asking;
        for line in &stages.lists {
            let Some((list, except)) = &line.list else { continue };
            let Some(set) = self.list_set(side.family, list) else { continue };
            let rule = &self.policy.rules[line.rule];
            let before = RuleBuilder::new().lookup(&[Part::Peer(side.direction, side.family)], &set, false);
            let before = self.not_excepted(side, except, before);
            let unique = format!("{}.{}.{set}.{}", space.prefix(side), rule.name, line.width);
            self.linear_line(side, space, &unique, line, before, lines);
        }
    }

    fn any_lines(&mut self, asking: &Asking<'_>, lines: &mut Lines) {
        let Asking { side, space, action, stages, .. } = *asking;
        let with_address = stages.any_has_exceptions;
        let lookup = self.area_lookup(side, space, &stages.any, with_address);
        let consequence = self.consequence(side.direction, action);
        let name = format!("{}.any", asking.name);
        if with_address {
            return self.emit_maps(&asking.ask(&name, &|rule| rule, &consequence), lookup, lines);
        }
        let (key, fields) = (space.parts(side), space.fields(side));
        if !key.is_empty() {
            let ask = Ask {
                name: &name,
                key: &key,
                fields: &fields,
                guard: &|rule| rule,
                consequence: &consequence,
            };
            return self.emit_maps(&ask, lookup, lines);
        }
        let mut rules: Vec<RuleIndex> = stages.any.iter().map(|(_, (_, _, rule))| *rule).collect();
        rules.sort_unstable();
        rules.dedup();
        for index in self.asked(&rules) {
            let line = Linear { width: 0, rule: index, list: None, ports: vec![PortMatch::Any] };
            self.linear_line(side, space, &name, &line, RuleBuilder::new(), lines);
        }
    }
}

impl Asking<'_> {
    fn ask<'a>(
        &'a self,
        name: &'a str,
        guard: &'a dyn Fn(RuleBuilder) -> RuleBuilder,
        consequence: &'a Verdict,
    ) -> Ask<'a> {
        Ask { name, key: &self.key, fields: &self.fields, guard, consequence }
    }
}

/// The addresses that a name may never stand for.
pub(super) fn never_set(family: Family) -> &'static str {
    match family {
        Family::V4 => "never4",
        Family::V6 => "never6",
    }
}
