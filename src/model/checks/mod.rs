//! What the language allows one by one, but not together, or what is surely not meant: one file for each check.

mod any_beside;
mod broadcast;
mod conditions;
pub(super) mod covered;
mod duplicates;
mod empty_groups;
mod exceptions;
mod families;
mod lookalike_names;
mod mapped_addresses;
mod names_in_deny;
mod names_without_dns;
mod networks;
mod no_way_in;
mod nothing_to_match;
mod open_groups;
mod times;
mod unused;
mod zones;

use super::draft::Draft;
use crate::diag::Findings;
use crate::policy::{Peer, Spanned};

pub(super) fn run(draft: &Draft, findings: &mut Findings) {
    for check in [
        broadcast::check,
        mapped_addresses::check,
        conditions::check,
        families::check,
        exceptions::check,
        networks::check,
        names_in_deny::check,
        times::check,
        nothing_to_match::check,
        any_beside::check,
        duplicates::check,
        empty_groups::check,
        open_groups::check,
        zones::check,
        lookalike_names::check,
        names_without_dns::check,
        unused::check,
        no_way_in::check,
    ] {
        check(draft, findings);
    }
}

/// Every list of peers that is in force: of groups and of rules.
fn peer_lists<'d>(draft: &'d Draft) -> impl Iterator<Item = Vec<&'d Spanned<Peer>>> {
    let groups = draft.merged.groups.values();
    let lists = groups.flat_map(|group| [group.members().collect(), group.except().collect()]);
    lists.chain(draft.rules.iter().map(|rule| rule.entry.peers.value.iter().collect()))
}

/// `rule "a"`, `rules "a" and "b"`, `rules "a", "b" and "c"`.
fn rules<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("\"{name}\"")).collect();
    match quoted.as_slice() {
        [] => "no rule".into(),
        [one] => format!("rule {one}"),
        [most @ .., last] => format!("rules {} and {last}", most.join(", ")),
    }
}
