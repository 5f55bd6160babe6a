//! The policy's meaning as a function: which rule decides a packet that opens a connection. It is written from the
//! language's definition, not from what is compiled, so that the two can be compared.
//!
//! The baseline is not part of it: the packet is one that no baseline rule has taken, a new connection that does not
//! come or leave through `lo`.

use super::{Action, AddressBook, BROADCAST, Peers, Policy, Rule, never};
use crate::types::{AddrRange, Direction, PortMatch, RuleName};
use std::net::IpAddr;

/// The first packet of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Who sends it: `In` the peer, `Out` this machine.
    pub direction: Direction,
    /// The IANA protocol number.
    pub protocol: u8,
    /// The far end: the source of an incoming packet, the destination of an outgoing one.
    pub peer: IpAddr,
    /// The destination port, of a protocol that has ports.
    pub port: Option<u16>,
    pub source_port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow,
    Deny,
    Reject,
    /// No rule matches.
    DefaultDeny,
}

impl Decision {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Reject => "reject",
            Self::DefaultDeny => "default-deny",
        }
    }
}

impl From<Action> for Decision {
    fn from(action: Action) -> Self {
        match action {
            Action::Deny => Self::Deny,
            Action::Reject => Self::Reject,
            Action::Allow => Self::Allow,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub action: Decision,
    /// The rule that decides; it is the one that counts the packet.
    pub rule: Option<RuleName>,
    /// The other rules that match, in the order in which they would decide.
    pub also: Vec<RuleName>,
}

/// Judges a packet by every rule of the policy.
pub fn verdict(policy: &Policy, book: &AddressBook, packet: &Packet) -> Verdict {
    let rank = |rule| rank(rule, book, packet);
    let mut matching: Vec<(Rank, Action)> =
        policy.rules.iter().filter_map(|rule| rank(rule).map(|rank| (rank, rule.action))).collect();
    matching.sort();
    let mut names = matching.iter().map(|(rank, _)| rank.name.clone());
    let rule = names.next();
    let action = matching.first().map_or(Decision::DefaultDeny, |(_, action)| (*action).into());
    Verdict { action, rule, also: names.collect() }
}

/// The order in which matching rules decide: the smallest first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank<'a> {
    action: Action,
    peers: PeerRank,
    ports: PortRank,
    name: &'a RuleName,
}

/// How narrowly peers match an address.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum PeerRank {
    /// An address, a prefix or a range as written, with how many addresses it has, less one.
    Written(u128),
    LookedUp,
    ListFile,
    Any,
}

/// How narrowly ports match a packet.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum PortRank {
    /// A port or a range, with how many ports it has, less one.
    Ports(u16),
    Any,
}

/// `None` if the rule does not match.
fn rank<'a>(rule: &'a Rule, book: &AddressBook, packet: &Packet) -> Option<Rank<'a>> {
    if !rule.direction.has(packet.direction) {
        return None;
    }
    let ports = rule.ports.iter().filter_map(|entry| port_rank(*entry, packet)).min()?;
    let peers = peer_rank(&rule.peers, book, packet)?;
    Some(Rank { action: rule.action, peers, ports, name: &rule.name })
}

fn port_rank(entry: PortMatch, packet: &Packet) -> Option<PortRank> {
    match entry {
        PortMatch::Any => Some(PortRank::Any),
        PortMatch::Ports(protocol, range) => {
            let port = packet.port.filter(|_| packet.protocol == protocol.number())?;
            range.contains(port).then(|| PortRank::Ports(range.span()))
        }
    }
}

fn peer_rank(peers: &Peers, book: &AddressBook, packet: &Packet) -> Option<PeerRank> {
    let written = written(peers, book, packet.direction);
    let narrowest = written.iter().filter(|range| range.contains(packet.peer)).map(AddrRange::span).min();
    if let Some(span) = narrowest {
        Some(PeerRank::Written(span))
    } else if looked_up(peers, book, packet.peer) {
        Some(PeerRank::LookedUp)
    } else if listed(peers, book, packet.peer) {
        Some(PeerRank::ListFile)
    } else {
        peers.any.then_some(PeerRank::Any)
    }
}

/// Servers of resolv.conf and broadcast addresses count as if they were written.
fn written(peers: &Peers, book: &AddressBook, direction: Direction) -> Vec<AddrRange> {
    let mut ranges = peers.ranges.clone();
    if peers.resolv_conf {
        ranges.extend(book.resolv_conf.iter().copied().map(AddrRange::single));
    }
    if peers.broadcast && direction == Direction::Out {
        ranges.extend(book.broadcast.iter().copied().chain([BROADCAST]).map(AddrRange::single));
    }
    ranges
}

fn looked_up(peers: &Peers, book: &AddressBook, address: IpAddr) -> bool {
    let mut learned = peers.names.iter().filter_map(|name| book.names.get(name)).flatten();
    learned.any(|learned| learned.address == address) && !never::refuses(book, address)
}

fn listed(peers: &Peers, book: &AddressBook, address: IpAddr) -> bool {
    let mut ranges = peers.lists.iter().filter_map(|list| book.lists.get(&list.path)).flatten();
    ranges.any(|range| range.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{FileId, Span};
    use crate::model::{LearnedAddress, ListRef, RuleDirection};
    use std::time::Duration;

    const SPAN: Span = Span { file: FileId(0), start: 0, end: 0 };

    fn rule(name: &str, ports: &[&str], peers: &[&str]) -> Rule {
        let mut far = Peers::default();
        for peer in peers {
            if *peer == "any" {
                far.any = true;
            } else if *peer == "broadcast" {
                far.broadcast = true;
            } else if *peer == "resolv.conf" {
                far.resolv_conf = true;
            } else if let Some(path) = peer.strip_prefix("file:") {
                far.lists.push(ListRef { group: "list".into(), path: path.into() });
            } else if let Ok(range) = peer.parse() {
                far.ranges.push(range);
            } else {
                far.names.push(peer.parse().unwrap());
            }
        }
        Rule {
            name: name.parse().unwrap(),
            origin: SPAN,
            direction: RuleDirection::Both,
            action: Action::Allow,
            ports: ports.iter().map(|text| text.parse().unwrap()).collect(),
            helper: None,
            peers: far,
            purpose: String::new(),
            rows: Vec::new(),
        }
    }

    fn with(action: Action, rule: Rule) -> Rule {
        Rule { action, ..rule }
    }

    fn book() -> AddressBook {
        let learned = |text: &str| LearnedAddress {
            address: text.parse().unwrap(),
            remaining: Duration::from_secs(60),
        };
        AddressBook {
            names: [("repo.example.net".parse().unwrap(), vec![learned("8.8.4.4"), learned("10.9.9.9")])]
                .into(),
            lists: [("list.txt".into(), vec!["8.8.0.0/16".parse().unwrap()])].into(),
            resolv_conf: vec!["8.8.4.4".parse().unwrap()],
            broadcast: vec!["203.0.113.255".parse().unwrap()],
            own: vec!["1.1.1.1".parse().unwrap()],
            ..AddressBook::default()
        }
    }

    fn judge(rules: Vec<Rule>, direction: Direction, peer: &str, port: u16) -> Verdict {
        let policy = Policy { rules, ..Policy::default() };
        let packet = Packet {
            direction,
            protocol: 6,
            peer: peer.parse().unwrap(),
            port: Some(port),
            source_port: Some(40_000),
        };
        verdict(&policy, &book(), &packet)
    }

    /// The rule that is named, and the others, for a packet out to 8.8.4.4 port 80.
    fn named(rules: Vec<Rule>) -> Vec<String> {
        let verdict = judge(rules, Direction::Out, "8.8.4.4", 80);
        verdict.rule.iter().chain(&verdict.also).map(ToString::to_string).collect()
    }

    #[test]
    fn the_default_is_deny_in_both_directions() {
        for direction in Direction::BOTH {
            let verdict = judge(vec![rule("a", &["tcp/81"], &["any"])], direction, "8.8.4.4", 80);
            assert_eq!(verdict, Verdict { action: Decision::DefaultDeny, rule: None, also: vec![] });
        }
    }

    #[test]
    fn a_rule_of_the_other_direction_does_not_match() {
        let only_in = Rule { direction: RuleDirection::In, ..rule("a", &["tcp/80"], &["any"]) };
        assert_eq!(judge(vec![only_in.clone()], Direction::In, "8.8.4.4", 80).action, Decision::Allow);
        assert_eq!(judge(vec![only_in], Direction::Out, "8.8.4.4", 80).action, Decision::DefaultDeny);
    }

    #[test]
    fn deny_beats_reject_beats_allow_however_narrow() {
        let allow = rule("a", &["tcp/80"], &["8.8.4.4"]);
        let reject = with(Action::Reject, rule("b", &["tcp/80"], &["8.0.0.0/8"]));
        let deny = with(Action::Deny, rule("c", &["any"], &["any"]));
        assert_eq!(named(vec![allow.clone(), reject.clone(), deny.clone()]), ["c", "b", "a"]);
        assert_eq!(judge(vec![allow.clone(), deny], Direction::Out, "8.8.4.4", 80).action, Decision::Deny);
        assert_eq!(judge(vec![allow, reject], Direction::Out, "8.8.4.4", 80).action, Decision::Reject);
    }

    #[test]
    fn peers_rank_by_written_addresses_then_names_then_lists_then_any() {
        let rules = vec![
            rule("a", &["tcp/80"], &["any"]),
            rule("b", &["tcp/80"], &["file:list.txt"]),
            rule("c", &["tcp/80"], &["repo.example.net"]),
            rule("d", &["tcp/80"], &["0.0.0.0/0"]),
            rule("e", &["tcp/80"], &["8.8.4.0-8.8.4.9"]),
            rule("f", &["tcp/80"], &["8.8.4.4"]),
        ];
        assert_eq!(named(rules), ["f", "e", "d", "c", "b", "a"]);
    }

    #[test]
    fn peers_rank_before_ports_and_ports_before_the_name() {
        let rules = vec![
            rule("a", &["tcp/80"], &["8.8.0.0/16"]),
            rule("b", &["any"], &["8.8.4.4"]),
            rule("c", &["tcp/1-100"], &["8.8.4.4"]),
            rule("d", &["tcp/80"], &["8.8.4.4"]),
            rule("e", &["tcp/80"], &["8.8.4.4"]),
            rule("f", &["tcp/0-65535"], &["8.8.4.4"]),
        ];
        assert_eq!(named(rules), ["d", "e", "c", "f", "b", "a"]);
    }

    #[test]
    fn the_narrowest_part_of_a_rule_that_matches_counts() {
        let wide = rule("b", &["tcp/1-1000", "tcp/80"], &["any", "8.0.0.0/8", "8.8.4.4"]);
        assert_eq!(named(vec![rule("a", &["tcp/79-80"], &["8.8.4.4"]), wide]), ["b", "a"]);
        let other_port = rule("a", &["any", "tcp/81"], &["8.8.4.4"]);
        assert_eq!(named(vec![other_port, rule("b", &["tcp/1-1000"], &["8.8.4.4"])]), ["b", "a"]);
    }

    #[test]
    fn the_order_of_rules_changes_nothing() {
        let rules = vec![rule("b", &["tcp/80"], &["any"]), rule("a", &["tcp/80"], &["any"])];
        assert_eq!(named(rules), ["a", "b"]);
    }

    #[test]
    fn resolv_conf_and_broadcast_count_as_written_single_addresses() {
        let rules = vec![rule("a", &["tcp/80"], &["8.8.4.4/31"]), rule("b", &["tcp/80"], &["resolv.conf"])];
        assert_eq!(named(rules), ["b", "a"]);
        let rules = || vec![rule("a", &["tcp/80"], &["broadcast"])];
        for peer in ["203.0.113.255", "255.255.255.255"] {
            assert_eq!(judge(rules(), Direction::Out, peer, 80).action, Decision::Allow);
            assert_eq!(judge(rules(), Direction::In, peer, 80).action, Decision::DefaultDeny);
        }
    }

    #[test]
    fn a_name_never_stands_for_private_addresses() {
        let rules = || vec![rule("a", &["tcp/80"], &["repo.example.net"])];
        assert_eq!(judge(rules(), Direction::Out, "8.8.4.4", 80).action, Decision::Allow);
        assert_eq!(judge(rules(), Direction::Out, "10.9.9.9", 80).action, Decision::DefaultDeny);
    }

    #[test]
    fn a_name_that_never_resolved_matches_nobody() {
        let rules = vec![rule("a", &["tcp/80"], &["other.example.net"])];
        assert_eq!(judge(rules, Direction::Out, "8.8.4.4", 80).action, Decision::DefaultDeny);
    }

    #[test]
    fn the_port_is_that_of_the_destination_and_of_the_protocol() {
        let packet = |protocol, port| Packet {
            direction: Direction::Out,
            protocol,
            peer: "8.8.4.4".parse().unwrap(),
            port,
            source_port: port.map(|_| 80),
        };
        let policy = |ports: &str| Policy { rules: vec![rule("a", &[ports], &["any"])], ..Policy::default() };
        let passes =
            |ports: &str, packet| verdict(&policy(ports), &book(), &packet).action == Decision::Allow;
        assert!(passes("tcp/81", packet(6, Some(81))));
        assert!(!passes("tcp/80", packet(6, Some(81))));
        assert!(!passes("tcp/81", packet(17, Some(81))));
        assert!(!passes("tcp/81", packet(50, None)));
        assert!(passes("any", packet(50, None)));
    }
}
