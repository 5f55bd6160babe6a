//! Rules in audit mode: before any rule decides, each of them counts what it matches, and decides nothing.

use super::collect::linear;
use super::space::Space;
use super::{Build, Side};
use crate::model::{Rule, Source};
use crate::ruleset::{Part, RuleBuilder, Verdict};
use crate::types::{PortMatch, Protocol};

impl<'a> Build<'a> {
    /// Leads every packet of a chain through the rules in audit mode, if there are any.
    pub(super) fn audit_line(&mut self, side: Side, chain: &str) {
        let audits = format!("{}.audit", side.prefix());
        if self.ruleset.chains.contains_key(&audits) {
            self.append(chain, RuleBuilder::new().verdict(Verdict::Jump(audits)));
        }
    }

    /// The chain that asks every rule in audit mode.
    pub(super) fn audit_chain(&mut self, side: Side) {
        let rules: Vec<&'a Rule> = self.rules_of(side.direction).map(|(_, rule)| rule).collect();
        for rule in rules.into_iter().filter(|rule| rule.audit) {
            if !self.applies(side, rule) {
                continue;
            }
            let chain = format!("{}.rule.{}", side.prefix(), rule.name);
            let lines = self.audit_lines(side, rule);
            if lines.is_empty() {
                continue;
            }
            for line in lines {
                self.append(&chain, line);
            }
            let jump = RuleBuilder::new().origin(Some(rule.origin)).verdict(Verdict::Jump(chain));
            self.append(&format!("{}.audit", side.prefix()), jump);
        }
    }

    /// A line for each source of addresses and each kind of ports; the first that matches counts and returns.
    fn audit_lines(&mut self, side: Side, rule: &'a Rule) -> Vec<crate::ruleset::Rule> {
        let counter = self.rule_counter(side.direction, rule);
        let mut lines = Vec::new();
        for peers in self.audit_sources(side, rule) {
            for space in [Space::Ports, Space::Icmp, Space::Protocols] {
                let name = format!("{}.{}", space.prefix(side), rule.name);
                for line in linear(self.audited(side, space, rule).into_iter(), 0, None) {
                    for conditions in self.conditions(side, rule) {
                        let conditions = peers.ask(self, side, conditions);
                        let unique = format!("{name}.{}", line.width);
                        let whole = self.match_ports(side, space, &unique, &line.ports, conditions);
                        lines.push(whole.counter(&counter).verdict(self.after_audit(side, rule)));
                    }
                }
            }
        }
        lines
    }

    /// On to the next rule in audit mode.
    fn after_audit(&mut self, side: Side, rule: &Rule) -> Verdict {
        if self.policy.logs(rule) { Verdict::Goto(self.audit_log_chain(side, rule)) } else { Verdict::Return }
    }

    /// The entries of `ports` that a line of a space asks for: `any` stands in one of them alone.
    fn audited(&self, side: Side, space: Space, rule: &Rule) -> Vec<PortMatch> {
        let from = |protocol: Protocol| {
            rule.from_ports.is_empty() || rule.from_ports.iter().any(|(wanted, _)| *wanted == protocol)
        };
        let asked = |entry: &PortMatch| match entry {
            PortMatch::Any => space == Space::Ports,
            PortMatch::Ports(protocol, _) => from(*protocol),
            PortMatch::Icmp(..) | PortMatch::Protocol(_) => rule.from_ports.is_empty(),
        };
        let here = |entry: &PortMatch| !self.runs(side, space, *entry).is_empty() && asked(entry);
        rule.ports.iter().copied().filter(here).collect()
    }

    fn audit_sources(&mut self, side: Side, rule: &'a Rule) -> Vec<Peers<'a>> {
        let written = self.written_set(side, rule, &format!("{}.peers.{}", side.prefix(), rule.name));
        let mut sources: Vec<Peers> =
            written.into_iter().map(|set| Peers { set: Some(set), except: &[] }).collect();
        for part in &rule.peers.parts {
            match &part.source {
                Source::List(list) => {
                    let set = self.list_set(side.family, list);
                    sources.extend(set.map(|set| Peers { set: Some(set), except: &part.except }));
                }
                Source::Any => sources.push(Peers { set: None, except: &part.except }),
                Source::Range(_) | Source::ResolvConf | Source::Broadcast | Source::Name(_) => {}
            }
        }
        sources
    }
}

/// A set of peers, or all, less exceptions.
struct Peers<'p> {
    set: Option<String>,
    except: &'p [crate::model::Exception],
}

impl Peers<'_> {
    fn ask(&self, build: &mut Build<'_>, side: Side, rule: RuleBuilder) -> RuleBuilder {
        let rule = match &self.set {
            Some(set) => rule.lookup(&[Part::Peer(side.direction, side.family)], set, false),
            None => rule,
        };
        build.not_excepted(side, self.except, rule)
    }
}
