//! The policy's meaning as a function: which rule decides a packet that opens a connection. It is written from the
//! language's definition, not from what is compiled, so that the two can be compared.
//!
//! The baseline is not part of it: the packet is one that no baseline rule has taken, a new connection that does not
//! come or leave through `lo`.

use super::matching::{Asked, Match, matching};
use super::{Action, AddressBook, DefaultAction, Packet, Policy};
use crate::types::RuleName;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow,
    Deny,
    Reject,
    /// No rule matches.
    DefaultDeny,
    DefaultReject,
    /// No rule matches; it passes and is counted as one that would be denied.
    DefaultAudit,
    /// A forwarded packet that this machine does not filter.
    Unfiltered,
}

impl Decision {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Reject => "reject",
            Self::DefaultDeny => "default-deny",
            Self::DefaultReject => "default-reject",
            Self::DefaultAudit => "default-audit",
            Self::Unfiltered => "unfiltered",
        }
    }

    pub fn passes(self) -> bool {
        match self {
            Self::Allow | Self::DefaultAudit | Self::Unfiltered => true,
            Self::Deny | Self::Reject | Self::DefaultDeny | Self::DefaultReject => false,
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

impl From<DefaultAction> for Decision {
    fn from(action: DefaultAction) -> Self {
        match action {
            DefaultAction::Deny => Self::DefaultDeny,
            DefaultAction::Reject => Self::DefaultReject,
            DefaultAction::Audit => Self::DefaultAudit,
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
    /// The rules in audit mode that match, by name: each of them counts the packet too.
    pub audit: Vec<RuleName>,
}

/// Judges a packet by every rule of the policy. A condition on what the packet does not say does not hold.
pub fn verdict(policy: &Policy, book: &AddressBook, packet: &Packet) -> Verdict {
    let mut matches = matching(policy, book, &Asked::about(packet));
    matches.retain(|found| found.missing.is_none());
    named(policy, packet, matches)
}

/// The verdict of rules that match, in the order in which they decide.
pub(super) fn named(policy: &Policy, packet: &Packet, matches: Vec<Match>) -> Verdict {
    let (deciding, audit): (Vec<_>, Vec<_>) =
        matches.into_iter().map(|found| found.rule).partition(|rule| rule.decides());
    let default = || policy.default.of(packet.direction).into();
    let action = deciding.first().map_or_else(default, |rule| rule.action.into());
    let mut names = deciding.into_iter().map(|rule| rule.name.clone());
    let rule = names.next();
    let mut audit: Vec<RuleName> = audit.into_iter().map(|rule| rule.name.clone()).collect();
    audit.sort_unstable();
    Verdict { action, rule, also: names.collect(), audit }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{FileId, Span};
    use crate::model::{LearnedAddress, ListRef, PeerPart, Peers, Rule, RuleDirection, Source};
    use crate::types::Direction;
    use std::time::Duration;

    const SPAN: Span = Span { file: FileId(0), start: 0, end: 0 };

    fn rule(name: &str, ports: &[&str], peers: &[&str]) -> Rule {
        let source = |peer: &str| match (peer, peer.strip_prefix("file:"), peer.parse()) {
            ("any", ..) => Source::Any,
            ("broadcast", ..) => Source::Broadcast,
            ("resolv.conf", ..) => Source::ResolvConf,
            (_, Some(path), _) => Source::List(list(path)),
            (_, None, Ok(range)) => Source::Range(range),
            (name, None, Err(_)) => Source::Name(name.parse().unwrap()),
        };
        let parts = peers.iter().map(|peer| PeerPart { source: source(peer), except: Vec::new() }).collect();
        Rule {
            name: name.parse().unwrap(),
            origin: SPAN,
            direction: RuleDirection::Both,
            action: Action::Allow,
            ports: ports.iter().map(|text| text.parse().unwrap()).collect(),
            audit: false,
            helper: None,
            from_ports: Vec::new(),
            interfaces: None,
            local: Vec::new(),
            users: Vec::new(),
            peers: Peers { written: Vec::new(), parts },
            purpose: String::new(),
            log: None,
            rows: Vec::new(),
        }
    }

    fn list(path: &str) -> ListRef {
        ListRef { group: "list".into(), path: path.into(), span: SPAN, min_entries: None, max_shrink: None }
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
            lists: [("list.txt".into(), std::iter::once("8.8.0.0/16".parse().unwrap()).collect())].into(),
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
            local: Some("1.1.1.1".parse().unwrap()),
            port: Some(port),
            source_port: Some(40_000),
            icmp_type: None,
            interface: Some("eth0".into()),
            user: None,
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
            assert_eq!(
                verdict,
                Verdict { action: Decision::DefaultDeny, rule: None, also: vec![], audit: vec![] }
            );
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
            local: None,
            port,
            source_port: port.map(|_| 80),
            icmp_type: None,
            interface: None,
            user: None,
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
