//! Groups that are "any", in rules that are on: what a site should narrow.

use super::super::draft::Draft;
use super::rules;
use crate::diag::{Finding, Findings};
use crate::policy::Peer;

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    for (name, group) in &draft.merged.groups {
        let narrowed = group.except().next().is_some();
        let mut members = group.members().peekable();
        if narrowed || members.peek().is_none() || !members.all(|member| member.value == Peer::Any) {
            continue;
        }
        let allows = draft.rules_on().filter(|rule| rule.allows());
        let users: Vec<&str> =
            allows.filter(|rule| rule.holds.groups.contains(name)).map(|rule| rule.name()).collect();
        if users.is_empty() {
            continue;
        }
        findings.push(
            Finding::warning(
                "PG332",
                format!("group \"{name}\" is \"any\", so everybody matches it in {}", rules(users)),
            )
            .at(group.place)
            .help(format!(
                "narrow it under [hosts] in a file of the site: `{name} = [\"192.0.2.0/24\"]`; `add` \
                     could only widen it"
            )),
        );
    }
}
