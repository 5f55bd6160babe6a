//! Values out of TOML, each with its place, and a finding for each that is not what it should be.

use super::Spanned;
use super::keys::{Section, Standing};
use crate::diag::{FileId, Finding, Findings, Span, codes};
use std::ops::Range;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

pub(super) type Table<'t> = DeTable<'t>;
pub(super) type Value<'t> = toml::Spanned<DeValue<'t>>;

/// What a value must be, and how it is written.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) what: &'static str,
    pub(super) example: &'static str,
}

impl Wanted {
    pub(super) const fn new(what: &'static str, example: &'static str) -> Self {
        Self { what, example }
    }
}

const TIME: Wanted = Wanted::new("a time in quotes", "\"60s\", \"5m\" or \"24h\"");

/// Reads one file's values and gathers what is wrong with them.
pub(super) struct Reader {
    file: FileId,
    pub(super) findings: Findings,
}

impl Reader {
    pub(super) fn new(file: FileId) -> Self {
        Self { file, findings: Findings::default() }
    }

    /// What was read, or the findings in the order of their places.
    pub(super) fn finish<T>(mut self, value: T) -> Result<T, Findings> {
        self.findings.sort_by_place();
        if self.findings.has_errors() { Err(self.findings) } else { Ok(value) }
    }

    pub(super) fn span(&self, range: Range<usize>) -> Span {
        let at = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Span { file: self.file, start: at(range.start), end: at(range.end) }
    }

    pub(super) fn of(&self, value: &Value<'_>) -> Span {
        self.span(value.span())
    }

    pub(super) fn error(
        &mut self,
        code: &'static str,
        span: Span,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.findings.push(Finding::error(code, message).at(span).help(help));
    }

    /// Says of every key that the section does not take why not.
    pub(super) fn known_keys(&mut self, table: &Table<'_>, section: &Section) {
        for key in table.keys() {
            let (name, span) = (key.get_ref().as_ref(), self.span(key.span()));
            match section.judge(name) {
                Standing::Known => {}
                Standing::NotYet(instead) => {
                    let message = format!("`{name}` {} is not built yet", section.place);
                    self.error(codes::NOT_YET, span, message, instead);
                }
                Standing::Unknown(meant) => {
                    let message = format!("unknown key `{name}` {}", section.place);
                    self.error(codes::UNKNOWN_KEY, span, message, meant);
                }
            }
        }
    }

    pub(super) fn wrong_type(&mut self, value: &Value<'_>, wanted: Wanted) {
        self.mistaken(value, wanted, format!("write {}", wanted.example));
    }

    fn mistaken(&mut self, value: &Value<'_>, wanted: Wanted, help: String) {
        let message = format!("expected {}, found {}", wanted.what, kind(value.get_ref()));
        self.error(codes::WRONG_TYPE, self.of(value), message, help);
    }

    pub(super) fn string<'v>(&mut self, value: &'v Value<'_>, wanted: Wanted) -> Option<&'v str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(value, wanted);
        }
        text
    }

    pub(super) fn boolean(&mut self, value: &Value<'_>) -> Option<bool> {
        const WANTED: Wanted = Wanted::new("true or false", "true or false, without quotes");
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong_type(value, WANTED);
        }
        found
    }

    /// A whole number.
    pub(super) fn integer(&mut self, value: &Value<'_>, wanted: Wanted) -> Option<i64> {
        let DeValue::Integer(number) = value.get_ref() else {
            self.wrong_type(value, wanted);
            return None;
        };
        let found = i64::from_str_radix(number.as_str(), number.radix()).ok();
        if found.is_none() {
            let message = format!("{number} is out of bounds");
            self.error(codes::BAD_NUMBER, self.of(value), message, "write a smaller number");
        }
        found
    }

    pub(super) fn table<'v, 't>(&mut self, value: &'v Value<'t>, wanted: Wanted) -> Option<&'v Table<'t>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(value, wanted);
        }
        table
    }

    /// A list of strings; `wanted.example` is a list of one.
    pub(super) fn strings<'v>(&mut self, value: &'v Value<'_>, wanted: Wanted) -> Vec<Spanned<&'v str>> {
        let Some(array) = value.get_ref().as_array() else {
            match value.get_ref().as_str() {
                Some(text) => self.mistaken(value, wanted, format!("write [\"{text}\"]")),
                None => self.wrong_type(value, wanted),
            }
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in array.iter() {
            match item.get_ref().as_str() {
                Some(text) => texts.push(Spanned { value: text, span: self.of(item) }),
                None => {
                    let entry = Wanted::new("an entry in quotes", wanted.example);
                    self.mistaken(item, entry, format!("write the entries as in {}", wanted.example));
                }
            }
        }
        texts
    }

    /// A string, or a list of them.
    pub(super) fn string_or_list<'v>(
        &mut self,
        value: &'v Value<'_>,
        wanted: Wanted,
    ) -> Vec<Spanned<&'v str>> {
        match value.get_ref().as_str() {
            Some(text) => vec![Spanned { value: text, span: self.of(value) }],
            None => self.strings(value, wanted),
        }
    }

    /// `"60s"`, `"5m"`, `"24h"`, `"500ms"`, `"7d"`, within the bounds.
    pub(super) fn duration(&mut self, value: &Value<'_>, least: &str, most: &str) -> Option<Duration> {
        if let DeValue::Integer(number) = value.get_ref() {
            self.mistaken(value, TIME, format!("write the unit too: \"{number}s\" for {number} seconds"));
            return None;
        }
        let text = self.string(value, TIME)?;
        let Some(time) = duration(text) else {
            let help = "write a whole number and ms, s, m, h or d: \"60s\", \"5m\", \"24h\"";
            self.error(codes::BAD_DURATION, self.of(value), format!("\"{text}\" is not a time"), help);
            return None;
        };
        if duration(least).is_some_and(|least| time < least) || duration(most).is_some_and(|most| time > most)
        {
            let message = format!("\"{text}\" is out of bounds");
            self.error(codes::BAD_DURATION, self.of(value), message, format!("write {least} to {most}"));
            return None;
        }
        Some(time)
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(true) => "`true`",
        DeValue::Boolean(false) => "`false`",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(array) => match array.iter().next().map(toml::Spanned::get_ref) {
            Some(DeValue::Table(_)) => "a list of tables",
            _ => "a list",
        },
        DeValue::Table(_) => "a table",
    }
}

/// `500ms`, `60s`, `5m`, `24h`, `7d`: a whole number and a unit, up to 366 days.
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let millis = match &text[digits..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let time = Duration::from_millis(number.checked_mul(millis)?);
    (time <= Duration::from_secs(366 * 86_400)).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_number_and_a_unit() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("24h"), Some(Duration::from_secs(86_400)));
        for wrong in ["", "5", "s", "1.5s", "-1s", "5 m", "99999999999999999999s", "400d"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }
}
