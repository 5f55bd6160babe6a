//! Names in use while the agent's own DNS queries are switched off.

use super::super::BaselineRule;
use super::super::draft::Draft;
use crate::diag::{Finding, Findings};
use crate::types::{Direction, Protocol};

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    let Some(switch) = draft.merged.baseline.get(BaselineRule::Dns.key()).filter(|entry| !entry.value) else {
        return;
    };
    let allowed = draft.passes_by_default(Direction::Out)
        || draft.rules_on().any(|rule| rule.lets_somebody_reach(Direction::Out, Protocol::Udp, 53));
    let name = draft.rules_on().find_map(|rule| rule.holds.names.keys().next().copied());
    if let Some(name) = name.filter(|_| !allowed) {
        findings.push(
            Finding::warning(
                "PG339",
                format!("\"{name}\" cannot be looked up: the agent's own queries are off"),
            )
            .at(switch.place)
            .help("leave `dns` on under [baseline], or let this machine reach its DNS servers by a rule"),
        );
    }
}
