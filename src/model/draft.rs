//! The policy while it is judged: every rule, also those that are off, with what its references stand for.

use super::groups::{self, Holds};
use super::merge::Merged;
use super::services::{self, Opens};
use super::{Action, PeerPart, Peers, Rule, Source};
use crate::diag::{Finding, Findings, did_you_mean};
use crate::policy::{Peer, RuleEntry};
use crate::types::{Direction, PortMatch, Protocol};

pub(super) struct Draft<'a> {
    pub(super) merged: Merged<'a>,
    pub(super) rules: Vec<DraftRule<'a>>,
}

pub(super) struct DraftRule<'a> {
    pub(super) entry: &'a RuleEntry,
    /// Enabled, and all its switches hold.
    pub(super) on: bool,
    pub(super) opens: Opens,
    pub(super) holds: Holds<'a>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(merged: Merged<'a>, findings: &mut Findings) -> Self {
        let rules = merged.rules.iter().map(|entry| DraftRule::new(&merged, entry, findings)).collect();
        Self { merged, rules }
    }

    pub(super) fn rules_on(&self) -> impl Iterator<Item = &DraftRule<'a>> {
        self.rules.iter().filter(|rule| rule.on)
    }
}

impl<'a> DraftRule<'a> {
    fn new(merged: &Merged<'a>, entry: &'a RuleEntry, findings: &mut Findings) -> Self {
        let on = entry.enabled & switches_hold(merged, entry, findings);
        let opens = services::resolve(merged, &entry.ports, findings);
        for peer in &entry.peers {
            groups::check_reference(merged, peer, findings);
        }
        Self { entry, on, opens, holds: groups::expand(merged, entry.peers.iter()) }
    }

    pub(super) fn name(&self) -> &'a str {
        self.entry.name.value.as_str()
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
        let allows = self.on && self.entry.action == Action::Allow;
        allows && self.entry.direction.value.has(direction) && peers && self.opens.ports.iter().any(reaches)
    }

    pub(super) fn finish(&self) -> Rule {
        let entry = self.entry;
        Rule {
            name: entry.name.value.clone(),
            origin: entry.name.span,
            direction: entry.direction.value,
            action: entry.action,
            audit: false,
            ports: self.opens.ports.clone(),
            helper: self.opens.helper.clone().filter(|_| entry.action == Action::Allow),
            from_ports: Vec::new(),
            interfaces: None,
            local: Vec::new(),
            users: Vec::new(),
            peers: self.peers(),
            purpose: entry.purpose.clone(),
            rows: entry.rows.clone(),
        }
    }

    fn peers(&self) -> Peers {
        let holds = &self.holds;
        let mut sources: Vec<Source> = holds.ranges.iter().copied().map(Source::Range).collect();
        sources.extend(holds.resolv_conf.then_some(Source::ResolvConf));
        sources.extend(holds.broadcast.then_some(Source::Broadcast));
        sources.extend(holds.names.keys().map(|name| Source::Name((*name).clone())));
        sources.extend(holds.lists.iter().cloned().map(Source::List));
        sources.extend(holds.any.then_some(Source::Any));
        Peers {
            written: self.entry.peers.iter().map(|peer| written(&peer.value)).collect(),
            parts: sources.into_iter().map(|source| PeerPart { source, except: Vec::new() }).collect(),
        }
    }
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
