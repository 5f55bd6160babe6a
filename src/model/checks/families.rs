//! Addresses that the protocols of their rule cannot have, and rules whose ends are of two families.

use super::super::RuleDirection;
use super::super::draft::{Draft, DraftRule, written};
use crate::diag::{Finding, Findings};
use crate::policy::Peer;
use crate::types::{AddrRange, Family, PortMatch};
use std::collections::BTreeSet;

type Families = BTreeSet<Family>;

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    for rule in &draft.rules {
        let before = findings.iter().count();
        check_written(rule, findings);
        if findings.iter().count() == before {
            check_whole(rule, findings);
        }
    }
}

/// Each address that stands in the rule itself.
fn check_written(rule: &DraftRule, findings: &mut Findings) {
    let of_ports = of_ports(rule);
    let [only] = of_ports.iter().copied().collect::<Vec<_>>()[..] else { return };
    let peers = rule.entry.peers.value.iter().filter_map(|peer| match &peer.value {
        Peer::Range(range) => Some((range.family(), peer.span, written(&peer.value))),
        Peer::Broadcast => Some((Family::V4, peer.span, written(&peer.value))),
        Peer::Any | Peer::Group(_) | Peer::Name(_) => None,
    });
    let local = rule.entry.local.iter();
    let local = local.map(|range| (range.value.family(), range.span, range.value.to_string()));
    for (family, span, text) in peers.chain(local).filter(|(family, ..)| *family != only) {
        let protocol = rule.opens.ports.first().map(ToString::to_string).unwrap_or_default();
        let message =
            format!("\"{text}\" is {}, and {protocol} goes over {} alone", name(family), name(only));
        let icmp = rule.opens.ports.iter().all(|entry| matches!(entry, PortMatch::Icmp(..)));
        let help = match family {
            Family::V4 if icmp => "take it out, or write a rule with `icmp` for it",
            Family::V6 if icmp => "take it out, or write a rule with `icmpv6` for it",
            Family::V4 | Family::V6 => "take it out",
        };
        findings.push(Finding::error("PG322", message).at(span).help(help));
    }
}

/// What the ports, the peers and this machine's addresses have in common must not be nothing.
fn check_whole(rule: &DraftRule, findings: &mut Findings) {
    let local: Families = rule.entry.local.iter().map(|range| range.value.family()).collect();
    let (ports, peers) = (of_ports(rule), of_peers(rule));
    let local = if local.is_empty() { Families::from(Family::BOTH) } else { local };
    if peers.is_empty() || ports.is_empty() {
        return;
    }
    let apart = |a: &Families, b: &Families| a.intersection(b).next().is_none();
    let (message, place) = if apart(&ports, &peers) {
        ("no peer has an address of the family of the rule's protocol", rule.entry.peers.span)
    } else if apart(&local, &peers) {
        ("`local` and `peers` have no family of addresses in common", rule.entry.peers.span)
    } else {
        return;
    };
    let message = format!("rule \"{}\" can match nobody: {message}", rule.name());
    findings.push(
        Finding::error("PG322", message).at(place).help(
            "both ends of a packet, and its protocol, are of one family: write addresses of that family",
        ),
    );
}

/// The families that the protocols go over.
fn of_ports(rule: &DraftRule) -> Families {
    let both = |family: Option<Family>| family.map_or(Family::BOTH.to_vec(), |family| vec![family]);
    rule.opens.ports.iter().flat_map(|entry| both(entry.family())).collect()
}

/// The families that the peers may have, as far as that is known from the text.
fn of_peers(rule: &DraftRule) -> Families {
    let holds = &rule.holds;
    if holds.any || holds.resolv_conf || holds.lists || !holds.names.is_empty() {
        return Families::from(Family::BOTH);
    }
    let sends = rule.entry.direction.value != RuleDirection::In;
    let broadcast = (holds.broadcast && sends).then_some(Family::V4);
    holds.ranges.iter().map(AddrRange::family).chain(broadcast).collect()
}

fn name(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}
