//! [`resolve`]: from what is written to what it means.

use super::draft::Draft;
use super::merge::{self, Merged};
use super::{
    Defaults, LogPolicy, NamePolicy, Policy, Rule, baseline, checks, groups, parts, rules, services,
};
use crate::diag::{Finding, Findings};
use crate::policy::ParsedPolicy;
use crate::types::HostName;
use std::collections::{BTreeMap, BTreeSet};

/// Merges the layers, resolves groups, services and switches, and judges the whole. The policy is sound only if no
/// finding is an error.
pub fn resolve(parsed: &ParsedPolicy) -> (Policy, Findings) {
    let mut findings = Findings::default();
    let merged = merge::merge(parsed, &mut findings);
    let in_force = rules::in_force(parsed, &mut findings);
    let baseline = baseline::resolve(&merged, &mut findings);
    groups::check(&merged, &mut findings);
    services::check(&merged, &mut findings);
    let draft = Draft::new(merged, &in_force, &mut findings);
    checks::run(&draft, &mut findings);

    if findings.has_errors() {
        return (Policy::default(), findings);
    }
    let rules = finish(&draft, &mut findings);
    let groups = draft.merged.groups.iter();
    let groups = groups.map(|(name, group)| ((*name).to_owned(), parts::written(name, group))).collect();
    let policy = Policy {
        default: defaults(&draft.merged),
        baseline,
        rules,
        names: names(&draft),
        groups,
        log: LogPolicy::default(),
    };
    checks::covered::check(&policy, &mut findings);
    (policy, findings)
}

/// The rules in force, sorted by name.
fn finish(draft: &Draft, findings: &mut Findings) -> Vec<Rule> {
    let mut finished = Vec::new();
    for rule in &draft.rules {
        match parts::of(&draft.merged, &rule.entry.peers.value) {
            Ok(parts) if rule.on => finished.push(rule.finish(parts)),
            Ok(_) => {}
            Err(parts::Tangled) => {
                findings.push(tangled(&format!("rule \"{}\"", rule.name())).at(rule.entry.peers.span));
            }
        }
    }
    finished.sort_by(|a, b| a.name.cmp(&b.name));
    finished
}

fn tangled(what: &str) -> Finding {
    Finding::error("PG327", format!("the exceptions of {what} come to too much")).help(
        "nest groups with `except` no deeper than eight, and put long lists of addresses into list files",
    )
}

fn defaults(merged: &Merged) -> Defaults {
    let of = |key| merged.default.get(key).map(|entry| entry.value).unwrap_or_default();
    let forward = merged.forward.get("forward").map(|entry| entry.value).unwrap_or_default();
    Defaults { input: of("in"), output: of("out"), forward }
}

/// Every name that a rule reaches, with how long its addresses are kept.
fn names(draft: &Draft) -> BTreeMap<HostName, NamePolicy> {
    let groups: BTreeSet<&str> =
        draft.rules_on().flat_map(|rule| rule.holds.groups.iter().copied()).collect();
    let policies = groups::name_policies(&draft.merged, &groups);
    let reached = draft.rules_on().flat_map(|rule| rule.holds.names.keys().copied());
    reached.map(|name| (name.clone(), policies.get(name).cloned().unwrap_or_default())).collect()
}
