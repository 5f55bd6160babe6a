//! Protocols and ports as rules name them.

use super::Family;
use super::icmp;
use std::fmt;
use std::str::FromStr;

/// A transport protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Sctp];

    /// The IANA protocol number.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.number() == number)
    }
}

/// An inclusive range of ports; a single port is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    pub fn single(port: u16) -> Self {
        Self { first: port, last: port }
    }

    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }

    pub fn first(self) -> u16 {
        self.first
    }

    pub fn last(self) -> u16 {
        self.last
    }

    pub fn is_single(self) -> bool {
        self.first == self.last
    }

    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// How many ports less one.
    pub fn span(self) -> u16 {
        self.last - self.first
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    #[error("not a port: write the protocol and the port, as in \"tcp/25\"")]
    Syntax,
    #[error("port {0} is past 65535")]
    TooLarge(String),
    /// The right order stands inside.
    #[error("port range ends before it starts")]
    Inverted(String),
    #[error("unknown protocol \"{0}\"")]
    UnknownProtocol(String),
    #[error("protocol {0} is past 255")]
    ProtocolTooLarge(String),
    #[error("protocol {0} is an extension header of IPv6, never the protocol of a packet")]
    ExtensionHeader(u8),
    /// The protocol, and what stands for the type.
    #[error("{0} has no type \"{1}\"")]
    UnknownType(&'static str, String),
    #[error("{0} has no ports")]
    NoPorts(&'static str),
}

/// Protocols that stand by their name alone.
const NAMED: [(&str, u8); 6] =
    [("igmp", PROTO_IGMP), ("gre", 47), ("esp", 50), ("ah", PROTO_AH), ("ospf", 89), ("vrrp", 112)];

const PROTO_ICMP: u8 = 1;
const PROTO_IGMP: u8 = 2;
/// An extension header in IPv6, where nf_tables judges a packet by what it protects.
const PROTO_AH: u8 = 51;
const PROTO_ICMPV6: u8 = 58;

/// What IPv6 chains before the protocol of a packet (RFC 8200).
const EXTENSION_HEADERS: [u8; 4] = [0, 43, 44, 60];

/// One entry of `ports`: a protocol with a port or a range, ICMP by type, another protocol, or every one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortMatch {
    Ports(Protocol, PortRange),
    /// ICMP of a family: one type, or all.
    Icmp(Family, Option<u8>),
    /// A protocol without ports, by its IANA number.
    Protocol(u8),
    /// `"any"`: every protocol, with ports or without.
    Any,
}

impl PortMatch {
    /// The family of addresses that the protocol goes with, where it is one alone.
    pub fn family(self) -> Option<Family> {
        match self {
            Self::Icmp(family, _) => Some(family),
            Self::Protocol(PROTO_IGMP | PROTO_AH) => Some(Family::V4),
            Self::Ports(..) | Self::Protocol(_) | Self::Any => None,
        }
    }

    /// How many ports or types less one; `any` has more than every protocol.
    pub fn width(self) -> u32 {
        match self {
            Self::Ports(_, range) => u32::from(range.span()),
            Self::Icmp(_, Some(_)) | Self::Protocol(_) => 0,
            Self::Icmp(_, None) => u32::from(u8::MAX),
            Self::Any => 1 << 16,
        }
    }

    /// `proto/N`: the protocols that have names of their own stand under these.
    fn of_protocol(number: u8) -> Result<Self, PortError> {
        if EXTENSION_HEADERS.contains(&number) {
            return Err(PortError::ExtensionHeader(number));
        }
        let all = PortRange { first: 0, last: u16::MAX };
        Ok(match (number, Protocol::of_number(number)) {
            (PROTO_ICMP, _) => Self::Icmp(Family::V4, None),
            (PROTO_ICMPV6, _) => Self::Icmp(Family::V6, None),
            (_, Some(protocol)) => Self::Ports(protocol, all),
            (other, None) => Self::Protocol(other),
        })
    }
}

impl fmt::Display for PortMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ports(protocol, range) => write!(f, "{}/{range}", protocol.as_str()),
            Self::Icmp(family, None) => f.write_str(icmp::protocol_name(*family)),
            Self::Icmp(family, Some(number)) => {
                write!(f, "{}/{}", icmp::protocol_name(*family), icmp::type_name(*family, *number))
            }
            Self::Protocol(number) => match NAMED.iter().find(|(_, named)| named == number) {
                Some((name, _)) => f.write_str(name),
                None => write!(f, "proto/{number}"),
            },
            Self::Any => f.write_str("any"),
        }
    }
}

impl FromStr for PortMatch {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        if text == "any" {
            return Ok(Self::Any);
        }
        let (protocol, rest) = match text.split_once('/') {
            Some((protocol, rest)) => (protocol, Some(rest)),
            None => (text, None),
        };
        if let Some(family) = Family::BOTH.into_iter().find(|family| icmp::protocol_name(*family) == protocol)
        {
            return icmp_match(family, rest);
        }
        if let Some((name, number)) = NAMED.iter().find(|(name, _)| *name == protocol) {
            return if rest.is_none() { Ok(Self::Protocol(*number)) } else { Err(PortError::NoPorts(name)) };
        }
        let rest = rest.unwrap_or("");
        if protocol == "proto" && digits(rest) {
            return match rest.parse() {
                Ok(number) => Self::of_protocol(number),
                Err(_) => Err(PortError::ProtocolTooLarge(rest.into())),
            };
        }
        match Protocol::ALL.into_iter().find(|known| known.as_str() == protocol) {
            Some(protocol) => port_range(protocol, rest),
            None if rest.is_empty() || protocol.is_empty() || protocol == "proto" => Err(PortError::Syntax),
            None => Err(PortError::UnknownProtocol(protocol.into())),
        }
    }
}

fn icmp_match(family: Family, kind: Option<&str>) -> Result<PortMatch, PortError> {
    let Some(kind) = kind else { return Ok(PortMatch::Icmp(family, None)) };
    let unknown = || PortError::UnknownType(icmp::protocol_name(family), kind.into());
    icmp::type_number(family, kind).map(|number| PortMatch::Icmp(family, Some(number))).ok_or_else(unknown)
}

fn port_range(protocol: Protocol, ports: &str) -> Result<PortMatch, PortError> {
    let (first, last) = match ports.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(ports)?, port(ports)?),
    };
    let inverted = || PortError::Inverted(format!("{}/{last}-{first}", protocol.as_str()));
    PortRange::new(first, last).map(|range| PortMatch::Ports(protocol, range)).ok_or_else(inverted)
}

fn port(text: &str) -> Result<u16, PortError> {
    if !digits(text) {
        return Err(PortError::Syntax);
    }
    text.parse().map_err(|_| PortError::TooLarge(text.into()))
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_and_printed() {
        for text in [
            "tcp/25",
            "udp/53",
            "sctp/3868",
            "tcp/50000-50100",
            "any",
            "icmp",
            "icmp/echo-request",
            "icmp/200",
            "icmpv6",
            "icmpv6/packet-too-big",
            "esp",
            "ah",
            "gre",
            "vrrp",
            "ospf",
            "igmp",
            "proto/41",
        ] {
            assert_eq!(text.parse::<PortMatch>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_protocol_by_number_is_the_one_by_name() {
        for (number, name) in [
            ("proto/6", "tcp/0-65535"),
            ("proto/132", "sctp/0-65535"),
            ("proto/1", "icmp"),
            ("proto/58", "icmpv6"),
            ("proto/50", "esp"),
            ("icmp/8", "icmp/echo-request"),
        ] {
            assert_eq!(number.parse::<PortMatch>(), name.parse::<PortMatch>());
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        let error = |text: &str| text.parse::<PortMatch>().unwrap_err();
        assert_eq!(error("tcp/90-80"), PortError::Inverted("tcp/80-90".into()));
        assert_eq!(error("tcp/70000"), PortError::TooLarge("70000".into()));
        assert_eq!(error("25"), PortError::Syntax);
        assert_eq!(error("tcp/"), PortError::Syntax);
        assert_eq!(error("proto/x"), PortError::Syntax);
        assert_eq!(error("proto/256"), PortError::ProtocolTooLarge("256".into()));
        assert_eq!(error("proto/44"), PortError::ExtensionHeader(44));
        assert_eq!(error("esp/5"), PortError::NoPorts("esp"));
        assert_eq!(error("tpc/25"), PortError::UnknownProtocol("tpc".into()));
        assert_eq!(error("icmp/ping"), PortError::UnknownType("icmp", "ping".into()));
        assert_eq!(error("icmp/256"), PortError::UnknownType("icmp", "256".into()));
    }
}
