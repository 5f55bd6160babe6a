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
    let of_rules = draft.rules.iter().filter_map(|rule| match &rule.entry.ports {
        PortTerm::Ports(ports) => Some(ports),
        PortTerm::Services(_) => None,
    });
    for ports in of_rules.chain(draft.merged.services.values().map(|service| &service.value.ports)) {
        check_list(ports.iter().map(|entry| (entry.value.to_string(), entry.span)), findings);
    }
    for rule in &draft.rules {
        check_list(rule.entry.when.iter().map(switch), findings);
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
