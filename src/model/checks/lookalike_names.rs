//! Names that differ only in their dots: one of them is probably a slip, and a domain that nobody holds can be
//! registered by anybody, who then says which addresses the rule reaches.

use super::super::draft::Draft;
use super::rules;
use crate::diag::{Finding, Findings, Span};
use crate::types::HostName;
use std::collections::BTreeMap;

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    let mut alike: BTreeMap<String, BTreeMap<&HostName, Span>> = BTreeMap::new();
    for (name, place) in draft.rules_on().flat_map(|rule| &rule.holds.names) {
        alike.entry(name.as_str().replace('.', "")).or_default().entry(name).or_insert(*place);
    }
    for names in alike.values() {
        let mut by_labels: Vec<(&HostName, Span)> =
            names.iter().map(|(name, place)| (*name, *place)).collect();
        by_labels.sort_by_key(|(name, _)| name.as_str().matches('.').count());
        if let [(slip, place), (other, other_place), ..] = by_labels.as_slice() {
            findings.push(finding(draft, slip, *place, other, *other_place));
        }
    }
}

fn finding(draft: &Draft, slip: &HostName, place: Span, other: &HostName, other_place: Span) -> Finding {
    let users = draft.rules_on().filter(|rule| rule.holds.names.contains_key(slip)).map(|rule| rule.name());
    Finding::warning("PG336", format!("\"{slip}\" and \"{other}\" differ only in their dots"))
        .at(place)
        .also(other_place, "the other one is here")
        .help(format!(
            "if one is a slip, whoever registers that domain decides whom {} reaches: keep the right one only",
            rules(users)
        ))
}
