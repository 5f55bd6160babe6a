//! Who refers to what: an object, a set or a chain in use cannot be deleted.

use crate::ruleset::{ElementValue, Expr, Ruleset, Verdict};
use std::collections::BTreeMap;

/// `NFT_JUMP_STACK_SIZE`.
pub(super) const DEPTH_MAX: usize = 16;

pub(super) fn of_object(table: &Ruleset, wanted: &str) -> bool {
    let named = |expr: &Expr| matches!(expr, Expr::Object { name, .. } if name == wanted);
    exprs(table).any(|(_, expr)| named(expr))
        || values(table).any(|value| value.object.as_deref() == Some(wanted))
}

pub(super) fn of_set(table: &Ruleset, wanted: &str) -> bool {
    exprs(table).any(|(_, expr)| set_of(expr) == Some(wanted))
}

/// Rules of the chain itself do not count: they go with it.
pub(super) fn of_chain(table: &Ruleset, wanted: &str) -> bool {
    exprs(table).any(|(chain, expr)| chain != wanted && verdict_of(expr).and_then(target) == Some(wanted))
        || values(table).any(|value| value.verdict.as_ref().and_then(target) == Some(wanted))
}

/// Whether every path of jumps from a chain is at most so long. `known` keeps the depth that a chain was seen to have.
pub(super) fn depth_within<'a>(
    table: &'a Ruleset,
    chain: &'a str,
    most: usize,
    known: &mut BTreeMap<&'a str, usize>,
) -> bool {
    if let Some(depth) = known.get(chain) {
        return *depth <= most;
    }
    let Some(deeper) = most.checked_sub(1) else { return false };
    let targets: Vec<&str> = targets(table, chain).collect();
    if !targets.iter().all(|next| depth_within(table, next, deeper, known)) {
        return false;
    }
    let depth = targets.iter().filter_map(|next| known.get(next)).max().map_or(1, |below| below + 1);
    known.insert(chain, depth);
    depth <= most
}

fn targets<'a>(table: &'a Ruleset, chain: &'a str) -> impl Iterator<Item = &'a str> {
    let rules = table.chains.get(chain).into_iter().flat_map(|chain| &chain.rules);
    rules.flat_map(|rule| &rule.exprs).flat_map(|expr| {
        let map = match expr {
            Expr::Lookup { set, verdict: true, .. } => table.sets.get(set),
            _ => None,
        };
        let in_map = map.and_then(|set| set.elements.known()).into_iter().flat_map(BTreeMap::values);
        let in_map = in_map.filter_map(|value| value.verdict.as_ref());
        in_map.chain(verdict_of(expr)).filter_map(target)
    })
}

fn exprs(table: &Ruleset) -> impl Iterator<Item = (&str, &Expr)> {
    table.chains.iter().flat_map(|(name, chain)| {
        chain.rules.iter().flat_map(|rule| &rule.exprs).map(move |expr| (name.as_str(), expr))
    })
}

fn values(table: &Ruleset) -> impl Iterator<Item = &ElementValue> {
    table.sets.values().filter_map(|set| set.elements.known()).flat_map(BTreeMap::values)
}

fn set_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Lookup { set, .. } | Expr::Dynset { set, .. } => Some(set),
        Expr::ObjectMap { map, .. } => Some(map),
        _ => None,
    }
}

fn verdict_of(expr: &Expr) -> Option<&Verdict> {
    match expr {
        Expr::Verdict(verdict) => Some(verdict),
        _ => None,
    }
}

fn target(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Jump(chain) | Verdict::Goto(chain) => Some(chain),
        Verdict::Accept | Verdict::Drop | Verdict::Return => None,
    }
}
