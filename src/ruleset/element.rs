//! Elements of sets and maps, and the types of their keys.

use super::Verdict;
use std::collections::BTreeMap;
use std::time::Duration;

/// The type of one field of a key, by nft's data types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Ipv4Addr,
    Ipv6Addr,
    InetProto,
    InetService,
    NfProto,
    CtState,
    IcmpType,
    Icmpv6Type,
}

impl Field {
    /// Length of a value in octets.
    pub fn octets(self) -> usize {
        match self {
            Self::Ipv4Addr | Self::CtState => 4,
            Self::Ipv6Addr => 16,
            Self::InetService => 2,
            Self::InetProto | Self::NfProto | Self::IcmpType | Self::Icmpv6Type => 1,
        }
    }

    /// Length in registers of 32 bits, in octets: what a field takes in a concatenation.
    pub fn padded_len(self) -> usize {
        self.octets().next_multiple_of(4)
    }

    /// nft's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ipv4Addr => "ipv4_addr",
            Self::Ipv6Addr => "ipv6_addr",
            Self::InetProto => "inet_proto",
            Self::InetService => "inet_service",
            Self::NfProto => "nf_proto",
            Self::CtState => "ct_state",
            Self::IcmpType => "icmp_type",
            Self::Icmpv6Type => "icmpv6_type",
        }
    }

    /// nft's number of the type: what `NFTA_SET_KEY_TYPE` holds, six bits a field.
    pub fn nft_type(self) -> u32 {
        match self {
            Self::NfProto => 2,
            Self::Ipv4Addr => 7,
            Self::Ipv6Addr => 8,
            Self::InetProto => 12,
            Self::InetService => 13,
            Self::IcmpType => 14,
            Self::CtState => 26,
            Self::Icmpv6Type => 29,
        }
    }
}

/// A key: the fields one after the other, each padded with zeros to a multiple of four octets (also in a set of one
/// field); addresses, ports in network order, `ct_state` in host order. For `interval` sets `last` is the end, inclusive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElementKey {
    pub first: Box<[u8]>,
    pub last: Option<Box<[u8]>>,
}

/// What an element holds beside its key. Timeouts are no part of a comparison: `plan` looks at them itself.
#[derive(Clone, Debug, Default)]
pub struct ElementValue {
    pub verdict: Option<Verdict>,
    pub object: Option<String>,
    /// Wanted: the life to give it. Read: what is left of it.
    pub timeout: Option<Duration>,
}

impl PartialEq for ElementValue {
    fn eq(&self, other: &Self) -> bool {
        self.verdict == other.verdict
            && self.object == other.object
            && self.timeout.is_some() == other.timeout.is_some()
    }
}

pub type Element = (ElementKey, ElementValue);

#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    Known(BTreeMap<ElementKey, ElementValue>),
    /// A held set that was not dumped, with the kernel's count where it gives one.
    Unread(Option<u32>),
}

impl Default for Elements {
    fn default() -> Self {
        Self::Known(BTreeMap::new())
    }
}

impl Elements {
    pub fn known(&self) -> Option<&BTreeMap<ElementKey, ElementValue>> {
        match self {
            Self::Known(map) => Some(map),
            Self::Unread(_) => None,
        }
    }
}
