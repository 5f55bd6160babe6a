//! The headers of an IP packet, of which the kernel hands over the beginning.

use super::wire::chunk;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) protocol: u8,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) ports: Option<(u16, u16)>,
    pub(super) icmp_type: Option<u8>,
    pub(super) length: u32,
}

const HOP_BY_HOP: u8 = 0;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const DCCP: u8 = 33;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const ICMPV6: u8 = 58;
const DESTINATION_OPTIONS: u8 = 60;
const SCTP: u8 = 132;
const MOBILITY: u8 = 135;
const UDP_LITE: u8 = 136;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

const IPV6_HEADER: usize = 40;
/// As many of each kind as RFC 8200 lets a sender use, and one to spare.
const MOST_EXTENSIONS: usize = 8;

impl Packet {
    /// `None` if not even the addresses are there.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? >> 4 {
            4 => Self::v4(bytes),
            6 => Self::v6(bytes),
            _ => None,
        }
    }

    fn v4(bytes: &[u8]) -> Option<Self> {
        let header = usize::from(bytes.first()? & 0xf) * 4;
        let length = u16::from_be_bytes(chunk(bytes, 2)?);
        let offset = u16::from_be_bytes(chunk(bytes, 6)?) & 0x1fff;
        let protocol = *bytes.get(9)?;
        let address = |at| Some(IpAddr::from(Ipv4Addr::from(chunk::<4>(bytes, at)?)));
        let payload = if offset == 0 { bytes.get(header.max(20)..) } else { None };
        Some(Self::of(protocol, (address(12)?, address(16)?), payload, length.into()))
    }

    fn v6(bytes: &[u8]) -> Option<Self> {
        let length = u32::from(u16::from_be_bytes(chunk(bytes, 4)?)) + IPV6_HEADER as u32;
        let address = |at| Some(IpAddr::from(Ipv6Addr::from(chunk::<16>(bytes, at)?)));
        let addresses = (address(8)?, address(24)?);
        let (protocol, payload) = behind_extensions(*bytes.get(6)?, bytes.get(IPV6_HEADER..)?);
        Some(Self::of(protocol, addresses, payload, length))
    }

    fn of(protocol: u8, addresses: (IpAddr, IpAddr), payload: Option<&[u8]>, length: u32) -> Self {
        let payload = payload.unwrap_or_default();
        let port = |at| Some(u16::from_be_bytes(chunk(payload, at)?));
        let with_ports = [TCP, UDP, DCCP, SCTP, UDP_LITE].contains(&protocol);
        let ports = if with_ports { port(0).zip(port(2)) } else { None };
        let icmp = if addresses.0.is_ipv4() { ICMP } else { ICMPV6 };
        let icmp_type = if protocol == icmp { payload.first().copied() } else { None };
        Self { protocol, source: addresses.0, destination: addresses.1, ports, icmp_type, length }
    }
}

/// The protocol behind the extension headers, and its octets: none of a fragment but the first, none behind a header that
/// is cut off, and none where there are more headers than anybody needs.
fn behind_extensions(mut protocol: u8, mut rest: &[u8]) -> (u8, Option<&[u8]>) {
    for _ in 0..MOST_EXTENSIONS {
        if !is_extension(protocol) {
            return (protocol, Some(rest));
        }
        let Some(start) = chunk::<4>(rest, 0) else { return (protocol, None) };
        let units = usize::from(start[1]);
        let length = match protocol {
            FRAGMENT => 8,
            AUTHENTICATION => (units + 2) * 4,
            _ => (units + 1) * 8,
        };
        let later = protocol == FRAGMENT && u16::from_be_bytes([start[2], start[3]]) >> 3 != 0;
        protocol = start[0];
        match rest.get(length..) {
            Some(next) if !later => rest = next,
            _ => return (protocol, None),
        }
    }
    (protocol, None)
}

fn is_extension(protocol: u8) -> bool {
    [HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION_OPTIONS, MOBILITY, HIP, SHIM6]
        .contains(&protocol)
}
