//! Elements of sets, and the ranges that an interval set keeps as a first key and an end.

use super::{expr, ours};
use crate::netlink::attr::{Attrs, Malformed, Nest};
use crate::netlink::message::Header;
use crate::netlink::wire::{self, data, elem, msg};
use crate::ruleset::{ElementKey, ElementValue, Field, Set};
use std::collections::BTreeMap;
use std::time::Duration;

/// An element as the kernel dumps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Collected {
    /// As on the wire, that is without padding if the key has one field.
    first: Vec<u8>,
    last: Option<Vec<u8>>,
    end: bool,
    value: ElementValue,
}

impl Collected {
    /// Whether the first key is this one and, where one is given, the last.
    pub fn is_at(&self, first: &[u8], last: Option<&[u8]>) -> bool {
        let held_last = self.last.as_deref().unwrap_or(&self.first);
        self.first == first && last.is_none_or(|last| last == held_last)
    }

    pub fn into_value(self) -> ElementValue {
        self.value
    }
}

/// Appends the elements in one message of a dump.
pub fn collect_elements(header: Header, body: &[u8], into: &mut Vec<Collected>) -> Result<(), Malformed> {
    let Some(attrs) = ours(header, msg::NEWSETELEM, body, elem::LIST_TABLE)? else { return Ok(()) };
    for attr in Attrs::new(attrs.bytes(elem::LIST_ELEMENTS).unwrap_or(&[])) {
        let (number, element) = attr?;
        if number == wire::NFTA_LIST_ELEM {
            into.push(element_of(&Nest::parse(element)?)?);
        }
    }
    Ok(())
}

fn element_of(attrs: &Nest<'_>) -> Result<Collected, Malformed> {
    let flags = attrs.be32(elem::FLAGS)?.unwrap_or(0);
    let key = |attr| Ok::<_, Malformed>(attrs.nest(attr)?.bytes(data::VALUE).map(<[u8]>::to_vec));
    let first = match key(elem::KEY)? {
        Some(first) => first,
        // It matches what no other element does, and has no key.
        None if flags & elem::F_CATCHALL != 0 => Vec::new(),
        None => return Err(Malformed("an element without a key")),
    };
    let end = flags & elem::F_INTERVAL_END != 0;
    Ok(Collected { first, last: key(elem::KEY_END)?, end, value: value_of(attrs)? })
}

fn value_of(attrs: &Nest<'_>) -> Result<ElementValue, Malformed> {
    // An element with statements of its own, or with data that this program never gives, is told by an object that
    // cannot exist.
    let verdict = expr::verdict(&attrs.nest(elem::DATA)?)?;
    let foreign =
        attrs.has(elem::EXPR) || attrs.has(elem::EXPRESSIONS) || (attrs.has(elem::DATA) && verdict.is_none());
    let object = if foreign { Some("") } else { attrs.string(elem::OBJREF)? };
    let timeout = attrs.be64(elem::EXPIRATION)?.map(Duration::from_millis);
    Ok(ElementValue { verdict, object: object.map(str::to_owned), timeout })
}

/// The elements of a set from those of its dump: keys padded, ranges put together.
pub fn merge_elements(
    head: &Set,
    collected: Vec<Collected>,
) -> Result<BTreeMap<ElementKey, ElementValue>, Malformed> {
    match (head.interval, head.key.as_slice()) {
        (true, [field]) => merge_intervals(*field, collected),
        (interval, fields) => collected
            .into_iter()
            .map(|Collected { first, last, value, .. }| {
                if first.is_empty() {
                    return Ok((ElementKey { first: Box::new([]), last: None }, value));
                }
                let last = interval.then(|| last.unwrap_or_else(|| first.clone()));
                let last = last.map(|key| padded(fields, &key)).transpose()?;
                Ok((ElementKey { first: padded(fields, &first)?, last }, value))
            })
            .collect(),
    }
}

fn padded(fields: &[Field], key: &[u8]) -> Result<Box<[u8]>, Malformed> {
    let wire_len = match fields {
        [field] => field.octets(),
        many => many.iter().map(|field| field.padded_len()).sum(),
    };
    if key.len() != wire_len {
        return Err(Malformed("an element whose key has not the length of its set's"));
    }
    let mut key = key.to_vec();
    key.resize(key.len().next_multiple_of(4), 0);
    Ok(key.into_boxed_slice())
}

/// A first key opens a range; the next end or first key closes it before itself; the greatest key closes the rest.
fn merge_intervals(
    field: Field,
    mut collected: Vec<Collected>,
) -> Result<BTreeMap<ElementKey, ElementValue>, Malformed> {
    let mut merged = BTreeMap::new();
    let mut open: Option<(Vec<u8>, ElementValue)> = None;
    let mut catchall = None;
    let mut close = |open: Option<(Vec<u8>, ElementValue)>, last: Vec<u8>| {
        if let Some((first, value)) = open {
            let key = ElementKey { first: padded(&[field], &first)?, last: Some(padded(&[field], &last)?) };
            merged.insert(key, value);
        }
        Ok::<(), Malformed>(())
    };
    // Ends before first keys: where both are equal, the range before ends where the next one starts.
    collected.sort_by(|a, b| (&a.first, !a.end).cmp(&(&b.first, !b.end)));
    for element in collected {
        if element.first.is_empty() {
            catchall = Some(element.value);
            continue;
        }
        if let Some(last) = predecessor(&element.first) {
            close(open.take(), last)?;
        }
        open = (!element.end).then_some((element.first, element.value));
    }
    close(open, vec![0xff; field.octets()])?;
    if let Some(value) = catchall {
        merged.insert(ElementKey { first: Box::new([]), last: None }, value);
    }
    Ok(merged)
}

fn predecessor(key: &[u8]) -> Option<Vec<u8>> {
    let mut previous = key.to_vec();
    for octet in previous.iter_mut().rev() {
        let borrow = *octet == 0;
        *octet = octet.wrapping_sub(1);
        if !borrow {
            return Some(previous);
        }
    }
    None
}
