//! The compiled ruleset means what the policy means: random policies and packets, judged by `model::verdict` and by
//! running the ruleset's expressions as the kernel does.

mod machine;

use machine::{Machine, Outcome};
use portgrave::compile::{Features, compile};
use portgrave::diag::{FileId, Span};
use portgrave::model::{
    Action, AddressBook, LearnedAddress, ListRef, Packet, Peers, Policy, Rule, RuleDirection, verdict,
};
use portgrave::types::{AddrRange, Direction, PortMatch, PortRange, Protocol};
use std::net::IpAddr;
use std::time::Duration;

const PACKETS: usize = 60;

/// PORTGRAVE_TEST_POLICIES asks for more.
fn policies() -> u64 {
    std::env::var("PORTGRAVE_TEST_POLICIES").ok().and_then(|text| text.parse().ok()).unwrap_or(400)
}

#[test]
fn a_random_policy_is_compiled_to_what_it_means() {
    let mut named = 0;
    for seed in 0..policies() {
        let mut random = Random::new(seed);
        let book = book();
        let policy = policy(&mut random);
        let ruleset =
            compile(&policy, &book, &Features::ALL).unwrap_or_else(|findings| panic!("{findings:?}"));
        for _ in 0..PACKETS {
            let packet = packet(&mut random);
            let wanted = verdict(&policy, &book, &packet);
            let seen = Machine::new(&ruleset).run(&packet);
            let direction = packet.direction.as_str();
            let rule = wanted.rule.as_ref().map_or("default".into(), ToString::to_string);
            let helper =
                wanted.rule.as_ref().and_then(|name| policy.rules.iter().find(|rule| rule.name == *name));
            let expected = Outcome {
                action: wanted.action.as_str().replace("default-deny", "deny"),
                counter: format!("{direction}.{rule}"),
                helped: helper.is_some_and(|rule| rule.helper.is_some()),
            };
            named += usize::from(wanted.rule.is_some());
            assert_eq!(seen, expected, "seed {seed}, {packet:?}, also {:?}\n{policy}", wanted.also);
        }
    }
    let share = named * 100 / (policies() as usize * PACKETS);
    assert!((20..95).contains(&share), "rules decide {share} % of the packets");
}

/// Numbers that look random and are the same in every run (xorshift64*).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

const NAMES: [&str; 3] = ["a.example.net", "b.example.net", "never.example.net"];

/// Overlapping on purpose, and close to the addresses of packets.
const WRITTEN: [&str; 14] = [
    "8.8.4.0/29",
    "8.8.4.4",
    "8.8.4.5",
    "8.8.4.4-8.8.4.6",
    "8.8.0.0/16",
    "8.8.4.0-8.8.4.5",
    "0.0.0.0/0",
    "10.0.0.0/8",
    "2a00::/64",
    "2a00::4",
    "2a00::5",
    "2a00::3-2a00::5",
    "::/0",
    "203.0.113.255",
];

const ADDRESSES: [&str; 16] = [
    "8.8.4.0",
    "8.8.4.3",
    "8.8.4.4",
    "8.8.4.5",
    "8.8.4.6",
    "8.8.5.5",
    "9.9.9.9",
    "10.0.0.4",
    "203.0.113.255",
    "255.255.255.255",
    "2a00::3",
    "2a00::4",
    "2a00::5",
    "2a00::6",
    "2a00:1::1",
    "2001:db8::4",
];

fn book() -> AddressBook {
    let learned = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| LearnedAddress { address: address(text), remaining: Duration::from_secs(60) })
            .collect()
    };
    let ranges = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a range")).collect();
    AddressBook {
        names: [
            (NAMES[0], learned(&["8.8.4.4", "8.8.4.6", "2a00::4", "10.0.0.4", "9.9.9.9"])),
            (NAMES[1], learned(&["8.8.4.4", "2a00::6", "2001:db8::4"])),
        ]
        .map(|(name, learned)| (name.parse().expect("a name"), learned))
        .into(),
        lists: [
            ("one".into(), ranges(&["8.8.4.0-8.8.4.4", "2a00::/127", "2a00::4"])),
            ("two".into(), ranges(&["8.8.4.4", "8.8.5.0/24"])),
        ]
        .into(),
        resolv_conf: vec![address("8.8.4.5"), address("2a00::5")],
        own: vec![address("9.9.9.9")],
        connected: ranges(&["203.0.113.0/24"]),
        broadcast: vec![address("203.0.113.255")],
        ..AddressBook::default()
    }
}

fn policy(random: &mut Random) -> Policy {
    let count = 1 + random.below(12);
    let mut rules: Vec<Rule> = (0..count).map(|index| rule(random, index)).collect();
    rules.sort_by(|a, b| a.name.cmp(&b.name));
    Policy { rules, ..Policy::default() }
}

fn rule(random: &mut Random, index: usize) -> Rule {
    let direction = random.pick(&[RuleDirection::In, RuleDirection::Out, RuleDirection::Both]);
    let action = random.pick(&[Action::Allow, Action::Allow, Action::Allow, Action::Deny, Action::Reject]);
    let helped = action == Action::Allow && random.one_in(5);
    let mut ports: Vec<PortMatch> = (0..1 + random.below(3)).map(|_| port(random, helped)).collect();
    if ports.contains(&PortMatch::Any) {
        ports = vec![PortMatch::Any];
    }
    ports.sort_unstable();
    ports.dedup();
    Rule {
        name: format!("{}{index}", random.pick(&["a", "b", "c"])).parse().expect("a name"),
        origin: Span { file: FileId(0), start: 0, end: 0 },
        direction,
        action,
        ports,
        helper: helped.then(|| "ftp".into()),
        peers: peers(random, action),
        purpose: String::new(),
        rows: Vec::new(),
    }
}

fn port(random: &mut Random, tcp_only: bool) -> PortMatch {
    let first = 20 + random.below(6) as u16;
    let last = first + random.pick(&[0, 0, 0, 1, 3]);
    let protocol = if tcp_only { Protocol::Tcp } else { random.pick(&Protocol::ALL) };
    match random.below(8) {
        0 if !tcp_only => PortMatch::Any,
        1 => PortMatch::Ports(protocol, PortRange::new(0, u16::MAX).expect("in order")),
        _ => PortMatch::Ports(protocol, PortRange::new(first, last).expect("in order")),
    }
}

fn peers(random: &mut Random, action: Action) -> Peers {
    let mut peers = Peers::default();
    for _ in 0..1 + random.below(3) {
        match random.below(12) {
            0 => peers.any = true,
            1 => peers.resolv_conf = true,
            2 => peers.broadcast = true,
            3 | 4 => {
                let name = random.pick(&["one", "two"]);
                peers.lists.push(ListRef { group: name.into(), path: name.into() });
            }
            5..=7 if action == Action::Allow => {
                peers.names.push(random.pick(&NAMES).parse().expect("a name"))
            }
            _ => peers.ranges.push(random.pick(&WRITTEN).parse::<AddrRange>().expect("a range")),
        }
    }
    peers.ranges.sort_unstable();
    peers.ranges.dedup();
    peers.names.sort_unstable();
    peers.names.dedup();
    peers.lists.sort_unstable();
    peers.lists.dedup();
    peers
}

fn packet(random: &mut Random) -> Packet {
    let protocol = random.pick(&[6, 6, 6, 17, 17, 50]);
    let port = (protocol != 50).then(|| 19 + random.below(10) as u16);
    Packet {
        direction: random.pick(&Direction::BOTH),
        protocol,
        peer: address(random.pick(&ADDRESSES)),
        port,
        source_port: port.map(|_| 40_000),
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
