//! Random packets, each with the lines that the log shall have of it.

use super::journal::Fields;
use crate::lab::samples::NAME;
use crate::logged::{RULES, zoned};
use crate::numbers::Random;
use crate::packet::{Head, Packet, SYN, tcp, udp};
use portgrave::types::{Direction, Family};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Everything that is logged for one reason or another; the rest of both directions is denied by default.
pub fn policy() -> String {
    let named = r#"
[[rule]]
name = "named"
direction = "out"
ports = ["tcp/443"]
peers = ["a.example.net"]
"#;
    format!("language = 1\n{}{RULES}{named}", zoned("\"any\""))
}

/// The addresses of the name.
pub const NAMED: [&str; 4] = ["93.184.10.1", "93.184.10.2", "2606:2800:10::1", "2606:2800:10::2"];

/// The gateway's, of which those that end in 1 are there anyhow.
pub const OWN: [&str; 6] = ["10.99.0.1", "10.99.0.11", "10.99.0.12", "fd99::1", "fd99::11", "fd99::12"];

/// Protocols without ports that need no right beginning.
const OTHERS: [u8; 6] = [47, 50, 89, 103, 115, 253];

/// Ports that no rule of the policy or of the baseline names.
const PORTS: std::ops::Range<usize> = 10_000..60_000;

#[derive(Clone, Debug)]
pub struct Probe {
    pub direction: Direction,
    pub packet: Packet,
    pub lines: Vec<Fields>,
}

/// What a packet is, and who says what of it.
struct What {
    protocol: u8,
    ports: Option<(u16, u16)>,
    icmp_type: Option<u8>,
    said: Vec<(&'static str, &'static str)>,
}

pub fn probes(random: &mut Random, count: usize) -> Vec<Probe> {
    // No two are alike: each has a peer of its own, but for the name's.
    (0..count).map(|index| probe(random, index)).collect()
}

fn probe(random: &mut Random, index: usize) -> Probe {
    let direction = random.pick(&Direction::BOTH);
    let family = random.pick(&Family::BOTH);
    let named: Vec<IpAddr> = own_of(family, &NAMED);
    let is_named = random.one_in(8);
    let peer = if is_named { random.pick(&named) } else { peer(random, family, index) };
    let own = random.pick(&own_of(family, &OWN));
    let (from, to) = match direction {
        Direction::In => (peer, own),
        Direction::Out => (own, peer),
    };
    let what = what(random, direction, family);
    let packet = written(&what, from, to);
    let name = is_named.then_some(NAME);
    let lines = what.said.iter().map(|said| line(*said, direction, &what, &packet, name)).collect();
    Probe { direction, packet, lines }
}

fn what(random: &mut Random, direction: Direction, family: Family) -> What {
    let source = port(random);
    let with = |protocol, port: u16, said: &[(&'static str, &'static str)]| What {
        protocol,
        ports: Some((source, port)),
        icmp_type: None,
        said: said.to_vec(),
    };
    let only_in = |verdict, rule| match direction {
        Direction::In => (verdict, rule),
        Direction::Out => ("deny", "default"),
    };
    let default = [("deny", "default")];
    match random.below(12) {
        0 => with(6, 25, &[only_in("deny", "mail")]),
        1 => with(17, 500, &[("deny", "zoned")]),
        2 => with(6, 113, &[only_in("reject", "ident")]),
        3 => with(17, 113, &[only_in("reject", "ident")]),
        4 => with(6, 23, &[("would-deny", "no-telnet"), default[0]]),
        5 => with(6, 80, &[("allow", "web")]),
        6 | 7 => icmp(random, direction, family),
        8 => What { protocol: random.pick(&OTHERS), ports: None, icmp_type: None, said: default.to_vec() },
        9 | 10 => with(6, port(random), &default),
        _ => with(17, port(random), &default),
    }
}

fn icmp(random: &mut Random, direction: Direction, family: Family) -> What {
    let (protocol, icmp_type) = match family {
        Family::V4 => (1, random.pick(&[13, 15, 17])),
        Family::V6 => (58, 139),
    };
    let rule = if direction == Direction::In && icmp_type == 13 { "timestamps" } else { "default" };
    What { protocol, ports: None, icmp_type: Some(icmp_type), said: vec![("deny", rule)] }
}

fn written(what: &What, from: IpAddr, to: IpAddr) -> Packet {
    let at = SocketAddr::new;
    match (what.protocol, what.ports, what.icmp_type) {
        (6, Some((source, port)), _) => tcp(at(from, source), at(to, port), SYN),
        (_, Some((source, port)), _) => udp(at(from, source), at(to, port)),
        (_, None, Some(kind)) => Head::new(from, to).icmp(kind, 0, [0; 4], &[0; 12]),
        (protocol, None, None) => Head::new(from, to).packet(protocol, &[0, 0, 8, 0, 1, 2, 3, 4]),
    }
}

fn line(
    (verdict, rule): (&str, &str),
    direction: Direction,
    what: &What,
    packet: &Packet,
    name: Option<&str>,
) -> Fields {
    let mut fields = vec![
        ("rule", rule.to_owned()),
        ("verdict", verdict.to_owned()),
        ("direction", direction.as_str().to_owned()),
        ("interface", "up0".to_owned()),
        ("proto", what.protocol.to_string()),
        ("src", packet.from.to_string()),
        ("dst", packet.to.to_string()),
    ];
    if let Some((source, port)) = what.ports {
        fields.extend([("sport", source.to_string()), ("dport", port.to_string())]);
    }
    fields.extend(what.icmp_type.map(|kind| ("icmp_type", kind.to_string())));
    fields.extend(name.map(|name| ("name", name.to_owned())));
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A public address that no other probe has, in a /64 of its own.
pub fn peer(random: &mut Random, family: Family, index: usize) -> IpAddr {
    let index = u16::try_from(index).expect("few probes");
    let [high, low] = index.to_be_bytes();
    let octet = u8::try_from(1 + random.below(254)).expect("an octet");
    match family {
        Family::V4 => {
            Ipv4Addr::new(u8::try_from(60 + random.below(30)).expect("an octet"), high, low, octet).into()
        }
        Family::V6 => {
            let word = |random: &mut Random| u16::try_from(random.below(0x1_0000)).expect("a word");
            Ipv6Addr::new(0x2a00, word(random), 0, index, word(random), 0, 0, u16::from(octet)).into()
        }
    }
}

fn port(random: &mut Random) -> u16 {
    u16::try_from(PORTS.start + random.below(PORTS.len())).expect("a port")
}

fn own_of(family: Family, texts: &[&str]) -> Vec<IpAddr> {
    let all = texts.iter().map(|text| text.parse().expect("an address"));
    all.filter(|address| Family::of(*address) == family).collect()
}
