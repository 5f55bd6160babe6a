//! `[baseline]`: which of the agent's own rules are switched off.

use super::merge::Merged;
use super::{Baseline, BaselineRule};
use crate::diag::did_you_mean;
use crate::diag::{Finding, Findings};

/// Baseline rules without a switch: without them no connection lives, and no IPv6.
const ALWAYS: [&str; 2] = ["established", "neighbour-discovery"];

pub(super) fn resolve(merged: &Merged, findings: &mut Findings) -> Baseline {
    let mut off = Vec::new();
    for (name, entry) in &merged.baseline {
        match BaselineRule::ALL.into_iter().find(|rule| rule.key() == *name) {
            Some(rule) if !entry.value => off.push(rule),
            Some(_) => {}
            None => findings.push(
                Finding::error("PG307", format!("no baseline rule \"{name}\" has a switch"))
                    .at(entry.place)
                    .help(remedy(name)),
            ),
        }
    }
    off.sort_unstable();
    Baseline { off }
}

fn remedy(name: &str) -> String {
    if ALWAYS.contains(&name) {
        return "it is always on: leave this line out".into();
    }
    if name == "containers" {
        return "the baseline for containers is not built yet: write rules for what they need".into();
    }
    did_you_mean("baseline rule", name, BaselineRule::ALL.into_iter().map(BaselineRule::key))
}
