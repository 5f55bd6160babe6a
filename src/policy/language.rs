//! `language = 1`: the version of the policy language, before everything else in a file.

use super::reader::{Reader, Table, Value, Wanted};
use crate::diag::codes;
use toml::de::DeValue;

/// The version that this program knows.
const LANGUAGE: i64 = 1;

const KEY: &str = "language";

/// Whether the file is in a language that this program can judge. A `language` that stands in the wrong table is taken out.
pub(super) fn check(reader: &mut Reader, table: &mut Table<'_>) -> bool {
    let first = table.iter().min_by_key(|(key, _)| key.span().start);
    let place = reader.span(first.map_or(0..0, |(key, _)| key.span()));
    let leads = first.is_some_and(|(key, _)| key.get_ref() == KEY);
    let Some(value) = table.get(KEY) else {
        if !below_a_header(reader, table) {
            let help = "write `language = 1` as the first line";
            reader.error(codes::NO_LANGUAGE, place, "the file does not say its language version", help);
        }
        return true;
    };
    if !leads {
        let help = "move it to the first line";
        reader.error(codes::LANGUAGE_NOT_FIRST, reader.of(value), "`language` is not the first key", help);
    }
    version(reader, value)
}

fn version(reader: &mut Reader, value: &Value<'_>) -> bool {
    const WANTED: Wanted = Wanted::new("the number 1", "`language = 1`, without quotes");
    let DeValue::Integer(number) = value.get_ref() else {
        reader.wrong_type(value, WANTED);
        return true;
    };
    if i64::from_str_radix(number.as_str(), number.radix()) == Ok(LANGUAGE) {
        return true;
    }
    let message = format!("this program does not know version {number} of the language");
    let help = "write `language = 1`, or install a portgrave that knows that version";
    reader.error(codes::UNKNOWN_LANGUAGE, reader.of(value), message, help);
    false
}

fn below_a_header(reader: &mut Reader, table: &mut Table<'_>) -> bool {
    let headers: Vec<String> = table.keys().map(|key| key.get_ref().to_string()).collect();
    for header in headers {
        if let Some(place) = table.get_mut(header.as_str()).and_then(take_version) {
            let message =
                format!("`language` stands below the header of `{header}`, so it belongs to that table");
            let help = "move `language = 1` to the first line of the file";
            reader.error(codes::LANGUAGE_BELOW_HEADER, reader.span(place), message, help);
            return true;
        }
    }
    false
}

/// Where a table, or one of a list of tables, says a version; a group or service of that name is left alone.
fn take_version(value: &mut Value<'_>) -> Option<std::ops::Range<usize>> {
    match value.get_mut() {
        DeValue::Table(table) => {
            table.get(KEY).filter(|version| version.get_ref().is_integer())?;
            table.remove_entry(KEY).map(|(key, _)| key.span())
        }
        DeValue::Array(items) => items.iter_mut().find_map(take_version),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => None,
    }
}
