//! Which rules match a packet, and how narrowly: the order in which they decide.

use super::{Action, AddressBook, BROADCAST, Packet, PeerPart, Peers, Policy, Rule, Source, User, never};
use crate::types::{AddrRange, Direction, Family, HostName, PortMatch, PortRange, Protocol, RuleName};
use std::net::IpAddr;

/// A packet, and what is known of it beside its headers.
pub(super) struct Asked<'a> {
    pub(super) packet: &'a Packet,
    /// Who is at the far end. The packet's own `peer` is of the right family, and no more where this is a name.
    pub(super) far: Far<'a>,
    /// Who sends it, where no uid is known for the name.
    pub(super) user: Option<&'a str>,
}

impl<'a> Asked<'a> {
    pub(super) fn about(packet: &'a Packet) -> Self {
        Self { packet, far: Far::Address(packet.peer), user: None }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Far<'a> {
    Address(IpAddr),
    /// An address that exactly those hold who list the name.
    Name(&'a HostName),
}

/// What a packet does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    Port,
    IcmpType,
    Interface,
    OwnAddress,
    SourcePort,
    User,
    /// A user is named, whose uid is not known.
    Uid,
    /// A host name stands for addresses of both families.
    Family,
}

/// A rule that matches, if what is missing is as it wants.
pub(super) struct Match<'a> {
    pub(super) rule: &'a Rule,
    pub(super) missing: Option<Missing>,
}

/// Every rule that matches or may match, in the order in which they decide.
pub(super) fn matching<'a>(policy: &'a Policy, book: &AddressBook, asked: &Asked<'_>) -> Vec<Match<'a>> {
    let mut found: Vec<(Rank, Match)> = policy
        .rules
        .iter()
        .filter_map(|rule| {
            let rank = rank(policy, rule, book, asked)?;
            let missing = Holds::all(conditions(rule, book, asked))?;
            Some((rank, Match { rule, missing }))
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found.into_iter().map(|(_, found)| found).collect()
}

/// The order in which matching rules decide: the smallest first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank<'a> {
    action: Action,
    peers: PeerRank,
    /// Ports or types less one; `any` has most.
    ports: u32,
    name: &'a RuleName,
}

/// How narrowly peers match an address.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum PeerRank {
    /// An address, a prefix or a range as written, with how many addresses it has, less one.
    Written(u128),
    LookedUp,
    ListFile,
    Any,
}

/// `None` if direction, ports or peers do not match.
fn rank<'a>(policy: &Policy, rule: &'a Rule, book: &AddressBook, asked: &Asked<'_>) -> Option<Rank<'a>> {
    let packet = asked.packet;
    if !rule.direction.has(packet.direction) {
        return None;
    }
    let matching = rule.ports.iter().filter(|entry| port_matches(**entry, packet));
    let ports = matching.map(|entry| entry.width()).min()?;
    let peers = peer_rank(policy, &rule.peers, book, asked)?;
    Some(Rank { action: rule.action, peers, ports, name: &rule.name })
}

fn port_matches(entry: PortMatch, packet: &Packet) -> bool {
    let family = Family::of(packet.peer);
    match entry {
        PortMatch::Any => true,
        PortMatch::Ports(protocol, range) => {
            packet.protocol == protocol.number() && packet.port.is_some_and(|port| range.contains(port))
        }
        PortMatch::Icmp(wanted, kind) => {
            let icmp = wanted.icmp() == packet.protocol && family == wanted;
            icmp && kind.is_none_or(|kind| packet.icmp_type == Some(kind))
        }
        PortMatch::Protocol(number) => {
            packet.protocol == number && entry.family().is_none_or(|wanted| family == wanted)
        }
    }
}

/// Whether a condition holds.
enum Holds {
    Yes,
    No,
    Unknown(Missing),
}

impl Holds {
    fn if_so(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }

    /// Whether a value that is not said, of 0 to `last`, is in one of the ranges.
    fn of_unsaid(ranges: impl Iterator<Item = (u128, u128)>, last: u128, missing: Missing) -> Self {
        let mut ranges: Vec<(u128, u128)> = ranges.collect();
        ranges.sort_unstable();
        if ranges.is_empty() {
            return Self::No;
        }
        let mut next = 0;
        for (from, to) in ranges {
            if from > next {
                break;
            }
            if to >= last {
                return Self::Yes;
            }
            next = next.max(to + 1);
        }
        Self::Unknown(missing)
    }

    /// `None` if one does not hold, else the first that is not known.
    fn all(conditions: [Self; 4]) -> Option<Option<Missing>> {
        let mut missing = None;
        for condition in conditions {
            match condition {
                Self::Yes => {}
                Self::No => return None,
                Self::Unknown(what) => missing = missing.or(Some(what)),
            }
        }
        Some(missing)
    }
}

fn conditions(rule: &Rule, book: &AddressBook, asked: &Asked<'_>) -> [Holds; 4] {
    let packet = asked.packet;
    [interface(rule, packet), own_address(rule, packet), source_port(rule, packet), user(rule, book, asked)]
}

fn interface(rule: &Rule, packet: &Packet) -> Holds {
    match (&rule.interfaces, &packet.interface) {
        (None, _) => Holds::Yes,
        (Some(patterns), Some(interface)) => {
            Holds::if_so(patterns.iter().any(|pattern| pattern.matches(interface)))
        }
        (Some(patterns), None) if patterns.is_empty() => Holds::No,
        (Some(_), None) => Holds::Unknown(Missing::Interface),
    }
}

fn own_address(rule: &Rule, packet: &Packet) -> Holds {
    let family = Family::of(packet.peer);
    let of_family = || rule.local.iter().filter(|range| range.family() == family).map(AddrRange::bits);
    match packet.local {
        _ if rule.local.is_empty() => Holds::Yes,
        Some(address) => Holds::if_so(rule.local.iter().any(|range| range.contains(address))),
        None => Holds::of_unsaid(of_family(), AddrRange::all(family).bits().1, Missing::OwnAddress),
    }
}

fn source_port(rule: &Rule, packet: &Packet) -> Holds {
    let of_protocol = || rule.from_ports.iter().filter(|(protocol, _)| protocol.number() == packet.protocol);
    let bits = |(_, range): &(Protocol, PortRange)| (range.first().into(), range.last().into());
    match packet.source_port {
        _ if rule.from_ports.is_empty() => Holds::Yes,
        Some(port) => Holds::if_so(of_protocol().any(|(_, range)| range.contains(port))),
        None => Holds::of_unsaid(of_protocol().map(bits), u16::MAX.into(), Missing::SourcePort),
    }
}

fn user(rule: &Rule, book: &AddressBook, asked: &Asked<'_>) -> Holds {
    if rule.users.is_empty() {
        return Holds::Yes;
    }
    let uid = |user: &User| match user {
        User::Uid(uid) => Some(*uid),
        User::Name(name) => book.users.get(name).copied().flatten(),
    };
    match (asked.packet.user, asked.user) {
        (Some(sender), _) => Holds::if_so(rule.users.iter().any(|user| uid(user) == Some(sender))),
        (None, Some(name)) => {
            let named = |user: &User| matches!(user, User::Name(known) if known == name);
            let by_uid = |user: &User| uid(user).is_some();
            if rule.users.iter().any(named) {
                Holds::Yes
            } else if rule.users.iter().any(by_uid) {
                Holds::Unknown(Missing::Uid)
            } else {
                Holds::No
            }
        }
        (None, None) => Holds::Unknown(Missing::User),
    }
}

fn peer_rank(policy: &Policy, peers: &Peers, book: &AddressBook, asked: &Asked<'_>) -> Option<PeerRank> {
    peers.parts.iter().filter_map(|part| part_rank(policy, part, book, asked)).min()
}

/// `None` if the part does not have the packet's peer, or an exception takes it out.
fn part_rank(policy: &Policy, part: &PeerPart, book: &AddressBook, asked: &Asked<'_>) -> Option<PeerRank> {
    let rank = source_rank(policy, &part.source, book, asked)?;
    (!is_excepted(policy, part, book, asked)).then_some(rank)
}

/// Whether an exception of the part has the packet's peer.
fn is_excepted(policy: &Policy, part: &PeerPart, book: &AddressBook, asked: &Asked<'_>) -> bool {
    let held_by = |part: &PeerPart| part_rank(policy, part, book, asked).is_some();
    part.except.iter().any(|exception| exception.parts.iter().any(held_by))
}

/// Whether a source has the packet's peer.
pub(super) fn holds(policy: &Policy, source: &Source, book: &AddressBook, asked: &Asked<'_>) -> bool {
    source_rank(policy, source, book, asked).is_some()
}

fn source_rank(policy: &Policy, source: &Source, book: &AddressBook, asked: &Asked<'_>) -> Option<PeerRank> {
    match asked.far {
        Far::Address(peer) => rank_of_address(policy, source, book, asked.packet.direction, peer),
        Far::Name(asked) => match source {
            Source::Any => Some(PeerRank::Any),
            Source::Name(name) => (name == asked).then_some(PeerRank::LookedUp),
            Source::Range(_) | Source::ResolvConf | Source::Broadcast | Source::List(_) => None,
        },
    }
}

/// Servers of resolv.conf and broadcast addresses count as if they were written.
fn rank_of_address(
    policy: &Policy,
    source: &Source,
    book: &AddressBook,
    direction: Direction,
    peer: IpAddr,
) -> Option<PeerRank> {
    match source {
        Source::Any => Some(PeerRank::Any),
        Source::Range(range) => range.contains(peer).then(|| PeerRank::Written(range.span())),
        Source::ResolvConf => book.resolv_conf.contains(&peer).then_some(PeerRank::Written(0)),
        Source::Broadcast => {
            let known = direction == Direction::Out && (book.broadcast.contains(&peer) || peer == BROADCAST);
            known.then_some(PeerRank::Written(0))
        }
        Source::Name(name) => looked_up(policy, name, book, peer).then_some(PeerRank::LookedUp),
        Source::List(list) => {
            let held = book.lists.get(&list.path).is_some_and(|contents| contents.contains(peer));
            held.then_some(PeerRank::ListFile)
        }
    }
}

fn looked_up(policy: &Policy, name: &HostName, book: &AddressBook, address: IpAddr) -> bool {
    let learned =
        book.names.get(name).is_some_and(|learned| learned.iter().any(|entry| entry.address == address));
    let opened = policy.names.get(name).map_or(&[][..], |names| &names.allow_net);
    learned && never::may_stand(book, opened, address)
}
