//! Who refers to what: an object, a set or a chain in use cannot be deleted.

use crate::ruleset::{ElementValue, Expr, Ruleset, Verdict};
use std::collections::BTreeMap;

/// `NFT_JUMP_STACK_SIZE`.
pub(super) const DEPTH_MAX: usize = 16;

pub(super) fn of_object(table: &Ruleset, wanted: &str) -> bool {
    let named = |expr: &Expr| matches!(expr, Expr::Object { name, .. } if name == wanted);
    exprs(table).any(named) || values(table).any(|value| value.object.as_deref() == Some(wanted))
}

pub(super) fn of_set(table: &Ruleset, wanted: &str) -> bool {
    exprs(table).any(|expr| expr.set() == Some(wanted))
}

pub(super) fn of_chain(table: &Ruleset, wanted: &str) -> bool {
    exprs(table).any(|expr| verdict_of(expr).and_then(target) == Some(wanted))
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
        // The kernel follows the jumps in a map also where it is only asked whether it has the key.
        let map = expr.set().and_then(|set| table.sets.get(set));
        let in_map = map.and_then(|set| set.elements.known()).into_iter().flat_map(BTreeMap::values);
        let in_map = in_map.filter_map(|value| value.verdict.as_ref());
        in_map.chain(verdict_of(expr)).filter_map(target)
    })
}

fn exprs(table: &Ruleset) -> impl Iterator<Item = &Expr> {
    table.chains.values().flat_map(|chain| &chain.rules).flat_map(|rule| &rule.exprs)
}

fn values(table: &Ruleset) -> impl Iterator<Item = &ElementValue> {
    table.sets.values().filter_map(|set| set.elements.known()).flat_map(BTreeMap::values)
}

fn verdict_of(expr: &Expr) -> Option<&Verdict> {
    if let Expr::Verdict(verdict) = expr { Some(verdict) } else { None }
}

fn target(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Jump(chain) | Verdict::Goto(chain) => Some(chain),
        Verdict::Accept | Verdict::Drop | Verdict::Return => None,
    }
}
