//! Protocols and ports as rules name them.

use std::fmt;
use std::str::FromStr;

/// A transport protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    pub const ALL: [Self; 2] = [Self::Tcp, Self::Udp];

    /// The IANA protocol number.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
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
    /// A protocol of the language that this version does not take.
    #[error("protocol \"{0}\" is not taken yet")]
    NotYet(String),
}

/// One entry of `ports`: a protocol with a port or a range, or every protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortMatch {
    Ports(Protocol, PortRange),
    /// `"any"`: every protocol, with ports or without.
    Any,
}

impl fmt::Display for PortMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ports(protocol, range) => write!(f, "{}/{range}", protocol.as_str()),
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
        const LATER: [&str; 11] =
            ["sctp", "dccp", "udplite", "icmp", "icmpv6", "esp", "ah", "gre", "vrrp", "ospf", "igmp"];
        let (protocol, ports) = text.split_once('/').unwrap_or((text, ""));
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "proto" => return Err(PortError::NotYet(text.into())),
            other if LATER.contains(&other) => return Err(PortError::NotYet(other.into())),
            other if ports.is_empty() || other.is_empty() => return Err(PortError::Syntax),
            other => return Err(PortError::UnknownProtocol(other.into())),
        };
        let (first, last) = match ports.split_once('-') {
            Some((first, last)) => (port(first)?, port(last)?),
            None => (port(ports)?, port(ports)?),
        };
        let inverted = || PortError::Inverted(format!("{}/{last}-{first}", protocol.as_str()));
        PortRange::new(first, last).map(|range| Self::Ports(protocol, range)).ok_or_else(inverted)
    }
}

fn port(text: &str) -> Result<u16, PortError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(PortError::Syntax);
    }
    text.parse().map_err(|_| PortError::TooLarge(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_and_printed() {
        for text in ["tcp/25", "udp/53", "tcp/50000-50100", "any"] {
            assert_eq!(text.parse::<PortMatch>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        let error = |text: &str| text.parse::<PortMatch>().unwrap_err();
        assert_eq!(error("tcp/90-80"), PortError::Inverted("tcp/80-90".into()));
        assert_eq!(error("tcp/70000"), PortError::TooLarge("70000".into()));
        assert_eq!(error("25"), PortError::Syntax);
        assert_eq!(error("tcp/"), PortError::Syntax);
        assert_eq!(error("tpc/25"), PortError::UnknownProtocol("tpc".into()));
        assert_eq!(error("icmp/echo-request"), PortError::NotYet("icmp".into()));
    }
}
