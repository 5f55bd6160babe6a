//! Sorts what the rules of one action say into the stages in which packets are judged: written addresses (exact, then
//! areas), looked-up names, list files, any peer. The order of stages is the order in which rules are named.

use super::cells::{Area, Rank};
use super::{Build, Side};
use crate::model::{Action, BROADCAST, ListRef, Rule, Source, never};
use crate::types::{AddrRange, Direction, Family, PortMatch, PortRange, Protocol};
use std::collections::BTreeMap;
use std::time::Duration;

/// An index into the policy's rules, which are sorted by name.
pub(super) type RuleIndex = usize;

/// What the rules of one action and side say.
#[derive(Default)]
pub(super) struct Stages {
    /// One written address and one port.
    pub(super) exact: BTreeMap<(u128, u8, u16), RuleIndex>,
    /// Written prefixes, ranges and port ranges.
    pub(super) areas: Vec<(Area, Rank)>,
    /// A looked-up address and one port, with the longest life that any of the names gives it.
    pub(super) names: BTreeMap<(u128, u8, u16), (RuleIndex, Duration)>,
    /// Looked-up names with port ranges or with every port.
    pub(super) wide_names: Vec<Linear>,
    pub(super) lists: Vec<Linear>,
    /// Any peer; the addresses of these areas are all zero.
    pub(super) any: Vec<(Area, Rank)>,
}

/// Written addresses, and how many the range had as written, less one: what is clipped off it does not make it narrower.
#[derive(Clone, Copy)]
pub(super) struct Written {
    pub(super) addresses: (u128, u128),
    pub(super) span: u128,
}

/// A rule that takes a line of its own: a set of addresses and the ports of one width.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    /// Ports less one, of each of `ports`.
    pub(super) width: u32,
    pub(super) rule: RuleIndex,
    pub(super) list: Option<ListRef>,
    pub(super) ports: Vec<PortMatch>,
}

impl Build<'_> {
    /// The rules of a direction and an action, with their indexes.
    pub(super) fn rules(
        &self,
        direction: Direction,
        action: Action,
    ) -> impl Iterator<Item = (RuleIndex, &Rule)> {
        let wanted = move |rule: &&Rule| rule.direction.has(direction) && rule.action == action;
        self.policy.rules.iter().enumerate().filter(move |(_, rule)| wanted(rule))
    }

    pub(super) fn collect(&self, side: Side, action: Action) -> Stages {
        let mut stages = Stages::default();
        for (index, rule) in self.rules(side.direction, action) {
            for written in self.written(side, rule) {
                for ports in &rule.ports {
                    stages.add_written(written, *ports, index);
                }
            }
            for (address, life) in self.looked_up(side, rule) {
                for ports in &rule.ports {
                    stages.add_name(address, *ports, index, life);
                }
            }
            if rule.peers.names().next().is_some() {
                let wide = |ports: &PortMatch| single(*ports).is_none();
                stages.wide_names.extend(linear(rule.ports.iter().copied().filter(wide), index, None));
            }
            for list in rule.peers.lists() {
                stages.lists.extend(linear(rule.ports.iter().copied(), index, Some(list.clone())));
            }
            if rule.peers.has(&Source::Any) {
                for ports in &rule.ports {
                    stages.add_any(*ports, index);
                }
            }
        }
        let order = |line: &Linear| (line.width, line.rule, line.list.clone());
        stages.lists.sort_by_key(order);
        stages.wide_names.sort_by_key(order);
        stages
    }

    /// The written addresses of a rule's peers, of one family. Loopback addresses are the baseline's: from another
    /// interface than `lo` they are never let in.
    pub(super) fn written(&self, side: Side, rule: &Rule) -> Vec<Written> {
        let mut ranges: Vec<AddrRange> = rule
            .peers
            .sources()
            .filter_map(|source| if let Source::Range(range) = source { Some(*range) } else { None })
            .collect();
        if rule.peers.has(&Source::ResolvConf) {
            ranges.extend(self.book.resolv_conf.iter().map(|server| AddrRange::single(*server)));
        }
        if rule.peers.has(&Source::Broadcast) && side.direction == Direction::Out {
            ranges.extend(self.book.broadcast.iter().map(|address| AddrRange::single(*address)));
            ranges.push(AddrRange::single(BROADCAST));
        }
        ranges.retain(|range| range.family() == side.family);
        let clip = side.direction == Direction::In && rule.action == Action::Allow;
        let parts = |range: &AddrRange| if clip { without_loopback(range) } else { vec![range.bits()] };
        let written = |range: &AddrRange, addresses| Written { addresses, span: range.span() };
        ranges.iter().flat_map(|range| parts(range).into_iter().map(|part| written(range, part))).collect()
    }

    /// The looked-up addresses of a rule's peers, of one family, without those that a name may never stand for.
    pub(super) fn looked_up(&self, side: Side, rule: &Rule) -> Vec<(u128, Duration)> {
        let learned = rule.peers.names().filter_map(|name| self.book.names.get(name)).flatten();
        let usable = learned.filter(|learned| {
            // A timeout of zero would make an element permanent.
            Family::of(learned.address) == side.family
                && learned.remaining >= Duration::from_secs(1)
                && !never::refuses(self.book, learned.address)
        });
        usable.map(|learned| (AddrRange::single(learned.address).bits().0, learned.remaining)).collect()
    }
}

impl Stages {
    fn add_written(&mut self, written: Written, ports: PortMatch, rule: RuleIndex) {
        if written.span == 0 {
            if let Some((protocol, port)) = single(ports) {
                let named = self.exact.entry((written.addresses.0, protocol, port)).or_insert(rule);
                *named = rule.min(*named);
                return;
            }
        }
        self.areas.extend(areas(written, ports, rule));
    }

    fn add_name(&mut self, address: u128, ports: PortMatch, rule: RuleIndex, life: Duration) {
        if let Some((protocol, port)) = single(ports) {
            let named = self.names.entry((address, protocol, port)).or_insert((rule, life));
            *named = (rule.min(named.0), life.max(named.1));
        }
    }

    fn add_any(&mut self, ports: PortMatch, rule: RuleIndex) {
        self.any.extend(areas(Written { addresses: (0, 0), span: 0 }, ports, rule));
    }
}

/// The protocol and the port of an entry that is one port.
pub(super) fn single(ports: PortMatch) -> Option<(u8, u16)> {
    match ports {
        PortMatch::Ports(protocol, range) if range.is_single() => Some((protocol.number(), range.first())),
        PortMatch::Ports(..) | PortMatch::Icmp(..) | PortMatch::Protocol(_) | PortMatch::Any => None,
    }
}

fn width(ports: PortMatch) -> u32 {
    ports.width()
}

/// The areas of an entry among the protocols with ports: `any` has one in each.
fn areas(written: Written, ports: PortMatch, rule: RuleIndex) -> Vec<(Area, Rank)> {
    let rank = (written.span, width(ports), rule);
    let area = |protocol: Protocol, range: PortRange| {
        (
            Area {
                addresses: written.addresses,
                protocol: protocol.number(),
                ports: (range.first(), range.last()),
            },
            rank,
        )
    };
    match ports {
        PortMatch::Ports(protocol, range) => vec![area(protocol, range)],
        PortMatch::Icmp(..) | PortMatch::Protocol(_) => Vec::new(),
        PortMatch::Any => {
            let all = PortRange::new(0, u16::MAX).expect("in order");
            Protocol::ALL.into_iter().map(|protocol| area(protocol, all)).collect()
        }
    }
}

/// A line for each width of port ranges, so that the fewer ports stand first.
fn linear(
    ports: impl Iterator<Item = PortMatch>,
    rule: RuleIndex,
    list: Option<ListRef>,
) -> impl Iterator<Item = Linear> {
    let mut by_width: BTreeMap<u32, Vec<PortMatch>> = BTreeMap::new();
    for ports in ports {
        by_width.entry(width(ports)).or_default().push(ports);
    }
    by_width.into_iter().map(move |(width, ports)| Linear { width, rule, list: list.clone(), ports })
}

fn without_loopback(range: &AddrRange) -> Vec<(u128, u128)> {
    let loopback: AddrRange = match range.family() {
        Family::V4 => "127.0.0.0/8".parse().expect("a prefix"),
        Family::V6 => "::1".parse().expect("an address"),
    };
    let (first, last) = range.bits();
    let (low, high) = loopback.bits();
    if last < low || first > high {
        return vec![(first, last)];
    }
    let below = (first < low).then(|| (first, low - 1));
    let above = (last > high).then(|| (high + 1, last));
    below.into_iter().chain(above).collect()
}
