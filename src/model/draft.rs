//! The policy while it is judged: every rule, also those that are off, with what its references stand for.

use super::groups::{self, Holds};
use super::merge::{Merged, values};
use super::rules::InForce;
use super::services::{self, Opens};
use super::{Action, DefaultAction, PeerPart, Peers, Rule};
use crate::diag::{Finding, Findings, did_you_mean};
use crate::policy::{Peer, RuleEntry};
use crate::types::{Direction, InterfacePattern, PortMatch, Protocol};

pub(super) struct Draft<'a> {
    pub(super) merged: Merged<'a>,
    pub(super) rules: Vec<DraftRule<'a>>,
    /// Rules of lower layers as they were before a higher one replaced or changed them.
    pub(super) superseded: &'a [&'a RuleEntry],
}

pub(super) struct DraftRule<'a> {
    pub(super) entry: &'a RuleEntry,
    /// Enabled, and all its switches hold.
    pub(super) on: bool,
    pub(super) opens: Opens,
    /// Of its zones, if it names any.
    pub(super) interfaces: Option<Vec<InterfacePattern>>,
    pub(super) holds: Holds<'a>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(merged: Merged<'a>, in_force: &'a InForce<'a>, findings: &mut Findings) -> Self {
        let rules = in_force.entries.iter().map(|entry| DraftRule::new(&merged, entry, findings)).collect();
        Self { merged, rules, superseded: &in_force.superseded }
    }

    /// Whether what no rule matches passes.
    pub(super) fn passes_by_default(&self, direction: Direction) -> bool {
        let default = self.merged.default.get(direction.as_str());
        default.is_some_and(|entry| entry.value == DefaultAction::Audit)
    }

    pub(super) fn rules_on(&self) -> impl Iterator<Item = &DraftRule<'a>> {
        self.rules.iter().filter(|rule| rule.on)
    }
}

impl<'a> DraftRule<'a> {
    fn new(merged: &Merged<'a>, entry: &'a RuleEntry, findings: &mut Findings) -> Self {
        let on = entry.enabled & switches_hold(merged, entry, findings);
        let opens = services::resolve(merged, &entry.ports, findings);
        let interfaces = interfaces(merged, entry, findings);
        for peer in &entry.peers.value {
            groups::check_reference(merged, peer, findings);
        }
        Self { entry, on, opens, interfaces, holds: groups::expand(merged, entry.peers.value.iter()) }
    }

    pub(super) fn name(&self) -> &'a str {
        self.entry.name.value.as_str()
    }

    pub(super) fn action(&self) -> Action {
        self.entry.action.value
    }

    pub(super) fn allows(&self) -> bool {
        self.action() == Action::Allow
    }

    /// Whether this rule lets anybody at all open a connection to that port.
    pub(super) fn lets_somebody_reach(&self, direction: Direction, protocol: Protocol, port: u16) -> bool {
        let peers = match direction {
            Direction::In => self.holds.has_senders(),
            Direction::Out => self.holds.has_targets(),
        };
        let reaches = |entry: &PortMatch| match entry {
            PortMatch::Any => true,
            PortMatch::Icmp(..) | PortMatch::Protocol(_) => false,
            PortMatch::Ports(of, range) => *of == protocol && range.contains(port),
        };
        let nowhere = self.interfaces.as_ref().is_some_and(Vec::is_empty);
        let allows = self.on && self.allows() && !nowhere;
        allows && self.entry.direction.value.has(direction) && peers && self.opens.ports.iter().any(reaches)
    }

    pub(super) fn finish(&self, parts: Vec<PeerPart>) -> Rule {
        let entry = self.entry;
        Rule {
            name: entry.name.value.clone(),
            origin: entry.name.span,
            direction: entry.direction.value,
            action: self.action(),
            audit: entry.audit.is_some(),
            ports: self.opens.ports.clone(),
            helper: self.opens.helper.clone().filter(|_| self.allows()),
            from_ports: sorted(values(&entry.from_ports)),
            interfaces: self.interfaces.clone(),
            local: sorted(values(&entry.local)),
            users: sorted(values(&entry.users)),
            log: entry.log,
            peers: Peers {
                written: entry.peers.value.iter().map(|peer| written(&peer.value)).collect(),
                parts,
            },
            purpose: entry.purpose.clone(),
            rows: entry.rows.clone(),
        }
    }
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort_unstable();
    list.dedup();
    list
}

/// As a policy says it.
pub(super) fn written(peer: &Peer) -> String {
    match peer {
        Peer::Any => "any".into(),
        Peer::Broadcast => "broadcast".into(),
        Peer::Group(name) => format!("@{name}"),
        Peer::Range(range) => range.to_string(),
        Peer::Name(name) => name.to_string(),
    }
}

/// Whether all of a rule's switches hold. An unknown switch holds neither way.
fn switches_hold(merged: &Merged, entry: &RuleEntry, findings: &mut Findings) -> bool {
    let mut hold = true;
    for (switch, wanted) in &entry.when {
        match merged.features.get(switch.value.as_str()) {
            Some(feature) => hold &= feature.value == *wanted,
            None => {
                hold = false;
                let known = merged.features.keys().copied();
                findings.push(
                    Finding::error("PG306", format!("unknown switch \"{}\"", switch.value))
                        .at(switch.span)
                        .help(did_you_mean("switch under [features]", &switch.value, known)),
                );
            }
        }
    }
    hold
}

/// All interfaces of a rule's zones; `None` if it names no zone.
fn interfaces(merged: &Merged, entry: &RuleEntry, findings: &mut Findings) -> Option<Vec<InterfacePattern>> {
    let mut all = Vec::new();
    for zone in &entry.zones {
        match merged.zones.get(zone.value.as_str()) {
            Some(known) => all.extend(values(&known.value.interfaces)),
            None => {
                let known = merged.zones.keys().copied();
                findings.push(
                    Finding::error("PG320", format!("unknown zone \"{}\"", zone.value))
                        .at(zone.span)
                        .help(did_you_mean("zone under [zones]", &zone.value, known)),
                );
            }
        }
    }
    (!entry.zones.is_empty()).then(|| sorted(all))
}
