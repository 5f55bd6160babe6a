//! Packets octet by octet, as the RFCs draw them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub const ICMP: u8 = 1;
pub const IGMP: u8 = 2;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMPV6: u8 = 58;
const HOP_BY_HOP: u8 = 0;

pub const SYN: u8 = 0x02;
pub const ACK: u8 = 0x10;

/// An IP packet, complete with its header.
#[derive(Clone, Debug)]
pub struct Packet {
    pub from: IpAddr,
    pub to: IpAddr,
    pub bytes: Vec<u8>,
}

/// The addresses and the TTL or hop limit of a packet.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    pub from: IpAddr,
    pub to: IpAddr,
    pub limit: u8,
}

impl Head {
    pub fn new(from: impl Into<IpAddr>, to: impl Into<IpAddr>) -> Self {
        Self { from: from.into(), to: to.into(), limit: 64 }
    }

    pub fn limit(self, limit: u8) -> Self {
        Self { limit, ..self }
    }

    /// A packet of this protocol.
    pub fn packet(self, protocol: u8, payload: &[u8]) -> Packet {
        let length = u16::try_from(payload.len()).expect("a small packet");
        let mut bytes = Vec::new();
        match (self.from, self.to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                bytes.extend([0x45, 0]);
                bytes.extend((length + 20).to_be_bytes());
                bytes.extend([0x12, 0x34, 0x40, 0, self.limit, protocol, 0, 0]);
                bytes.extend(from.octets());
                bytes.extend(to.octets());
                let sum = checksum(&bytes);
                bytes[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                bytes.extend([0x60, 0, 0, 0]);
                bytes.extend(length.to_be_bytes());
                bytes.extend([protocol, self.limit]);
                bytes.extend(from.octets());
                bytes.extend(to.octets());
            }
            (from, to) => panic!("{from} and {to} are of two families"),
        }
        bytes.extend(payload);
        Packet { from: self.from, to: self.to, bytes }
    }

    /// An ICMP or ICMPv6 message, as the addresses say.
    pub fn icmp(self, kind: u8, code: u8, rest: [u8; 4], body: &[u8]) -> Packet {
        let protocol = if self.from.is_ipv4() { ICMP } else { ICMPV6 };
        self.packet(protocol, &self.icmp_message(kind, code, rest, body))
    }

    /// A message of multicast listener discovery, behind the router alert that it always has (RFC 2710, RFC 3810).
    pub fn mld(self, kind: u8, rest: [u8; 4], body: &[u8]) -> Packet {
        let mut payload = vec![ICMPV6, 0, 5, 2, 0, 0, 1, 0];
        payload.extend(self.icmp_message(kind, 0, rest, body));
        self.packet(HOP_BY_HOP, &payload)
    }

    /// An IGMP message of eight octets (RFC 2236).
    pub fn igmp(self, kind: u8, group: Ipv4Addr) -> Packet {
        let mut message = vec![kind, 0, 0, 0];
        message.extend(group.octets());
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        self.packet(IGMP, &message)
    }

    fn icmp_message(self, kind: u8, code: u8, rest: [u8; 4], body: &[u8]) -> Vec<u8> {
        let mut message = vec![kind, code, 0, 0];
        message.extend(rest);
        message.extend(body);
        let sum = match self.from {
            IpAddr::V4(_) => checksum(&message),
            IpAddr::V6(_) => self.checksum(ICMPV6, &message),
        };
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        message
    }

    /// With the pseudo header of the addresses.
    fn checksum(self, protocol: u8, payload: &[u8]) -> u16 {
        let mut bytes = Vec::new();
        for address in [self.from, self.to] {
            match address {
                IpAddr::V4(v4) => bytes.extend(v4.octets()),
                IpAddr::V6(v6) => bytes.extend(v6.octets()),
            }
        }
        bytes.extend(u32::try_from(payload.len()).expect("a small packet").to_be_bytes());
        bytes.extend([0, 0, 0, protocol]);
        bytes.extend(payload);
        checksum(&bytes)
    }
}

pub fn udp(from: SocketAddr, to: SocketAddr) -> Packet {
    let (head, mut datagram) = (Head::new(from.ip(), to.ip()), datagram(from, to));
    let sum = head.checksum(UDP, &datagram);
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    head.packet(UDP, &datagram)
}

/// A datagram whose checksum is wrong.
pub fn udp_with_wrong_checksum(from: SocketAddr, to: SocketAddr) -> Packet {
    let (head, mut datagram) = (Head::new(from.ip(), to.ip()), datagram(from, to));
    let sum = head.checksum(UDP, &datagram) ^ 0x0101;
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    head.packet(UDP, &datagram)
}

fn datagram(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let data = b"probe";
    let mut datagram = Vec::new();
    datagram.extend(from.port().to_be_bytes());
    datagram.extend(to.port().to_be_bytes());
    datagram.extend([0, 8 + 5, 0, 0]);
    datagram.extend(data);
    datagram
}

pub fn tcp(from: SocketAddr, to: SocketAddr, flags: u8) -> Packet {
    let head = Head::new(from.ip(), to.ip());
    let mut segment = Vec::new();
    segment.extend(from.port().to_be_bytes());
    segment.extend(to.port().to_be_bytes());
    segment.extend(1000_u32.to_be_bytes());
    segment.extend(if flags & ACK == 0 { 0 } else { 2000_u32 }.to_be_bytes());
    segment.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    let sum = head.checksum(TCP, &segment);
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    head.packet(TCP, &segment)
}

/// An option of neighbour discovery (RFC 4861, 4.6), filled up to a multiple of eight octets.
pub fn nd_option(kind: u8, content: &[u8]) -> Vec<u8> {
    let words = (content.len() + 2).div_ceil(8);
    let mut option = vec![kind, u8::try_from(words).expect("a short option")];
    option.extend(content);
    option.resize(words * 8, 0);
    option
}

pub fn v6(text: &str) -> Ipv6Addr {
    text.parse().expect("an IPv6 address")
}

fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}
