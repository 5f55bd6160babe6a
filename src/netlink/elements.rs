//! Elements of sets as messages. libnftnl's own element objects need ten times the memory of what they write.

use super::attr::Writer;
use super::batch::Batch;
use super::message::kind;
use super::wire::{self, data, elem, flag, msg};
use crate::ruleset::{Addresses, Element, ElementKey, ElementValue, Elements, Field, Set, TABLE, Verdict};
use crate::types::Family;
use std::time::Duration;

/// A message is closed when it has grown to this; an element adds less than 1 KiB.
const FULL: usize = 59 * 1024;
/// `NFT_NAME_MAXLEN` without the final zero.
pub const NAME_MAX: usize = 255;

/// Sixteen registers: the longest key.
const KEY_MAX: usize = 64;

/// Why an element cannot be written: a mistake of this program, never of its input.
pub type Mistake = &'static str;

pub fn add(batch: &mut Batch, set: &str, head: &Set, elements: &[Element]) -> Result<(), Mistake> {
    let mut messages = ElementMessages::new(batch, set, msg::NEWSETELEM);
    for (key, value) in elements {
        let shape = Shape::of(head, key)?;
        check_value(head, value)?;
        messages.push(|w| {
            shape.write_start(w);
            write_value(w, value);
        });
        if let Some(end) = shape.end_element() {
            messages.push(|w| write_end(w, &end));
        }
    }
    messages.close();
    Ok(())
}

pub fn delete<'a>(
    batch: &mut Batch,
    set: &str,
    head: &Set,
    keys: impl IntoIterator<Item = &'a ElementKey>,
) -> Result<(), Mistake> {
    let mut messages = ElementMessages::new(batch, set, msg::DELSETELEM);
    for key in keys {
        if key.is_catchall() {
            messages.push(|w| w.be32(elem::FLAGS, elem::F_CATCHALL));
            continue;
        }
        let shape = Shape::of(head, key)?;
        messages.push(|w| shape.write_start(w));
        if let Some(end) = shape.end_element() {
            messages.push(|w| write_end(w, &end));
        }
    }
    messages.close();
    Ok(())
}

pub fn add_addresses(batch: &mut Batch, set: &str, head: &Set, addresses: &Addresses) -> Result<(), Mistake> {
    write_addresses(ElementMessages::new(batch, set, msg::NEWSETELEM), head, addresses)
}

pub fn delete_addresses(
    batch: &mut Batch,
    set: &str,
    head: &Set,
    addresses: &Addresses,
) -> Result<(), Mistake> {
    write_addresses(ElementMessages::new(batch, set, msg::DELSETELEM), head, addresses)
}

fn write_addresses(
    mut messages: ElementMessages<'_>,
    head: &Set,
    addresses: &Addresses,
) -> Result<(), Mistake> {
    let field = match addresses.family() {
        Family::V4 => Field::Ipv4Addr,
        Family::V6 => Field::Ipv6Addr,
    };
    if head.key != [field] || head.interval != addresses.interval() || head.timeout.is_some() {
        return Err("addresses in a set that is not of their kind");
    }
    for (first, last) in addresses.iter() {
        let (first, last) = (first.to_be_bytes(), last.to_be_bytes());
        let own = first.len() - field.octets()..;
        messages.push(|w| write_key(w, elem::KEY, &first[own.clone()]));
        let end = if head.interval { successor(&last[own]) } else { None };
        if let Some(end) = end {
            messages.push(|w| write_end(w, &end));
        }
    }
    messages.close();
    Ok(())
}

/// Add, delete, add: works whether or not the element is still there, and gives it the new timeout on every kernel.
pub fn renew(batch: &mut Batch, set: &str, head: &Set, elements: &[Element]) -> Result<(), Mistake> {
    add(batch, set, head, elements)?;
    delete(batch, set, head, elements.iter().map(|(key, _)| key))?;
    add(batch, set, head, elements)
}

/// A deletion that names no element deletes all.
pub fn flush(batch: &mut Batch, set: &str) {
    batch.message(kind(msg::DELSETELEM), 0, |w| write_set(w, set));
}

/// What the kernel says is the number of elements of a set that holds these. Of ranges of a single field it keeps two
/// elements each, one if the range ends with the greatest key, and says half of them.
pub fn kernel_count(set: &Set) -> u32 {
    let elements = set.elements.len();
    let ranges = set.interval && set.key.len() == 1;
    let count = if ranges { (elements * 2 - open_elements(set)) / 2 } else { elements };
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// How many ranges end with the greatest key.
fn open_elements(set: &Set) -> usize {
    match &set.elements {
        Elements::Addresses(addresses) => usize::from(addresses.reaches_the_last()),
        Elements::Known(known) => {
            let open =
                |key: &&ElementKey| Shape::of(set, key).is_ok_and(|shape| shape.end_element().is_none());
            known.keys().filter(open).count()
        }
        Elements::Unread(_) => 0,
    }
}

/// Messages of elements of one set, a new one whenever one is full.
struct ElementMessages<'a> {
    batch: &'a mut Batch,
    set: &'a str,
    msg: u16,
    open: Option<Open>,
}

struct Open {
    message: usize,
    list: usize,
}

impl<'a> ElementMessages<'a> {
    fn new(batch: &'a mut Batch, set: &'a str, msg: u16) -> Self {
        Self { batch, set, msg, open: None }
    }

    fn push(&mut self, content: impl FnOnce(&mut Writer<'_>)) {
        let message = match &self.open {
            Some(open) => open.message,
            None => self.start(),
        };
        self.batch.writer().nest(wire::NFTA_LIST_ELEM, content);
        if self.batch.as_bytes().len() - message >= FULL {
            self.close();
        }
    }

    fn start(&mut self) -> usize {
        let flags = if self.msg == msg::NEWSETELEM { flag::CREATE } else { 0 };
        let message = self.batch.start_message(kind(self.msg), flags);
        let mut writer = self.batch.writer();
        write_set(&mut writer, self.set);
        let list = writer.open_nest(elem::LIST_ELEMENTS);
        self.open = Some(Open { message, list });
        message
    }

    fn close(&mut self) {
        if let Some(Open { message, list }) = self.open.take() {
            self.batch.writer().close(list);
            self.batch.finish_message(message);
        }
    }
}

/// How a key is written, which depends on the head of its set.
pub(super) struct Shape<'a> {
    pub(super) first: &'a [u8],
    pub(super) last: &'a [u8],
    pub(super) kind: ShapeKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ShapeKind {
    /// One key.
    Exact,
    /// First and last key in one element.
    Concatenation,
    /// An element for the first key, another, marked as end, for what follows the last.
    Interval,
}

impl<'a> Shape<'a> {
    pub(super) fn of(head: &Set, key: &'a ElementKey) -> Result<Self, Mistake> {
        let len: usize = head.key.iter().map(|field| field.padded_len()).sum();
        let first = &*key.first;
        let last = key.last.as_deref().unwrap_or(first);
        if len > KEY_MAX {
            return Err("a key longer than the kernel's registers");
        }
        if first.len() != len || last.len() != len {
            return Err("a key whose length is not that of its set");
        }
        let kind = match (head.interval, head.key.as_slice()) {
            (false, _) if first != last => return Err("a range in a set without intervals"),
            (false, _) => ShapeKind::Exact,
            (true, [_]) => ShapeKind::Interval,
            (true, _) => ShapeKind::Concatenation,
        };
        if kind == ShapeKind::Interval && first > last {
            return Err("a range that ends before it starts");
        }
        match head.key.as_slice() {
            [] => Err("a set without a key"),
            [field] => Ok(Self { first: &first[..field.octets()], last: &last[..field.octets()], kind }),
            _ => Ok(Self { first, last, kind }),
        }
    }

    fn write_start(&self, w: &mut Writer<'_>) {
        write_key(w, elem::KEY, self.first);
        if self.kind == ShapeKind::Concatenation {
            write_key(w, elem::KEY_END, self.last);
        }
    }

    /// The key of the element that ends an interval; an interval up to the greatest key has none.
    fn end_element(&self) -> Option<Vec<u8>> {
        if self.kind == ShapeKind::Interval { successor(self.last) } else { None }
    }
}

/// The next key in network order.
pub(super) fn successor(key: &[u8]) -> Option<Vec<u8>> {
    let mut next = key.to_vec();
    for octet in next.iter_mut().rev() {
        *octet = octet.wrapping_add(1);
        if *octet != 0 {
            return Some(next);
        }
    }
    None
}

fn check_value(head: &Set, value: &ElementValue) -> Result<(), Mistake> {
    match (head.timeout, value.timeout) {
        (Some(_), None) if !head.dynamic => {
            return Err("an element that would never expire in a set with timeouts");
        }
        (None, Some(_)) => return Err("an element with a timeout in a set without"),
        (_, Some(timeout)) if milliseconds(timeout) == 0 => {
            return Err("an element with a timeout of nothing, which means for ever");
        }
        _ => {}
    }
    match &value.verdict {
        Some(Verdict::Jump(chain) | Verdict::Goto(chain)) => check_name(chain)?,
        Some(Verdict::Accept | Verdict::Drop | Verdict::Return) | None => {}
    }
    value.object.as_deref().map_or(Ok(()), check_name)
}

/// Names go to the kernel with a final zero, and at most 255 octets long.
pub fn check_name(name: &str) -> Result<(), Mistake> {
    if name.is_empty() || name.len() > NAME_MAX || name.contains('\0') {
        return Err("a name that nf_tables does not take");
    }
    Ok(())
}

pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn write_set(w: &mut Writer<'_>, set: &str) {
    w.string(elem::LIST_TABLE, TABLE);
    w.string(elem::LIST_SET, set);
}

pub(super) fn write_key(w: &mut Writer<'_>, attr: u16, key: &[u8]) {
    w.nest(attr, |value| value.bytes(data::VALUE, key));
}

fn write_end(w: &mut Writer<'_>, key: &[u8]) {
    write_key(w, elem::KEY, key);
    w.be32(elem::FLAGS, elem::F_INTERVAL_END);
}

fn write_value(w: &mut Writer<'_>, value: &ElementValue) {
    if let Some(verdict) = &value.verdict {
        w.nest(elem::DATA, |content| content.nest(data::VERDICT, |v| write_verdict(v, verdict)));
    }
    if let Some(object) = &value.object {
        w.string(elem::OBJREF, object);
    }
    if let Some(timeout) = value.timeout {
        w.be64(elem::TIMEOUT, milliseconds(timeout));
    }
}

fn write_verdict(w: &mut Writer<'_>, verdict: &Verdict) {
    let (code, chain) = verdict_code(verdict);
    w.be32(data::VERDICT_CODE, code);
    if let Some(chain) = chain {
        w.string(data::VERDICT_CHAIN, chain);
    }
}

/// A verdict's number, and the chain that it leads to.
pub fn verdict_code(verdict: &Verdict) -> (u32, Option<&str>) {
    match verdict {
        Verdict::Accept => (data::ACCEPT, None),
        Verdict::Drop => (data::DROP, None),
        Verdict::Return => (data::RETURN, None),
        Verdict::Jump(chain) => (data::JUMP, Some(chain)),
        Verdict::Goto(chain) => (data::GOTO, Some(chain)),
    }
}
