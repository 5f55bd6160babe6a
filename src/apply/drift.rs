//! What others have done to the table, in words.

use super::in_force::holds_names;
use super::{SHORT_LIFE, close_to_its_end};
use crate::netlink::{Kernel, KernelError, kernel_count};
use crate::plan::{Exchanged, Op, diff};
use crate::ruleset::{Element, ElementKey, Elements, Expr, Rule, Ruleset, Set, element_words, key_words};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Of a set that is too large to be dumped, so many elements are looked up.
const SAMPLE: usize = 64;

/// Changes that are told one by one.
const TOLD: usize = 20;

/// How the kernel's table differs from what is wanted: what was added to it and deleted from it.
pub(super) fn drift(want: &Ruleset, held: Option<&Ruleset>) -> Vec<String> {
    let Some(held) = held else { return vec!["the table was deleted".into()] };
    if held.chains.is_empty() && held.sets.is_empty() {
        return vec!["the table was emptied".into()];
    }
    let mut told: Vec<String> =
        diff(want, Some(held)).ops.iter().filter_map(|op| undone(op, want, held)).collect();
    let more = told.len().saturating_sub(TOLD);
    told.truncate(TOLD);
    if more > 0 {
        told.push(format!("and {more} more changes"));
    }
    told
}

/// What somebody has done that an operation undoes. Lifetimes are nobody's doing.
fn undone(op: &Op, want: &Ruleset, held: &Ruleset) -> Option<String> {
    let keys = |head: &Set, keys: &mut dyn Iterator<Item = ElementKey>| {
        let words: Vec<String> = keys.take(TOLD).map(|key| key_words(&head.key, &key)).collect();
        words.join(", ")
    };
    Some(match op {
        Op::AddTable => "the table was put to sleep".into(),
        Op::DeleteTable => return None,
        Op::AddObject { name, .. } => format!("counter or helper deleted: {name}"),
        Op::DeleteObject { name, .. } => format!("counter or helper added: {name}"),
        Op::AddSet { name, .. } => format!("set deleted: {name}"),
        Op::DeleteSet { name } => format!("set added: {name}"),
        Op::AddChain { name, .. } => format!("chain deleted: {name}"),
        Op::DeleteChain { name } => format!("chain added: {name}"),
        Op::AddRule { chain, rule, .. } => format!("rule deleted from {chain}: {}", rule.text),
        Op::DeleteRule { chain, handle } => {
            let rules = &held.chains.get(chain)?.rules;
            let rule = rules.iter().find(|rule| rule.handle == Some(*handle));
            let same = |known: &&Rule| Some(*known) == rule;
            let known = want.chains.get(chain).and_then(|chain| chain.rules.iter().find(same));
            let words = known.map_or_else(|| of_others(rule), |known| known.text.clone());
            format!("rule added to {chain} (handle {handle}): {words}")
        }
        Op::FlushSet { name } => return foreign(name, want, held),
        Op::AddElements { set, head, elements } => {
            let missing: Vec<String> = elements
                .iter()
                .filter(|element| !close_to_its_end(element) && is_missing(held, set, element))
                .take(TOLD)
                .map(|(key, value)| element_words(head, key, value))
                .collect();
            if missing.is_empty() {
                return None;
            }
            format!("elements deleted from {set}: {}", missing.join(", "))
        }
        Op::DeleteElements { set, head, keys: added } => {
            let known = held.sets.get(set)?.elements.known()?;
            let words = added.iter().filter_map(|key| Some(element_words(head, key, known.get(key)?)));
            format!("elements added to {set}: {}", words.take(TOLD).collect::<Vec<_>>().join(", "))
        }
        Op::AddAddresses { set, .. } if is_unread(held, set) => return None,
        Op::AddAddresses { set, head, addresses } => {
            format!("elements deleted from {set}: {}", keys(head, &mut addresses.keys()))
        }
        Op::DeleteAddresses { set, head, addresses } => {
            format!("elements added to {set}: {}", keys(head, &mut addresses.keys()))
        }
        Op::RenewElements { .. } => return None,
    })
}

/// A rule that is none of ours: where it leads, and whether it asks for anything before.
fn of_others(rule: Option<&Rule>) -> String {
    match rule.map(|rule| rule.exprs.as_slice()) {
        Some([Expr::Verdict(verdict)]) => verdict.to_string(),
        Some([.., Expr::Verdict(verdict)]) => format!("… {verdict}"),
        Some(_) | None => "…".into(),
    }
}

/// Whether an element is away, or leads elsewhere. Of a set that was not dumped nobody knows.
fn is_missing(held: &Ruleset, set: &str, (key, value): &Element) -> bool {
    let known = held.sets.get(set).and_then(|set| set.elements.known());
    !is_unread(held, set) && known.is_none_or(|known| known.get(key) != Some(value))
}

fn is_unread(held: &Ruleset, set: &str) -> bool {
    held.sets.get(set).is_some_and(|set| matches!(set.elements, Elements::Unread(_)))
}

/// The elements of a set that are not wanted, or not with what they lead to.
fn foreign(name: &str, want: &Ruleset, held: &Ruleset) -> Option<String> {
    let (want, held) = (want.sets.get(name)?, held.sets.get(name)?);
    let known = match &held.elements {
        Elements::Known(known) => known,
        Elements::Addresses(_) => return Some(format!("elements changed in {name}")),
        Elements::Unread(count) => return Some(uncounted(name, *count, kernel_count(want))),
    };
    let nothing = BTreeMap::new();
    let wanted = want.elements.known().unwrap_or(&nothing);
    let foreign = known.iter().filter(|(key, value)| wanted.get(*key) != Some(value));
    let words: Vec<String> = foreign.take(TOLD).map(|(key, value)| element_words(held, key, value)).collect();
    (!words.is_empty()).then(|| format!("elements added to {name}: {}", words.join(", ")))
}

/// What is known of a set that was not dumped.
fn uncounted(name: &str, held: Option<u32>, wanted: u32) -> String {
    let what = match held.map(|held| held.cmp(&wanted)) {
        Some(Ordering::Less) => "deleted from",
        Some(Ordering::Greater) => "added to",
        Some(Ordering::Equal) | None => "changed in",
    };
    format!("elements {what} {name}, which is too large to tell which")
}

/// Takes sets that were not dumped for what they should be, where their counts and a sample of their elements speak for it.
pub(super) fn fill_unread(
    kernel: &mut dyn Kernel,
    exchanged: &Exchanged,
    held: &mut Ruleset,
    want: &Ruleset,
) -> Result<(), KernelError> {
    for (name, set) in &mut held.sets {
        let Elements::Unread(count) = set.elements else { continue };
        let Some(wanted) = want.sets.get(name).filter(|wanted| wanted.same_head(set)) else { continue };
        let looks_right = match count {
            Some(count) if !holds_names(wanted) => count == kernel_count(wanted),
            // Those that have just ended are counted until they are collected.
            Some(count) => may_be(count, wanted) && has_sample(kernel, &exchanged.name(name), wanted)?,
            None => has_sample(kernel, &exchanged.name(name), wanted)?,
        };
        if looks_right {
            set.elements = wanted.elements.clone();
        }
    }
    Ok(())
}

/// Whether a count of elements that come and go may be that of what is wanted: some end, and some have not been collected.
fn may_be(count: u32, wanted: &Set) -> bool {
    let (count, wanted) = (u64::from(count), wanted.elements.len() as u64);
    count * 10 >= wanted * 9 && count * 10 <= wanted * 11 + 100
}

fn has_sample(kernel: &mut dyn Kernel, name: &str, wanted: &Set) -> Result<bool, KernelError> {
    let step = (wanted.elements.len() / SAMPLE).max(1);
    for (key, value) in wanted.elements.iter().step_by(step) {
        if value.timeout.is_some_and(|timeout| timeout < SHORT_LIFE) {
            continue;
        }
        let found = kernel.lookup(name, wanted, &key)?;
        if found.as_ref() != Some(value) {
            return Ok(false);
        }
    }
    Ok(true)
}
