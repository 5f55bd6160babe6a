//! Groups, switches, services and zones of the policy that no rule uses: often a name that is spelt otherwise in the rules.
//!
//! What a rule of a lower layer used before a higher one replaced or changed it is used: the higher layer cannot take
//! out the definition.

use super::super::draft::Draft;
use super::super::groups;
use crate::diag::{Finding, Findings, Span, nearest};
use crate::policy::{PortTerm, RuleEntry};
use std::collections::BTreeSet;

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    let used = used_groups(draft);
    let all = draft.merged.groups.iter().map(|(name, group)| (*name, group.place));
    report(("PG331", "group", "name it in the peers of a rule, with an @ before it"), all, &used, findings);

    let used = written(draft).flat_map(|rule| rule.when.iter().map(|(s, _)| s.value.as_str())).collect();
    let all = draft.merged.features.iter().map(|(name, entry)| (*name, entry.place));
    report(("PG338", "switch", "name it in the `when` of a rule"), all, &used, findings);

    let services = written(draft).flat_map(|rule| match &rule.ports {
        PortTerm::Services(names) => names.as_slice(),
        PortTerm::Ports(_) => &[],
    });
    let used = services.map(|name| name.value.as_str()).collect();
    let all = draft.merged.services.iter().map(|(name, entry)| (*name, entry.place));
    report(("PG340", "service", "name it in the `service` of a rule"), all, &used, findings);

    let used = written(draft).flat_map(|rule| rule.zones.iter().map(|zone| zone.value.as_str())).collect();
    let all = draft.merged.zones.iter().map(|(name, entry)| (*name, entry.place));
    report(("PG345", "zone", "name it in the `zone` of a rule"), all, &used, findings);
}

/// All rules, with both of their forms where a higher layer has changed them.
fn written<'a>(draft: &'a Draft<'a>) -> impl Iterator<Item = &'a RuleEntry> {
    draft.rules.iter().map(|rule| rule.entry).chain(draft.superseded.iter().copied())
}

fn used_groups<'a>(draft: &'a Draft<'a>) -> BTreeSet<&'a str> {
    let mut used = BTreeSet::new();
    let mut take =
        |holds: &groups::Holds<'a>| used.extend(holds.groups.iter().chain(&holds.excepted).copied());
    draft.rules.iter().for_each(|rule| take(&rule.holds));
    for rule in draft.superseded {
        take(&groups::expand(&draft.merged, rule.peers.value.iter()));
    }
    used
}

fn report<'a>(
    (code, what, use_it): (&'static str, &str, &str),
    all: impl Iterator<Item = (&'a str, Span)>,
    used: &BTreeSet<&str>,
    findings: &mut Findings,
) {
    for (name, place) in all.filter(|(name, _)| !used.contains(name)) {
        let help = match nearest(name, used.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("{use_it}, or take it out"),
        };
        findings
            .push(Finding::warning(code, format!("no rule uses the {what} \"{name}\"")).at(place).help(help));
    }
}
