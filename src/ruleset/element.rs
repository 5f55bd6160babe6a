//! Elements of sets and maps, and the types of their keys.

use super::{Addresses, Verdict};
use std::borrow::Cow;
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

impl ElementKey {
    /// A key of no octets stands for the element that matches what no other does; this program never adds one.
    pub fn is_catchall(&self) -> bool {
        self.first.is_empty()
    }
}

/// What an element holds beside its key. Timeouts are no part of a comparison: `plan` looks at them itself.
#[derive(Clone, Debug, Default)]
pub struct ElementValue {
    pub verdict: Option<Verdict>,
    pub object: Option<String>,
    /// Wanted: the life to give it. Read: what is left of it.
    pub timeout: Option<Duration>,
}

impl ElementValue {
    /// The value of an element of a set that is no map.
    pub const NOTHING: Self = Self { verdict: None, object: None, timeout: None };
}

impl PartialEq for ElementValue {
    fn eq(&self, other: &Self) -> bool {
        self.verdict == other.verdict
            && self.object == other.object
            && self.timeout.is_some() == other.timeout.is_some()
    }
}

pub type Element = (ElementKey, ElementValue);

#[derive(Clone, Debug)]
pub enum Elements {
    Known(BTreeMap<ElementKey, ElementValue>),
    /// Many addresses, and nothing beside them: those of a list file.
    Addresses(Addresses),
    /// A held set that was not dumped, with the kernel's count where it gives one.
    Unread(Option<u32>),
}

impl Default for Elements {
    fn default() -> Self {
        Self::Known(BTreeMap::new())
    }
}

impl PartialEq for Elements {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(a), Self::Known(b)) => a == b,
            (Self::Addresses(a), Self::Addresses(b)) => a == b,
            (Self::Known(known), Self::Addresses(addresses))
            | (Self::Addresses(addresses), Self::Known(known)) => addresses.are(known),
            (Self::Unread(a), Self::Unread(b)) => a == b,
            (Self::Unread(_), Self::Known(_) | Self::Addresses(_))
            | (Self::Known(_) | Self::Addresses(_), Self::Unread(_)) => false,
        }
    }
}

impl Elements {
    pub fn known(&self) -> Option<&BTreeMap<ElementKey, ElementValue>> {
        match self {
            Self::Known(map) => Some(map),
            Self::Addresses(_) | Self::Unread(_) => None,
        }
    }

    /// How many there are, as far as that is known.
    pub fn len(&self) -> usize {
        match self {
            Self::Known(map) => map.len(),
            Self::Addresses(addresses) => addresses.len(),
            Self::Unread(_) => 0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each element that is known, in order, made as it is asked for.
    pub fn iter(&self) -> Box<dyn Iterator<Item = (Cow<'_, ElementKey>, &ElementValue)> + '_> {
        match self {
            Self::Known(map) => Box::new(map.iter().map(|(key, value)| (Cow::Borrowed(key), value))),
            Self::Addresses(addresses) => {
                Box::new(addresses.keys().map(|key| (Cow::Owned(key), &ElementValue::NOTHING)))
            }
            Self::Unread(_) => Box::new(std::iter::empty()),
        }
    }

    /// All of them with a key and a value each.
    pub fn to_map(&self) -> BTreeMap<ElementKey, ElementValue> {
        self.iter().map(|(key, value)| (key.into_owned(), value.clone())).collect()
    }
}
