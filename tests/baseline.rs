//! Each baseline rule has a packet that passes with it and not without it, or that is dropped with it and goes on to
//! the site's rules without it.
//!
//! Packets are made octet by octet, put on a link of the gateway's or sent through its output hook, and judged by
//! counters: one before the agent's first chain, one after its last, and the agent's own. Rules with a switch are
//! switched off for the counter-proof; the two without one are taken out of the table with nft.

mod rig;

#[path = "baseline/flows.rs"]
mod flows;
#[path = "baseline/lab.rs"]
mod lab;
#[path = "baseline/packet.rs"]
mod packet;
#[path = "baseline/paths.rs"]
mod paths;
#[path = "baseline/ports.rs"]
mod ports;
#[path = "baseline/proof.rs"]
mod proof;

use flows::{error, errors, of_type, opened_by_gw, opened_by_peer, redirect};
use lab::{GW_LINK_LOCAL, Lab, PEER_LINK_LOCAL, gw, peer};
use packet::{ACK, Head, Packet, nd_option, tcp, udp, udp_with_wrong_checksum, v6};
use proof::{Case, closed, drops, drops_as_one_of, open, passes, policy, prove, rule};
use rig::{Family, isolated, next_source_port};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 7, 7, 7);

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
        lab.apply(&policy("loopback", false, &closed()));
        let packet = udp(at([127, 0, 0, 1], next_source_port()), at(gw(Family::V4), 5000));
        let judged = drops("in.default");
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
fn related_carries_errors_about_live_flows() {
    isolated("related_carries_errors_about_live_flows", || {
        let lab = Lab::new();
        let mut cases = Vec::new();
        for family in Family::BOTH {
            for kind in errors(family) {
                cases.push(Case::new(
                    format!("in: {family:?} error {kind} about a flow of the gateway's"),
                    of_type(family, *kind),
                    (passes("in.baseline.related"), drops("in.baseline.related.dropped")),
                    move |lab| lab.wire(&error(*kind, &opened_by_gw(lab, family))),
                ));
                cases.push(Case::new(
                    format!("out: {family:?} error {kind} about a flow of the peer's"),
                    of_type(family, *kind),
                    (passes("out.baseline.related"), drops("out.baseline.related.dropped")),
                    move |lab| lab.emit(&error(*kind, &opened_by_peer(lab, family))),
                ));
            }
        }
        prove(&lab, "related", &flows::site(), &cases);
    });
}

#[test]
fn a_redirect_that_cites_a_live_flow_is_dropped_and_counted() {
    isolated("a_redirect_that_cites_a_live_flow_is_dropped_and_counted", || {
        let lab = Lab::new();
        lab.apply(&(flows::site() + &open()));
        // Before Linux 6.2 connection tracking does not look into redirects of IPv6, and finds them invalid.
        for (family, kind, drops) in [
            (Family::V4, 5, drops("in.baseline.related.dropped")),
            (Family::V6, 137, drops_as_one_of(&["in.baseline.related.dropped", "in.baseline.invalid"])),
        ] {
            let send = |lab: &Lab| lab.wire(&redirect(&opened_by_gw(lab, family), family));
            Case::new(format!("{family:?} redirect"), of_type(family, kind), (drops.clone(), drops), send)
                .with(&lab);
        }
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

fn solicitation(from: IpAddr, limit: u8) -> Packet {
    let target = gw(Family::V6);
    let mut body = octets(if from == IpAddr::from(v6(PEER_LINK_LOCAL)) { target } else { peer(Family::V6) });
    body.extend(nd_option(1, &[2, 0, 0, 0, 0, 9]));
    Head::new(from, v6("ff02::1:ff00:1")).limit(limit).icmp(135, 0, [0; 4], &body)
}

fn advertisement(from: &str, to: &str, limit: u8) -> Packet {
    Head::new(v6(from), v6(to)).limit(limit).icmp(136, 0, [0x60, 0, 0, 0], &octets(v6(from).into()))
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

#[test]
fn neighbour_discovery_carries_what_has_hop_limit_255() {
    isolated("neighbour_discovery_carries_what_has_hop_limit_255", || {
        let lab = Lab::new();
        let from = |link_local: &str| IpAddr::from(v6(link_local));
        let verdicts = |way: &str, good: bool| match (way, good) {
            ("in", true) => (passes("in.baseline.neighbour-discovery"), drops("in.default")),
            ("in", false) => (drops("in.baseline.neighbour-discovery.dropped"), drops("in.default")),
            (_, true) => (passes("out.baseline.neighbour-discovery"), drops("out.default")),
            (_, false) => (drops("out.baseline.neighbour-discovery.dropped"), drops("out.default")),
        };
        let mut cases = Vec::new();
        for limit in [255, 254, 1] {
            let (good, what) = (limit == 255, format!("with hop limit {limit}"));
            cases.extend([
                incoming(
                    &format!("a solicitation {what}"),
                    "icmpv6 type 135",
                    verdicts("in", good),
                    solicitation(from(PEER_LINK_LOCAL), limit),
                ),
                incoming(
                    &format!("an advertisement {what}"),
                    "icmpv6 type 136",
                    verdicts("in", good),
                    advertisement(PEER_LINK_LOCAL, GW_LINK_LOCAL, limit),
                ),
                outgoing(
                    &format!("a solicitation {what}"),
                    "icmpv6 type 135",
                    verdicts("out", good),
                    solicitation(from(GW_LINK_LOCAL), limit),
                ),
                outgoing(
                    &format!("an advertisement {what}"),
                    "icmpv6 type 136",
                    verdicts("out", good),
                    advertisement(GW_LINK_LOCAL, PEER_LINK_LOCAL, limit),
                ),
            ]);
        }
        lab.apply(&closed());
        cases.iter().for_each(|case| case.with(&lab));
        for chain in ["in.untracked", "out.untracked"] {
            lab.take_out(chain, "neighbour-discovery");
        }
        cases.iter().for_each(|case| case.without(&lab));
    });
}

fn router_advertisement(from: &str, limit: u8) -> Packet {
    Head::new(v6(from), v6("ff02::1")).limit(limit).icmp(134, 0, [64, 0, 0, 0], &[0; 8])
}

#[test]
fn router_advertisements_come_from_link_local_addresses_with_hop_limit_255() {
    isolated("router_advertisements_come_from_link_local_addresses_with_hop_limit_255", || {
        let lab = Lab::new();
        let good = || (passes("in.baseline.router-advertisement"), drops("in.default"));
        let bad = || (drops("in.baseline.router-advertisement.dropped"), drops("in.default"));
        let solicit = |limit| {
            let head = Head::new(v6(GW_LINK_LOCAL), v6("ff02::2")).limit(limit);
            head.icmp(133, 0, [0; 4], &nd_option(1, &[2, 0, 0, 0, 0, 1]))
        };
        let advertised = "icmpv6 type 134";
        let cases = [
            incoming("an advertisement", advertised, good(), router_advertisement(PEER_LINK_LOCAL, 255)),
            incoming("hop limit 254", advertised, bad(), router_advertisement(PEER_LINK_LOCAL, 254)),
            incoming("a global address", advertised, bad(), router_advertisement("2001:db8:77::2", 255)),
            incoming("a unique local address", advertised, bad(), router_advertisement("fd00::2", 255)),
            outgoing(
                "a solicitation",
                "icmpv6 type 133",
                (passes("out.baseline.router-advertisement"), drops("out.default")),
                solicit(255),
            ),
            outgoing(
                "a solicitation with hop limit 254",
                "icmpv6 type 133",
                (drops("out.baseline.router-advertisement.dropped"), drops("out.default")),
                solicit(254),
            ),
        ];
        prove(&lab, "router-advertisement", &closed(), &cases);
    });
}

#[test]
fn multicast_membership_carries_mld_and_igmp() {
    isolated("multicast_membership_carries_mld_and_igmp", || {
        let lab = Lab::new();
        let group = v6("ff02::7777").octets();
        let into = || (passes("in.baseline.multicast-membership"), drops("in.default"));
        let out = || (passes("out.baseline.multicast-membership"), drops("out.default"));
        let mut record = vec![4, 0, 0, 0];
        record.extend(group);
        let mld = |from: &str, to: &str, kind: u8, limit: u8| {
            let head = Head::new(v6(from), v6(to)).limit(limit);
            match kind {
                143 => head.mld(kind, [0, 0, 0, 1], &record),
                _ => head.mld(kind, [0; 4], &group),
            }
        };
        let mut cases = Vec::new();
        for kind in [130, 131, 132, 143] {
            let matches = of_type(Family::V6, kind);
            let to = "ff02::1"; // where a host hears them that is not a router
            let what = format!("MLD {kind}");
            cases.push(incoming(&what, &matches, into(), mld(PEER_LINK_LOCAL, to, kind, 1)));
            cases.push(outgoing(&what, &matches, out(), mld(GW_LINK_LOCAL, to, kind, 1)));
            let what = format!("MLD {kind} with hop limit 2");
            let matches = format!("{matches} ip6 hoplimit 2");
            let dropped = |counter| (drops(counter), drops(counter));
            let packet = |from| mld(from, to, kind, 2);
            cases.push(incoming(&what, &matches, dropped("in.default"), packet(PEER_LINK_LOCAL)));
            cases.push(outgoing(&what, &matches, dropped("out.default"), packet(GW_LINK_LOCAL)));
        }
        for (what, kind, to) in [("IGMP query", 0x11, ALL_HOSTS), ("IGMP report", 0x16, ALL_HOSTS)] {
            let packet = |from: IpAddr| Head::new(from, to).limit(1).igmp(kind, GROUP);
            cases.push(incoming(what, "ip protocol igmp", into(), packet(peer(Family::V4))));
            cases.push(outgoing(what, "ip protocol igmp", out(), packet(gw(Family::V4))));
        }
        prove(&lab, "multicast-membership", &closed(), &cases);
    });
}

#[test]
fn icmp_errors_pass_about_packets_that_are_not_tracked() {
    isolated("icmp_errors_pass_about_packets_that_are_not_tracked", || {
        let lab = Lab::new();
        let mut cases = Vec::new();
        for family in Family::BOTH {
            for kind in errors(family) {
                let cited = |from, to| udp(at(from, next_source_port()), at(to, 9));
                let what = format!("{family:?} error {kind}");
                cases.push(incoming(
                    &what,
                    of_type(family, *kind),
                    (passes("in.baseline.icmp-errors"), drops("in.baseline.invalid")),
                    error(*kind, &cited(gw(family), peer(family))),
                ));
                cases.push(outgoing(
                    &what,
                    of_type(family, *kind),
                    (passes("out.baseline.icmp-errors"), drops("out.baseline.invalid")),
                    error(*kind, &cited(peer(family), gw(family))),
                ));
            }
        }
        prove(&lab, "icmp-errors", &closed(), &cases);
    });
}

fn echo(family: Family, from: IpAddr, to: IpAddr, id: u16) -> Packet {
    let [high, low] = id.to_be_bytes();
    let kind = if family == Family::V4 { 8 } else { 128 };
    Head::new(from, to).icmp(kind, 0, [high, low, 0, 1], b"probe")
}

#[test]
fn echo_carries_requests() {
    isolated("echo_carries_requests", || {
        let lab = Lab::new();
        let mut cases = Vec::new();
        for family in Family::BOTH {
            let matches = of_type(family, if family == Family::V4 { 8 } else { 128 });
            let request = move |from, to| echo(family, from, to, next_source_port());
            cases.push(Case::new(
                format!("in: {family:?} echo request"),
                &matches,
                (passes("in.baseline.echo"), drops("in.default")),
                move |lab| lab.wire(&request(peer(family), gw(family))),
            ));
            cases.push(Case::new(
                format!("out: {family:?} echo request"),
                &matches,
                (passes("out.baseline.echo"), drops("out.default")),
                move |lab| lab.emit(&request(gw(family), peer(family))),
            ));
        }
        prove(&lab, "echo", &closed(), &cases);
    });
}

#[test]
fn echo_requests_over_their_rate_are_dropped() {
    isolated("echo_requests_over_their_rate_are_dropped", || {
        let lab = Lab::new();
        lab.apply(&closed());
        for family in Family::BOTH {
            for way in ["in", "out"] {
                let before = lab.counters();
                let moved = |name: &str| {
                    lab.counters().moved_since(&before).get(&format!("{way}.{name}")).copied().unwrap_or(0)
                };
                let mut sent = 0;
                while moved("default") == 0 {
                    let (from, to) =
                        if way == "in" { (peer(family), gw(family)) } else { (gw(family), peer(family)) };
                    let some: Vec<Packet> =
                        (0..200).map(|_| echo(family, from, to, next_source_port())).collect();
                    sent += 200;
                    if way == "in" { lab.wire_all("up0", &some) } else { lab.emit_all("up0", &some) }
                }
                rig::eventually(|| {
                    let (passed, dropped) = (moved("baseline.echo"), moved("default"));
                    let whole = passed + dropped == sent && passed >= 100;
                    if whole {
                        Ok(())
                    } else {
                        Err(format!("{way} {family:?}: {passed} + {dropped} of {sent}"))
                    }
                });
            }
        }
    });
}

/// What these tests say about the packets that they send.
const SOURCES: [&str; 3] =
    [include_str!("baseline.rs"), include_str!("baseline/ports.rs"), include_str!("baseline/paths.rs")];

#[test]
fn every_counter_of_the_baseline_is_one_that_some_packet_here_moves() {
    isolated("every_counter_of_the_baseline_is_one_that_some_packet_here_moves", || {
        let lab = Lab::new();
        lab.apply(&policy("containers", true, &open()));
        let all = lab.counters().0.into_keys().map(|(_, name)| name);
        // Adoption is shown where connections are open before the first apply.
        let of_baseline = all.filter(|name| name.contains(".baseline.") && !name.ends_with(".adopted"));
        let moved = |name: &String| SOURCES.iter().any(|text| text.contains(&format!("(\"{name}\")")));
        let (moved, unmoved): (Vec<String>, Vec<String>) = of_baseline.partition(moved);
        assert!(moved.len() > 20, "{moved:?}");
        assert_eq!(unmoved, [""; 0], "of {moved:?}");
    });
}
