//! Random policies of every feature that the model has.

use super::peers::{Groups, NOWHERE};
use super::{NAMES, Random, parsed};
use portgrave::model::{
    Action, Baseline, BaselineRule, DefaultAction, Defaults, NamePolicy, Policy, Rule, RuleDirection, User,
};
use portgrave::types::{AddrRange, HostName, InterfacePattern, PortMatch, PortRange, Protocol};
use std::collections::BTreeMap;

const OTHER_PROTOCOLS: [&str; 20] = [
    "icmp",
    "icmp/echo-request",
    "icmp/echo-request",
    "icmp/timestamp-request",
    "icmp/redirect",
    "icmp/30",
    "icmpv6",
    "icmpv6/echo-request",
    "icmpv6/echo-request",
    "icmpv6/139",
    "icmpv6/packet-too-big",
    "esp",
    "esp",
    "ah",
    "gre",
    "vrrp",
    "ospf",
    "igmp",
    "proto/41",
    "proto/253",
];

const PATTERNS: [&str; 9] = ["eth0", "eth1", "eth1*", "eth*", "vlan*", "vlan7", "v*", "vlan5*", "absent0"];

const LOCAL: [&str; 9] = [
    "203.0.113.1",
    "9.9.9.9",
    "9.9.9.0/24",
    "203.0.113.0-203.0.113.128",
    "2a00:9::1",
    "2a00:9::/64",
    "2a00:a::1",
    "9.9.9.10",
    "198.51.100.1",
];

pub fn policy(random: &mut Random) -> Policy {
    let groups = Groups::new(random);
    let count = 1 + random.below(14);
    let mut rules: Vec<Rule> = (0..count).map(|index| rule(random, &groups, index)).collect();
    rules.sort_by(|a, b| a.name.cmp(&b.name));
    let names = names(random, &rules);
    Policy { default: defaults(random), baseline: baseline(random), rules, names, ..Policy::default() }
}

fn defaults(random: &mut Random) -> Defaults {
    let mut default = || match random.below(5) {
        0 => DefaultAction::Reject,
        1 => DefaultAction::Audit,
        _ => DefaultAction::Deny,
    };
    Defaults { input: default(), output: default(), ..Defaults::default() }
}

/// What would take packets before the rules is off. ICMP that belongs to no flow reaches the rules only without `invalid`.
fn baseline(random: &mut Random) -> Baseline {
    let mut off = vec![
        BaselineRule::MulticastMembership,
        BaselineRule::Dhcp,
        BaselineRule::IcmpErrors,
        BaselineRule::Echo,
        BaselineRule::Dns,
    ];
    if random.one_in(2) {
        off.push(BaselineRule::Invalid);
    }
    let mut baseline = Baseline::default();
    baseline.on.retain(|rule| !off.contains(rule));
    baseline
}

/// The networks that groups open for some of the names.
fn names(random: &mut Random, rules: &[Rule]) -> BTreeMap<HostName, NamePolicy> {
    let reached = |name: &HostName| rules.iter().any(|rule| rule.peers.names().any(|known| known == name));
    let mut names = BTreeMap::new();
    for name in NAMES.map(parsed::<HostName>).into_iter().filter(reached) {
        let mut allow_net: Vec<AddrRange> = Vec::new();
        for network in ["10.0.0.0/8", "203.0.113.0/24", "2001:db8::/32", "2a00:9::/64", "9.9.9.0/24"] {
            if random.one_in(4) {
                allow_net.push(parsed(network));
            }
        }
        allow_net.sort_unstable();
        names.insert(name, NamePolicy { allow_net, ..NamePolicy::default() });
    }
    names
}

fn rule(random: &mut Random, groups: &Groups, index: usize) -> Rule {
    let direction = random.pick(&[RuleDirection::In, RuleDirection::Out, RuleDirection::Both]);
    let action = random.pick(&[Action::Allow, Action::Allow, Action::Allow, Action::Deny, Action::Reject]);
    let audit = action != Action::Allow && random.one_in(3);
    let helped = action == Action::Allow && random.one_in(6);
    let in_alone = direction == RuleDirection::In;
    let out_alone = direction == RuleDirection::Out;
    Rule {
        name: parsed(&format!("{}{index}", random.pick(&["a", "b", "c"]))),
        origin: NOWHERE,
        direction,
        action,
        audit,
        ports: ports(random, helped),
        helper: helped.then(|| "ftp".into()),
        from_ports: if in_alone && random.one_in(4) { from_ports(random) } else { Vec::new() },
        interfaces: random.one_in(4).then(|| interfaces(random)),
        local: if random.one_in(5) { several(random, &LOCAL) } else { Vec::new() },
        users: if out_alone && random.one_in(3) { users(random) } else { Vec::new() },
        peers: groups.peers(random, action),
        purpose: String::new(),
        log: None,
        rows: Vec::new(),
    }
}

fn ports(random: &mut Random, tcp_only: bool) -> Vec<PortMatch> {
    let mut ports: Vec<PortMatch> = (0..1 + random.below(3)).map(|_| port(random, tcp_only)).collect();
    if ports.contains(&PortMatch::Any) {
        ports = vec![PortMatch::Any];
    }
    ports.sort_unstable();
    ports.dedup();
    ports
}

fn port(random: &mut Random, tcp_only: bool) -> PortMatch {
    let first = 20 + random.below(6) as u16;
    let last = first + random.pick(&[0, 0, 0, 1, 3]);
    let all = [Protocol::Tcp, Protocol::Tcp, Protocol::Tcp, Protocol::Udp, Protocol::Udp, Protocol::Sctp];
    let protocol = if tcp_only { Protocol::Tcp } else { random.pick(&all) };
    let range = |first, last| PortRange::new(first, last).expect("in order");
    match random.below(10) {
        0 if !tcp_only => PortMatch::Any,
        1 => PortMatch::Ports(protocol, range(0, u16::MAX)),
        2..=4 if !tcp_only => parsed(random.pick(&OTHER_PROTOCOLS)),
        _ => PortMatch::Ports(protocol, range(first, last)),
    }
}

fn from_ports(random: &mut Random) -> Vec<(Protocol, PortRange)> {
    let mut from: Vec<(Protocol, PortRange)> = (0..1 + random.below(2))
        .map(|_| {
            let (first, last) = random.pick(&[(20, 20), (68, 68), (0, 1023), (1024, 65535), (53, 68)]);
            let protocol = random.pick(&[Protocol::Tcp, Protocol::Tcp, Protocol::Udp, Protocol::Sctp]);
            (protocol, PortRange::new(first, last).expect("in order"))
        })
        .collect();
    from.sort_unstable();
    from.dedup();
    from
}

fn interfaces(random: &mut Random) -> Vec<InterfacePattern> {
    if random.one_in(12) { Vec::new() } else { several(random, &PATTERNS) }
}

fn users(random: &mut Random) -> Vec<User> {
    let known = ["0", "1000", "1001", "chrony", "nobody", "ghost", "absent"];
    let mut users: Vec<User> = (0..1 + random.below(2))
        .map(|_| {
            let text = random.pick(&known);
            text.parse().map_or_else(|_| User::Name(text.into()), User::Uid)
        })
        .collect();
    users.sort_unstable();
    users.dedup();
    users
}

fn several<T: Ord + std::str::FromStr<Err: std::fmt::Debug>>(random: &mut Random, from: &[&str]) -> Vec<T> {
    let mut values: Vec<T> = (0..1 + random.below(2)).map(|_| parsed(random.pick(from))).collect();
    values.sort_unstable();
    values.dedup();
    values
}
