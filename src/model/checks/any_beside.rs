//! `any` beside others, which then change nothing.

use super::super::draft::Draft;
use crate::diag::{Finding, Findings, Span};
use crate::policy::{Peer, PortTerm, Spanned};
use crate::types::PortMatch;

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    for (name, group) in &draft.merged.groups {
        let members: Vec<_> = group.members().collect();
        if let Some((any, other)) = beside(&members, |peer| *peer == Peer::Any) {
            findings.push(
                Finding::warning(
                    "PG333",
                    format!("group \"{name}\" holds \"any\", so its other members change nothing"),
                )
                .at(any)
                .also(other, "another member")
                .help(format!(
                    "to narrow the group, define it without \"any\" in the site's layer: \
                         `{name} = [\"192.0.2.0/24\"]`; `add` can only widen it"
                )),
            );
        }
    }
    for rule in &draft.rules {
        let peers: Vec<_> = rule.entry.peers.value.iter().collect();
        if let Some((any, _)) = beside(&peers, |peer| *peer == Peer::Any) {
            findings.push(
                Finding::warning("PG333", "\"any\" stands beside other peers, which then change nothing")
                    .at(any)
                    .help("write `peers = \"any\"`, or leave \"any\" out"),
            );
        }
        if let PortTerm::Ports(ports) = &rule.entry.ports {
            check_ports(ports, findings);
        }
    }
    for service in draft.merged.services.values() {
        check_ports(&service.value.ports, findings);
    }
}

fn check_ports(ports: &[Spanned<PortMatch>], findings: &mut Findings) {
    let ports: Vec<_> = ports.iter().collect();
    if let Some((any, _)) = beside(&ports, |entry| *entry == PortMatch::Any) {
        findings.push(
            Finding::warning("PG334", "\"any\" stands beside other ports, which then change nothing")
                .at(any)
                .help("write `ports = [\"any\"]`, or leave \"any\" out"),
        );
    }
}

/// The place of an `any` and that of something else.
fn beside<T>(entries: &[&Spanned<T>], is_any: impl Fn(&T) -> bool) -> Option<(Span, Span)> {
    let any = entries.iter().find(|entry| is_any(&entry.value))?;
    let other = entries.iter().find(|entry| !is_any(&entry.value))?;
    Some((any.span, other.span))
}
