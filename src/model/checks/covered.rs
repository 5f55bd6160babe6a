//! Rules that are never the named one.

use super::super::{Policy, Rule, covered};
use crate::diag::{Finding, Findings};

pub(in super::super) fn check(policy: &Policy, findings: &mut Findings) {
    for (rule, before) in covered::covered(policy) {
        if !stands_for_rows(rule, before) {
            findings.push(finding(rule, before));
        }
    }
}

/// It says of rows of the port table what the other does not, and does no harm.
fn stands_for_rows(rule: &Rule, before: &Rule) -> bool {
    rule.action == before.action && rule.rows.iter().any(|row| !before.rows.contains(row))
}

fn finding(rule: &Rule, before: &Rule) -> Finding {
    let (name, other) = (&rule.name, &before.name);
    let (message, help) = if before.action < rule.action {
        (
            format!(
                "rule \"{name}\" never decides: rule \"{other}\" says {} to all that it matches",
                before.action.as_str()
            ),
            format!("narrow \"{other}\", or take \"{name}\" out"),
        )
    } else {
        (
            format!(
                "rule \"{name}\" is never the one that counts: rule \"{other}\" goes before it wherever it matches"
            ),
            format!("take one of the two out, or make \"{name}\" the narrower one"),
        )
    };
    Finding::warning("PG347", message).at(rule.origin).also(before.origin, "this rule goes before").help(help)
}
