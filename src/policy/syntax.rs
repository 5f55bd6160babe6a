//! TOML text to tables, with a finding for every place where the text is not TOML.

use super::reader::{Reader, Table, Value};
use crate::diag::{Finding, codes};
use std::ops::Range;
use toml::de::{DeTable, DeValue, Error};

/// What the parser says of a key or table that stands twice. What it kept can be judged all the same.
const DUPLICATE: &str = "duplicate key";

/// The text as a table; `None` if too little of it is TOML to look for anything else.
pub(super) fn read<'t>(reader: &mut Reader, text: &'t str) -> Option<Table<'t>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let table = table.into_inner();
    let (twice, mut broken): (Vec<Error>, Vec<Error>) =
        errors.into_iter().partition(|error| error.message().starts_with(DUPLICATE));
    for error in &twice {
        duplicate(reader, &table, error.span().unwrap_or_default(), text);
    }
    broken.sort_by_key(|error| error.span().unwrap_or_default().start);
    let mut last = None;
    for error in &broken {
        let place = error.span().unwrap_or_default();
        // What follows in one line are consequences of the first.
        let between = last.and_then(|last| text.get(last..place.start));
        if between.is_none_or(|between| between.contains('\n')) {
            let rest = text.get(place.start..).and_then(|rest| rest.lines().next()).unwrap_or("");
            let fault = fault(error, text.get(place.clone()).unwrap_or(""), rest);
            reader.error(
                codes::NOT_TOML,
                reader.span(place.clone()),
                format!("not TOML: {}", fault.0),
                fault.1,
            );
        }
        last = Some(place.start);
    }
    broken.is_empty().then_some(table)
}

fn duplicate(reader: &mut Reader, table: &Table<'_>, place: Range<usize>, text: &str) {
    let name = text.get(place.clone()).unwrap_or_default().trim_matches(['"', '\'']);
    let line = text[..place.start].rfind('\n').map_or(0, |newline| newline + 1);
    let header = text[line..].lines().next().and_then(header);
    let (message, help, first) = match header {
        Some(header) if header.starts_with("[[") => {
            let help = format!("write every one under [[{name}]], with two brackets");
            (format!("{header}: `{name}` is already a table"), help, last_before(table, name, place.start))
        }
        Some(header) => {
            let help = "put the lines of both under one header".to_owned();
            (format!("the table {header} stands twice in this file"), help, header_before(text, header, line))
        }
        None => (
            format!("`{name}` stands twice"),
            "keep one of them".into(),
            last_before(table, name, place.start),
        ),
    };
    let mut finding = Finding::error(codes::DUPLICATE_KEY, message).at(reader.span(place)).help(help);
    if let Some(first) = first {
        finding = finding.also(reader.span(first), "first defined here");
    }
    reader.findings.push(finding);
}

/// The table header that a line holds.
fn header(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let end = line.rfind(']')?;
    line.starts_with('[').then(|| &line[..=end])
}

/// The header of that text in the lines before an offset.
fn header_before(text: &str, wanted: &str, before: usize) -> Option<Range<usize>> {
    let mut offset = 0;
    for line in text[..before].split_inclusive('\n') {
        if header(line) == Some(wanted) {
            let start = offset + line.len() - line.trim_start().len();
            return Some(start..start + wanted.len());
        }
        offset += line.len();
    }
    None
}

/// The last key of that name before an offset: a key that stands twice does so in one table, whose keys stand together.
fn last_before(table: &Table<'_>, name: &str, before: usize) -> Option<Range<usize>> {
    let own = table.keys().find(|key| key.get_ref() == name).map(toml::Spanned::span);
    let inner = table.values().filter_map(|value| last_in(value, name, before));
    own.into_iter().chain(inner).filter(|span| span.end <= before).max_by_key(|span| span.start)
}

fn last_in(value: &Value<'_>, name: &str, before: usize) -> Option<Range<usize>> {
    match value.get_ref() {
        DeValue::Table(table) => last_before(table, name, before),
        DeValue::Array(array) => {
            let spans = array.iter().filter_map(|item| last_in(item, name, before));
            spans.max_by_key(|span| span.start)
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => None,
    }
}

/// What is wrong, and what to do: the parser's words where nothing better is known. `found` is the text of its place, `rest`
/// what follows in that line.
fn fault(error: &Error, found: &str, rest: &str) -> (String, String) {
    let message = error.message();
    let (what, expected) =
        message.split_once(", expected ").map_or((message, None), |(what, expected)| (what, Some(expected)));
    let said = |help: &str| (what.to_owned(), help.to_owned());
    match what {
        "string values must be quoted" if found.trim().is_empty() => {
            ("a value is missing".into(), "write a value after the `=`".into())
        }
        "string values must be quoted" => said(&format!("put it in quotes: \"{found}\"")),
        _ if what.starts_with("invalid") && is_bare_word(found) => {
            ("string values must be quoted".into(), format!("put it in quotes: \"{found}\""))
        }
        "invalid basic string" | "invalid literal string" if found.contains(char::is_control) => {
            ("a control character in a string".into(), "write it as an escape: \"\\u001b\"".into())
        }
        "invalid basic string" | "invalid literal string" => {
            ("a string that does not end".into(), "close the quotes in the line in which they open".into())
        }
        "missing escaped value" => {
            said("write \\\\ for a backslash, or put the text in single quotes, where a backslash is itself")
        }
        "invalid unquoted key" if rest.starts_with(':') => said("write `=` in place of `:`"),
        "missing comma between array elements" if rest.contains('=') => {
            let help = "close the list with `]` before this line, or put a comma between its entries";
            ("a list that does not end".into(), help.into())
        }
        _ => said(&remedy(what, expected)),
    }
}

/// A word where a value should be: `in`, `nobody`.
fn is_bare_word(found: &str) -> bool {
    found.starts_with(|c: char| c.is_ascii_alphabetic())
        && found.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn remedy(what: &str, expected: Option<&str>) -> String {
    match (what, expected) {
        ("key with no value" | "missing assignment between key-value pairs", _) => {
            "write it as `key = value`".into()
        }
        ("missing value for key" | "missing value", _) => "write a value after the `=`".into(),
        ("unclosed array", _) => "close the list with `]`".into(),
        ("unclosed table", _) => "close the header with `]`".into(),
        ("unclosed array table", _) => "close the header with `]]`".into(),
        ("unclosed inline table", _) => "close the table with `}`".into(),
        ("missing comma between array elements" | "missing comma between key-value pairs", _) => {
            "put a comma between the entries".into()
        }
        (_, Some(expected)) => format!("expected here: {expected}"),
        (_, None) => "see https://toml.io/en/v1.1.0 for the syntax".into(),
    }
}
