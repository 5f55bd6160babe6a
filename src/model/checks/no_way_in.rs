//! Policies by which an administrator locks himself out.

use super::super::draft::Draft;
use crate::diag::{Finding, Findings};
use crate::types::{Direction, Protocol};

const SSH: u16 = 22;

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    if draft.rules.is_empty() {
        findings.push(Finding::error("PG313", "the policy has no rule").help(
            "write a [[rule]] in the site's policy directory, or choose a shipped policy in portgrave.toml",
        ));
    } else if !draft.passes_by_default(Direction::In)
        && !draft.rules_on().any(|rule| rule.lets_somebody_reach(Direction::In, Protocol::Tcp, SSH))
    {
        findings
            .push(Finding::warning("PG337", "no rule lets anybody reach this machine on tcp/22").help(
                "if it is administered over SSH, add a rule with direction \"in\" and service \"ssh\"",
            ));
    }
}
