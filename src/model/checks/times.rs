//! How long addresses of names are kept: times that contradict each other, or that hold for no name.

use super::super::draft::Draft;
use super::super::groups::expand;
use crate::diag::{Finding, Findings};
use crate::policy::HostGroup;

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    for (name, group) in &draft.merged.groups {
        let Some(definition) = group.definition.filter(|definition| has_times(definition)) else { continue };
        if let (Some(floor), Some(cap)) = (definition.ttl_floor, definition.ttl_cap) {
            if floor > cap {
                findings.push(
                    Finding::error("PG316", format!("group \"{name}\": `ttl-floor` is above `ttl-cap`"))
                        .at(group.place)
                        .help("make ttl-floor the smaller of the two"),
                );
            }
        }
        if expand(&draft.merged, group.members()).names.is_empty() {
            findings.push(
                Finding::warning(
                    "PG341",
                    format!("group \"{name}\" says how long names are kept, but holds none"),
                )
                .at(group.place)
                .help("leave ttl-floor, ttl-cap and grace out: addresses and lists do not expire"),
            );
        }
    }
}

fn has_times(host: &HostGroup) -> bool {
    host.ttl_floor.is_some() || host.ttl_cap.is_some() || host.grace.is_some()
}
