//! Values out of TOML, each with its place, and a finding for each that is not what it should be.

use super::Spanned;
use super::keys::Section;
use crate::diag::{FileId, Finding, Findings, Span, nearest};
use std::ops::Range;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

pub(super) type Table<'t> = DeTable<'t>;
pub(super) type Value<'t> = toml::Spanned<DeValue<'t>>;

/// Reads one file's values and gathers what is wrong with them.
pub(super) struct Reader {
    file: FileId,
    pub(super) findings: Findings,
}

impl Reader {
    pub(super) fn new(file: FileId) -> Self {
        Self { file, findings: Findings::default() }
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
            if section.keys.contains(&name) {
                continue;
            }
            if let Some((_, remedy)) = section.not_yet.iter().find(|(known, _)| *known == name) {
                let message = format!("`{name}` {} is not built yet", section.place);
                self.error("PG103", span, message, *remedy);
                continue;
            }
            let known = || section.keys.iter().chain(section.not_yet.iter().map(|(key, _)| key)).copied();
            let help = match nearest(name, known()) {
                Some(close) => format!("did you mean `{close}`?"),
                None => format!("known here: {}", section.keys.join(", ")),
            };
            self.error("PG102", span, format!("unknown key `{name}` {}", section.place), help);
        }
    }

    pub(super) fn wrong_type(&mut self, value: &Value<'_>, wanted: &str) {
        let found = value.get_ref().type_str();
        self.error(
            "PG201",
            self.of(value),
            format!("{found} found, {wanted} wanted"),
            format!("write {wanted} here"),
        );
    }

    pub(super) fn string<'v>(&mut self, value: &'v Value<'_>, wanted: &str) -> Option<&'v str> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(value, wanted);
        }
        text
    }

    pub(super) fn boolean(&mut self, value: &Value<'_>) -> Option<bool> {
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong_type(value, "true or false");
        }
        found
    }

    pub(super) fn table<'v, 't>(&mut self, value: &'v Value<'t>, wanted: &str) -> Option<&'v Table<'t>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(value, wanted);
        }
        table
    }

    /// A list of strings.
    pub(super) fn strings<'v>(&mut self, value: &'v Value<'_>, wanted: &str) -> Vec<Spanned<&'v str>> {
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(value, wanted);
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in array.iter() {
            if let Some(text) = self.string(item, "a string") {
                texts.push(Spanned { value: text, span: self.of(item) });
            }
        }
        texts
    }

    /// A string, or a list of them.
    pub(super) fn string_or_list<'v>(&mut self, value: &'v Value<'_>, wanted: &str) -> Vec<Spanned<&'v str>> {
        match value.get_ref().as_str() {
            Some(text) => vec![Spanned { value: text, span: self.of(value) }],
            None => self.strings(value, wanted),
        }
    }

    /// `"60s"`, `"5m"`, `"24h"`, `"500ms"`, `"7d"`.
    pub(super) fn duration(&mut self, value: &Value<'_>) -> Option<Duration> {
        const WANTED: &str = "a time such as \"60s\", \"5m\" or \"24h\"";
        let text = self.string(value, WANTED)?;
        let found = duration(text);
        if found.is_none() {
            let help = "write a whole number and ms, s, m, h or d, up to 366 days";
            self.error("PG207", self.of(value), format!("\"{text}\" is not a time"), help);
        }
        found
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
