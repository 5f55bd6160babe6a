//! Rules with an empty list of peers.

use super::super::draft::Draft;
use crate::diag::{Finding, Findings};

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    for rule in &draft.rules {
        let name = &rule.entry.name;
        if rule.entry.peers.value.is_empty() {
            findings.push(
                Finding::warning(
                    "PG330",
                    format!("rule \"{}\" has no peers, so it matches nobody", name.value),
                )
                .at(name.span)
                .help("write whom it is about: `peers = \"@admins\"`, or \"any\""),
            );
        }
    }
}
