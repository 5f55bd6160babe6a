//! A packet as people write it: `in tcp 10.20.1.5 -> self:22 on eth1`, `out udp self -> 192.0.2.9:123 as chrony`.

use super::{Packet, User};
use crate::types::{
    AddrRange, AddressError, Direction, Family, HostName, PortMatch, Protocol, icmp_type_name,
    icmp_type_number,
};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A question about a packet, or about each packet of a prefix, a range or a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub way: Way,
    /// The IANA protocol number.
    pub protocol: u8,
    pub from: End,
    pub to: End,
    /// Of ICMP of either family.
    pub icmp_type: Option<u8>,
    /// The interface that the packet comes through, or leaves through if this machine sends it.
    pub interface: Option<String>,
    /// The interface that a forwarded packet leaves through.
    pub out_interface: Option<String>,
    pub user: Option<User>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    In,
    Out,
    /// Through this machine.
    Forward,
}

impl Way {
    pub const ALL: [Self; 3] = [Self::In, Self::Out, Self::Forward];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Forward => "fwd",
        }
    }
}

impl From<Direction> for Way {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::In => Self::In,
            Direction::Out => Self::Out,
        }
    }
}

/// One end of the packet's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub host: Host,
    pub port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// This machine, by whichever of its addresses.
    Own,
    /// Each address of it.
    Range(AddrRange),
    /// Each member of it.
    Group(String),
    /// An address that exactly those hold who list the name.
    Name(HostName),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    #[error("a packet is written DIRECTION PROTOCOL FROM -> TO")]
    Form,
    #[error("unknown direction \"{0}\"")]
    Direction(String),
    #[error("unknown protocol \"{0}\"")]
    Protocol(String),
    #[error("\"{0}\" is no address, prefix, range, group or host name: {1}")]
    Address(String, AddressError),
    #[error("\"{0}\" is no address, prefix, range, group or host name")]
    Host(String),
    #[error("\"{0}\" is no port")]
    Port(String),
    #[error("{0} has no ports")]
    NoPorts(String),
    #[error("{0} has no type \"{1}\"")]
    IcmpType(String, String),
    #[error("{0} has no types")]
    NoTypes(String),
    #[error("an incoming packet goes to this machine")]
    NotToOwn,
    #[error("an outgoing packet comes from this machine")]
    NotFromOwn,
    #[error("one end of the packet is another machine")]
    BothOwn,
    #[error("a forwarded packet neither comes from this machine nor goes to it")]
    ForwardOwn,
    #[error("this machine's end is one address")]
    ManyOwn,
    #[error("{0} and {1} are of different families")]
    Families(String, String),
    #[error("only an outgoing packet has a user")]
    UserOfOther,
    #[error("only a forwarded packet has two interfaces")]
    TwoInterfaces,
    #[error("\"{0}\" is said twice")]
    Twice(&'static str),
    #[error("\"{0}\" is followed by nothing")]
    Nothing(&'static str),
    #[error("\"{0}\" is nothing that is said of a packet")]
    Unknown(String),
}

impl QuestionError {
    /// What to write.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Form | Self::BothOwn => {
                "write it as in \"in tcp 10.20.1.5 -> self:22 on eth1\" or \"out udp self -> 192.0.2.9:123 as chrony\""
            }
            Self::Direction(_) => "write \"in\", \"out\" or \"fwd\"",
            Self::Protocol(_) => {
                "write tcp, udp, sctp, icmp, icmpv6, esp, ah, gre, vrrp, ospf, igmp or proto/NUMBER"
            }
            Self::Address(..) | Self::Host(_) => {
                "write self, 10.20.1.5, [2001:db8::1], 10.20.0.0/16, 192.0.2.10-192.0.2.20, @GROUP or a host name"
            }
            Self::Port(_) => "write the port after the address: \"self:22\", \"[2001:db8::1]:25\"",
            Self::NoPorts(_) => "leave the port out",
            Self::IcmpType(..) => "write a type as in `ports`, \"echo-request\", or its number",
            Self::NoTypes(_) => "only icmp and icmpv6 are followed by a type",
            Self::NotToOwn => "write \"self\", or an address of this machine, behind the arrow",
            Self::NotFromOwn => "write \"self\", or an address of this machine, before the arrow",
            Self::ForwardOwn => "write \"in\" or \"out\" for packets of this machine",
            Self::ManyOwn => "write \"self\" or the one address",
            Self::Families(..) => {
                "write two addresses of one family; icmp, igmp and ah are of IPv4, icmpv6 of IPv6"
            }
            Self::UserOfOther => "leave \"as\" out",
            Self::TwoInterfaces => "write \"on IFACE\" alone",
            Self::Twice(_) => "say it once",
            Self::Nothing(_) => "write \"on IFACE\", \"to IFACE\" or \"as USER\"",
            Self::Unknown(_) => "the type of ICMP, \"on IFACE\" and \"as USER\" may follow",
        }
    }
}

impl FromStr for Question {
    type Err = QuestionError;

    fn from_str(text: &str) -> Result<Self, QuestionError> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [way, protocol, from, "->", to, rest @ ..] = words.as_slice() else {
            return Err(QuestionError::Form);
        };
        let known = Way::ALL.into_iter().find(|known| known.as_str() == *way);
        let mut question = Self {
            way: known.ok_or_else(|| QuestionError::Direction((*way).into()))?,
            protocol: protocol_number(protocol)?,
            from: from.parse()?,
            to: to.parse()?,
            icmp_type: None,
            interface: None,
            out_interface: None,
            user: None,
        };
        question.take(rest)?;
        question.check()?;
        Ok(question)
    }
}

impl Question {
    /// The other machine's end; of a forwarded packet the one that it comes from.
    pub fn peer(&self) -> &End {
        match self.way {
            Way::In | Way::Forward => &self.from,
            Way::Out => &self.to,
        }
    }

    /// This machine's end; of a forwarded packet the one that it goes to.
    pub fn own(&self) -> &End {
        match self.way {
            Way::In | Way::Forward => &self.to,
            Way::Out => &self.from,
        }
    }

    pub fn has_ports(&self) -> bool {
        Protocol::of_number(self.protocol).is_some()
    }

    /// The family of its addresses, where something says it.
    pub fn family(&self) -> Option<Family> {
        family_of(self.protocol).or(self.from.host.family()).or(self.to.host.family())
    }

    /// What is said after the two ends.
    fn take(&mut self, mut words: &[&str]) -> Result<(), QuestionError> {
        while let [word, rest @ ..] = words {
            words = match *word {
                "on" => follow("on", rest, &mut self.interface)?,
                "to" => follow("to", rest, &mut self.out_interface)?,
                "as" => {
                    let mut name = self.user.as_ref().map(ToString::to_string);
                    let rest = follow("as", rest, &mut name)?;
                    self.user = name.map(|name| name.parse().map_or(User::Name(name), User::Uid));
                    rest
                }
                kind => {
                    self.take_type(kind)?;
                    rest
                }
            };
        }
        Ok(())
    }

    fn take_type(&mut self, kind: &str) -> Result<(), QuestionError> {
        let Some(family) = Family::BOTH.into_iter().find(|family| family.icmp() == self.protocol) else {
            let is_type = Family::BOTH.into_iter().any(|family| icmp_type_number(family, kind).is_some());
            return Err(if is_type {
                QuestionError::NoTypes(protocol_name(self.protocol))
            } else {
                QuestionError::Unknown(kind.into())
            });
        };
        if self.icmp_type.is_some() {
            return Err(QuestionError::Twice("the type of ICMP"));
        }
        self.icmp_type = icmp_type_number(family, kind);
        if self.icmp_type.is_none() {
            return Err(QuestionError::IcmpType(protocol_name(self.protocol), kind.into()));
        }
        Ok(())
    }

    fn check(&self) -> Result<(), QuestionError> {
        self.check_ends()?;
        if !self.has_ports() && (self.from.port.is_some() || self.to.port.is_some()) {
            return Err(QuestionError::NoPorts(protocol_name(self.protocol)));
        }
        let named = family_of(self.protocol).map(|family| (family, protocol_name(self.protocol)));
        let ends =
            [&self.from, &self.to].map(|end| end.host.family().map(|family| (family, end.host.to_string())));
        let mut said = named.into_iter().chain(ends.into_iter().flatten());
        if let Some((first, what)) = said.next() {
            if let Some((_, other)) = said.find(|(family, _)| *family != first) {
                return Err(QuestionError::Families(what, other));
            }
        }
        if self.user.is_some() && self.way != Way::Out {
            return Err(QuestionError::UserOfOther);
        }
        if self.out_interface.is_some() && self.way != Way::Forward {
            return Err(QuestionError::TwoInterfaces);
        }
        Ok(())
    }

    fn check_ends(&self) -> Result<(), QuestionError> {
        let is_own = |end: &End| end.host == Host::Own;
        if self.way == Way::Forward {
            let own = is_own(&self.from) || is_own(&self.to);
            return if own { Err(QuestionError::ForwardOwn) } else { Ok(()) };
        }
        if is_own(self.peer()) {
            return Err(if is_own(self.own()) { QuestionError::BothOwn } else { self.misplaced() });
        }
        match &self.own().host {
            Host::Own => Ok(()),
            Host::Range(range) if range.is_single() => Ok(()),
            Host::Range(_) => Err(QuestionError::ManyOwn),
            Host::Group(_) | Host::Name(_) => Err(self.misplaced()),
        }
    }

    fn misplaced(&self) -> QuestionError {
        if self.way == Way::In { QuestionError::NotToOwn } else { QuestionError::NotFromOwn }
    }
}

/// Takes the word after a keyword.
fn follow<'w, 't>(
    keyword: &'static str,
    rest: &'w [&'t str],
    place: &mut Option<String>,
) -> Result<&'w [&'t str], QuestionError> {
    let [word, rest @ ..] = rest else { return Err(QuestionError::Nothing(keyword)) };
    if place.is_some() {
        return Err(QuestionError::Twice(keyword));
    }
    *place = Some((*word).into());
    Ok(rest)
}

fn protocol_number(text: &str) -> Result<u8, QuestionError> {
    if let Some(protocol) = Protocol::ALL.into_iter().find(|protocol| protocol.as_str() == text) {
        return Ok(protocol.number());
    }
    match text.parse() {
        Ok(PortMatch::Protocol(number)) => Ok(number),
        Ok(PortMatch::Icmp(family, None)) => Ok(family.icmp()),
        // By its number.
        Ok(PortMatch::Ports(protocol, range)) if range.span() == u16::MAX && text.starts_with("proto/") => {
            Ok(protocol.number())
        }
        Ok(PortMatch::Ports(..) | PortMatch::Icmp(..) | PortMatch::Any) | Err(_) => {
            Err(QuestionError::Protocol(text.into()))
        }
    }
}

/// The family of addresses that a protocol goes with, where it is one alone.
fn family_of(protocol: u8) -> Option<Family> {
    let of_icmp = Family::BOTH.into_iter().find(|family| family.icmp() == protocol);
    of_icmp.or(PortMatch::Protocol(protocol).family())
}

/// The name of a protocol as a policy says it.
pub fn protocol_name(number: u8) -> String {
    if let Some(protocol) = Protocol::of_number(number) {
        return protocol.as_str().into();
    }
    match Family::BOTH.into_iter().find(|family| family.icmp() == number) {
        Some(family) => PortMatch::Icmp(family, None).to_string(),
        None => PortMatch::Protocol(number).to_string(),
    }
}

impl Host {
    pub fn family(&self) -> Option<Family> {
        match self {
            Self::Range(range) => Some(range.family()),
            Self::Own | Self::Group(_) | Self::Name(_) => None,
        }
    }
}

impl FromStr for End {
    type Err = QuestionError;

    fn from_str(text: &str) -> Result<Self, QuestionError> {
        if let Some(inside) = text.strip_prefix('[') {
            let (host, rest) = inside.split_once(']').ok_or_else(|| QuestionError::Host(text.into()))?;
            let port = match rest.strip_prefix(':') {
                Some(digits) => Some(port(digits)?),
                None if rest.is_empty() => None,
                None => return Err(QuestionError::Host(text.into())),
            };
            let range = host.parse().map_err(|error| QuestionError::Address(host.into(), error))?;
            return Ok(Self { host: Host::Range(range), port });
        }
        // Of an IPv6 address without brackets the last part is no port.
        if let Ok(range) = text.parse() {
            return Ok(Self { host: Host::Range(range), port: None });
        }
        match text.split_once(':') {
            Some((host, digits)) if !digits.contains(':') => {
                Ok(Self { host: host_of(host)?, port: Some(port(digits)?) })
            }
            _ => Ok(Self { host: host_of(text)?, port: None }),
        }
    }
}

fn host_of(text: &str) -> Result<Host, QuestionError> {
    if text == "self" {
        return Ok(Host::Own);
    }
    if let Some(group) = text.strip_prefix('@').filter(|group| !group.is_empty()) {
        return Ok(Host::Group(group.into()));
    }
    match (text.parse::<AddrRange>(), text.parse::<HostName>()) {
        (Ok(range), _) => Ok(Host::Range(range)),
        (Err(_), Ok(name)) => Ok(Host::Name(name)),
        (Err(AddressError::Syntax), Err(_)) => Err(QuestionError::Host(text.into())),
        (Err(error), Err(_)) => Err(QuestionError::Address(text.into(), error)),
    }
}

fn port(text: &str) -> Result<u16, QuestionError> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let port = if digits { text.parse().ok() } else { None };
    port.ok_or_else(|| QuestionError::Port(text.into()))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("self"),
            Self::Range(range) if range.family() == Family::V6 => write!(f, "[{range}]"),
            Self::Range(range) => write!(f, "{range}"),
            Self::Group(group) => write!(f, "@{group}"),
            Self::Name(name) => write!(f, "{name}"),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = protocol_name(self.protocol);
        write!(f, "{} {protocol} {} -> {}", self.way.as_str(), self.from, self.to)?;
        let family = Family::BOTH.into_iter().find(|family| family.icmp() == self.protocol);
        if let (Some(kind), Some(family)) = (self.icmp_type, family) {
            write!(f, " {}", icmp_type_name(family, kind))?;
        }
        if let Some(interface) = &self.interface {
            write!(f, " on {interface}")?;
        }
        if let Some(interface) = &self.out_interface {
            write!(f, " to {interface}")?;
        }
        match &self.user {
            Some(user) => write!(f, " as {user}"),
            None => Ok(()),
        }
    }
}

impl From<&Packet> for Question {
    fn from(packet: &Packet) -> Self {
        let host = |address: IpAddr| Host::Range(AddrRange::single(address));
        let peer = |port| End { host: host(packet.peer), port };
        let own = |port| End { host: packet.local.map_or(Host::Own, host), port };
        let (from, to) = match packet.direction {
            Direction::In => (peer(packet.source_port), own(packet.port)),
            Direction::Out => (own(packet.source_port), peer(packet.port)),
        };
        Self {
            way: packet.direction.into(),
            protocol: packet.protocol,
            from,
            to,
            icmp_type: packet.icmp_type,
            interface: packet.interface.clone(),
            out_interface: None,
            user: packet.user.map(User::Uid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(text: &str) -> Question {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn error(text: &str) -> QuestionError {
        text.parse::<Question>().unwrap_err()
    }

    #[test]
    fn every_form_is_read_and_printed() {
        for text in [
            "in tcp 10.20.1.5 -> self:22 on eth1",
            "out udp self -> 192.0.2.9:123 as chrony",
            "fwd tcp 10.0.0.5 -> 192.0.2.25:25 on eth0 to eth1",
            "in icmp 10.0.0.1 -> self echo-request",
            "in tcp [2001:db8::1] -> self:25",
            "in tcp [2001:db8::1]:40000 -> [2001:db8::2]:25",
            "in tcp [2001:db8::]:7 -> self",
            "in udp 10.20.1.5:68 -> 192.0.2.1:67",
            "out tcp self -> repo.example.net:443",
            "out tcp self:20 -> @servers:443 on eth0 as 1000",
            "in tcp 10.0.0.0/8 -> self:22",
            "in tcp 192.0.2.10-192.0.2.20:1024 -> self:22",
            "in tcp [2001:db8::/32] -> self:22",
            "in esp 10.0.0.1 -> self",
            "out proto/41 self -> 192.0.2.1",
            "in icmpv6 [fe80::1] -> self nd-router-advert on eth0",
            "in icmp 10.0.0.1 -> self 42",
        ] {
            assert_eq!(question(text).to_string(), text);
        }
    }

    #[test]
    fn other_spellings_are_printed_in_the_one_form() {
        for (text, printed) in [
            ("in  tcp 2001:DB8::1 -> self:25", "in tcp [2001:db8::1] -> self:25"),
            (
                "out udp self -> 192.0.2.9:123 as chrony on eth0",
                "out udp self -> 192.0.2.9:123 on eth0 as chrony",
            ),
            ("in proto/6 10.0.0.1 -> self:22", "in tcp 10.0.0.1 -> self:22"),
            ("in icmp 10.0.0.1 -> self on eth0 8", "in icmp 10.0.0.1 -> self echo-request on eth0"),
            ("out tcp self -> Repo.Example.NET.:443", "out tcp self -> repo.example.net:443"),
            ("in tcp 10.0.0.0-10.255.255.255 -> self:22", "in tcp 10.0.0.0/8 -> self:22"),
        ] {
            assert_eq!(question(text).to_string(), printed);
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        for (text, wanted) in [
            ("in tcp 10.0.0.1", QuestionError::Form),
            ("in tcp 10.0.0.1 > self", QuestionError::Form),
            ("to tcp 10.0.0.1 -> self:22", QuestionError::Direction("to".into())),
            ("in tpc 10.0.0.1 -> self:22", QuestionError::Protocol("tpc".into())),
            ("in any 10.0.0.1 -> self:22", QuestionError::Protocol("any".into())),
            ("in tcp/22 10.0.0.1 -> self", QuestionError::Protocol("tcp/22".into())),
            (
                "in tcp 10.0.0.5/8 -> self:22",
                QuestionError::Address("10.0.0.5/8".into(), AddressError::HostBits("10.0.0.0/8".into())),
            ),
            ("in tcp mail -> self:22", QuestionError::Host("mail".into())),
            ("in tcp @ -> self:22", QuestionError::Host("@".into())),
            ("in tcp [2001:db8::1]x -> self:22", QuestionError::Host("[2001:db8::1]x".into())),
            ("in tcp 10.0.0.1 -> self:70000", QuestionError::Port("70000".into())),
            ("in tcp 10.0.0.1 -> self:ssh", QuestionError::Port("ssh".into())),
            ("in esp 10.0.0.1 -> self:22", QuestionError::NoPorts("esp".into())),
            ("in icmp 10.0.0.1 -> self ping", QuestionError::IcmpType("icmp".into(), "ping".into())),
            ("in tcp 10.0.0.1 -> self:22 echo-request", QuestionError::NoTypes("tcp".into())),
            ("in tcp 10.0.0.1 -> self:22 eth0", QuestionError::Unknown("eth0".into())),
            ("in icmp 10.0.0.1 -> self 8 8", QuestionError::Twice("the type of ICMP")),
            ("in tcp 10.0.0.1 -> @group:22", QuestionError::NotToOwn),
            ("out tcp @group -> 10.0.0.1:22", QuestionError::NotFromOwn),
            ("out tcp 10.0.0.1 -> self:22", QuestionError::NotFromOwn),
            ("in tcp self -> self:22", QuestionError::BothOwn),
            ("in tcp 10.0.0.1 -> 10.0.0.0/8:22", QuestionError::ManyOwn),
            ("fwd tcp 10.0.0.1 -> self:22", QuestionError::ForwardOwn),
            (
                "in tcp 10.0.0.1 -> [2001:db8::1]:22",
                QuestionError::Families("10.0.0.1".into(), "[2001:db8::1]".into()),
            ),
            ("in icmp [2001:db8::1] -> self", QuestionError::Families("icmp".into(), "[2001:db8::1]".into())),
            ("in tcp 10.0.0.1 -> self:22 as root", QuestionError::UserOfOther),
            ("in tcp 10.0.0.1 -> self:22 on eth0 to eth1", QuestionError::TwoInterfaces),
            ("in tcp 10.0.0.1 -> self:22 on eth0 on eth1", QuestionError::Twice("on")),
            ("in tcp 10.0.0.1 -> self:22 on", QuestionError::Nothing("on")),
        ] {
            assert_eq!(error(text), wanted, "{text}");
            assert!(!wanted.help().is_empty());
        }
    }
}
