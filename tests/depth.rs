//! What a new packet costs: the number of rules that it is held against does not grow with the policy.

mod rig;

use rig::trace::{Depth, Tracer};
use rig::{
    Agent, Family, Flow, Host, Outcome, Proto, World, address, group_address, isolated, name_address, say,
};
use std::net::IpAddr;

/// No new packet that is accepted may be held against more rules.
const BOUND: usize = 8;
const FEW: usize = 40;
const MANY: usize = 10_000;

/// The rules that probes are accepted by; the rest is filled up.
const PROBED: &str = r#"
language = 1

[[rule]]
name = "exact"
direction = "both"
ports = ["tcp/2001", "udp/2001"]
peers = ["EXACT4", "EXACT6"]
purpose = "A written address"

[[rule]]
name = "prefix"
direction = "both"
ports = ["tcp/2002", "udp/2002"]
peers = ["93.184.13.0/24", "2606:2800:13::/64"]
purpose = "A prefix"

[[rule]]
name = "name"
direction = "out"
ports = ["tcp/2003", "udp/2003"]
peers = ["repo.clearswift.net"]
purpose = "A name"

[[rule]]
name = "any"
direction = "both"
ports = ["tcp/2004", "udp/2004"]
peers = "any"
purpose = "Anybody"
"#;

/// A policy of `count` rules of an address and a port each, the probed ones among them.
fn policy(count: usize) -> String {
    let exact = Family::BOTH.map(|family| group_address("ldap-servers", family).to_string());
    let mut text = PROBED.replace("EXACT4", &exact[0]).replace("EXACT6", &exact[1]);
    for index in 0..count - 4 {
        let direction = ["in", "out"][index % 2];
        let peer = if index % 4 < 2 {
            format!("10.{}.{}.{}", index / 65_536 + 1, index / 256 % 256, index % 256)
        } else {
            format!("2001:db8:1::{index:x}")
        };
        text.push_str(&format!(
            "\n[[rule]]\nname = \"filler-{index}\"\ndirection = \"{direction}\"\nports = [\"tcp/{}\"]\n\
             peers = [\"{peer}\"]\npurpose = \"Filler\"\n",
            3000 + index % 20_000
        ));
    }
    text
}

/// The same as a list: the control, which must not hold the bound. An ordinary user's nft cannot send it at once.
fn load_linear(world: &World, count: usize) {
    world
        .gw
        .nft("table inet linear {\n  chain input { type filter hook input priority 5; policy accept; }\n}\n");
    let rule = |index: usize| {
        let (third, fourth, port) = (index / 256 % 256, index % 256, 3000 + index % 20_000);
        format!("add rule inet linear input ip saddr 10.1.{third}.{fourth} tcp dport {port} accept\n")
    };
    for first in (0..count).step_by(400) {
        let part: String = (first..count.min(first + 400)).map(rule).collect();
        world.gw.nft(&part);
    }
    world.gw.nft("add rule inet linear input tcp dport 2004 accept\n");
}

/// Every kind of accept: what it is and the packet.
fn probes() -> Vec<(String, Flow)> {
    let mut all = Vec::new();
    for family in Family::BOTH {
        let peers: [(&str, u16, IpAddr); 4] = [
            ("exact", 2001, group_address("ldap-servers", family)),
            ("prefix", 2002, group_address("key-servers", family)),
            ("name", 2003, name_address("repo.clearswift.net", family)),
            ("any", 2004, address(Host::Peer, family)),
        ];
        for proto in [Proto::Tcp, Proto::Udp] {
            for (kind, port, peer) in peers {
                let (gw, peer) = ((Host::Gw, address(Host::Gw, family)), (Host::Peer, peer));
                for (from, to) in [(peer, gw), (gw, peer)] {
                    let flow = Flow { from, to, proto, port, broadcast: false };
                    if kind != "name" || !flow.is_in() {
                        let way = if flow.is_in() { "in" } else { "out" };
                        all.push((format!("{way} {} {family:?} {kind}", proto.as_str()), flow));
                    }
                }
            }
        }
    }
    all
}

fn measure(world: &World, table: &str, probes: &[(String, Flow)]) -> Vec<Depth> {
    let tracer = Tracer::start(&world.gw);
    tracer.ready(|| assert_eq!(probes[0].1.send(world).outcome, Outcome::Passed));
    let depths = probes.iter().map(|(what, flow)| {
        let port = rig::next_source_port();
        assert_eq!(flow.send_from(world, port).outcome, Outcome::Passed, "{what}");
        tracer.depth(table, port)
    });
    let depths = depths.collect();
    drop(tracer);
    world.gw.nft("delete table inet tracer\n");
    depths
}

#[test]
fn a_new_packet_meets_as_many_rules_with_ten_thousand_as_with_forty() {
    isolated("a_new_packet_meets_as_many_rules_with_ten_thousand_as_with_forty", || {
        let mut world = World::new();
        world.serve_names();
        let agent = Agent::new(&world);
        let probes = probes();
        let [few, many] = [FEW, MANY].map(|count| {
            let path = agent.policy("policy", &policy(count));
            agent.apply(&world.gw, &[&path]);
            measure(&world, "portgrave", &probes)
        });
        for (((what, _), few), many) in probes.iter().zip(&few).zip(&many) {
            say(format!("{what:<20} {FEW} rules: {}", few.written()));
            assert_eq!(few, many, "{what}: with {FEW} rules and with {MANY}");
            assert!(few.rules <= BOUND && few.verdict == "accept", "{what}: {}", few.written());
        }
        say(format!("the same with {MANY} rules; at most {BOUND} allowed"));
    });
}

#[test]
fn every_row_of_the_shipped_policy_is_within_the_bound() {
    isolated("every_row_of_the_shipped_policy_is_within_the_bound", || {
        let mut world = World::new();
        world.serve_names();
        let agent = Agent::new(&world);
        let ids: Vec<&str> = rig::ROWS.iter().map(|row| row.id).collect();
        let shipped = agent.policy("shipped", &rig::with_rows(&ids).0);
        let site = agent.policy("site", &rig::all_on());
        agent.apply(&world.gw, &[&shipped, &site]);
        let probes = row_probes();
        let depths = measure(&world, "portgrave", &probes);
        let over: Vec<String> = probes
            .iter()
            .zip(&depths)
            .filter(|(_, depth)| depth.rules > BOUND || depth.verdict != "accept")
            .map(|((what, _), depth)| format!("{what}: {}", depth.written()))
            .collect();
        let deepest = probes.iter().zip(&depths).max_by_key(|(_, depth)| depth.rules);
        let ((what, _), depth) = deepest.expect("rows have packets");
        say(format!(
            "{} kinds of packets, every switch on; deepest: {what}: {}",
            probes.len(),
            depth.written()
        ));
        assert!(over.is_empty(), "over {BOUND} rules:\n{}", over.join("\n"));
    });
}

/// One allowed packet for each row, direction, family and port.
fn row_probes() -> Vec<(String, Flow)> {
    let mut seen = std::collections::BTreeSet::new();
    let mut all = Vec::new();
    for row in rig::ROWS {
        let allowed = rig::checks(row).0.into_iter().filter(|check| check.passes);
        for probe in allowed.map(|check| check.probe) {
            let rig::Probe::Flow(flow) = probe else { continue };
            let key = (row.id, flow.is_in(), Family::of(flow.to.1), flow.proto, flow.port, flow.broadcast);
            // nft traces every copy of a broadcast: its own, too.
            if !flow.broadcast && seen.insert(key) {
                all.push((format!("{} {}", row.id, flow.written()), flow));
            }
        }
    }
    all
}

#[test]
fn a_linear_ruleset_does_not_hold_the_bound() {
    isolated("a_linear_ruleset_does_not_hold_the_bound", || {
        let world = World::new();
        let probes: Vec<_> = probes().into_iter().filter(|(what, _)| what == "in tcp V4 any").collect();
        let depths = [FEW, MANY].map(|count| {
            load_linear(&world, count);
            let depth = measure(&world, "linear", &probes).remove(0);
            world.gw.nft("delete table inet linear\n");
            say(format!("linear, {count} rules: {}", depth.written()));
            depth.rules
        });
        assert_eq!(depths, [FEW + 1, MANY + 1]);
        assert!(depths.iter().all(|rules| *rules > BOUND));
    });
}
