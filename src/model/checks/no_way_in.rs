//! Policies by which an administrator locks himself out.

use super::super::draft::{Draft, DraftRule};
use crate::diag::{Finding, Findings};
use crate::types::{Direction, Protocol};

const SSH: u16 = 22;

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    let in_by_default = draft.passes_by_default(Direction::In);
    let reached = |rule: &DraftRule| rule.lets_somebody_reach(Direction::In, Protocol::Tcp, SSH);
    if !in_by_default && !draft.rules_on().any(reached) {
        findings
            .push(Finding::warning("PG337", "no rule lets anybody reach this machine on tcp/22").help(
                "if it is administered over SSH, add a rule with direction \"in\" and service \"ssh\"",
            ));
    }
}
