//! Findings: what is wrong with an input, where, and what to write instead.

pub mod codes;
mod json;
mod junit;
mod nearest;
mod shown;
mod source;
mod text;

pub use json::render_json;
pub use junit::render_junit;
pub use nearest::{did_you_mean, nearest};
pub use source::{FileId, SourceMap, Span};
pub use text::{render_one, render_text};

use serde::Serialize;

/// How much a finding weighs. An error means that nothing is applied; a warning stops nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Warning,
    Error,
}

/// One finding: a stable code, a message, the place it points at, further places, and the remedy.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub severity: Severity,
    /// Stable, `PG` and three digits: `docs/findings.md` lists them.
    pub code: &'static str,
    pub message: String,
    pub place: Option<Span>,
    /// Further places that belong to the finding, each with what it is: "first defined here".
    pub also: Vec<(Span, String)>,
    pub help: Option<String>,
}

impl Finding {
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self { severity, code, message: message.into(), place: None, also: Vec::new(), help: None }
    }

    #[must_use]
    pub fn at(mut self, place: impl Into<Option<Span>>) -> Self {
        self.place = place.into();
        self
    }

    #[must_use]
    pub fn also(mut self, place: Span, what: impl Into<String>) -> Self {
        self.also.push((place, what.into()));
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// All findings of a run, in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    pub fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    pub fn extend(&mut self, more: Findings) {
        self.0.extend(more.0);
    }

    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|f| f.severity == Severity::Error)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order of their places, file by file; those without a place first.
    pub fn sort_by_place(&mut self) {
        self.0.sort_by_key(|finding| finding.place.map(|place| (place.file, place.start)));
    }

    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.0.iter()
    }
}

impl From<Finding> for Findings {
    fn from(finding: Finding) -> Self {
        Self(vec![finding])
    }
}
