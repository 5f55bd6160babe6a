//! IPv4 addresses in their IPv6 form, which no packet has.

use super::super::draft::Draft;
use super::peer_lists;
use crate::diag::{Finding, Findings};
use crate::policy::Peer;
use std::net::IpAddr;

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    let peers = peer_lists(draft).flatten().filter_map(|peer| match &peer.value {
        Peer::Range(range) => Some((*range, peer.span)),
        Peer::Any | Peer::Broadcast | Peer::Group(_) | Peer::Name(_) => None,
    });
    let local =
        draft.rules.iter().flat_map(|rule| rule.entry.local.iter().map(|local| (local.value, local.span)));
    for (range, span) in peers.chain(local) {
        let (IpAddr::V6(first), IpAddr::V6(last)) = (range.first(), range.last()) else { continue };
        let (Some(first), Some(last)) = (first.to_ipv4_mapped(), last.to_ipv4_mapped()) else { continue };
        let meant = if first == last { first.to_string() } else { format!("{first}-{last}") };
        findings.push(
            Finding::error("PG314", "an IPv4 address in IPv6 form matches no packet")
                .at(span)
                .help(format!("write it as IPv4: \"{meant}\"")),
        );
    }
}
