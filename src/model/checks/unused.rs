//! Groups, switches, services and zones of the policy that no rule uses: often a name that is spelt otherwise in the rules.

use super::super::draft::Draft;
use crate::diag::{Finding, Findings, Span, nearest};
use crate::policy::PortTerm;
use std::collections::BTreeSet;

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    let groups =
        draft.rules.iter().flat_map(|rule| rule.holds.groups.iter().chain(&rule.holds.excepted).copied());
    let all = draft.merged.groups.iter().map(|(name, group)| (*name, group.place));
    report(
        ("PG331", "group", "name it in the peers of a rule, with an @ before it"),
        all,
        &groups.collect(),
        findings,
    );

    let switches = draft.rules.iter().flat_map(|rule| rule.entry.when.iter().map(|(s, _)| s.value.as_str()));
    let all = draft.merged.features.iter().map(|(name, entry)| (*name, entry.place));
    report(("PG338", "switch", "name it in the `when` of a rule"), all, &switches.collect(), findings);

    let services = draft.rules.iter().flat_map(|rule| match &rule.entry.ports {
        PortTerm::Services(names) => names.as_slice(),
        PortTerm::Ports(_) => &[],
    });
    let services = services.map(|name| name.value.as_str());
    let all = draft.merged.services.iter().map(|(name, entry)| (*name, entry.place));
    report(("PG340", "service", "name it in the `service` of a rule"), all, &services.collect(), findings);

    let zones = draft.rules.iter().flat_map(|rule| rule.entry.zones.iter().map(|zone| zone.value.as_str()));
    let all = draft.merged.zones.iter().map(|(name, entry)| (*name, entry.place));
    report(("PG345", "zone", "name it in the `zone` of a rule"), all, &zones.collect(), findings);
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
