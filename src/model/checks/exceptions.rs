//! `except`: addresses and groups of addresses only, and something must be left.

use super::super::covered::covers;
use super::super::draft::{Draft, written};
use super::super::groups::expand;
use super::super::merge::Group;
use crate::diag::{Finding, Findings, Span};
use crate::policy::{Peer, Spanned};
use crate::types::AddrRange;

pub(super) fn check(draft: &Draft, findings: &mut Findings) {
    for (name, group) in &draft.merged.groups {
        let before = findings.iter().count();
        for peer in group.except() {
            check_peer(draft, peer, findings);
        }
        if findings.iter().count() == before {
            check_rest(draft, name, group, findings);
        }
    }
}

fn check_peer(draft: &Draft, peer: &Spanned<Peer>, findings: &mut Findings) {
    let holds = expand(&draft.merged, std::iter::once(peer));
    let what = written(&peer.value);
    if let Some((name, place)) = holds.names.first_key_value() {
        let finding = Finding::error("PG321", format!("a name in `except`: \"{name}\"")).at(peer.span).help(
            "exceptions are addresses: while a name has none, what it should take out would stay in. Write its addresses",
        );
        findings.push(also(finding, *place, peer.span, "the name stands here"));
    } else if holds.any {
        let groups = holds.groups.iter().filter_map(|name| draft.merged.groups.get(name));
        let place = groups.flat_map(Group::members).find(|member| member.value == Peer::Any);
        let finding = Finding::error("PG321", format!("\"{what}\" in `except` is everybody"))
            .at(peer.span)
            .help("name the addresses that are taken out; a group without members is written `[]`");
        findings.push(also(
            finding,
            place.map_or(peer.span, |any| any.span),
            peer.span,
            "\"any\" stands here",
        ));
    }
}

fn also(finding: Finding, place: Span, of_peer: Span, what: &str) -> Finding {
    if place == of_peer { finding } else { finding.also(place, what) }
}

/// Warns where nothing is left, as far as that can be said from written addresses without exceptions of their own.
fn check_rest(draft: &Draft, name: &str, group: &Group, findings: &mut Findings) {
    let Some(except) = group.definition.and_then(|definition| definition.except.as_ref()) else { return };
    let held = expand(&draft.merged, group.members());
    let taken = expand(&draft.merged, except.value.iter());
    let source =
        group.definition.is_some_and(|definition| definition.file.is_some() || definition.resolv_conf);
    let unknown = held.any || held.resolv_conf || held.lists || !held.names.is_empty() || source;
    if unknown || held.ranges.is_empty() || !taken.excepted.is_empty() {
        return;
    }
    let within = |range: &AddrRange| covers(taken.ranges.iter(), range);
    if held.ranges.iter().all(within) {
        findings.push(
            Finding::warning("PG342", format!("group \"{name}\" holds nobody: `except` takes all of it out"))
                .at(except.span)
                .also(group.place, "the group")
                .help("take out less, or empty the group"),
        );
    }
}
