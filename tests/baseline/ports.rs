//! The baseline rules about ports: DHCP, DNS, containers, and the data connections of FTP.

use super::lab::{GW_LINK_LOCAL, Lab, PEER_LINK_LOCAL, gw, nobody, peer};
use super::packet::{Packet, SYN, tcp, udp, v6};
use super::proof::{Case, Verdict, closed, drops, passes, policy, prove};
use super::rig::{
    Agent, Family, FtpCase, FtpMode, FtpRole, Host, Outcome, World, address, ftp_address, has_all_users,
    isolated, next_source_port, say,
};
use super::{at, incoming, outgoing};
use nix::net::if_::if_nametoindex;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::Command;

#[test]
fn dhcp_carries_the_client() {
    isolated("ports::dhcp_carries_the_client", || {
        let lab = Lab::new();
        let into = || (passes("in.baseline.dhcp"), drops("in.default"));
        let out = || (passes("out.baseline.dhcp"), drops("out.default"));
        let nowhere = |counter| (drops(counter), drops(counter));
        let (anybody, everybody) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
        let (ours, theirs) = (v6(GW_LINK_LOCAL), v6(PEER_LINK_LOCAL));
        let servers = v6("ff02::1:2");
        let cases = [
            outgoing("v4 discover", "udp dport 67", out(), udp(at(anybody, 68), at(everybody, 67))),
            outgoing(
                "v4 request",
                "udp dport 67",
                out(),
                udp(at(gw(Family::V4), 68), at(peer(Family::V4), 67)),
            ),
            incoming("v4 offer", "udp dport 68", into(), udp(at(peer(Family::V4), 67), at(everybody, 68))),
            incoming(
                "v4 ack",
                "udp dport 68",
                into(),
                udp(at(nobody(Family::V4), 67), at(gw(Family::V4), 68)),
            ),
            incoming(
                "v4 from another port than the server's",
                "udp dport 68",
                nowhere("in.default"),
                udp(at(peer(Family::V4), 4000), at(gw(Family::V4), 68)),
            ),
            incoming(
                "v4 to a server here",
                "udp dport 67",
                nowhere("in.default"),
                udp(at(peer(Family::V4), 68), at(gw(Family::V4), 67)),
            ),
            outgoing("v6 solicit", "udp dport 547", out(), udp(at(ours, 546), at(servers, 547))),
            incoming("v6 advertise", "udp dport 546", into(), udp(at(theirs, 547), at(ours, 546))),
            incoming(
                "v6 from a global address",
                "udp dport 546",
                nowhere("in.default"),
                udp(at(peer(Family::V6), 547), at(gw(Family::V6), 546)),
            ),
        ];
        prove(&lab, "dhcp", &closed(), &cases);
    });
}

#[test]
fn dns_carries_the_agents_own_questions_to_its_own_servers() {
    isolated("ports::dns_carries_the_agents_own_questions_to_its_own_servers", || {
        let lab = Lab::new();
        let mut cases = Vec::new();
        let out = || (passes("out.baseline.dns"), drops("out.default"));
        let never = || (drops("out.default"), drops("out.default"));
        for family in Family::BOTH {
            let from = || at(gw(family), next_source_port());
            let server = peer(family);
            let (udp_53, tcp_53) = ("udp dport 53", "tcp dport 53");
            cases.extend([
                outgoing("a question by UDP", udp_53, out(), udp(from(), at(server, 53))),
                outgoing("a question by TCP", tcp_53, out(), tcp(from(), at(server, 53), SYN)),
                outgoing("another server", udp_53, never(), udp(from(), at(nobody(family), 53))),
                outgoing("another server by TCP", tcp_53, never(), tcp(from(), at(nobody(family), 53), SYN)),
                outgoing("another port", "udp dport 54", never(), udp(from(), at(server, 54))),
            ]);
        }
        prove(&lab, "dns", &closed(), &cases);
    });
}

/// A user that is not the agent's.
const NOBODY: u32 = 65534;

#[test]
fn dns_does_not_carry_the_questions_of_other_users() {
    isolated("ports::dns_does_not_carry_the_questions_of_other_users", || {
        let lab = Lab::new();
        lab.apply(&closed());
        if !has_all_users() {
            // An ordinary user has no second one to ask with here.
            let chain = lab.gw.nft_list(&["list", "chain", "inet", "portgrave", "out4.udp.special"]);
            assert!(chain.contains("meta skuid 0 ") && chain.contains("out.baseline.dns"), "{chain}");
            say("only one user here: that the rule asks for its own was read, not tried");
            return;
        }
        let ask = |uid: u32| {
            move |lab: &Lab| {
                let mut command = Command::new("bash");
                command.arg("-c").arg(format!("echo probe > /dev/udp/{}/53", peer(Family::V4))).uid(uid);
                // What is dropped on its way out gives EPERM; the counters decide.
                lab.gw.output(&mut command);
            }
        };
        let case = |uid, verdict: Verdict| {
            Case::new(format!("user {uid}"), "udp dport 53", (verdict.clone(), verdict), ask(uid))
        };
        case(0, passes("out.baseline.dns")).with(&lab);
        case(NOBODY, drops("out.default")).with(&lab);
    });
}

const BRIDGES: [&str; 4] = ["podman0", "docker0", "br-9f2c", "virbr0"];
const OTHERS: [&str; 3] = ["podma0", "br0", "xpodman0"];

#[test]
fn containers_have_dns_and_dhcp_of_this_host() {
    isolated("ports::containers_have_dns_and_dhcp_of_this_host", || {
        let lab = Lab::new();
        let mut cases = Vec::new();
        for link in BRIDGES.into_iter().chain(OTHERS) {
            lab.link(link);
            lab.gw.ip(&format!("addr add {GW_LINK_LOCAL}/64 dev {link} nodad\n"));
            lab.knows(container(Family::V4), link);
            lab.knows(container(Family::V6), link);
            cases.extend(container_cases(link));
        }
        // By the way of the default route.
        lab.knows(container(Family::V4), "up0");
        // Servers of DHCPv6 listen to this group.
        let _server = lab.gw.enter(|| {
            let server = UdpSocket::bind("[::]:0").expect("a socket");
            for link in BRIDGES.into_iter().chain(OTHERS) {
                let index = if_nametoindex(link).expect("a link");
                server.join_multicast_v6(&v6("ff02::1:2"), index).expect("a group");
            }
            server
        });
        prove(&lab, "containers", &closed(), &cases);
        let unsaid = lab.apply(&closed());
        assert!(unsaid.contains("nothing changes"), "where nothing is said it is off: {unsaid}");
    });
}

fn container(family: Family) -> IpAddr {
    if family == Family::V4 { IpAddr::from([10, 89, 0, 5]) } else { v6("fe80::5").into() }
}

fn container_cases(link: &'static str) -> Vec<Case<'static>> {
    let known = BRIDGES.contains(&link);
    let verdicts = |carried: Verdict, otherwise: Verdict| {
        let with = if known { carried } else { otherwise.clone() };
        (with, otherwise)
    };
    let into = |matches: &str, packet: Packet| {
        let verdicts = verdicts(passes("in.baseline.containers"), drops("in.default"));
        let send = move |lab: &Lab| lab.wire_all(link, std::slice::from_ref(&packet));
        Case::new(format!("in from {link}: {matches}"), format!("iifname {link} {matches}"), verdicts, send)
    };
    let out = |matches: &str, packet: Packet| {
        let verdicts = verdicts(passes("out.baseline.containers"), drops("out.default"));
        let send = move |lab: &Lab| lab.emit_all(link, std::slice::from_ref(&packet));
        Case::new(format!("out to {link}: {matches}"), format!("oifname {link} {matches}"), verdicts, send)
    };
    let mut cases = Vec::new();
    for family in Family::BOTH {
        let from = || at(container(family), next_source_port());
        let server = if family == Family::V4 { gw(family) } else { v6(GW_LINK_LOCAL).into() };
        let word = if family == Family::V4 { "ipv4" } else { "ipv6" };
        let matches = |rest: &str| format!("meta nfproto {word} {rest}");
        cases.push(into(&matches("udp dport 53"), udp(from(), at(server, 53))));
        cases.push(into(&matches("tcp dport 53"), tcp(from(), at(server, 53), SYN)));
        let nothing = (drops("in.default"), drops("in.default"));
        let packet = udp(from(), at(server, 69));
        cases.push(Case::new(
            format!("in from {link}: another port"),
            format!("iifname {link} udp dport 69"),
            nothing,
            move |lab: &Lab| lab.wire_all(link, std::slice::from_ref(&packet)),
        ));
    }
    let (anybody, everybody) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
    let [container4, container6] = Family::BOTH.map(container);
    cases.push(into("udp dport 67", udp(at(anybody, 68), at(everybody, 67))));
    cases.push(out("udp dport 68", udp(at([10, 89, 0, 1], 67), at(container4, 68))));
    cases.push(into("udp dport 547", udp(at(container6, 546), at(v6("ff02::1:2"), 547))));
    cases.push(out("udp dport 546", udp(at(v6(GW_LINK_LOCAL), 547), at(container6, 546))));
    cases
}

const FTP: &str = r#"
[[rule]]
name = "ftp"
direction = "both"
service = "ftp"
peers = "any"
purpose = "Control connections"
"#;

#[test]
fn related_carries_the_data_of_ftp() {
    isolated("ports::related_carries_the_data_of_ftp", || {
        let world = World::new();
        let agent = Agent::new(&world);
        for on in [true, false] {
            let path = agent.policy("policy", &format!("language = 1\n\n{}", policy("related", on, FTP)));
            agent.apply(&world.gw, &[&path]);
            for family in Family::BOTH {
                for gateway_is_client in [true, false] {
                    let active = FtpMode::Active { from: Some(20), to: next_source_port() };
                    for mode in [active, FtpMode::Passive { to: next_source_port() }] {
                        data_connection(&world, family, gateway_is_client, mode, on);
                    }
                }
            }
        }
    });
}

fn data_connection(world: &World, family: Family, gateway_is_client: bool, mode: FtpMode, on: bool) {
    let gateway = (Host::Gw, address(Host::Gw, family));
    let role = if gateway_is_client { FtpRole::Server } else { FtpRole::Client };
    let other = (Host::Peer, ftp_address(role, family));
    let (client, server) = if gateway_is_client { (gateway, other) } else { (other, gateway) };
    let case = FtpCase { client, server, mode, announced: true };
    let seen = case.send(world);
    // Active data go against the control connection.
    let comes_in = matches!(mode, FtpMode::Active { .. }) == gateway_is_client;
    let direction = if comes_in { "in" } else { "out" };
    let (outcome, counter) = if on {
        (Outcome::Passed, format!("{direction}.baseline.related"))
    } else {
        (Outcome::Dropped, format!("{direction}.baseline.related.dropped"))
    };
    assert_eq!(seen.outcome, outcome, "{}", case.written());
    assert!(seen.moved.contains(&counter), "{}: {:?}, not {counter}", case.written(), seen.moved);
}
