//! The baseline rules about the link: neighbours, routers, and who listens to which group.

use super::flows::of_type;
use super::lab::{GW_LINK_LOCAL, Lab, PEER_LINK_LOCAL, gw, peer};
use super::packet::{Head, Packet, nd_option, v6};
use super::proof::{closed, drops, passes, prove};
use super::rig::{Family, isolated};
use super::{incoming, outgoing};
use std::net::{IpAddr, Ipv4Addr};

const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 7, 7, 7);

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
    isolated("link::neighbour_discovery_carries_what_has_hop_limit_255", || {
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
    isolated("link::router_advertisements_come_from_link_local_addresses_with_hop_limit_255", || {
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
    isolated("link::multicast_membership_carries_mld_and_igmp", || {
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
