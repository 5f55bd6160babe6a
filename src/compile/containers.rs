//! `baseline.containers`: DNS and DHCP for containers and virtual machines on this host, from the bridges that their
//! engines make.

use super::{Build, Side};
use crate::model::BaselineRule;
use crate::ruleset::{RuleBuilder, Verdict};
use crate::types::{Direction, Family, PortRange, Protocol};

const BRIDGES: [&str; 4] = ["podman*", "docker*", "br-*", "virbr*"];

const DNS: u16 = 53;

/// Source (where it matters) and destination port. Answers of a DHCP server have to be named: they go to an address that
/// the question did not come from, so that connection tracking takes them for new.
fn ports(side: Side, protocol: Protocol) -> &'static [(Option<u16>, u16)] {
    if protocol == Protocol::Udp {
        return match (side.direction, side.family) {
            (Direction::In, Family::V4) => &[(None, DNS), (None, 67)],
            (Direction::In, Family::V6) => &[(None, DNS), (None, 547)],
            (Direction::Out, Family::V4) => &[(Some(67), 68)],
            (Direction::Out, Family::V6) => &[(Some(547), 546)],
        };
    }
    if protocol == Protocol::Tcp && side.direction == Direction::In { &[(None, DNS)] } else { &[] }
}

impl Build<'_> {
    pub(super) fn container_chain(&mut self, direction: Direction) {
        if !self.has(BaselineRule::Containers) {
            return;
        }
        let counter = self.counter(direction, "baseline.containers", None);
        for bridge in BRIDGES {
            let rule = RuleBuilder::new().interface(direction, bridge).counter(&counter);
            self.append(&chain(direction), rule.verdict(Verdict::Accept));
        }
    }

    pub(super) fn container_ports(&self, side: Side, protocol: Protocol) -> impl Iterator<Item = PortRange> {
        let ports = if self.has(BaselineRule::Containers) { ports(side, protocol) } else { &[] };
        ports.iter().map(|(_, to)| PortRange::single(*to))
    }

    pub(super) fn container_lines(&mut self, side: Side, protocol: Protocol, special: &str) {
        if !self.has(BaselineRule::Containers) {
            return;
        }
        for (from, to) in ports(side, protocol) {
            let rule = match from {
                Some(from) => RuleBuilder::new().source_port(protocol, PortRange::single(*from)),
                None => RuleBuilder::new(),
            };
            let rule = rule.destination_port(protocol, PortRange::single(*to));
            self.append(special, rule.verdict(Verdict::Jump(chain(side.direction))));
        }
    }
}

fn chain(direction: Direction) -> String {
    format!("{}.containers", direction.as_str())
}
