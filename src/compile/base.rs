//! The base chains and the lookups that every packet passes: state, loopback, then one dispatch to the chain of its family,
//! protocol and port.

use super::chains::{other_chain, port_chain};
use super::key::{self, KeyBytes};
use super::{Build, Side, denied_chain, rejected_chain};
use crate::model::{Action, BaselineRule, DefaultAction};
use crate::ruleset::{
    BaseChain, Chain, ChainPolicy, ElementKey, ElementValue, Field, Hook, Part, RuleBuilder, SetData, Verdict,
};
use crate::types::{Decider, Direction, Family, Outcome, Protocol};
use std::collections::BTreeMap;

/// The priority of `filter` in nftables.
pub(super) const FILTER_PRIORITY: i32 = 0;

const CT_INVALID: u32 = 1;
pub(super) const CT_ESTABLISHED: u32 = 2;
pub(super) const CT_RELATED: u32 = 4;
const CT_UNTRACKED: u32 = 64;

fn sides(direction: Direction) -> [Side; 2] {
    Family::BOTH.map(|family| Side { direction, family })
}

impl Build<'_> {
    pub(super) fn direction(&mut self, direction: Direction) {
        self.base_chain(direction);
        self.baseline_chains(direction);
        self.rule_objects(direction);
        for side in sides(direction) {
            self.side_chains(side);
        }
        self.state_map(direction);
        self.dispatch_map(direction);
        self.family_map(direction);
        for side in sides(direction) {
            self.denied_chain(side);
        }
        self.rejected_chain(direction);
    }

    /// Every rule has its counter, and its chain if it needs one, whether or not it has a peer yet.
    fn rule_objects(&mut self, direction: Direction) {
        for (index, rule) in self.rules_of(direction) {
            self.rule_counter(direction, rule);
            if rule.decides() && self.has_chain(rule) {
                for side in sides(direction) {
                    if self.applies(side, rule) {
                        self.rule_chain(side, index);
                    }
                }
            }
        }
    }

    fn base_chain(&mut self, direction: Direction) {
        let (name, hook) = match direction {
            Direction::In => ("input", Hook::Input),
            Direction::Out => ("output", Hook::Output),
        };
        let base = BaseChain { hook, priority: FILTER_PRIORITY, policy: ChainPolicy::Drop };
        self.ruleset.chains.insert(name.into(), Chain { base: Some(base), rules: Vec::new() });
        let map = |what: &str| format!("{}.{what}", direction.as_str());
        self.append(name, RuleBuilder::new().verdict_map(&[Part::CtState], &map("state")).rule());
        if self.has(BaselineRule::Loopback) {
            self.append(name, loopback_rule(direction));
        }
        let dispatch = [Part::NfProto, Part::L4Proto, Part::DestinationPort];
        self.append(name, RuleBuilder::new().verdict_map(&dispatch, &map("dispatch")).rule());
        self.append(name, RuleBuilder::new().verdict_map(&[Part::NfProto], &map("family")).rule());
        let counter = self.counter(direction, "default", None);
        self.append(name, RuleBuilder::new().counter(&counter).verdict(Verdict::Drop));
    }

    fn state_map(&mut self, direction: Direction) {
        let chain = |what: &str| format!("{}.{what}", direction.as_str());
        let invalid = if self.has(BaselineRule::Invalid) { Verdict::Goto } else { Verdict::Jump };
        let states = [
            (CT_ESTABLISHED, Verdict::Goto(chain("established"))),
            (CT_RELATED, Verdict::Goto(chain("related"))),
            (CT_INVALID, invalid(chain("invalid"))),
            (CT_UNTRACKED, Verdict::Jump(chain("untracked"))),
        ];
        let elements = states
            .into_iter()
            .map(|(state, verdict)| (KeyBytes::default().native(state).key(), key::to_verdict(verdict)));
        let map = key::hash(vec![Field::CtState], SetData::Verdict, elements.collect());
        self.add_set(chain("state"), map);
    }

    /// Family, protocol and port to a chain: the ranges between special ports, and those ports.
    fn dispatch_map(&mut self, direction: Direction) {
        let mut elements = BTreeMap::new();
        for side in sides(direction) {
            for protocol in self.protocols(direction) {
                let mut next = 0_u32;
                for special in self.special_ports(side, protocol) {
                    let first = u32::from(special.first());
                    if first > next {
                        elements.insert_range(side, protocol, (next, first - 1), false);
                    }
                    elements.insert_range(side, protocol, (first, u32::from(special.last())), true);
                    next = u32::from(special.last()) + 1;
                }
                if next <= u32::from(u16::MAX) {
                    elements.insert_range(side, protocol, (next, u32::from(u16::MAX)), false);
                }
            }
        }
        let fields = vec![Field::NfProto, Field::InetProto, Field::InetService];
        let map = key::intervals(fields, SetData::Verdict, elements);
        self.add_set(format!("{}.dispatch", direction.as_str()), map);
    }

    fn family_map(&mut self, direction: Direction) {
        let element = |side: Side| {
            let key = KeyBytes::default().octet(nfproto(side.family)).key();
            (key, key::to_verdict(Verdict::Goto(other_chain(side))))
        };
        let map = key::hash(vec![Field::NfProto], SetData::Verdict, sides(direction).map(element).into());
        self.add_set(format!("{}.family", direction.as_str()), map);
    }

    fn denied_chain(&mut self, side: Side) {
        let (outcome, consequence) = match self.policy.default.of(side.direction) {
            DefaultAction::Deny => (Outcome::Deny, Verdict::Drop),
            DefaultAction::Reject => (Outcome::Reject, Verdict::Goto(rejected_chain(side.direction))),
            DefaultAction::Audit => (Outcome::WouldDeny, Verdict::Accept),
        };
        let counter = self.counter(side.direction, "default", None);
        let counted = RuleBuilder::new().counter(&counter);
        let chain = denied_chain(side);
        if self.policy.log.denied {
            self.log_lines(side, &chain, counted, (outcome, Decider::Default), consequence);
        } else {
            self.append(&chain, counted.verdict(consequence));
        }
    }

    fn rejected_chain(&mut self, direction: Direction) {
        if self.rejects(direction) {
            let chain = rejected_chain(direction);
            self.append(&chain, RuleBuilder::new().reject_tcp_reset());
            self.append(&chain, RuleBuilder::new().reject_port_unreachable());
        }
    }

    /// Whether anything new of a direction is rejected.
    pub(super) fn rejects(&self, direction: Direction) -> bool {
        self.policy.default.of(direction) == DefaultAction::Reject
            || self.rules_of(direction).any(|(_, rule)| rule.decides() && rule.action == Action::Reject)
    }
}

/// `iifname "lo" goto in.loopback`
pub(super) fn loopback_rule(direction: Direction) -> crate::ruleset::Rule {
    let chain = format!("{}.loopback", direction.as_str());
    RuleBuilder::new().interface(direction, "lo").verdict(Verdict::Goto(chain))
}

fn nfproto(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

trait InsertRange {
    fn insert_range(&mut self, side: Side, protocol: Protocol, ports: (u32, u32), special: bool);
}

impl InsertRange for BTreeMap<ElementKey, ElementValue> {
    fn insert_range(&mut self, side: Side, protocol: Protocol, ports: (u32, u32), special: bool) {
        let bound = |port: u32| {
            let port = u16::try_from(port).unwrap_or(u16::MAX);
            KeyBytes::default().octet(nfproto(side.family)).octet(protocol.number()).port(port)
        };
        let chain = Verdict::Goto(port_chain(side, protocol, special));
        self.insert(bound(ports.0).to(bound(ports.1)), key::to_verdict(chain));
    }
}
