//! Findings for people: the message, the line as it was read, what of it is meant, and the remedy.

use super::{Finding, Findings, Severity, SourceMap, Span};
use std::fmt::Write;

/// All findings, an empty line between them. `color` adds the terminal's escapes.
pub fn render_text(findings: &Findings, sources: &SourceMap, color: bool) -> String {
    let paint = Paint(color);
    let texts: Vec<String> = findings.iter().map(|finding| render(finding, sources, paint)).collect();
    texts.join("\n")
}

#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn severity(self, severity: Severity, text: &str) -> String {
        self.with(if severity == Severity::Error { "1;31" } else { "1;33" }, text)
    }

    fn frame(self, text: &str) -> String {
        self.with("1;34", text)
    }
}

fn render(finding: &Finding, sources: &SourceMap, paint: Paint) -> String {
    let word = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let head = paint.severity(finding.severity, &format!("{word}[{}]", finding.code));
    let mut out = format!("{head}: {}\n", escaped(&finding.message));
    let spans = finding.place.iter().chain(finding.also.iter().map(|(span, _)| span));
    let width = spans.map(|span| sources.position(*span).0.to_string().len()).max().unwrap_or(0);
    if let Some(place) = finding.place {
        let _ = write!(out, "{}", excerpt(place, None, width, sources, paint));
    }
    for (span, what) in &finding.also {
        let _ = write!(out, "{}", excerpt(*span, Some(what), width, sources, paint));
    }
    if let Some(help) = &finding.help {
        let bar = if finding.place.is_some() { width + 1 } else { 2 };
        let _ = writeln!(out, "{:bar$}{} {}", "", paint.frame("="), help_words(help));
    }
    out
}

fn help_words(help: &str) -> String {
    format!("help: {}", escaped(help))
}

/// The place, the line, and the underline.
fn excerpt(span: Span, what: Option<&str>, width: usize, sources: &SourceMap, paint: Paint) -> String {
    let (number, _) = sources.position(span);
    let (line, offset) = line_of(span, sources);
    let from = span.start as usize - offset;
    let until = (span.end as usize - offset).clamp(from, line.len());
    let shown = |part: Option<&str>| expanded(part.unwrap_or(""));
    let before = shown(line.get(..from)).chars().count();
    let under = shown(line.get(from..until)).chars().count().max(1);
    let bar = paint.frame("|");
    let mut out = format!("{:width$}{} {}\n", "", paint.frame("-->"), sources.place(span));
    let _ = writeln!(out, "{:width$} {bar}", "");
    let _ = writeln!(out, "{} {bar} {}", paint.frame(&format!("{number:>width$}")), expanded(line));
    let carets = paint.with("1;31", &"^".repeat(under));
    let note = what.map(|what| format!(" {}", escaped(what))).unwrap_or_default();
    let _ = writeln!(out, "{:width$} {bar} {:before$}{carets}{note}", "", "");
    out
}

/// The line in which a span starts, and the offset of its first octet.
fn line_of(span: Span, sources: &SourceMap) -> (&str, usize) {
    let text = sources.text(span.file);
    let start = (span.start as usize).min(text.len());
    let first = text.get(..start).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let rest = text.get(first..).unwrap_or("");
    (rest.split('\n').next().unwrap_or("").trim_end_matches('\r'), first)
}

/// Tabs become four spaces, other control characters their escapes.
fn expanded(text: &str) -> String {
    escaped(&text.replace('\t', "    "))
}

fn escaped(text: &str) -> String {
    let one =
        |c: char| if c.is_control() && c != '\n' { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::FileId;

    fn span(file: FileId, text: &str, part: &str) -> Span {
        let start = text.find(part).unwrap();
        Span { file, start: start as u32, end: (start + part.len()) as u32 }
    }

    #[test]
    fn a_finding_shows_the_line_the_underline_and_the_remedy() {
        let text = "language = 1\n\tports = [\"tcp/90-80\"]\n";
        let mut sources = SourceMap::default();
        let file = sources.add("/etc/portgrave/policy.d/50-site.toml", text);
        let finding = Finding::error("PG204", "port range ends before it starts")
            .at(span(file, text, "\"tcp/90-80\""))
            .also(span(file, text, "language"), "first here")
            .help("write the smaller port first: \"tcp/80-90\"");
        let shown = render_text(&finding.into(), &sources, false);
        let wanted = "\
error[PG204]: port range ends before it starts
 --> /etc/portgrave/policy.d/50-site.toml:2:11
  |
2 |     ports = [\"tcp/90-80\"]
  |              ^^^^^^^^^^^
 --> /etc/portgrave/policy.d/50-site.toml:1:1
  |
1 | language = 1
  | ^^^^^^^^ first here
  = help: write the smaller port first: \"tcp/80-90\"
";
        assert_eq!(shown, wanted);
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let text = "name = \"\u{1b}[31m\"\n";
        let mut sources = SourceMap::default();
        let file = sources.add("a.toml", text);
        let finding = Finding::error("PG201", "x\u{1b}[2Jy").at(span(file, text, "name"));
        assert!(!render_text(&finding.into(), &sources, false).contains('\u{1b}'));
    }

    #[test]
    fn a_place_at_the_very_end_of_a_text_is_shown() {
        let mut sources = SourceMap::default();
        let file = sources.add("a.toml", "x");
        let finding = Finding::error("PG101", "ends").at(Span { file, start: 1, end: 1 });
        assert!(render_text(&finding.into(), &sources, false).contains("a.toml:1:2"));
    }
}
