//! How narrowly one rule matches what another one matches.

use super::fills::fills;
use crate::model::{PeerPart, Rule, Source};
use crate::types::{AddrRange, Family, PortMatch};

/// How what one rule says stands to the same of another rule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Whatever the other matches, this one matches more narrowly.
    Before,
    /// More narrowly or equally so.
    Level,
    /// It matches all of it, somehow.
    Somehow,
}

/// `None` if `other` does not match all peers of `rule`, as far as that is certain.
pub(super) fn peers(other: &Rule, rule: &Rule) -> Option<Rank> {
    rule.peers
        .parts
        .iter()
        .map(|part| part_rank(&other.peers.parts, part))
        .try_fold(Rank::Before, |worst, rank| rank.map(|rank| worst.max(rank)))
}

fn part_rank(parts: &[PeerPart], wanted: &PeerPart) -> Option<Rank> {
    let usable =
        || parts.iter().filter(|part| part.except.iter().all(|except| wanted.except.contains(except)));
    let ranges = |family: Family, most: Option<u128>| {
        let of = usable().filter_map(move |part| match &part.source {
            Source::Range(range) => Some(*range).filter(|range| range.family() == family),
            Source::ResolvConf | Source::Broadcast | Source::Name(_) | Source::List(_) | Source::Any => None,
        });
        of.filter(move |range| most.is_none_or(|most| range.span() <= most)).map(|range| range.bits())
    };
    let whole = |family: Family| fills(ranges(family, None), AddrRange::all(family).bits());
    if let Source::Range(range) = &wanted.source {
        let filled = |most| fills(ranges(range.family(), most), range.bits());
        return if range.span() > 0 && filled(Some(range.span() - 1)) {
            Some(Rank::Before)
        } else if filled(Some(range.span())) {
            Some(Rank::Level)
        } else {
            (filled(None) || usable().any(|part| part.source == Source::Any)).then_some(Rank::Somehow)
        };
    }
    let same = usable().any(|part| same_source(&part.source, &wanted.source));
    let any = usable().any(|part| part.source == Source::Any);
    match &wanted.source {
        Source::Broadcast | Source::ResolvConf if same => Some(Rank::Level),
        Source::Broadcast => (any || whole(Family::V4)).then_some(Rank::Somehow),
        Source::Name(_) | Source::List(_) | Source::Any if Family::BOTH.into_iter().all(whole) => {
            Some(Rank::Before)
        }
        Source::Name(_) | Source::List(_) | Source::Any if same => Some(Rank::Level),
        Source::Range(_) | Source::ResolvConf | Source::Name(_) | Source::List(_) | Source::Any => {
            (any || Family::BOTH.into_iter().all(whole)).then_some(Rank::Somehow)
        }
    }
}

/// Two groups may name one list file.
fn same_source(a: &Source, b: &Source) -> bool {
    match (a, b) {
        (Source::List(a), Source::List(b)) => a.path == b.path,
        _ => a == b,
    }
}

/// As for peers.
pub(super) fn ports(other: &Rule, rule: &Rule) -> Option<Rank> {
    rule.ports
        .iter()
        .map(|entry| port_rank(&other.ports, *entry))
        .try_fold(Rank::Before, |worst, rank| rank.map(|rank| worst.max(rank)))
}

fn port_rank(ports: &[PortMatch], wanted: PortMatch) -> Option<Rank> {
    let protocol = |entry: PortMatch| on_line(entry).0 >> 16;
    let filled = |most: u32| {
        let pieces = ports.iter().filter(|entry| entry.width() <= most && **entry != PortMatch::Any);
        let pieces = pieces.filter(|entry| protocol(**entry) == protocol(wanted));
        fills(pieces.map(|entry| on_line(*entry)), on_line(wanted))
    };
    if wanted == PortMatch::Any {
        return ports.contains(&wanted).then_some(Rank::Level);
    }
    if wanted.width() > 0 && filled(wanted.width() - 1) {
        Some(Rank::Before)
    } else if filled(wanted.width()) {
        Some(Rank::Level)
    } else {
        (filled(u32::MAX) || ports.contains(&PortMatch::Any)).then_some(Rank::Somehow)
    }
}

/// Protocols one after the other on a line, with their ports or types.
pub(super) fn on_line(entry: PortMatch) -> (u128, u128) {
    let at = |protocol: u8, first: u16, last: u16| {
        let start = u128::from(protocol) << 16;
        (start | u128::from(first), start | u128::from(last))
    };
    match entry {
        PortMatch::Ports(protocol, range) => at(protocol.number(), range.first(), range.last()),
        PortMatch::Icmp(family, None) => at(family.icmp(), 0, u16::from(u8::MAX)),
        PortMatch::Icmp(family, Some(kind)) => at(family.icmp(), kind.into(), kind.into()),
        PortMatch::Protocol(number) => at(number, 0, u16::MAX),
        PortMatch::Any => (0, u128::from(u32::MAX)),
    }
}
