//! [`resolve`]: from what is written to what it means.

use super::draft::Draft;
use super::{NamePolicy, Policy, baseline, checks, groups, merge, services};
use crate::diag::Findings;
use crate::policy::ParsedPolicy;
use crate::types::HostName;
use std::collections::{BTreeMap, BTreeSet};

/// Merges the layers, resolves groups, services and switches, and judges the whole. The policy is sound only if no
/// finding is an error.
pub fn resolve(parsed: &ParsedPolicy) -> (Policy, Findings) {
    let mut findings = Findings::default();
    let merged = merge::merge(parsed, &mut findings);
    let baseline = baseline::resolve(&merged, &mut findings);
    groups::check(&merged, &mut findings);
    services::check(&merged, &mut findings);
    let draft = Draft::new(merged, &mut findings);
    checks::run(&draft, &mut findings);

    let mut rules: Vec<_> = draft.rules_on().map(|rule| rule.finish()).collect();
    rules.sort_by(|a, b| a.name.cmp(&b.name));
    (Policy { default: super::Defaults::default(), baseline, rules, names: names(&draft) }, findings)
}

/// Every name that a rule reaches, with how long its addresses are kept.
fn names(draft: &Draft) -> BTreeMap<HostName, NamePolicy> {
    let groups: BTreeSet<&str> =
        draft.rules_on().flat_map(|rule| rule.holds.groups.iter().copied()).collect();
    let policies = groups::name_policies(&draft.merged, &groups);
    let reached = draft.rules_on().flat_map(|rule| rule.holds.names.keys().copied());
    reached.map(|name| (name.clone(), policies.get(name).cloned().unwrap_or_default())).collect()
}
