//! How every verb prints: findings on standard error as text, or everything in one JSON object on standard output.

use crate::diag::{Findings, SourceMap, render_json, render_text};
use crate::site::Unsound;
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};

/// Prints findings for people.
pub(super) fn findings(findings: &Findings, sources: &SourceMap) {
    if !findings.is_empty() {
        let color = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        complain(&render_text(findings, sources, color));
    }
}

/// One object: the fields of the verb, and `findings`.
pub(super) fn object(mut fields: Value, findings: &Findings, sources: &SourceMap) {
    if let Some(map) = fields.as_object_mut() {
        map.insert("findings".into(), render_json(findings, sources));
    }
    say(&format!("{fields:#}\n"));
}

/// The findings of a policy with errors; the verb's own fields say that nothing was done.
pub(super) fn unsound(unsound: &Unsound, as_json: bool, fields: Value) {
    if as_json {
        object(fields, &unsound.findings, &unsound.sources);
    } else {
        findings(&unsound.findings, &unsound.sources);
    }
}

/// The fields of a verb that did nothing.
pub(super) fn nothing_done() -> Value {
    json!({})
}

/// A failure that no place in a file stands for.
pub(super) fn failure(as_json: bool, message: &str) {
    if as_json {
        say(&format!("{:#}\n", json!({ "error": message })));
    }
    complain(&format!("error: {message}\n"));
}

/// Standard output; a reader that has gone away is no failure.
pub(super) fn say(text: &str) {
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}

pub(super) fn complain(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
