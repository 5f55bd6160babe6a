//! A name may only allow: while it has not resolved, a set of its addresses is closed for an allow and open for a deny.

use super::super::draft::{Draft, DraftRule};
use super::super::groups::expand;
use super::super::merge::Merged;
use crate::diag::{Finding, Findings};

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    for rule in draft.rules.iter().filter(|rule| !rule.allows()) {
        check_rule(&draft.merged, rule, findings);
    }
}

fn check_rule(merged: &Merged, rule: &DraftRule, findings: &mut Findings) {
    for peer in &rule.entry.peers.value {
        let names = expand(merged, std::iter::once(peer)).names;
        let Some((name, place)) = names.first_key_value() else { continue };
        let action = rule.action().as_str();
        let mut finding =
            Finding::error("PG310", format!("a name in a rule that says {action}: \"{name}\"")).at(peer.span);
        if *place != peer.span {
            finding = finding.also(*place, "the name stands here");
        }
        findings.push(finding.help(format!(
            "names may only allow: while a name has no addresses, a {action} by name would let its packets \
             pass. Write addresses, prefixes or a list file"
        )));
    }
}
