//! `[baseline]`: which of the agent's own rules are on.

use super::merge::Merged;
use super::{Baseline, BaselineRule};
use crate::diag::{Finding, Findings, Span, did_you_mean};

/// Baseline rules without a switch: without them no connection lives, and no IPv6.
const ALWAYS: [&str; 2] = ["established", "neighbour-discovery"];

pub(super) fn resolve(merged: &Merged, findings: &mut Findings) -> Baseline {
    let mut baseline = Baseline::default();
    for (name, entry) in &merged.baseline {
        match BaselineRule::ALL.into_iter().find(|rule| rule.key() == *name) {
            Some(rule) if entry.value => {
                baseline.on.insert(rule);
            }
            Some(rule) => {
                baseline.on.remove(&rule);
            }
            None => findings.push(no_switch(name, entry.place)),
        }
    }
    baseline
}

fn no_switch(name: &str, place: Span) -> Finding {
    if ALWAYS.contains(&name) {
        return Finding::error("PG307", format!("baseline rule \"{name}\" has no switch"))
            .at(place)
            .help("it is always on: leave this line out");
    }
    let known = BaselineRule::ALL.into_iter().map(BaselineRule::key);
    Finding::error("PG307", format!("unknown baseline rule \"{name}\"")).at(place).help(did_you_mean(
        "baseline rule",
        name,
        known,
    ))
}
