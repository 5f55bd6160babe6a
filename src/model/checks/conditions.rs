//! Conditions of rules that contradict the rule: its direction, its protocols, its action.

use super::super::RuleDirection;
use super::super::draft::{Draft, DraftRule};
use crate::diag::{Finding, Findings};
use crate::types::{PortMatch, Protocol};

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    for rule in &draft.rules {
        check_user(rule, findings);
        check_from_ports(rule, findings);
        check_audit(rule, findings);
    }
}

fn check_user(rule: &DraftRule, findings: &mut Findings) {
    let direction = &rule.entry.direction;
    let Some(user) = rule.entry.users.first().filter(|_| direction.value != RuleDirection::Out) else {
        return;
    };
    let help = match direction.value {
        RuleDirection::Both => "write a rule with direction \"out\" and `user`, and another one for \"in\"",
        RuleDirection::In | RuleDirection::Out => "leave `user` out, or write direction = \"out\"",
    };
    let message = format!(
        "`user` in a rule with direction \"{}\": it says which local user sends",
        direction.value.as_str()
    );
    findings.push(
        Finding::error("PG323", message).at(user.span).also(direction.span, "the direction").help(help),
    );
}

fn check_from_ports(rule: &DraftRule, findings: &mut Findings) {
    let direction = &rule.entry.direction;
    let Some(first) = rule.entry.from_ports.first() else { return };
    if direction.value != RuleDirection::In {
        let message = format!("`from-ports` in a rule with direction \"{}\"", direction.value.as_str());
        findings.push(
            Finding::error("PG323", message).at(first.span).also(direction.span, "the direction").help(
                "`from-ports` are the ports from which a peer sends: the peer's port of an outgoing rule stands in `ports`",
            ),
        );
    }
    for entry in rule.entry.from_ports.iter().filter(|entry| !rule.opens.has(entry.value.0)) {
        let protocol = entry.value.0.as_str();
        findings.push(
            Finding::error(
                "PG324",
                format!("`from-ports` has a port of {protocol}, and the rule is not about {protocol}"),
            )
            .at(entry.span)
            .help(format!("name ports of {protocol} in `ports` too, or leave this one out")),
        );
    }
    check_protocols_left_out(rule, findings);
}

/// Entries of `ports` that no packet can match, since `from-ports` names no port of their protocol.
fn check_protocols_left_out(rule: &DraftRule, findings: &mut Findings) {
    let from = |wanted: Protocol| rule.entry.from_ports.iter().any(|entry| entry.value.0 == wanted);
    let dead = rule.opens.ports.iter().find(|entry| match entry {
        PortMatch::Ports(protocol, _) => !from(*protocol),
        PortMatch::Icmp(..) | PortMatch::Protocol(_) => true,
        PortMatch::Any => false,
    });
    let (Some(dead), Some(first)) = (dead, rule.entry.from_ports.first()) else { return };
    findings.push(
        Finding::error(
            "PG324",
            format!("`{dead}` can match nothing: `from-ports` has no port of its protocol"),
        )
        .at(first.span)
        .help("give it a rule of its own, without `from-ports`"),
    );
}

fn check_audit(rule: &DraftRule, findings: &mut Findings) {
    let Some(mode) = rule.entry.audit.filter(|_| rule.allows()) else { return };
    let action = &rule.entry.action;
    let written = action.span != rule.entry.name.span;
    // The later one of the two is what a higher layer has changed.
    let (place, other) = if written { (mode.max(action.span), mode.min(action.span)) } else { (mode, mode) };
    let mut finding = Finding::error("PG325", "`mode = \"audit\"` in a rule that allows").at(place).help(
        "it counts what a deny or a reject would stop: write action = \"deny\" or \"reject\", or leave `mode` out",
    );
    if written {
        finding = finding.also(other, if other == mode { "the mode" } else { "the action" });
    }
    findings.push(finding);
}
