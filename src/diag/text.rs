//! Findings for people: the message, the line as it was read, what of it is meant, and the remedy.

use super::shown::{self, escaped};
use super::{Finding, Findings, Severity, SourceMap, Span};

/// All findings, an empty line between them. `color` adds the terminal's escapes.
pub fn render_text(findings: &Findings, sources: &SourceMap, color: bool) -> String {
    let texts: Vec<String> =
        findings.iter().map(|finding| Page::new(finding, sources, color).render(finding)).collect();
    texts.join("\n")
}

/// One finding, without colours.
pub fn render_one(finding: &Finding, sources: &SourceMap) -> String {
    Page::new(finding, sources, false).render(finding)
}

pub(super) fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// How one finding is laid out.
struct Page<'s> {
    sources: &'s SourceMap,
    color: bool,
    /// The colour of the severity.
    tone: &'static str,
    /// Digits of the largest line number.
    width: usize,
}

const FRAME: &str = "1;34";
const BOLD: &str = "1";

impl<'s> Page<'s> {
    fn new(finding: &Finding, sources: &'s SourceMap, color: bool) -> Self {
        let spans = finding.place.iter().chain(finding.also.iter().map(|(span, _)| span));
        let width = spans.map(|span| sources.position(*span).0.to_string().len()).max().unwrap_or(1);
        let tone = match finding.severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
        };
        Self { sources, color, tone, width }
    }

    fn render(&self, finding: &Finding) -> String {
        let head = self.paint(self.tone, &format!("{}[{}]", word(finding.severity), finding.code));
        let mut out = format!("{head}: {}\n", escaped(&finding.message));
        if let Some(place) = finding.place {
            out += &self.excerpt(place, self.tone);
        }
        if let Some(help) = &finding.help {
            out += &self.help(help);
        }
        for (span, what) in &finding.also {
            out +=
                &format!("{}: {}\n{}", self.paint(BOLD, "note"), escaped(what), self.excerpt(*span, FRAME));
        }
        out
    }

    /// The place, the line, and the underline.
    fn excerpt(&self, span: Span, tone: &str) -> String {
        let width = self.width;
        let (number, _) = self.sources.position(span);
        let (line, part) = self.sources.line(span);
        let (line, indent, under) = shown::line(line, part);
        let (arrow, bar) = (self.paint(FRAME, "-->"), self.paint(FRAME, "|"));
        let number = self.paint(FRAME, &format!("{number:>width$}"));
        let carets = self.paint(tone, &"^".repeat(under));
        let place = escaped(&self.sources.place(span));
        let line = if line.is_empty() { line } else { format!(" {line}") };
        format!(
            "{:width$}{arrow} {place}\n{:width$} {bar}\n{number} {bar}{line}\n{:width$} {bar} {:indent$}{carets}\n",
            "", "", "", ""
        )
    }

    /// The remedy; its further lines stand under the first.
    fn help(&self, help: &str) -> String {
        let width = self.width;
        let mut lines = help.split('\n').map(escaped);
        let first = lines.next().unwrap_or_default();
        let mut out =
            format!("{:width$} {} {}: {first}\n", "", self.paint(FRAME, "="), self.paint(BOLD, "help"));
        for line in lines {
            out += &format!("{:width$}         {line}\n", "");
        }
        out
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
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
        let text = format!("language = 1\n{}ports = [\"tcp/90-80\"]\n", "\n".repeat(12));
        let mut sources = SourceMap::default();
        let file = sources.add("/etc/portgrave/policy.d/50-site.toml", text.as_str());
        let finding = Finding::error("PG204", "port range ends before it starts")
            .at(span(file, &text, "\"tcp/90-80\""))
            .help("write the smaller port first: \"tcp/80-90\"");
        let wanted = "\
error[PG204]: port range ends before it starts
  --> /etc/portgrave/policy.d/50-site.toml:14:10
   |
14 | ports = [\"tcp/90-80\"]
   |          ^^^^^^^^^^^
   = help: write the smaller port first: \"tcp/80-90\"
";
        assert_eq!(render_text(&finding.clone().into(), &sources, false), wanted);
        let mut two = Findings::from(finding.clone());
        two.push(finding);
        assert_eq!(render_text(&two, &sources, false), format!("{wanted}\n{wanted}"));
    }

    #[test]
    fn further_places_are_notes_with_blocks_of_their_own() {
        let (first, second) = ("name = \"a\"", "\n\n\n\n\n\n\n\n\n\tname = \"a\" \t# again");
        let mut sources = SourceMap::default();
        let one = sources.add("1.toml", first);
        let two = sources.add("2.toml", second);
        let finding = Finding::warning("PG302", "there are two rules \"a\"")
            .at(span(two, second, "\"a\""))
            .also(span(one, first, "\"a\""), "first defined here")
            .help("rename one of them");
        let wanted = "\
warning[PG302]: there are two rules \"a\"
  --> 2.toml:10:9
   |
10 |     name = \"a\"     # again
   |            ^^^
   = help: rename one of them
note: first defined here
  --> 1.toml:1:8
   |
 1 | name = \"a\"
   |        ^^^
";
        assert_eq!(render_text(&finding.into(), &sources, false), wanted);
    }

    #[test]
    fn a_finding_without_a_place_has_no_block() {
        let finding = Finding::error("PG401", "there is no such file").help("create it:\ntouch it");
        let wanted = "error[PG401]: there is no such file\n  = help: create it:\n          touch it\n";
        assert_eq!(render_text(&finding.into(), &SourceMap::default(), false), wanted);
        assert_eq!(render_text(&Findings::default(), &SourceMap::default(), true), "");
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        let text = "name = \"\u{1b}[31m\"\n";
        let mut sources = SourceMap::default();
        let file = sources.add("a\u{1b}.toml", text);
        let finding = Finding::error("PG201", "x\u{1b}[2Jy\nerror: fake")
            .at(span(file, text, "name"))
            .help("\u{1b}]0;")
            .also(span(file, text, "name"), "\u{9b}");
        let shown = render_text(&finding.into(), &sources, false);
        assert!(!shown.contains(['\u{1b}', '\u{9b}']) && !shown.contains("\nerror: fake"), "{shown}");
    }

    #[test]
    fn a_place_over_several_lines_is_underlined_to_the_end_of_the_first() {
        let text = "peers = [\r\n  1\r\n]\r\n";
        let mut sources = SourceMap::default();
        let file = sources.add("a.toml", text);
        let finding = Finding::error("PG201", "x").at(span(file, text, "[\r\n  1\r\n]"));
        assert!(render_text(&finding.into(), &sources, false).ends_with("1 | peers = [\n  |         ^\n"));
    }

    #[test]
    fn a_place_at_the_very_end_of_a_text_is_shown() {
        let mut sources = SourceMap::default();
        let file = sources.add("a.toml", "x");
        let finding = Finding::error("PG101", "ends").at(Span { file, start: 1, end: 1 });
        assert!(render_text(&finding.into(), &sources, false).contains("a.toml:1:2\n  |\n1 | x\n  |  ^\n"));
    }

    #[test]
    fn colour_changes_nothing_but_the_colour() {
        let text = "language = 2";
        let mut sources = SourceMap::default();
        let file = sources.add("a.toml", text);
        let findings: Findings = Finding::error("PG106", "x").at(span(file, text, "2")).help("y").into();
        let plain: String = render_text(&findings, &sources, true)
            .split('\x1b')
            .map(|part| part.strip_prefix('[').map_or(part, |part| part.split_once('m').unwrap().1))
            .collect();
        assert_eq!(plain, render_text(&findings, &sources, false));
        assert!(render_text(&findings, &sources, true).starts_with("\x1b[1;31merror[PG106]\x1b[0m: x"));
    }
}
