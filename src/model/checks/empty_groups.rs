//! Groups without members, in rules that are on: what a site has still to fill in.

use super::super::draft::Draft;
use super::rules;
use crate::diag::{Finding, Findings};

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    for (name, group) in draft.merged.groups.iter().filter(|(_, group)| group.is_empty()) {
        let users: Vec<&str> = draft
            .rules_on()
            .filter(|rule| rule.holds.groups.contains(name))
            .map(|rule| rule.name())
            .collect();
        if users.is_empty() {
            continue;
        }
        findings.push(
            Finding::warning(
                "PG330",
                format!("group \"{name}\" is empty, so nobody matches it in {}", rules(users)),
            )
            .at(group.place)
            .help(format!(
                "name its hosts under [hosts] in a file of the site: `{name} = [\"192.0.2.7\"]`; or switch off \
                 what is not in use"
            )),
        );
    }
}
