//! How what a group holds is kept: times that contradict each other, and what holds for no name or for no list.

use super::super::draft::Draft;
use super::super::groups::expand;
use super::super::merge::Group;
use crate::diag::{Finding, Findings};
use crate::policy::HostGroup;

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    for (name, group) in &draft.merged.groups {
        let Some(definition) = group.definition else { continue };
        check_list(name, group, definition, findings);
        if !of_names(definition) {
            continue;
        }
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
                    format!("group \"{name}\" says how names are kept, but holds none"),
                )
                .at(group.place)
                .help(
                    "leave ttl-floor, ttl-cap, grace and allow-net out: they hold for looked-up names alone",
                ),
            );
        }
    }
}

fn of_names(host: &HostGroup) -> bool {
    let times = host.ttl_floor.is_some() || host.ttl_cap.is_some() || host.grace.is_some();
    times || host.allow_net.is_some()
}

fn check_list(name: &str, group: &Group, host: &HostGroup, findings: &mut Findings) {
    if (host.min_entries.is_some() || host.max_shrink.is_some()) && host.file.is_none() {
        let message = format!("group \"{name}\" says how its list is kept, but has no `file`");
        findings.push(
            Finding::error("PG315", message)
                .at(group.place)
                .help("add `file`, or leave min-entries and max-shrink out"),
        );
    }
}
