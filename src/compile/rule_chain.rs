//! Chains of rules that need more than a counter: conditions, a helper. A rule whose conditions do not hold returns, and
//! the next one is asked.

use super::cells::Stack;
use super::collect::RuleIndex;
use super::{Build, Side, log};
use crate::model::{Action, Rule, User};
use crate::ruleset::{Part, RuleBuilder, Verdict};
use crate::types::Direction;
use sha2::{Digest, Sha256};

pub(super) fn has_helper(rule: &Rule) -> bool {
    rule.helper.is_some() && rule.action == Action::Allow
}

impl Build<'_> {
    /// Whether a rule can match any packet of a side at all.
    pub(super) fn applies(&self, side: Side, rule: &Rule) -> bool {
        let local = rule.local.is_empty() || rule.local.iter().any(|range| range.family() == side.family);
        let interfaces = rule.interfaces.as_ref().is_none_or(|patterns| !patterns.is_empty());
        let users = rule.users.is_empty() || !self.uids(rule).is_empty();
        local && interfaces && users
    }

    fn uids(&self, rule: &Rule) -> Vec<u32> {
        let uid = |user: &User| match user {
            User::Uid(uid) => Some(*uid),
            User::Name(name) => self.book.users.get(name).copied().flatten(),
        };
        let mut uids: Vec<u32> = rule.users.iter().filter_map(uid).collect();
        uids.sort_unstable();
        uids.dedup();
        uids
    }

    /// What leads to the rules of a cell: a counter alone has no verdict here.
    pub(super) fn way_to(&mut self, side: Side, stack: &Stack) -> Option<Verdict> {
        match stack.as_slice() {
            [rule] if !self.has_chain(&self.policy.rules[*rule]) => None,
            [rule] => Some(self.way_to_rule(side, *rule)),
            _ => Some(Verdict::Jump(self.stack_chain(side, stack))),
        }
    }

    /// To a rule's chain: with a way back if its conditions may not hold.
    fn way_to_rule(&mut self, side: Side, index: RuleIndex) -> Verdict {
        let chain = self.rule_chain(side, index);
        if self.policy.rules[index].has_conditions() { Verdict::Jump(chain) } else { Verdict::Goto(chain) }
    }

    /// The chain that asks rules one after the other.
    fn stack_chain(&mut self, side: Side, stack: &Stack) -> String {
        let names: Vec<&str> = stack.iter().map(|index| self.policy.rules[*index].name.as_str()).collect();
        let chain = format!("{}.first-of.{}", side.prefix(), stack_name(&names));
        if !self.ruleset.chains.contains_key(&chain) {
            for index in stack {
                let origin = Some(self.policy.rules[*index].origin);
                let verdict = self.way_to_rule(side, *index);
                self.append(&chain, RuleBuilder::new().origin(origin).verdict(verdict));
            }
        }
        chain
    }

    /// The chain of a rule.
    pub(super) fn rule_chain(&mut self, side: Side, index: RuleIndex) -> String {
        let rule = &self.policy.rules[index];
        let chain = format!("{}.rule.{}", side.prefix(), rule.name);
        if self.ruleset.chains.contains_key(&chain) {
            return chain;
        }
        self.ruleset.chains.entry(chain.clone()).or_default();
        let counter = self.rule_counter(side.direction, rule);
        let mut consequence = self.consequence(side.direction, rule.action);
        let logs = self.policy.logs(rule);
        if logs && rule.has_conditions() {
            consequence = Verdict::Goto(self.log_chain(side, rule, consequence));
        }
        for line in self.conditions(side, rule) {
            let line = line.counter(&counter);
            let line = if has_helper(rule) { self.helped(side, line) } else { line };
            if logs && !rule.has_conditions() {
                self.log_lines(side, &chain, line, log::of_rule(rule), consequence.clone());
            } else {
                self.append(&chain, line.verdict(consequence.clone()));
            }
        }
        chain
    }

    /// The conditions of a rule: a line for each pattern of its interfaces and each of its users.
    pub(super) fn conditions(&mut self, side: Side, rule: &Rule) -> Vec<RuleBuilder> {
        let patterns: Vec<Option<&str>> = match &rule.interfaces {
            None => vec![None],
            Some(patterns) => patterns.iter().map(|pattern| Some(pattern.as_str())).collect(),
        };
        let users: Vec<Option<u32>> =
            if rule.users.is_empty() { vec![None] } else { self.uids(rule).into_iter().map(Some).collect() };
        let mut lines = Vec::new();
        for (pattern, user) in
            patterns.iter().flat_map(|pattern| users.iter().map(move |user| (*pattern, *user)))
        {
            let line = RuleBuilder::new().origin(Some(rule.origin));
            let line = match pattern {
                Some(pattern) => line.interface(side.direction, pattern),
                None => line,
            };
            let line = match user {
                Some(uid) => line.socket_uid(uid),
                None => line,
            };
            let line = self.local_condition(side, rule, line);
            lines.push(self.source_port_condition(side, rule, line));
        }
        lines
    }

    fn local_condition(&mut self, side: Side, rule: &Rule, line: RuleBuilder) -> RuleBuilder {
        let part = Part::Local(side.direction, side.family);
        let of_family: Vec<_> = rule.local.iter().filter(|range| range.family() == side.family).collect();
        match of_family.as_slice() {
            [] => line,
            [one] if one.prefix_length().is_some() => line.address_in(part, **one, false),
            many => {
                let name = format!("{}.local.{}", side.prefix(), rule.name);
                let ranges = crate::types::merged(many.iter().map(|range| range.bits()).collect());
                self.add_set(&name, super::emit::address_set(side.family, &ranges));
                line.lookup(&[part], &name, false)
            }
        }
    }

    fn source_port_condition(&mut self, side: Side, rule: &Rule, line: RuleBuilder) -> RuleBuilder {
        match rule.from_ports.as_slice() {
            [] => line,
            [(protocol, range)] => line.source_port(*protocol, *range),
            many => {
                let name = format!("{}.from.{}", side.direction.as_str(), rule.name);
                let runs =
                    many.iter().map(|(protocol, range)| (protocol.number(), range.first(), range.last()));
                self.add_set(&name, super::emit::port_set(runs.collect()));
                line.lookup(&[Part::L4Proto, Part::SourcePort], &name, false)
            }
        }
    }
}

impl Build<'_> {
    /// What a rule does with a packet once it is counted.
    pub(super) fn consequence(&self, direction: Direction, action: Action) -> Verdict {
        match action {
            Action::Allow => Verdict::Accept,
            Action::Deny => Verdict::Drop,
            Action::Reject => Verdict::Goto(super::rejected_chain(direction)),
        }
    }
}

/// The kernel takes names of 255 octets; rule names have no slash.
fn stack_name(rules: &[&str]) -> String {
    const MOST: usize = 200;
    let joined = rules.join("/");
    if joined.len() <= MOST {
        return joined;
    }
    let digest = Sha256::digest(joined.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
