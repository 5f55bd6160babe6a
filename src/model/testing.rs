//! Parsed policies for tests, without their text: every value has a place of its own.

use super::{Action, Policy, RuleDirection, resolve};
use crate::diag::{FileId, Finding, Findings, Span};
use crate::policy::{
    DefaultEntry, HostGroup, Layer, OverrideEntry, ParsedFile, ParsedPolicy, Peer, PortTerm, RuleEntry,
    RuleKeys, ServiceEntry, Spanned,
};

pub(super) const VENDOR: u32 = 0;
pub(super) const SITE: u32 = 1;

/// Adds files one after the other; entries go to the last one.
pub(super) struct Written {
    parsed: ParsedPolicy,
    places: u32,
}

impl Written {
    pub(super) fn in_layer(layer: u32) -> Self {
        Self { parsed: ParsedPolicy::default(), places: 0 }.file(layer)
    }

    pub(super) fn file(mut self, layer: u32) -> Self {
        let file = FileId(u32::try_from(self.parsed.files.len()).unwrap());
        let parsed = ParsedFile {
            file,
            layer: Layer(layer),
            default: DefaultEntry::default(),
            features: Vec::new(),
            baseline: Vec::new(),
            hosts: Vec::new(),
            services: Vec::new(),
            zones: Vec::new(),
            rules: Vec::new(),
            overrides: Vec::new(),
        };
        self.parsed.files.push(parsed);
        self
    }

    pub(super) fn feature(mut self, name: &str, on: bool) -> Self {
        let name = self.at(name.into());
        self.last().features.push((name, on));
        self
    }

    pub(super) fn baseline(mut self, name: &str, on: bool) -> Self {
        let name = self.at(name.into());
        self.last().baseline.push((name, on));
        self
    }

    pub(super) fn group(mut self, name: &str, members: &str) -> Self {
        let members = Some(self.peers(members));
        self.host(name, |host| host.members = members)
    }

    pub(super) fn add(mut self, name: &str, members: &str) -> Self {
        let members = self.peers(members);
        self.host(name, |host| host.add = members)
    }

    pub(super) fn host(mut self, name: &str, fill: impl FnOnce(&mut HostGroup)) -> Self {
        let mut host = HostGroup { name: Some(self.at(name.into())), ..HostGroup::default() };
        fill(&mut host);
        self.last().hosts.push(host);
        self
    }

    /// `passive` and `helper` are empty where there is none.
    pub(super) fn service(mut self, name: &str, ports: &str, helper: &str, passive: &str) -> Self {
        let service = ServiceEntry {
            name: self.at(name.into()),
            ports: words(ports).map(|port| self.at(port.parse().unwrap())).collect(),
            helper: words(helper).next().map(|helper| self.at(helper.into())),
            passive: words(passive).next().map(|range| {
                let (first, last) = range.split_once('-').unwrap();
                let range = crate::types::PortRange::new(first.parse().unwrap(), last.parse().unwrap());
                self.at(range.unwrap())
            }),
        };
        self.last().services.push(service);
        self
    }

    /// `NAME DIRECTION PORTS PEERS`, ports or a service and peers with commas between.
    pub(super) fn rule(self, text: &str) -> Self {
        self.rule_with(text, |_| {})
    }

    pub(super) fn rule_with(mut self, text: &str, change: impl FnOnce(&mut RuleEntry)) -> Self {
        let parts: Vec<&str> = text.split(' ').collect();
        let direction = match parts[1] {
            "in" => RuleDirection::In,
            "out" => RuleDirection::Out,
            _ => RuleDirection::Both,
        };
        let ports = if parts[2].contains('/') || parts[2].starts_with("any") {
            PortTerm::Ports(words(parts[2]).map(|port| self.at(port.parse().unwrap())).collect())
        } else {
            PortTerm::Services(words(parts[2]).map(|name| self.at(name.into())).collect())
        };
        let peers = self.peers(parts[3]);
        let mut rule = RuleEntry {
            name: self.at(parts[0].parse().unwrap()),
            replaces: None,
            direction: self.at(direction),
            ports,
            peers: self.at(peers),
            action: self.at(Action::Allow),
            audit: None,
            purpose: String::new(),
            when: Vec::new(),
            log: None,
            rows: Vec::new(),
            from_ports: Vec::new(),
            zones: Vec::new(),
            local: Vec::new(),
            users: Vec::new(),
            enabled: true,
        };
        change(&mut rule);
        self.last().rules.push(rule);
        self
    }

    pub(super) fn overridden(mut self, name: &str, change: impl FnOnce(&mut RuleKeys)) -> Self {
        let mut keys = RuleKeys::default();
        change(&mut keys);
        let rule = self.at(name.parse().unwrap());
        self.last().overrides.push(OverrideEntry { rule, keys });
        self
    }

    pub(super) fn when(mut self, switch: &str) -> Self {
        let name = self.at(switch.trim_start_matches('!').to_string());
        let rule = self.last().rules.last_mut().unwrap();
        rule.when.push((name, !switch.starts_with('!')));
        self
    }

    pub(super) fn resolve(&self) -> (Policy, Findings) {
        resolve(&self.parsed)
    }

    /// The policy; there must be no error.
    pub(super) fn policy(&self) -> Policy {
        let (policy, findings) = self.resolve();
        assert!(!findings.has_errors(), "{findings:#?}");
        policy
    }

    /// The codes of all findings, sorted.
    pub(super) fn codes(&self) -> Vec<&'static str> {
        let mut codes: Vec<&str> = self.resolve().1.iter().map(|finding| finding.code).collect();
        codes.sort_unstable();
        codes
    }

    /// The only finding.
    pub(super) fn finding(&self) -> Finding {
        let (_, findings) = self.resolve();
        let all: Vec<&Finding> = findings.iter().collect();
        assert_eq!(all.len(), 1, "{all:#?}");
        all[0].clone()
    }

    fn last(&mut self) -> &mut ParsedFile {
        self.parsed.files.last_mut().unwrap()
    }

    fn at<T>(&mut self, value: T) -> Spanned<T> {
        let file = self.last().file;
        self.places += 1;
        Spanned { value, span: Span { file, start: self.places, end: self.places } }
    }

    fn peers(&mut self, text: &str) -> Vec<Spanned<Peer>> {
        words(text).map(|word| self.at(peer(word))).collect()
    }
}

/// A policy of one site file that gives no finding by itself.
pub(super) fn sound() -> Written {
    Written::in_layer(SITE).rule("ssh-in in ssh 192.0.2.1")
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|word| !word.is_empty())
}

fn peer(word: &str) -> Peer {
    match word {
        "any" => Peer::Any,
        "broadcast" => Peer::Broadcast,
        _ => match (word.strip_prefix('@'), word.parse()) {
            (Some(group), _) => Peer::Group(group.into()),
            (None, Ok(range)) => Peer::Range(range),
            (None, Err(_)) => Peer::Name(word.parse().unwrap()),
        },
    }
}
