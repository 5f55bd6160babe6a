//! Packets as octets: complete headers, with checksums that hold.

use portgrave::model::Packet;
use portgrave::types::Direction;
use std::net::IpAddr;

/// The hop limit of every packet that a test sends, by which those that watch know it.
pub const HOP_LIMIT: u8 = 77;

const SYN: u8 = 2;
const ECHO_REPLY: u8 = 0;

/// The whole IP packet. The packet must say its own address.
pub fn octets(packet: &Packet) -> Vec<u8> {
    let local = packet.local.expect("a packet that is sent has both ends");
    let (from, to) = match packet.direction {
        Direction::In => (packet.peer, local),
        Direction::Out => (local, packet.peer),
    };
    let transport = transport(packet, from, to);
    let mut octets = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let length = length(20 + transport.len());
            let mut header =
                vec![0x45, 0, length[0], length[1], 0x12, 0x34, 0, 0, HOP_LIMIT, packet.protocol];
            header.extend_from_slice(&[0, 0]);
            header.extend_from_slice(&from.octets());
            header.extend_from_slice(&to.octets());
            put_checksum(&mut header, 10, 0);
            header
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let length = length(transport.len());
            let mut header = vec![0x60, 0, 0, 0, length[0], length[1], packet.protocol, HOP_LIMIT];
            header.extend_from_slice(&from.octets());
            header.extend_from_slice(&to.octets());
            header
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
            panic!("{packet:?} mixes families")
        }
    };
    octets.extend(transport);
    octets
}

fn transport(packet: &Packet, from: IpAddr, to: IpAddr) -> Vec<u8> {
    let port = |port: Option<u16>| port.unwrap_or(0).to_be_bytes();
    let mut octets = [port(packet.source_port), port(packet.port)].concat();
    match packet.protocol {
        6 => {
            octets.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, SYN, 4, 0, 0, 0, 0, 0]);
            put_checksum(&mut octets, 16, pseudo_header(from, to, packet.protocol, 20));
        }
        17 => {
            octets.extend_from_slice(&[0, 12, 0, 0, 1, 2, 3, 4]);
            put_checksum(&mut octets, 6, pseudo_header(from, to, packet.protocol, 12));
        }
        132 => octets = sctp(octets),
        1 | 58 => {
            octets = icmp(packet.icmp_type.unwrap_or(ECHO_REPLY));
            put_payload_checksum(&mut octets, packet.protocol, from, to);
        }
        // No flags, IPv4 inside; and for an authentication header as short as it may be.
        47 => octets = vec![0, 0, 8, 0, 0, 0, 0, 0],
        51 => octets = vec![59, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
        // The kernel rejects nothing whose payload has no valid checksum, whatever the protocol.
        other => {
            octets = vec![0; 4];
            put_payload_checksum(&mut octets, other, from, to);
        }
    }
    octets
}

/// An INIT chunk, by which an association begins (RFC 9260).
fn sctp(ports: Vec<u8>) -> Vec<u8> {
    let mut octets = ports;
    octets.extend_from_slice(&[0; 8]);
    octets.extend_from_slice(&[1, 0, 0, 20, 0, 0, 0, 1, 0, 0, 64, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
    let sum = crc32c(&octets);
    octets[8..12].copy_from_slice(&sum.to_le_bytes());
    octets
}

fn icmp(kind: u8) -> Vec<u8> {
    let mut octets = vec![kind, 0, 0, 0, 0, 7, 0, 1];
    octets.extend_from_slice(&[0; 28]);
    octets
}

fn length(octets: usize) -> [u8; 2] {
    u16::try_from(octets).expect("a short packet").to_be_bytes()
}

/// A checksum as in ICMP and ICMPv6.
fn put_payload_checksum(octets: &mut [u8], protocol: u8, from: IpAddr, to: IpAddr) {
    let pseudo = if from.is_ipv6() { pseudo_header(from, to, protocol, octets.len()) } else { 0 };
    put_checksum(octets, 2, pseudo);
}

/// The sum of what TCP, UDP and ICMPv6 take into their checksums of the IP header.
fn pseudo_header(from: IpAddr, to: IpAddr, protocol: u8, length: usize) -> u32 {
    let address = |address: IpAddr| match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    };
    address(from) + address(to) + u32::from(protocol) + u32::try_from(length).expect("a short packet")
}

/// Writes the checksum of RFC 1071 at a place that holds zeros.
fn put_checksum(octets: &mut [u8], at: usize, pseudo: u32) {
    let mut total = sum(octets) + pseudo;
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    let checksum = !u16::try_from(total).expect("folded");
    octets[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
}

fn sum(octets: &[u8]) -> u32 {
    octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum()
}

/// CRC-32C (Castagnoli), bit by bit.
fn crc32c(octets: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
    !octets.iter().fold(u32::MAX, |crc, octet| (0..8).fold(crc ^ u32::from(*octet), step))
}

#[test]
fn the_checksum_of_sctp_is_crc32c() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}
