//! IPv4 addresses in their IPv6 form, which no packet has.

use super::super::draft::Draft;
use super::peer_lists;
use crate::diag::{Finding, Findings};
use crate::policy::Peer;
use std::net::IpAddr;

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    for peer in peer_lists(draft).flatten() {
        let Peer::Range(range) = &peer.value else { continue };
        let (IpAddr::V6(first), IpAddr::V6(last)) = (range.first(), range.last()) else { continue };
        let (Some(first), Some(last)) = (first.to_ipv4_mapped(), last.to_ipv4_mapped()) else { continue };
        let meant = if first == last { first.to_string() } else { format!("{first}-{last}") };
        findings.push(
            Finding::error("PG314", "an IPv4 address in IPv6 form matches no packet")
                .at(peer.span)
                .help(format!("write it as IPv4: \"{meant}\"")),
        );
    }
}
