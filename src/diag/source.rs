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
    texts: Vec<(String, String)>,
}

impl SourceMap {
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let id = FileId(u32::try_from(self.texts.len()).expect("fewer than 2^32 files"));
        self.texts.push((name.into(), text.into()));
        id
    }

    pub fn name(&self, file: FileId) -> &str {
        &self.texts[file.0 as usize].0
    }

    pub fn text(&self, file: FileId) -> &str {
        &self.texts[file.0 as usize].1
    }

    /// Line and column of a span's start, both counted from 1, the column in characters.
    pub fn position(&self, span: Span) -> (usize, usize) {
        let text = self.text(span.file);
        let before = text.get(..span.start as usize).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        (line, column)
    }

    /// `FILE:LINE:COLUMN`.
    pub fn place(&self, span: Span) -> String {
        let (line, column) = self.position(span);
        format!("{}:{line}:{column}", self.name(span.file))
    }
}
