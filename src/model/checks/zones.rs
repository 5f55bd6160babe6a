//! Zones that hold no interface, or the loopback interface.

use super::super::draft::Draft;
use super::rules;
use crate::diag::{Finding, Findings};

const LOOPBACK: &str = "lo";

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    for (name, zone) in &draft.merged.zones {
        let uses =
            |rule: &&super::super::draft::DraftRule| rule.entry.zones.iter().any(|zone| zone.value == *name);
        let users: Vec<&str> = draft.rules_on().filter(uses).map(|rule| rule.name()).collect();
        if zone.value.interfaces.is_empty() && !users.is_empty() {
            findings.push(
                Finding::warning(
                    "PG343",
                    format!("zone \"{name}\" has no interface, so it matches nothing in {}", rules(users)),
                )
                .at(zone.place)
                .help(format!(
                    "name its interfaces under [zones] in a file of the site: `{name} = [\"eth1\"]`"
                )),
            );
        }
        for interface in zone.value.interfaces.iter().filter(|interface| interface.value.as_str() == LOOPBACK)
        {
            findings.push(
                Finding::warning(
                    "PG344",
                    format!("zone \"{name}\" has the interface lo, whose packets no rule sees"),
                )
                .at(interface.span)
                .help("take it out: `loopback` of the baseline passes what goes over lo"),
            );
        }
    }
}
