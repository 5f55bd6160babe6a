//! Elements of sets, as strict as the kernel is with them.

use super::apply::{Errno, check_verdict};
use crate::ruleset::{Element, ElementKey, ElementValue, Elements, Ruleset, Set, SetData};
use nix::libc::{EEXIST, EINVAL, ENFILE, ENOENT};
use std::collections::BTreeMap;
use std::ops::Range;

pub(super) fn add(table: &mut Ruleset, set: &str, list: &[Element]) -> Result<(), Errno> {
    for (key, value) in list {
        add_one(table, set, key, value)?;
    }
    Ok(())
}

pub(super) fn delete(table: &mut Ruleset, set: &str, keys: &[ElementKey]) -> Result<(), Errno> {
    let held = table.sets.get_mut(set).ok_or(ENOENT)?;
    for key in keys {
        let key = canonical_key(Some(held), key);
        known(held)?.remove(&key).ok_or(ENOENT)?;
    }
    Ok(())
}

pub(super) fn renew(table: &mut Ruleset, set: &str, list: &[Element]) -> Result<(), Errno> {
    // Three messages: the kernel goes on with the next when it refuses one.
    let keys: Vec<_> = list.iter().map(|(key, _)| key.clone()).collect();
    let added = add(table, set, list);
    let deleted = delete(table, set, &keys);
    let added_again = add(table, set, list);
    added.and(deleted).and(added_again)
}

/// In a set of intervals a single key is the range from itself to itself.
pub(super) fn canonical_key(set: Option<&Set>, key: &ElementKey) -> ElementKey {
    let mut key = key.clone();
    if set.is_some_and(|set| set.interval) && !key.is_catchall() {
        key.last.get_or_insert_with(|| key.first.clone());
    }
    key
}

fn add_one(table: &mut Ruleset, set: &str, key: &ElementKey, value: &ElementValue) -> Result<(), Errno> {
    let held = table.sets.get(set).ok_or(ENOENT)?;
    let key = canonical_key(Some(held), key);
    check_shape(held, &key, value)?;
    if let Some(verdict) = &value.verdict {
        check_verdict(table, verdict)?;
    }
    check_object(table, held, value)?;
    let held = table.sets.get_mut(set).ok_or(ENOENT)?;
    let (fields, interval, size) = (held.key.clone(), held.interval, held.size);
    let elements = known(held)?;
    match elements.get(&key) {
        Some(same) if same.verdict == value.verdict && same.object == value.object => return Ok(()),
        Some(_) => return Err(EEXIST),
        None => {}
    }
    let lengths: Vec<usize> = fields.iter().map(|field| field.padded_len()).collect();
    if interval && elements.keys().any(|other| overlap(&lengths, &key, other)) {
        return Err(EEXIST);
    }
    // As in recent kernels the element is there for the rest of the batch, which fails.
    let full = size.is_some_and(|size| elements.len() >= size as usize);
    elements.insert(key, value.clone());
    if full { Err(ENFILE) } else { Ok(()) }
}

fn known(set: &mut Set) -> Result<&mut BTreeMap<ElementKey, ElementValue>, Errno> {
    match &mut set.elements {
        Elements::Known(map) => Ok(map),
        Elements::Addresses(_) | Elements::Unread(_) => Err(EINVAL),
    }
}

fn check_shape(set: &Set, key: &ElementKey, value: &ElementValue) -> Result<(), Errno> {
    let len: usize = set.key.iter().map(|field| field.padded_len()).sum();
    let last = key.last.as_ref().unwrap_or(&key.first);
    let whole = key.first.len() == len && last.len() == len && key.first <= *last;
    let ranged = set.interval || *last == key.first;
    let timed = set.timeout.is_some() == value.timeout.is_some();
    let data = match set.data {
        SetData::None => value.verdict.is_none() && value.object.is_none(),
        SetData::Verdict => value.verdict.is_some() && value.object.is_none(),
        SetData::Object(_) => value.verdict.is_none() && value.object.is_some(),
    };
    if whole && ranged && timed && data { Ok(()) } else { Err(EINVAL) }
}

fn check_object(table: &Ruleset, set: &Set, value: &ElementValue) -> Result<(), Errno> {
    let (Some(name), SetData::Object(kind)) = (&value.object, set.data) else { return Ok(()) };
    let held = table.objects.get(name).ok_or(ENOENT)?;
    if held.kind.kind() == kind { Ok(()) } else { Err(ENOENT) }
}

/// Whether two ranges meet, which they do if they meet in every field.
fn overlap(lengths: &[usize], a: &ElementKey, b: &ElementKey) -> bool {
    let mut at = 0;
    lengths.iter().all(|len| {
        let field = at..at + len;
        at += len;
        first_of(a, &field) <= last_of(b, &field) && first_of(b, &field) <= last_of(a, &field)
    })
}

/// A part of a key that a test may have made too short.
fn first_of<'a>(key: &'a ElementKey, field: &Range<usize>) -> Option<&'a [u8]> {
    key.first.get(field.clone())
}

fn last_of<'a>(key: &'a ElementKey, field: &Range<usize>) -> Option<&'a [u8]> {
    key.last.as_ref().unwrap_or(&key.first).get(field.clone())
}
