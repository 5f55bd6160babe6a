//! Flows that connection tracking knows, and ICMP messages that cite them, or nothing.

use super::lab::{Lab, gw, peer};
use super::packet::{Head, Packet, nd_option, udp};
use super::rig::{Family, eventually, next_source_port};
use std::net::{SocketAddr, UdpSocket};

/// Ports of the site's rules for these flows.
pub const TO_GW: u16 = 5000;
pub const TO_PEER: u16 = 5001;

/// Both kinds of flow, and nothing else.
pub fn site() -> String {
    let gw_port = format!("udp/{TO_GW}");
    let peer_port = format!("udp/{TO_PEER}");
    super::proof::rule("flow-in", "in", &[&gw_port]) + &super::proof::rule("flow-out", "out", &[&peer_port])
}

/// A flow that the gateway has opened: its first datagram.
pub fn opened_by_gw(lab: &Lab, family: Family) -> Packet {
    let from = SocketAddr::new(gw(family), next_source_port());
    let to = SocketAddr::new(peer(family), TO_PEER);
    let before = lab.counters();
    let socket = lab.gw.enter(|| UdpSocket::bind(from)).expect("a socket");
    socket.send_to(b"probe", to).expect("the policy lets it out");
    counted(lab, &before, "out.flow-out");
    udp(from, to)
}

/// A flow that the peer has opened: its first datagram.
pub fn opened_by_peer(lab: &Lab, family: Family) -> Packet {
    let from = SocketAddr::new(peer(family), next_source_port());
    let to = SocketAddr::new(gw(family), TO_GW);
    let before = lab.counters();
    let _listens = lab.gw.enter(|| UdpSocket::bind(to)).expect("a socket");
    let packet = udp(from, to);
    lab.wire(&packet);
    counted(lab, &before, "in.flow-in");
    packet
}

fn counted(lab: &Lab, before: &super::rig::Counters, counter: &str) {
    eventually(|| {
        let moved = lab.counters().moved_since(before);
        if moved.contains_key(counter) { Ok(()) } else { Err(format!("{counter} did not move: {moved:?}")) }
    });
}

/// The types of ICMP errors.
pub fn errors(family: Family) -> &'static [u8] {
    match family {
        Family::V4 => &[3, 11, 12],
        Family::V6 => &[1, 2, 3, 4],
    }
}

/// An ICMP error of this type about a packet, from the side that got it.
pub fn error(kind: u8, about: &Packet) -> Packet {
    // The MTU of a packet too big is the only field that matters.
    let rest = if about.from.is_ipv6() && kind == 2 { 1400_u32.to_be_bytes() } else { [0; 4] };
    Head::new(about.to, about.from).icmp(kind, 0, rest, &about.bytes)
}

/// A redirect of the packet that it cites to a router that nobody has.
pub fn redirect(about: &Packet, family: Family) -> Packet {
    match family {
        Family::V4 => Head::new(about.to, about.from).icmp(5, 1, [10, 77, 0, 3], &about.bytes),
        Family::V6 => {
            let mut body = super::packet::v6("fe80::3").octets().to_vec();
            body.extend(super::packet::v6("2001:db8:77::2").octets());
            let mut cited = vec![0; 6];
            cited.extend(&about.bytes);
            body.extend(nd_option(4, &cited));
            let head = Head { from: super::packet::v6("fe80::2").into(), to: about.from, limit: 255 };
            head.icmp(137, 0, [0; 4], &body)
        }
    }
}

/// In nft's words: the family's ICMP messages of this type.
pub fn of_type(family: Family, kind: u8) -> String {
    match family {
        Family::V4 => format!("icmp type {kind}"),
        Family::V6 => format!("icmpv6 type {kind}"),
    }
}
