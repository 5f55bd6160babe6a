//! Random packets that can really be sent: each is the first of a connection.

use super::{BROADCAST, INTERFACES, OWN_V4, OWN_V6, Random, UIDS, address};
use portgrave::model::{BaselineRule, Packet, Policy};
use portgrave::types::Direction;

/// Close to what rules say.
const PEERS: [&str; 18] = [
    "8.8.4.0",
    "8.8.4.3",
    "8.8.4.4",
    "8.8.4.4",
    "8.8.4.5",
    "8.8.4.6",
    "8.8.4.7",
    "8.8.5.5",
    "10.0.0.4",
    "203.0.113.7",
    "2a00::3",
    "2a00::4",
    "2a00::4",
    "2a00::5",
    "2a00::6",
    "2a00:1::1",
    "2001:db8::4",
    "2a00:9::7",
];

/// Nobody sends from these.
const TARGETS: [&str; 4] = [BROADCAST, "255.255.255.255", "224.0.0.18", "ff02::12"];

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// Types that open a flow; and any other but those of neighbour discovery, for a policy that lets them reach its rules.
const OPENING: [u8; 2] = [8, 13];
const OPENING_V6: [u8; 2] = [128, 139];
const STRAY: [u8; 4] = [0, 3, 5, 30];
const STRAY_V6: [u8; 4] = [2, 4, 129, 200];

pub fn packet(random: &mut Random, policy: &Policy) -> Packet {
    let direction = random.pick(&Direction::BOTH);
    let peer = match direction {
        Direction::Out if random.one_in(8) => address(random.pick(&TARGETS)),
        Direction::In | Direction::Out => address(random.pick(&PEERS)),
    };
    let v4 = peer.is_ipv4();
    let protocol = protocol(random, policy, v4);
    let with_ports = [TCP, UDP, SCTP].contains(&protocol);
    Packet {
        direction,
        protocol,
        peer,
        local: Some(address(random.pick(if v4 { &OWN_V4 } else { &OWN_V6 }).0)),
        port: with_ports.then(|| port(random)),
        source_port: with_ports.then(|| source_port(random)),
        icmp_type: icmp_type(random, policy, protocol, v4),
        interface: Some(random.pick(&INTERFACES).into()),
        user: (direction == Direction::Out).then(|| random.pick(&UIDS)),
    }
}

/// ICMP of the other family is of no flow. An authentication header is no protocol of its own in IPv6: what it protects is.
fn protocol(random: &mut Random, policy: &Policy, v4: bool) -> u8 {
    let stray = !policy.baseline.has(BaselineRule::Invalid) && random.one_in(20);
    match random.below(20) {
        0..=9 => TCP,
        10..=12 => UDP,
        13 => SCTP,
        14..=16 => {
            if v4 != stray {
                ICMP
            } else {
                ICMPV6
            }
        }
        _ if v4 => random.pick(&[50, 51, 47, 112, 89, 2, 41, 253]),
        _ => random.pick(&[50, 50, 47, 112, 89, 2, 41, 253]),
    }
}

fn port(random: &mut Random) -> u16 {
    if random.one_in(20) { random.pick(&[0, 1, 67, 68, 53, 65535]) } else { 19 + random.below(10) as u16 }
}

fn source_port(random: &mut Random) -> u16 {
    if random.one_in(2) { 40_000 } else { random.pick(&[0, 20, 53, 60, 68, 1023, 1024, 65535]) }
}

fn icmp_type(random: &mut Random, policy: &Policy, protocol: u8, v4: bool) -> Option<u8> {
    let stray = !policy.baseline.has(BaselineRule::Invalid) && random.one_in(3);
    match (protocol, v4) {
        (ICMP, true) if stray => Some(random.pick(&STRAY)),
        (ICMP, true) => Some(random.pick(&OPENING)),
        (ICMPV6, false) if stray => Some(random.pick(&STRAY_V6)),
        (ICMPV6, false) => Some(random.pick(&OPENING_V6)),
        _ => None,
    }
}

/// Whether conntrack knows a flow of a packet, and so what answers it. Of ICMP that opens none, or that is of the other
/// family, it does not.
pub fn opens_flow(packet: &Packet) -> bool {
    match (packet.protocol, packet.icmp_type) {
        (ICMP, Some(kind)) => OPENING.contains(&kind),
        (ICMPV6, Some(kind)) => OPENING_V6.contains(&kind),
        (ICMP | ICMPV6, None) => false,
        _ => true,
    }
}

/// Whether a packet goes or comes through the interface that has this machine's address.
pub fn is_at_home(packet: &Packet) -> bool {
    let has = |(own, interface): &&(&str, &str)| {
        packet.local == Some(address(own)) && packet.interface.as_deref() == Some(*interface)
    };
    OWN_V4.iter().chain(&OWN_V6).any(|own| has(&own))
}
