//! Rules with an empty list of ports or of peers.

use super::super::draft::Draft;
use crate::diag::{Finding, Findings};
use crate::policy::PortTerm;

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    for rule in &draft.rules {
        let name = &rule.entry.name;
        if matches!(&rule.entry.ports, PortTerm::Ports(ports) if ports.is_empty()) {
            findings.push(
                Finding::error("PG309", format!("rule \"{}\" has no ports", name.value))
                    .at(name.span)
                    .help("write the ports that it is about, `ports = [\"tcp/25\"]`, or [\"any\"] for all"),
            );
        }
        if rule.entry.peers.is_empty() {
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
