//! The chain that judges new packets of protocols without ports: only rules with `ports = ["any"]` reach them.

use super::cells::Area;
use super::collect::{Linear, Stages};
use super::emit::{Ask, Lines, Lookup};
use super::key::{self, KeyBytes};
use super::ports::{guard_loopback, never_set};
use super::{Build, Side};
use crate::model::Action;
use crate::ruleset::{Part, RuleBuilder};
use crate::types::PortMatch;

impl Build<'_> {
    pub(super) fn other_chain(&mut self, side: Side) {
        let chain = super::base::other_chain(side);
        self.baseline_other_lines(side, &chain);
        let mut lines = Lines::default();
        for action in Action::ALL {
            let stages = self.collect(side, action);
            self.any_port_lines(side, action, &stages, &mut lines);
        }
        for line in lines.special {
            self.append(&chain, line);
        }
        self.end_chain(side, &chain);
    }

    fn any_port_lines(&mut self, side: Side, action: Action, stages: &Stages, lines: &mut Lines) {
        let peer = [Part::Peer(side.direction, side.family)];
        let name = format!("{}.other.{}", side.prefix(), action.as_str());
        let consequence = Self::consequence(side.direction, action);
        let written = self.any_port_areas(side, action);
        let fields = [key::address_field(side.family)];
        let ask = Ask {
            name: &format!("{name}.written"),
            key: &peer,
            fields: &fields,
            guard: &|rule| rule,
            consequence: &consequence,
        };
        self.emit_maps(&ask, written, lines);
        for line in stages.wide_names.iter().filter(|line| line.ports == [PortMatch::Any]) {
            let set = self.names_set(side, line);
            let before =
                RuleBuilder::new().lookup(&peer, never_set(side.family), true).lookup(&peer, &set, false);
            self.other_line(side, line, before, lines);
        }
        for line in stages.lists.iter().filter(|line| line.ports == [PortMatch::Any]) {
            let Some(set) = line.list.as_ref().and_then(|list| self.list_set(side.family, list)) else {
                continue;
            };
            let before = guard_loopback(side, action, RuleBuilder::new()).lookup(&peer, &set, false);
            self.other_line(side, line, before, lines);
        }
        let any = self
            .rules(side.direction, action)
            .find(|(_, rule)| rule.peers.has(&crate::model::Source::Any) && has_any(&rule.ports));
        if let Some((index, rule)) = any {
            let origin = Some(rule.origin);
            let before = guard_loopback(side, action, RuleBuilder::new()).origin(origin);
            let (rule, _) = self.finish_linear(side, index, before);
            lines.both(rule);
        }
    }

    fn other_line(&mut self, side: Side, line: &Linear, before: RuleBuilder, lines: &mut Lines) {
        let origin = self.policy.rules[line.rule].origin;
        let (rule, _) = self.finish_linear(side, line.rule, before.origin(Some(origin)));
        lines.both(rule);
    }

    /// Written addresses of rules for every protocol, cut by address alone.
    fn any_port_areas(&mut self, side: Side, action: Action) -> Lookup {
        let mut areas = Vec::new();
        for (index, rule) in self.rules(side.direction, action).filter(|(_, rule)| has_any(&rule.ports)) {
            for written in self.written(side, rule) {
                let area = Area { addresses: written.addresses, protocol: 0, ports: (0, 0) };
                areas.push((area, (written.span, 0, index)));
            }
        }
        let cells = super::cells::cut(&areas);
        self.cells += cells.len();
        let mut lookup = Lookup::default();
        for (area, rule) in cells {
            let bound = |bits: u128| KeyBytes::default().address(side.family, bits);
            let key = bound(area.addresses.0).to(bound(area.addresses.1));
            self.lead(side, &mut lookup, key, rule, None);
        }
        lookup
    }
}

fn has_any(ports: &[PortMatch]) -> bool {
    ports.contains(&PortMatch::Any)
}
