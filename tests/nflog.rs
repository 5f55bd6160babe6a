//! What is denied reaches the reader of the kernel's log: real packets, in and out, each with one record that says what it
//! was; and who sends too many of them is held back, alone.

mod rig;

#[allow(dead_code)]
#[path = "baseline/lab.rs"]
mod lab;
#[path = "common/logged.rs"]
mod logged;
#[allow(dead_code)]
#[path = "baseline/packet.rs"]
mod packet;

use lab::{Lab, gw, peer};
use logged::{RULES, zoned};
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use packet::{Head, Packet, SYN, tcp, udp};
use portgrave::observe::{self, GroupTaken, Reader, Record};
use portgrave::types::{Direction, Outcome};
use rig::{Agent, Family, PATIENCE, eventually, isolated, say};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

const GROUP: u16 = 100;

fn policy() -> String {
    let silent = r#"
[[rule]]
name = "plain"
direction = "both"
ports = ["tcp/81"]
peers = "any"

[[rule]]
name = "noise"
direction = "in"
ports = ["udp/137"]
peers = "any"
action = "deny"
log = false
"#;
    format!("{}{RULES}{silent}", zoned(r#"["10.77.0.0/24", "2001:db8:77::/64"]"#))
}

/// A reader of the gateway's log.
struct Log {
    socket: OwnedFd,
    reader: Reader,
    lost: u64,
}

impl Log {
    fn open(lab: &Lab) -> Self {
        let socket = lab.gw.enter(|| observe::open(GROUP)).expect("the gateway's log");
        Self { socket, reader: Reader::default(), lost: 0 }
    }

    /// The records up to the one of a packet to this port, which is the last that was sent.
    fn until(&mut self, port: u16) -> Vec<Record> {
        let start = Instant::now();
        let mut records = Vec::new();
        loop {
            while let Some(decoded) = self.reader.read(self.socket.as_fd()).expect("a datagram") {
                self.lost += decoded.lost;
                records.extend(decoded.records);
            }
            if records.last().is_some_and(|last: &Record| last.destination_port == Some(port)) {
                records.pop();
                return records;
            }
            assert!(start.elapsed() < PATIENCE, "no record of port {port}: {records:?}");
            let mut readable = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            poll(&mut readable, PollTimeout::from(100_u8)).expect("poll");
        }
    }
}

fn at(address: impl Into<IpAddr>, port: u16) -> SocketAddr {
    SocketAddr::new(address.into(), port)
}

/// A packet that the default denies, with which a test ends what it sends.
const LAST: u16 = 65000;

fn last() -> Packet {
    udp(at(lab::nobody(Family::V4), 4000), at(gw(Family::V4), LAST))
}

/// A packet, and who says what of it.
struct Sent {
    direction: Direction,
    packet: Packet,
    protocol: u8,
    ports: Option<(u16, u16)>,
    icmp_type: Option<u8>,
    expected: Vec<(Outcome, &'static str)>,
}

impl Sent {
    fn records(&self, interface: u32) -> Vec<Record> {
        let record = |(what, rule): &(Outcome, &str)| Record {
            what: *what,
            rule: rule.parse().expect("a rule's name"),
            direction: self.direction,
            interface,
            protocol: self.protocol,
            source: self.packet.from,
            destination: self.packet.to,
            source_port: self.ports.map(|(from, _)| from),
            destination_port: self.ports.map(|(_, to)| to),
            icmp_type: self.icmp_type,
            length: u32::try_from(self.packet.bytes.len()).expect("a small packet"),
        };
        self.expected.iter().map(record).collect()
    }
}

/// Packets of every kind in one direction and family. The names of rules in `expected` are those of [`policy`].
fn packets(direction: Direction, family: Family) -> Vec<Sent> {
    use Outcome::{Allow, Deny, Reject, WouldDeny};
    let (from, to) = match direction {
        Direction::In => (peer(family), gw(family)),
        Direction::Out => (gw(family), peer(family)),
    };
    let is_in = direction == Direction::In;
    let head = Head::new(from, to);
    let sent = |packet, protocol, ports, icmp_type, expected: &[(Outcome, &'static str)]| Sent {
        direction,
        packet,
        protocol,
        ports,
        icmp_type,
        expected: expected.to_vec(),
    };
    let over_tcp = |port: u16, expected: &[(Outcome, &'static str)]| {
        sent(tcp(at(from, 40000 + port), at(to, port), SYN), 6, Some((40000 + port, port)), None, expected)
    };
    let over_udp = |port: u16, expected: &[(Outcome, &'static str)]| {
        sent(udp(at(from, 41000 + port), at(to, port)), 17, Some((41000 + port, port)), None, expected)
    };
    let icmp = if family == Family::V4 { (1, 13) } else { (58, 139) };
    let of_icmp = if is_in && family == Family::V4 { "timestamps" } else { "default" };
    let only_in = |outcome, rule| if is_in { (outcome, rule) } else { (Deny, "default") };
    let datagram = [0xa0, 0x28, 0x27, 0x0f, 0, 8, 0, 0];
    let mut all = vec![
        over_tcp(25, &[only_in(Deny, "mail")]),
        over_tcp(9999, &[(Deny, "default")]),
        over_udp(500, &[(Deny, "zoned")]),
        over_udp(9999, &[(Deny, "default")]),
        over_tcp(113, &[only_in(Reject, "ident")]),
        over_udp(113, &[only_in(Reject, "ident")]),
        over_tcp(23, &[(WouldDeny, "no-telnet"), (Deny, "default")]),
        over_tcp(80, &[(Allow, "web")]),
        over_tcp(81, &[]),
        sent(head.icmp(icmp.1, 0, [0; 4], &[0; 12]), icmp.0, None, Some(icmp.1), &[(Deny, of_icmp)]),
        sent(head.packet(47, &[0, 0, 8, 0, 1, 2, 3, 4]), 47, None, None, &[(Deny, "default")]),
    ];
    if is_in {
        all.push(over_udp(137, &[]));
    }
    if family == Family::V6 {
        // Destination options before a datagram.
        let behind = [&[17, 0, 1, 4, 0, 0, 0, 0][..], &datagram].concat();
        all.push(sent(head.packet(60, &behind), 17, Some((41000, 9999)), None, &[(Deny, "default")]));
    }
    all
}

#[test]
fn every_packet_that_is_denied_rejected_audited_or_watched_has_its_one_record() {
    isolated("every_packet_that_is_denied_rejected_audited_or_watched_has_its_one_record", || {
        let lab = Lab::new();
        lab.apply(&policy());
        let mut log = Log::open(&lab);
        let interface = lab.gw.enter(|| if_nametoindex("up0")).expect("the link");
        for direction in Direction::BOTH {
            for family in Family::BOTH {
                for sent in packets(direction, family) {
                    match direction {
                        Direction::In => lab.wire(&sent.packet),
                        Direction::Out => lab.emit(&sent.packet),
                    }
                    lab.wire(&last());
                    assert_eq!(log.until(LAST), sent.records(interface), "{:?}", sent.packet);
                }
            }
        }
        assert_eq!(log.lost, 0);
    });
}

#[test]
fn a_default_that_rejects_or_audits_is_logged_as_what_it_does() {
    isolated("a_default_that_rejects_or_audits_is_logged_as_what_it_does", || {
        let lab = Lab::new();
        let packet = udp(at(peer(Family::V4), 4000), at(gw(Family::V4), 7));
        let mut log = Log::open(&lab);
        for (default, what) in
            [("deny", Outcome::Deny), ("reject", Outcome::Reject), ("audit", Outcome::WouldDeny)]
        {
            lab.apply(&format!("[default]\nin = \"{default}\"\nout = \"audit\"\n{}", policy()));
            lab.wire_all("up0", &[packet.clone(), last()]);
            let said: Vec<(Outcome, String)> =
                log.until(LAST).iter().map(|record| (record.what, record.rule.to_string())).collect();
            // An answer from port 7, or the port being unreachable, goes out as part of what came in.
            assert_eq!(said, [(what, "default".to_owned())]);
        }
    });
}

#[test]
fn without_a_log_of_denied_packets_only_rules_that_ask_for_it_are_logged() {
    isolated("without_a_log_of_denied_packets_only_rules_that_ask_for_it_are_logged", || {
        let lab = Lab::new();
        let dir = tempfile::tempdir().expect("a directory");
        let agent = Agent::at(dir.path(), "[resolver]\nservers = [\"10.77.0.2\"]\n[log]\ndenied = \"off\"\n");
        let watched = format!(
            "language = 1\n{}\n[[rule]]\nname = \"watched\"\ndirection = \"in\"\nports = [\"udp/{LAST}\"]\n\
             peers = \"any\"\naction = \"deny\"\nlog = true\n",
            policy()
        );
        agent.apply(&lab.gw, &[&agent.policy("policy", &watched)]);
        let mut log = Log::open(&lab);
        for family in Family::BOTH {
            for sent in packets(Direction::In, family) {
                lab.wire(&sent.packet);
            }
        }
        lab.wire(&last());
        let said: Vec<String> = log.until(LAST).iter().map(|record| record.rule.to_string()).collect();
        assert_eq!(said, ["web", "web"]);
    });
}

/// How many packets of a burst were logged, and how many held back; all of them are counted.
fn burst(lab: &Lab, log: &mut Log, packets: &[Packet]) -> (u64, u64) {
    let counted = |name: &str| lab.counters().get("portgrave", name);
    let before = (counted("in.default"), counted("in.baseline.log-held-back"));
    let sent = packets.len() as u64;
    lab.wire_all("up0", packets);
    eventually(|| {
        let now = counted("in.default") - before.0;
        if now == sent { Ok(()) } else { Err(now) }
    });
    let held_back = counted("in.baseline.log-held-back") - before.1;
    lab.wire(&last());
    (log.until(LAST).len() as u64, held_back)
}

fn to_closed(from: impl Into<IpAddr>, family: Family) -> Packet {
    udp(at(from, 4000), at(gw(family), 9999))
}

#[test]
fn of_a_burst_of_one_peer_each_packet_is_logged_or_counted_as_held_back() {
    isolated("of_a_burst_of_one_peer_each_packet_is_logged_or_counted_as_held_back", || {
        let lab = Lab::new();
        lab.apply(&policy());
        let mut log = Log::open(&lab);
        let hosts = |index: u16| Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 9, index);
        for (what, packets) in [
            ("one address", vec![to_closed(peer(Family::V4), Family::V4); 500]),
            (
                "500 addresses of one /64",
                (0..500).map(|index| to_closed(hosts(index), Family::V6)).collect::<Vec<_>>(),
            ),
        ] {
            let (logged, held_back) = burst(&lab, &mut log, &packets);
            assert_eq!(logged + held_back, 500, "{what}");
            assert!(logged >= 50 && held_back > 0, "{what}: {logged} logged, {held_back} held back");
            assert_eq!(log.lost, 0);
        }
    });
}

#[test]
fn a_peer_that_floods_keeps_nobody_else_from_being_logged() {
    isolated("a_peer_that_floods_keeps_nobody_else_from_being_logged", || {
        let lab = Lab::new();
        lab.apply(&policy());
        let mut log = Log::open(&lab);
        let flood = vec![to_closed(peer(Family::V4), Family::V4); 10_000];
        let other = to_closed(Ipv4Addr::new(10, 77, 0, 99), Family::V4);
        let web = tcp(at(peer(Family::V4), 4000), at(gw(Family::V4), 80), SYN);
        let packets = [flood.clone(), vec![other.clone(), web], flood, vec![last()]].concat();
        lab.wire_all("up0", &packets);
        let records = log.until(LAST);
        let of = |from: IpAddr, what| {
            records.iter().filter(|record| (record.source, record.what) == (from, what)).count()
        };
        assert_eq!(of(other.from, Outcome::Deny), 1, "the other peer");
        assert_eq!(of(peer(Family::V4), Outcome::Allow), 1, "what the flooding peer is allowed");
        let flooded = of(peer(Family::V4), Outcome::Deny);
        assert!((50..20_000).contains(&flooded), "{flooded} of the flood");
    });
}

#[test]
fn a_flood_from_many_addresses_is_bounded_and_every_packet_of_it_accounted_for() {
    isolated("a_flood_from_many_addresses_is_bounded_and_every_packet_of_it_accounted_for", || {
        let lab = Lab::new();
        lab.apply(&policy());
        let mut log = Log::open(&lab);
        let from = |index: u32| Ipv4Addr::from(0x0b00_0000 + index * 77);
        let flood: Vec<Packet> = (0..20_000).map(|index| to_closed(from(index), Family::V4)).collect();
        let (start, before) = (Instant::now(), lab.counters());
        lab.wire_all("up0", &flood);
        eventually(|| {
            let moved = lab.counters().moved_since(&before).get("in.default").copied().unwrap_or(0);
            if moved == 20_000 { Ok(()) } else { Err(moved) }
        });
        let seconds = start.elapsed().as_secs() + 1;
        let held_back = lab.counters().get("portgrave", "in.baseline.log-held-back");
        // Until the bucket of all has a token for it.
        eventually(|| {
            lab.wire(&last());
            let now = lab.counters().get("portgrave", "in.default") - 20_000;
            let held_back = lab.counters().get("portgrave", "in.baseline.log-held-back") - held_back;
            if now > held_back { Ok(()) } else { Err(now) }
        });
        let records = log.until(LAST);
        let logged = 20_000 - held_back;
        // More than one of those behind it may have had a token.
        let of_flood = records.iter().filter(|record| record.destination_port != Some(LAST)).count();
        assert_eq!(of_flood as u64 + log.lost, logged, "{} lost", log.lost);
        assert!(logged <= 2000 + 1000 * seconds, "{logged} logged in {seconds} s");
        say(format!("20,000 addresses: {logged} logged in {seconds} s, {} of them lost", log.lost));
    });
}

#[test]
fn a_group_that_another_program_reads_is_said_to_be_taken() {
    isolated("a_group_that_another_program_reads_is_said_to_be_taken", || {
        let lab = Lab::new();
        let first = Log::open(&lab);
        let error = lab.gw.enter(|| observe::open(GROUP)).expect_err("the group is taken");
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<GroupTaken>());
        assert_eq!(inner, Some(&GroupTaken(GROUP)));
        assert!(error.to_string().contains("nflog-group"), "{error}");
        lab.gw.enter(|| observe::open(GROUP + 1)).expect("another group");
        lab.peer.enter(|| observe::open(GROUP)).expect("another namespace's");
        drop(first);
        lab.gw.enter(|| observe::open(GROUP)).expect("it is free again");
    });
}
