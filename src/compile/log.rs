//! What is logged: new packets that are denied, or that a rule with `log` matches. A peer that sends too many is held back, and
//! so is what comes to too many of all peers; what is held back is counted, and goes the way that it would go anyhow.
//!
//! A peer over its rate stands in the set of noisy ones for a second. They are asked for first, so that one of them takes
//! nothing from the bucket of all; that bucket is asked before a peer's own, so that a flood from many addresses makes no
//! elements.

use super::rule_chain::has_helper;
use super::{Build, Side, key};
use crate::model::{Action, Rule};
use crate::ruleset::{Limit, Part, RuleBuilder, Set, SetData, Verdict};
use crate::types::{Decider, LogLabel, Outcome};
use std::time::Duration;

const OF_A_PEER: Limit = Limit::per_second(20, 50).over();
const OF_ALL: Limit = Limit::per_second(1000, 2000).over();

/// By then a peer's bucket is full again: an element that has expired and one that never was are the same.
const PEER_TIMEOUT: Duration = Duration::from_secs(10);
const NOISY_TIMEOUT: Duration = Duration::from_secs(1);
/// More than the bucket of all lets in until they expire and are collected.
const PEERS: u32 = 16_384;
const NOISY_PEERS: u32 = 8192;

/// Octets of a packet: its headers, behind a few of extension too.
const SNAPLEN: u32 = 128;

impl Build<'_> {
    /// Whether a rule is more than a counter and a verdict.
    pub(super) fn has_chain(&self, rule: &Rule) -> bool {
        self.is_special(rule) || self.policy.logs(rule)
    }

    /// Whether the ports of a rule are asked in the longer chain. A rule that is merely logged where it denies takes the place
    /// of a counter in every chain, so that what others allow costs no more.
    pub(super) fn is_special(&self, rule: &Rule) -> bool {
        let logged = rule.action == Action::Allow && self.policy.logs(rule);
        rule.has_conditions() || has_helper(rule) || logged
    }

    /// Two rules at a chain's end: the packets that `before` matches are logged, unless they are held back, and go where
    /// `verdict` says.
    pub(super) fn log_lines(
        &mut self,
        side: Side,
        chain: &str,
        before: RuleBuilder,
        (outcome, decider): (Outcome, Decider),
        verdict: Verdict,
    ) {
        let gate = self.gate(side, outcome, &verdict);
        self.append(chain, before.verdict(Verdict::Jump(gate)));
        let log = self.log(side, outcome, decider);
        self.append(chain, log.verdict(verdict));
    }

    /// The chain that logs what a rule with conditions matches.
    pub(super) fn log_chain(&mut self, side: Side, rule: &Rule, verdict: Verdict) -> String {
        let chain = log_chain_name(side, rule);
        if !self.ruleset.chains.contains_key(&chain) {
            let before = RuleBuilder::new().origin(Some(rule.origin));
            self.log_lines(side, &chain, before, of_rule(rule), verdict);
        }
        chain
    }

    /// The chain that logs what a rule in audit mode matches: what is held back, too, goes on to the next such rule.
    pub(super) fn audit_log_chain(&mut self, side: Side, rule: &Rule) -> String {
        let chain = log_chain_name(side, rule);
        if !self.ruleset.chains.contains_key(&chain) {
            let (outcome, decider) = of_rule(rule);
            for line in self.held_back(side, outcome) {
                self.append(&chain, line.verdict(Verdict::Return));
            }
            let log = self.log(side, outcome, decider);
            self.append(&chain, log.rule());
        }
        chain
    }

    fn log(&self, side: Side, outcome: Outcome, decider: Decider) -> RuleBuilder {
        let label = LogLabel { direction: side.direction, outcome, decider };
        RuleBuilder::new().log(&label.to_string(), self.policy.log.group, SNAPLEN)
    }

    /// The chain that comes back with the packets that are to be logged alone.
    fn gate(&mut self, side: Side, outcome: Outcome, verdict: &Verdict) -> String {
        let chain = format!("{}.held-back.{}", side.prefix(), outcome.as_str());
        if !self.ruleset.chains.contains_key(&chain) {
            for line in self.held_back(side, outcome) {
                self.append(&chain, line.verdict(verdict.clone()));
            }
        }
        chain
    }

    /// Matches and counts what is not logged. What is allowed has buckets of its own: nobody keeps it from being logged by
    /// sending what is denied.
    fn held_back(&mut self, side: Side, outcome: Outcome) -> [RuleBuilder; 3] {
        let kind = if outcome == Outcome::Allow { "allowed." } else { "" };
        let name = |what: &str| format!("{}.log.{kind}{what}", side.prefix());
        let (peers, noisy) = (name("peers"), name("noisy"));
        for (name, size, timeout) in [(&peers, PEERS, PEER_TIMEOUT), (&noisy, NOISY_PEERS, NOISY_TIMEOUT)] {
            let fields = vec![key::address_field(side.family)];
            self.add_set(name, Set { dynamic: true, ..key::expiring(fields, SetData::None, size, timeout) });
        }
        let peer = [Part::PeerHost(side.direction, side.family)];
        let counter = self.counter(side.direction, "baseline.log-held-back", None);
        [
            RuleBuilder::new().lookup(&peer, &noisy, false),
            RuleBuilder::new().limit(OF_ALL),
            RuleBuilder::new().meter(&peer, &peers, OF_A_PEER).add(&peer, &noisy),
        ]
        .map(|line| line.counter(&counter))
    }
}

fn log_chain_name(side: Side, rule: &Rule) -> String {
    format!("{}.log.{}", side.prefix(), rule.name)
}

/// What a rule's packets are logged as.
pub(super) fn of_rule(rule: &Rule) -> (Outcome, Decider) {
    let outcome = match rule.action {
        Action::Deny | Action::Reject if rule.audit => Outcome::WouldDeny,
        Action::Deny => Outcome::Deny,
        Action::Reject => Outcome::Reject,
        Action::Allow => Outcome::Allow,
    };
    (outcome, Decider::Rule(rule.name.clone()))
}
