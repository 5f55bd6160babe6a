//! Looking single elements up: the questions, and what their answers must be.

use super::attr::Writer;
use super::elements::{Mistake, Shape, ShapeKind, successor, write_key, write_set};
use super::wire::{self, elem};
use crate::ruleset::{ElementKey, Set};

/// A question about one element, and what the answer must be if the set holds the key that is looked up.
pub struct Query {
    key: Vec<u8>,
    key_end: Option<Vec<u8>>,
    pub expected: Expected,
}

pub enum Expected {
    /// The element with this first key and, where one is given, this last.
    Element { first: Vec<u8>, last: Option<Vec<u8>> },
    /// None, or one with another first key than this.
    NotFrom(Vec<u8>),
}

/// The questions whose answers tell whether a set holds exactly this key. The first asks for the element's value.
///
/// The kernel answers with the element that a key falls into. An interval is known by its first key, which its last
/// key falls into too and the next one does not. (Asking for the element that marks an end finds a later one where
/// another interval follows at once.)
pub fn queries(head: &Set, key: &ElementKey) -> Result<Vec<Query>, Mistake> {
    let Shape { first, last, kind } = Shape::of(head, key)?;
    let last_in_element = (kind == ShapeKind::Concatenation).then(|| last.to_vec());
    let starting_here = |last| Expected::Element { first: first.to_vec(), last };
    let mut queries = vec![Query {
        key: first.to_vec(),
        key_end: last_in_element.clone(),
        expected: starting_here(last_in_element),
    }];
    if kind == ShapeKind::Interval {
        queries.push(Query { key: last.to_vec(), key_end: None, expected: starting_here(None) });
        let next = successor(last);
        queries.extend(next.map(|key| Query {
            key,
            key_end: None,
            expected: Expected::NotFrom(first.to_vec()),
        }));
    }
    Ok(queries)
}

/// The body of a request.
pub fn write_query(w: &mut Writer<'_>, set: &str, query: &Query) {
    write_set(w, set);
    w.nest(elem::LIST_ELEMENTS, |list| {
        list.nest(wire::NFTA_LIST_ELEM, |element| {
            write_key(element, elem::KEY, &query.key);
            if let Some(key_end) = &query.key_end {
                write_key(element, elem::KEY_END, key_end);
            }
        });
    });
}
