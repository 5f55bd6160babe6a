//! Datagrams made by hand, whole and damaged.

use super::packet::Packet;
use super::wire::{PACKET, request};
use super::{Decoded, Decoder, Record};
use crate::types::{Decider, Direction, Outcome};
use std::net::IpAddr;

const MACHINE: &str = "192.0.2.1";
const PEER: &str = "198.51.100.7";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// TCP from port 40000 to port 22, IPv4, with one word of options.
fn ipv4() -> Vec<u8> {
    let mut packet = vec![0x46, 0, 0, 64, 0, 0, 0, 0, 64, 6, 0, 0, 198, 51, 100, 7, 192, 0, 2, 1, 1, 1, 1, 0];
    packet.extend([0x9c, 0x40, 0, 22]);
    packet
}

/// An IPv6 header before `payload`, which begins with a header of this protocol.
fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, u8::try_from(payload.len()).unwrap(), next, 64];
    packet.extend("2001:db8::7".parse::<std::net::Ipv6Addr>().unwrap().octets());
    packet.extend("2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets());
    packet.extend(payload);
    packet
}

fn logged(prefix: &str, sequence: u32, packet: &[u8]) -> Vec<u8> {
    let prefix = [prefix.as_bytes(), &[0]].concat();
    let attributes: [(u16, &[u8]); 5] = [
        (1, &[8, 0, 1, 0]),
        (12, &sequence.to_be_bytes()),
        (4, &7_u32.to_be_bytes()),
        (10, &prefix),
        (9, packet),
    ];
    let mut message = request(PACKET, 100, &attributes);
    message.resize(message.len().next_multiple_of(4), 0);
    message
}

fn record() -> Record {
    Record {
        what: Outcome::Deny,
        rule: Decider::Rule("ssh-in".parse().unwrap()),
        direction: Direction::In,
        interface: 7,
        protocol: 6,
        source: ip(PEER),
        destination: ip(MACHINE),
        source_port: Some(40000),
        destination_port: Some(22),
        icmp_type: None,
        length: 64,
    }
}

#[test]
fn a_datagram_of_several_packets_is_read_whole() {
    let icmp = ipv6(58, &[128, 0, 0, 0]);
    let datagram =
        [logged("pg:in:deny:ssh-in", 5, &ipv4()), logged("pg:out:would-deny:default", 6, &icmp)].concat();
    let decoded = Decoder::default().decode(&datagram);
    let other = Record {
        what: Outcome::WouldDeny,
        rule: Decider::Default,
        direction: Direction::Out,
        interface: 0,
        protocol: 58,
        source: ip("2001:db8::7"),
        destination: ip("2001:db8::1"),
        source_port: None,
        destination_port: None,
        icmp_type: Some(128),
        length: 44,
    };
    assert_eq!(decoded, Decoded { records: vec![record(), other], lost: 0 });
}

#[test]
fn what_is_missing_between_two_numbers_is_lost() {
    let mut decoder = Decoder::default();
    let mut lost = |sequence| decoder.decode(&logged("pg:in:deny:ssh-in", sequence, &ipv4())).lost;
    assert_eq!([lost(u32::MAX - 1), lost(u32::MAX), lost(2), lost(3)], [0, 0, 2, 0]);
    // Another socket counts anew.
    assert_eq!([lost(0), lost(1)], [0, 0]);
}

#[test]
fn packets_of_other_rules_count_as_received_and_a_packet_without_addresses_as_lost() {
    let mut decoder = Decoder::default();
    let datagram = [
        logged("pg:in:deny:ssh-in", 1, &ipv4()),
        logged("somebody else's: ", 2, &ipv4()),
        logged("pg:in:deny:ssh-in", 3, &ipv4()[..12]),
    ];
    assert_eq!(decoder.decode(&datagram.concat()), Decoded { records: vec![record()], lost: 1 });
}

#[test]
fn a_datagram_that_is_cut_off_or_damaged_is_read_as_far_as_it_goes() {
    let datagram =
        [logged("pg:in:deny:ssh-in", 1, &ipv4()), logged("pg:in:deny:ssh-in", 2, &ipv4())].concat();
    for length in 0..datagram.len() {
        let decoded = Decoder::default().decode(&datagram[..length]);
        let whole = usize::from(length >= datagram.len() / 2);
        assert_eq!(decoded.records, vec![record(); whole], "{length}");
    }
    // Any octet, any value: no end but a result, and never more than two packets.
    for at in 0..datagram.len() {
        for value in [0, 1, 3, 4, 0x7f, 0x80, 0xff] {
            let mut damaged = datagram.clone();
            damaged[at] = value;
            assert!(Decoder::default().decode(&damaged).records.len() <= 2, "{at} {value}");
        }
    }
}

#[test]
fn extension_headers_are_walked_to_the_protocol_behind_them() {
    let udp = [0x9c, 0x40, 0, 53, 0, 8, 0, 0];
    let read = |packet: &[u8]| Packet::read(packet).map(|packet| (packet.protocol, packet.ports));
    let ports = Some((40000, 53));
    // Hop-by-hop options, a routing header of two units, destination options.
    let mut chain = vec![43, 0, 1, 4, 0, 0, 0, 0];
    chain.extend([60, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    chain.extend([17, 0, 1, 4, 0, 0, 0, 0]);
    chain.extend(udp);
    assert_eq!(read(&ipv6(0, &chain)), Some((17, ports)));
    // An authentication header counts words of four octets.
    let authenticated = [&[17, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0][..], &udp].concat();
    assert_eq!(read(&ipv6(51, &authenticated)), Some((17, ports)));
    // The first fragment has ports; a later one has none, whatever is in it.
    let fragment = |offset: [u8; 2]| [&[17, 0, offset[0], offset[1], 0, 0, 0, 1][..], &udp].concat();
    assert_eq!(read(&ipv6(44, &fragment([0, 1]))), Some((17, ports)));
    assert_eq!(read(&ipv6(44, &fragment([0, 8]))), Some((17, None)));
    // A chain that is cut off, that is too long, and the two headers behind which nothing can be read.
    assert_eq!(read(&ipv6(0, &chain[..12])), Some((60, None)));
    let endless = [0, 0, 1, 4, 0, 0, 0, 0].repeat(9);
    assert_eq!(read(&ipv6(0, &endless)), Some((0, None)));
    assert_eq!(read(&ipv6(59, &udp)), Some((59, None)));
    assert_eq!(read(&ipv6(50, &udp)), Some((50, None)));
}

#[test]
fn a_fragment_of_ipv4_but_the_first_has_no_ports() {
    let mut packet = ipv4();
    assert_eq!(Packet::read(&packet).unwrap().ports, Some((40000, 22)));
    packet[6] = 0x20;
    assert_eq!(Packet::read(&packet).unwrap().ports, Some((40000, 22)));
    packet[7] = 1;
    assert_eq!(Packet::read(&packet).unwrap().ports, None);
    // A header that claims to be shorter than one is.
    packet[0] = 0x41;
    assert_eq!(Packet::read(&packet).unwrap().ports, None);
    assert_eq!(Packet::read(&[]), None);
    assert_eq!(Packet::read(&[0x50; 64]), None);
}

#[test]
fn a_record_goes_through_json_and_a_wrong_one_does_not() {
    let text = serde_json::to_string(&record()).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record());
    assert!(text.contains(r#""rule":"ssh-in""#) && !text.contains("icmp"), "{text}");
    for (right, wrong) in [
        ("ssh-in", "SSH"),
        ("ssh-in", "baseline.x"),
        ("ssh-in", &*"a".repeat(65)),
        ("\"deny\"", "\"drop\""),
        (PEER, "198.51.100.256"),
        ("22", "65536"),
        ("\"length\"", "\"size\""),
    ] {
        let text = text.replace(right, wrong);
        assert!(serde_json::from_str::<Record>(&text).is_err(), "{text}");
    }
}
