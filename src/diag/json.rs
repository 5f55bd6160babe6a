//! Findings for programs.

use super::{Finding, Findings, SourceMap, Span};
use serde_json::{Value, json};

/// An array of objects: `severity`, `code`, `message`, `file`, `line`, `column` and `end_column` (both from 1, in characters),
/// `also` (places with `what`) and `help`; what a finding has not is null.
pub fn render_json(findings: &Findings, sources: &SourceMap) -> Value {
    findings.iter().map(|finding| object(finding, sources)).collect()
}

fn object(finding: &Finding, sources: &SourceMap) -> Value {
    let also: Vec<Value> = finding
        .also
        .iter()
        .map(|(span, what)| {
            let (line, column) = sources.position(*span);
            json!({ "file": sources.name(span.file), "line": line, "column": column, "what": what })
        })
        .collect();
    let start = finding.place.map(|span| sources.position(span));
    json!({
        "severity": finding.severity,
        "code": finding.code,
        "message": finding.message,
        "file": finding.place.map(|span| sources.name(span.file)),
        "line": start.map(|(line, _)| line),
        "column": start.map(|(_, column)| column),
        "end_column": finding.place.and_then(|span| end_column(span, sources)),
        "also": also,
        "help": finding.help,
    })
}

/// The column after the last character, where the place ends in the line that it starts in.
fn end_column(span: Span, sources: &SourceMap) -> Option<usize> {
    let (first, _) = sources.position(span);
    let (last, column) = sources.position(Span { start: span.end, ..span });
    (first == last).then_some(column)
}
