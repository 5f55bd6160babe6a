//! Snapshots of the texts that were parsed: a finding shows the line as it was read, never a file opened again.

use serde::{Deserialize, Serialize};

/// A text in a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FileId(pub u32);

/// A range of bytes in a text of a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    pub file: FileId,
    pub start: u32,
    pub end: u32,
}

/// The texts of a run, by the names under which findings show them.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    texts: Vec<Text>,
}

#[derive(Clone, Debug)]
struct Text {
    name: String,
    text: String,
    /// Where each line begins.
    lines: Vec<u32>,
}

impl SourceMap {
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let id = FileId(u32::try_from(self.texts.len()).expect("fewer than 2^32 files"));
        let text = text.into();
        let after = |(offset, _): (usize, &str)| u32::try_from(offset + 1).unwrap_or(u32::MAX);
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(after)).collect();
        self.texts.push(Text { name: name.into(), text, lines });
        id
    }

    /// Every text, in the order in which they were added.
    pub fn files(&self) -> impl Iterator<Item = FileId> {
        (0..).zip(&self.texts).map(|(index, _)| FileId(index))
    }

    pub fn name(&self, file: FileId) -> &str {
        &self.texts[file.0 as usize].name
    }

    pub fn text(&self, file: FileId) -> &str {
        &self.texts[file.0 as usize].text
    }

    /// Line and column of a span's start, both counted from 1, the column in characters.
    pub fn position(&self, span: Span) -> (usize, usize) {
        let (number, first) = self.line_start(span);
        let text = self.text(span.file);
        let before = &text[first..floor(text, span.start)];
        (number, before.chars().count() + 1)
    }

    /// `FILE:LINE:COLUMN`.
    pub fn place(&self, span: Span) -> String {
        let (line, column) = self.position(span);
        format!("{}:{line}:{column}", self.name(span.file))
    }

    /// The line in which a span starts, without its end, and the part of the span that lies in it, as bytes of the line.
    pub(super) fn line(&self, span: Span) -> (&str, std::ops::Range<usize>) {
        let (_, first) = self.line_start(span);
        let text = self.text(span.file);
        let line = text[first..].split('\n').next().unwrap_or("");
        let line = line.strip_suffix('\r').unwrap_or(line);
        let start = (floor(text, span.start) - first).min(line.len());
        let end = floor(text, span.end).saturating_sub(first).clamp(start, line.len());
        (line, start..end)
    }

    /// The number of the line in which a span starts, and the offset of its first byte.
    fn line_start(&self, span: Span) -> (usize, usize) {
        let text = &self.texts[span.file.0 as usize];
        let start = floor(&text.text, span.start);
        let number = text.lines.partition_point(|line| *line as usize <= start);
        (number, text.lines[number - 1] as usize)
    }
}

/// The boundary of a character at an offset or before it, within the text.
fn floor(text: &str, offset: u32) -> usize {
    let most = (offset as usize).min(text.len());
    (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters_from_one() {
        let mut sources = SourceMap::default();
        let file = sources.add("a.toml", "eins\nzwölf = 12\r\n");
        let at = |start, end| Span { file, start, end };
        assert_eq!(sources.position(at(0, 1)), (1, 1));
        assert_eq!(sources.place(at(12, 13)), "a.toml:2:7");
        assert_eq!(sources.line(at(12, 99)), ("zwölf = 12", 7..11));
        assert_eq!(sources.position(at(18, 18)), (3, 1));
    }

    #[test]
    fn offsets_inside_a_character_or_past_the_end_do_no_harm() {
        let mut sources = SourceMap::default();
        let file = sources.add("a.toml", "ö");
        assert_eq!(sources.position(Span { file, start: 1, end: 2 }), (1, 1));
        assert_eq!(sources.position(Span { file, start: 90, end: 95 }), (1, 2));
        assert_eq!(sources.line(Span { file, start: 90, end: 10 }), ("ö", 2..2));
    }
}
