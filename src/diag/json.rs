//! Findings for programs.

use super::{Finding, Findings, SourceMap, Span};
use serde_json::{Value, json};

/// An array of objects. Each has `severity`, `code`, `message`, the place (`file`, `line`, `column`, `end_line`,
/// `end_column`, `text`), `also` (further places, each with `what` it is) and `help`. Lines and columns count from 1, columns
/// in characters; the end is the first column that does not belong to the place; `text` is the line in which the place
/// starts. What a finding has not is null.
pub fn render_json(findings: &Findings, sources: &SourceMap) -> Value {
    findings.iter().map(|finding| object(finding, sources)).collect()
}

fn object(finding: &Finding, sources: &SourceMap) -> Value {
    let further = |(span, what): &(Span, String)| {
        let mut further = place(Some(*span), sources);
        further["what"] = json!(what);
        further
    };
    let mut object = place(finding.place, sources);
    object["severity"] = json!(finding.severity);
    object["code"] = json!(finding.code);
    object["message"] = json!(finding.message);
    object["also"] = finding.also.iter().map(further).collect();
    object["help"] = json!(finding.help);
    object
}

fn place(span: Option<Span>, sources: &SourceMap) -> Value {
    let start = span.map(|span| sources.position(span));
    let end = span.map(|span| sources.position(Span { start: span.end.max(span.start), ..span }));
    json!({
        "file": span.map(|span| sources.name(span.file)),
        "line": start.map(|(line, _)| line),
        "column": start.map(|(_, column)| column),
        "end_line": end.map(|(line, _)| line),
        "end_column": end.map(|(_, column)| column),
        "text": span.map(|span| sources.line(span).0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_has_the_same_fields_with_and_without_a_place() {
        let mut sources = SourceMap::default();
        let file = sources.add("a.toml", "\nname = \"x\"\n");
        let span = Span { file, start: 8, end: 11 };
        let mut findings =
            Findings::from(Finding::error("PG206", "bad").at(span).also(span, "here").help("do"));
        findings.push(Finding::warning("PG337", "no way in"));
        let place = json!({
            "file": "a.toml", "line": 2, "column": 8, "end_line": 2, "end_column": 11, "text": "name = \"x\"",
        });
        let mut first = place.clone();
        let mut also = place;
        also["what"] = json!("here");
        for (field, value) in [
            ("severity", json!("error")),
            ("code", json!("PG206")),
            ("message", json!("bad")),
            ("also", json!([also])),
            ("help", json!("do")),
        ] {
            first[field] = value;
        }
        let second = json!({
            "severity": "warning", "code": "PG337", "message": "no way in", "also": [], "help": null, "file": null,
            "line": null, "column": null, "end_line": null, "end_column": null, "text": null,
        });
        assert_eq!(render_json(&findings, &sources), json!([first, second]));
    }
}
