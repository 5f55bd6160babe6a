//! What a chain's packets are told apart by beside their peer: ports, types of ICMP, or the protocol alone.

use super::key::KeyBytes;
use super::{Build, Side};
use crate::model::{Action, Rule};
use crate::ruleset::{Field, Part};
use crate::types::{Direction, PortMatch, PortRange, Protocol};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// TCP, UDP and SCTP, by protocol and destination port.
    Ports,
    /// ICMP of the side's family, by type.
    Icmp,
    /// Every other protocol, by its number.
    Protocols,
    /// Every other protocol, where no rule names one of them.
    Whole,
}

/// A run of values along a space: of one protocol with ports, else the protocol is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) protocol: u8,
    pub(super) values: (u16, u16),
}

impl Run {
    fn new(first: u16, last: u16) -> Self {
        Self { protocol: 0, values: (first, last) }
    }

    pub(super) fn is_single(self) -> bool {
        self.values.0 == self.values.1
    }
}

const OCTET: u16 = u8::MAX as u16;

impl Space {
    /// The fields of a key after the address.
    pub(super) fn fields(self, side: Side) -> Vec<Field> {
        match self {
            Self::Ports => vec![Field::InetProto, Field::InetService],
            Self::Icmp => vec![side.icmp_field()],
            Self::Protocols => vec![Field::InetProto],
            Self::Whole => Vec::new(),
        }
    }

    pub(super) fn parts(self, side: Side) -> Vec<Part> {
        match self {
            Self::Ports => vec![Part::L4Proto, Part::DestinationPort],
            Self::Icmp => vec![Part::IcmpType(side.family)],
            Self::Protocols => vec![Part::L4Proto],
            Self::Whole => Vec::new(),
        }
    }

    pub(super) fn key(self, bytes: KeyBytes, protocol: u8, value: u16) -> KeyBytes {
        match self {
            Self::Ports => bytes.octet(protocol).port(value),
            Self::Icmp | Self::Protocols => bytes.octet(u8::try_from(value).unwrap_or(u8::MAX)),
            Self::Whole => bytes,
        }
    }

    /// What the names of its sets begin with.
    pub(super) fn prefix(self, side: Side) -> String {
        match self {
            Self::Ports => side.prefix(),
            Self::Icmp => format!("{}.icmp", side.prefix()),
            Self::Protocols | Self::Whole => format!("{}.other", side.prefix()),
        }
    }
}

impl Build<'_> {
    /// The protocols whose ports a direction tells apart: SCTP only where a rule names it.
    pub(super) fn protocols(&self, direction: Direction) -> Vec<Protocol> {
        let names = |protocol: Protocol| {
            let of = |entry: &PortMatch| matches!(entry, PortMatch::Ports(named, _) if *named == protocol);
            let from = |rule: &Rule| rule.from_ports.iter().any(|(named, _)| *named == protocol);
            self.rules_of(direction).any(|(_, rule)| rule.ports.iter().any(of) || from(rule))
        };
        let always = |protocol: Protocol| protocol != Protocol::Sctp;
        Protocol::ALL.into_iter().filter(|protocol| always(*protocol) || names(*protocol)).collect()
    }

    /// Whether ICMP is told apart by type.
    pub(super) fn tells_icmp_types(&self, side: Side) -> bool {
        let icmp = |entry: &PortMatch| matches!(entry, PortMatch::Icmp(family, _) if *family == side.family);
        self.rules_of(side.direction).any(|(_, rule)| rule.decides() && rule.ports.iter().any(icmp))
    }

    /// How the protocols without ports are told apart.
    pub(super) fn other_space(&self, side: Side) -> Space {
        let named = |entry: &PortMatch| matches!(entry, PortMatch::Protocol(_));
        let any =
            self.rules_of(side.direction).any(|(_, rule)| rule.decides() && rule.ports.iter().any(named));
        if any { Space::Protocols } else { Space::Whole }
    }

    /// What an entry of `ports` covers of a space.
    pub(super) fn runs(&self, side: Side, space: Space, entry: PortMatch) -> Vec<Run> {
        if entry.family().is_some_and(|family| family != side.family) {
            return Vec::new();
        }
        let of = |protocol: Protocol, range: PortRange| Run {
            protocol: protocol.number(),
            values: (range.first(), range.last()),
        };
        let every = PortRange::new(0, u16::MAX).expect("in order");
        match (space, entry) {
            (Space::Ports, PortMatch::Ports(protocol, range)) => vec![of(protocol, range)],
            (Space::Ports, PortMatch::Any) => {
                self.protocols(side.direction).into_iter().map(|protocol| of(protocol, every)).collect()
            }
            (Space::Icmp, PortMatch::Icmp(_, Some(kind))) => vec![Run::new(kind.into(), kind.into())],
            (Space::Icmp, PortMatch::Icmp(_, None) | PortMatch::Any) => vec![Run::new(0, OCTET)],
            (Space::Protocols, PortMatch::Protocol(number)) => vec![Run::new(number.into(), number.into())],
            (Space::Protocols, PortMatch::Any) => vec![Run::new(0, OCTET)],
            (Space::Whole, PortMatch::Any) => vec![Run::new(0, 0)],
            (Space::Ports, PortMatch::Icmp(..) | PortMatch::Protocol(_))
            | (Space::Icmp, PortMatch::Ports(..) | PortMatch::Protocol(_))
            | (Space::Protocols | Space::Whole, PortMatch::Ports(..) | PortMatch::Icmp(..))
            | (Space::Whole, PortMatch::Protocol(_)) => Vec::new(),
        }
    }

    /// The ports of a protocol that need more than counter maps: those of rules with a chain of their own, and those of
    /// baseline rules. Sorted and disjoint.
    pub(super) fn special_ports(&self, side: Side, protocol: Protocol) -> Vec<PortRange> {
        let mut ports = self.baseline_ports(side, protocol);
        let with_chain = Action::ALL.into_iter().flat_map(|action| self.rules(side, action));
        for (_, rule) in with_chain.filter(|(_, rule)| self.is_special(rule)) {
            let runs = rule.ports.iter().flat_map(|entry| self.runs(side, Space::Ports, *entry));
            let of_protocol = runs.filter(|run| run.protocol == protocol.number());
            ports.extend(of_protocol.filter_map(|run| PortRange::new(run.values.0, run.values.1)));
        }
        ports.sort_unstable();
        let mut merged: Vec<PortRange> = Vec::new();
        for range in ports {
            match merged.last_mut() {
                Some(before) if range.first() <= before.last() => {
                    let last = before.last().max(range.last());
                    *before = PortRange::new(before.first(), last).unwrap_or(*before);
                }
                _ => merged.push(range),
            }
        }
        merged
    }
}
