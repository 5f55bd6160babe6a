//! The shape of compiled rulesets, on policies built by hand.

use super::{Features, compile};
use crate::diag::{FileId, Span};
use crate::model::{
    Action, AddressBook, LearnedAddress, PeerPart, Peers, Policy, Rule, RuleDirection, Source,
};
use crate::ruleset::Ruleset;
use std::time::Duration;

fn rule(name: &str, direction: RuleDirection, ports: &[&str], peers: Peers) -> Rule {
    Rule {
        name: name.parse().unwrap(),
        origin: Span { file: FileId(0), start: 0, end: 1 },
        direction,
        action: Action::Allow,
        ports: ports.iter().map(|port| port.parse().unwrap()).collect(),
        audit: false,
        helper: None,
        from_ports: Vec::new(),
        interfaces: None,
        local: Vec::new(),
        users: Vec::new(),
        peers,
        purpose: String::new(),
        log: None,
        rows: Vec::new(),
    }
}

fn peers(sources: impl IntoIterator<Item = Source>) -> Peers {
    let part = |source| PeerPart { source, except: Vec::new() };
    Peers { written: Vec::new(), parts: sources.into_iter().map(part).collect() }
}

fn any() -> Peers {
    peers([Source::Any])
}

fn ranges(texts: &[&str]) -> Peers {
    peers(texts.iter().map(|text| Source::Range(text.parse().unwrap())))
}

fn names(texts: &[&str]) -> Peers {
    peers(texts.iter().map(|text| Source::Name(text.parse().unwrap())))
}

fn book() -> AddressBook {
    let learned =
        |text: &str| LearnedAddress { address: text.parse().unwrap(), remaining: Duration::from_secs(300) };
    AddressBook {
        names: [(
            "repo.example.net".parse().unwrap(),
            vec![learned("93.184.216.34"), learned("2606:2800::1")],
        )]
        .into(),
        dns_servers: vec!["192.0.2.53:53".parse().unwrap()],
        own: vec!["192.0.2.1".parse().unwrap()],
        ..AddressBook::default()
    }
}

fn compiled(rules: Vec<Rule>) -> Ruleset {
    compile(&Policy { rules, ..Policy::default() }, &book(), &Features::ALL).unwrap()
}

fn everything() -> Ruleset {
    let mut ftp =
        rule("backup-ftp", RuleDirection::Both, &["tcp/21"], ranges(&["192.0.2.21", "2001:db8::/64"]));
    ftp.helper = Some("ftp".into());
    let mut deny = rule("block", RuleDirection::In, &["any"], ranges(&["198.51.100.0/24"]));
    deny.action = Action::Deny;
    let mut reject = rule("ident", RuleDirection::In, &["tcp/113"], any());
    reject.action = Action::Reject;
    compiled(vec![
        rule("a-smtp", RuleDirection::In, &["tcp/25"], any()),
        ftp,
        deny,
        reject,
        rule("passive", RuleDirection::Out, &["tcp/50000-50100"], names(&["repo.example.net"])),
        rule("ssh", RuleDirection::In, &["tcp/22"], ranges(&["10.0.0.0/8", "10.1.0.1", "0.0.0.0/0"])),
        rule("update", RuleDirection::Out, &["tcp/80"], names(&["repo.example.net"])),
    ])
}

#[test]
fn a_policy_with_every_stage_prints_the_same_text_each_time() {
    let text = everything().to_string();
    assert_eq!(text, everything().to_string());
    if let Ok(path) = std::env::var("PORTGRAVE_DUMP") {
        std::fs::write(path, text).unwrap();
    }
}

#[test]
fn nothing_changes_between_a_ruleset_and_itself() {
    let ruleset = everything();
    assert!(crate::plan::diff(&ruleset, Some(&ruleset)).is_empty());
}
