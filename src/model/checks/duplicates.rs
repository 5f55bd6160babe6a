//! Entries that stand twice in one list. Two files may well add the same member to a group.

use super::super::draft::{Draft, written};
use super::peer_lists;
use crate::diag::{FileId, Finding, Findings, Span};
use crate::policy::{PortTerm, Spanned};
use std::collections::BTreeMap;

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    for peers in peer_lists(draft) {
        check_list(peers.iter().map(|peer| (written(&peer.value), peer.span)), findings);
    }
    check_rules(draft, findings);
    let of_rules = draft.rules.iter().filter_map(|rule| match &rule.entry.ports {
        PortTerm::Ports(ports) => Some(ports),
        PortTerm::Services(_) => None,
    });
    for ports in of_rules.chain(draft.merged.services.values().map(|service| &service.value.ports)) {
        check_list(ports.iter().map(|entry| (entry.value.to_string(), entry.span)), findings);
    }
    for zone in draft.merged.zones.values() {
        let interfaces = zone.value.interfaces.iter();
        check_list(interfaces.map(|entry| (entry.value.to_string(), entry.span)), findings);
    }
}

/// The lists of rules but ports and peers.
fn check_rules(draft: &Draft, findings: &mut Findings) {
    for rule in draft.rules.iter().map(|rule| rule.entry) {
        check_list(rule.when.iter().map(switch), findings);
        check_list(rule.zones.iter().map(|zone| (zone.value.clone(), zone.span)), findings);
        check_list(rule.local.iter().map(|local| (local.value.to_string(), local.span)), findings);
        let from = rule.from_ports.iter();
        let from = from.map(|entry| (format!("{}/{}", entry.value.0.as_str(), entry.value.1), entry.span));
        check_list(from, findings);
        if let PortTerm::Services(names) = &rule.ports {
            check_list(names.iter().map(|name| (name.value.clone(), name.span)), findings);
        }
    }
}

fn check_list(entries: impl Iterator<Item = (String, Span)>, findings: &mut Findings) {
    let mut seen: BTreeMap<(FileId, String), Span> = BTreeMap::new();
    for (text, span) in entries {
        if let Some(first) = seen.get(&(span.file, text.clone())) {
            findings.push(
                Finding::warning("PG335", format!("\"{text}\" stands twice"))
                    .at(span)
                    .also(*first, "the first is here")
                    .help("take one of the two out"),
            );
        } else {
            seen.insert((span.file, text), span);
        }
    }
}

fn switch((name, on): &(Spanned<String>, bool)) -> (String, Span) {
    (format!("{}{}", if *on { "" } else { "!" }, name.value), name.span)
}
