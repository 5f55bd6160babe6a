//! Each baseline rule has a packet that passes with it and not without it, or that is dropped with it and goes on to
//! the site's rules without it.
//!
//! Packets are made octet by octet, put on a link of the gateway's or sent through its output hook, and judged by
//! counters: one before the agent's first chain, one after its last, and the agent's own. Rules with a switch are
//! switched off for the counter-proof; the two without one are taken out of the table with nft.

mod rig;

#[path = "baseline/flows.rs"]
mod flows;
#[path = "baseline/icmp.rs"]
mod icmp;
#[path = "baseline/lab.rs"]
mod lab;
#[path = "baseline/link.rs"]
mod link;
#[path = "baseline/packet.rs"]
mod packet;
#[path = "baseline/paths.rs"]
mod paths;
#[path = "baseline/ports.rs"]
mod ports;
#[path = "baseline/proof.rs"]
mod proof;

use flows::{of_type, opened_by_gw, opened_by_peer};
use lab::{Lab, gw, peer};
use packet::{ACK, Head, Packet, tcp, udp, udp_with_wrong_checksum, v6};
use proof::{Case, drops, open, passes, policy, prove, rule};
use rig::{Family, isolated, next_source_port};
use std::net::{IpAddr, SocketAddr, UdpSocket};

fn at(address: impl Into<IpAddr>, port: u16) -> SocketAddr {
    SocketAddr::new(address.into(), port)
}

/// A packet that comes in from the peer.
fn incoming<'a>(
    what: &str,
    matches: impl Into<String>,
    verdicts: (proof::Verdict, proof::Verdict),
    packet: Packet,
) -> Case<'a> {
    Case::new(format!("in: {what}"), matches, verdicts, move |lab| lab.wire(&packet))
}

/// A packet that the gateway sends.
fn outgoing<'a>(
    what: &str,
    matches: impl Into<String>,
    verdicts: (proof::Verdict, proof::Verdict),
    packet: Packet,
) -> Case<'a> {
    Case::new(format!("out: {what}"), matches, verdicts, move |lab| lab.emit(&packet))
}

#[test]
fn loopback_carries_everything_on_lo() {
    isolated("loopback_carries_everything_on_lo", || {
        let lab = Lab::new();
        let send = |family: Family| {
            move |lab: &Lab| {
                let host = if family == Family::V4 { "127.0.0.1" } else { "::1" };
                let to = at(host.parse::<IpAddr>().expect("an address"), 7777);
                lab.gw.enter(|| {
                    let _listens = UdpSocket::bind(to).expect("a socket");
                    let client = UdpSocket::bind(at(to.ip(), 0)).expect("a socket");
                    // What is dropped on its way out gives EPERM; the counters decide.
                    let _ = client.send_to(b"probe", to);
                });
            }
        };
        let out = Family::BOTH.map(|family| {
            let verdicts = (passes("out.baseline.loopback"), drops("out.default"));
            Case::new(format!("out on lo, {family:?}"), "udp dport 7777", verdicts, send(family))
        });
        prove(&lab, "loopback", &rule("open", "in", &["any"]), &out);
        let into = Family::BOTH.map(|family| {
            let verdicts = (passes("in.baseline.loopback"), drops("in.default"));
            Case::new(format!("in on lo, {family:?}"), "udp dport 7777", verdicts, send(family))
        });
        prove(&lab, "loopback", &rule("open", "out", &["any"]), &into);
    });
}

#[test]
fn loopback_addresses_from_another_interface_are_dropped_and_counted() {
    isolated("loopback_addresses_from_another_interface_are_dropped_and_counted", || {
        let lab = Lab::new();
        for routed in ["0", "1"] {
            // With both the kernel itself would take such packets for good ones.
            lab.gw.sysctl("ipv4/conf/up0/route_localnet", routed);
            lab.gw.sysctl("ipv4/conf/up0/accept_local", routed);
            lab.apply(&open());
            for source in [[127, 0, 0, 1], [127, 255, 255, 254]] {
                let packet = udp(at(source, next_source_port()), at(gw(Family::V4), 5000));
                let dropped = drops("in.baseline.loopback.dropped");
                incoming("from 127/8", "ip saddr 127.0.0.0/8", (dropped.clone(), dropped), packet).with(&lab);
            }
        }
        lab.apply(&policy("loopback", false, &open()));
        // Where nobody listens the kernel answers, to itself.
        let _listens = lab.gw.enter(|| UdpSocket::bind((gw(Family::V4), 5000))).expect("a socket");
        let packet = udp(at([127, 0, 0, 1], next_source_port()), at(gw(Family::V4), 5000));
        let judged = passes("in.open");
        incoming("from 127/8", "ip saddr 127.0.0.0/8", (judged.clone(), judged), packet).without(&lab);
    });
}

/// The kernel drops these on reading the header, whatever the policy says: no hook of family inet sees them.
#[test]
fn the_ipv6_loopback_address_never_comes_in_from_another_interface() {
    isolated("the_ipv6_loopback_address_never_comes_in_from_another_interface", || {
        let lab = Lab::new();
        lab.apply(&policy("loopback", false, &open()));
        lab.gw.nft(
            "table inet seen { counter seen { }\n\
             chain seen { type filter hook prerouting priority -400; ip6 saddr ::1 iifname up0 counter name seen; }\n}\n",
        );
        let errors = || {
            let text = lab
                .gw
                .enter(|| std::fs::read_to_string("/proc/thread-self/net/dev_snmp6/up0"))
                .expect("the kernel's statistics");
            let line =
                text.lines().find(|line| line.starts_with("Ip6InHdrErrors")).expect("a line").to_owned();
            line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number")
        };
        let before = errors();
        lab.wire(&udp(at(v6("::1"), next_source_port()), at(gw(Family::V6), 5000)));
        rig::eventually(|| if errors() == before + 1 { Ok(()) } else { Err(errors()) });
        assert_eq!(lab.counters().get("seen", "seen"), 0);
    });
}

#[test]
fn established_carries_answers() {
    isolated("established_carries_answers", || {
        let lab = Lab::new();
        lab.apply(&flows::site());
        for family in Family::BOTH {
            let answers = |packet: &Packet| {
                let port = |offset: usize| {
                    let start = packet.bytes.len() - 13 + offset;
                    u16::from_be_bytes([packet.bytes[start], packet.bytes[start + 1]])
                };
                udp(at(packet.to, port(2)), at(packet.from, port(0)))
            };
            let into = Case::new(
                format!("in: an answer, {family:?}"),
                format!("udp sport {}", flows::TO_PEER),
                (passes("in.baseline.established"), drops("in.default")),
                |lab: &Lab| lab.wire(&answers(&opened_by_gw(lab, family))),
            );
            let out = Case::new(
                format!("out: an answer, {family:?}"),
                format!("udp sport {}", flows::TO_GW),
                (passes("out.baseline.established"), drops("out.default")),
                |lab: &Lab| lab.emit(&answers(&opened_by_peer(lab, family))),
            );
            for (case, chain, map) in [(into, "input", "@in.state"), (out, "output", "@out.state")] {
                lab.apply(&flows::site());
                case.with(&lab);
                lab.replace(chain, map, &format!("ct state != established ct state vmap {map}"));
                case.without(&lab);
            }
        }
    });
}

#[test]
fn invalid_packets_do_not_reach_the_rules_of_the_site() {
    isolated("invalid_packets_do_not_reach_the_rules_of_the_site", || {
        let lab = Lab::new();
        let mut cases = Vec::new();
        for family in Family::BOTH {
            // Nobody has asked for this echo reply.
            let (kind, rest) = if family == Family::V4 { (0, [0, 7, 0, 1]) } else { (129, [0, 7, 0, 1]) };
            let matches = of_type(family, kind);
            cases.push(incoming(
                "an echo reply out of the blue",
                &matches,
                (drops("in.baseline.invalid"), passes("in.open")),
                Head::new(peer(family), gw(family)).icmp(kind, 0, rest, b"reply"),
            ));
            cases.push(outgoing(
                "an echo reply out of the blue",
                &matches,
                (drops("out.baseline.invalid"), passes("out.open")),
                Head::new(gw(family), peer(family)).icmp(kind, 0, rest, b"reply"),
            ));
            cases.push(incoming(
                "a wrong checksum",
                format!("udp sport 4000 meta nfproto {}", if family == Family::V4 { "ipv4" } else { "ipv6" }),
                (drops("in.baseline.invalid"), passes("in.open")),
                udp_with_wrong_checksum(at(peer(family), 4000), at(gw(family), 4001)),
            ));
        }
        prove(&lab, "invalid", &open(), &cases);
    });
}

#[test]
fn a_new_tcp_segment_must_be_a_bare_syn() {
    isolated("a_new_tcp_segment_must_be_a_bare_syn", || {
        let lab = Lab::new();
        let mut cases = Vec::new();
        for family in Family::BOTH {
            for (what, flags) in [("ACK", ACK), ("PSH and ACK", ACK | 0x08)] {
                let port = next_source_port();
                cases.push(incoming(
                    &format!("{family:?} {what} of no connection"),
                    format!("tcp sport {port}"),
                    (drops("in.baseline.tcp-new-is-syn"), passes("in.open")),
                    tcp(at(peer(family), port), at(gw(family), 5000), flags),
                ));
                let port = next_source_port();
                cases.push(outgoing(
                    &format!("{family:?} {what} of no connection"),
                    format!("tcp sport {port}"),
                    (drops("out.baseline.tcp-new-is-syn"), passes("out.open")),
                    tcp(at(gw(family), port), at(peer(family), 5000), flags),
                ));
            }
        }
        prove(&lab, "tcp-new-is-syn", &open(), &cases);
    });
}

/// What these tests say about the packets that they send.
const SOURCES: [&str; 4] = [
    include_str!("baseline.rs"),
    include_str!("baseline/icmp.rs"),
    include_str!("baseline/link.rs"),
    include_str!("baseline/ports.rs"),
];

#[test]
fn every_counter_of_the_baseline_is_one_that_some_packet_here_moves() {
    isolated("every_counter_of_the_baseline_is_one_that_some_packet_here_moves", || {
        let lab = Lab::new();
        lab.apply(&policy("containers", true, &open()));
        let all = lab.counters().0.into_keys().map(|(_, name)| name);
        // Adoption is shown where connections are open before the first apply, and what is held back from the log by floods.
        let elsewhere = |name: &String| name.ends_with(".adopted") || name.ends_with(".log-held-back");
        let of_baseline = all.filter(|name| name.contains(".baseline.") && !elsewhere(name));
        let moved = |name: &String| SOURCES.iter().any(|text| text.contains(&format!("(\"{name}\")")));
        let (moved, unmoved): (Vec<String>, Vec<String>) = of_baseline.partition(moved);
        assert!(moved.len() > 20, "{moved:?}");
        assert_eq!(unmoved, [""; 0], "of {moved:?}");
    });
}
