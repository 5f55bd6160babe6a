//! Findings for the test reports of CI systems: JUnit XML.

use super::shown::escaped;
use super::text::{render_one, word};
use super::{FileId, Finding, Findings, Severity, SourceMap};
use quick_xml::Writer;
use quick_xml::events::BytesText;
use std::io;

const TOOL: &str = "portgrave check";
/// The suite of what no file shows a place for.
const WHOLE: &str = "the policy as a whole";
const SOUND: &str = "nothing found";

/// One suite a file that was read and one for the policy as a whole, and in it one test case a finding: an error has failed, a
/// warning is skipped, so that it is shown and fails nothing. A suite without findings has one case that passed.
pub fn render_junit(findings: &Findings, sources: &SourceMap) -> String {
    let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
    // Nothing but memory is written to, which takes everything.
    let written = report(&mut writer, findings, sources);
    let body = written.map(|()| String::from_utf8_lossy(&writer.into_inner()).into_owned());
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", body.unwrap_or_default())
}

type Xml = Writer<Vec<u8>>;

fn report(xml: &mut Xml, findings: &Findings, sources: &SourceMap) -> io::Result<()> {
    let suites: Vec<Suite> =
        std::iter::once(None).chain(sources.files().map(Some)).map(|of| Suite::new(of, findings)).collect();
    let sum = |count: fn(&Suite<'_>) -> usize| suites.iter().map(count).sum::<usize>().to_string();
    xml.create_element("testsuites")
        .with_attribute(("name", TOOL))
        .with_attribute(("tests", sum(|suite| suite.cases()).as_str()))
        .with_attribute(("failures", sum(|suite| suite.failures()).as_str()))
        .with_attribute(("skipped", sum(|suite| suite.skipped()).as_str()))
        .with_attribute(("errors", "0"))
        .write_inner_content(|xml| suites.iter().try_for_each(|suite| suite.write(xml, sources)))?;
    Ok(())
}

/// The findings of one file, or those without a place.
struct Suite<'f> {
    file: Option<FileId>,
    findings: Vec<&'f Finding>,
}

impl<'f> Suite<'f> {
    fn new(file: Option<FileId>, findings: &'f Findings) -> Self {
        let of_it = |finding: &&Finding| finding.place.map(|place| place.file) == file;
        Self { file, findings: findings.iter().filter(of_it).collect() }
    }

    fn cases(&self) -> usize {
        self.findings.len().max(1)
    }

    fn failures(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error).count()
    }

    fn skipped(&self) -> usize {
        self.findings.len() - self.failures()
    }

    fn write(&self, xml: &mut Xml, sources: &SourceMap) -> io::Result<()> {
        let name = clean(self.file.map_or(WHOLE, |file| sources.name(file)));
        xml.create_element("testsuite")
            .with_attribute(("name", name.as_str()))
            .with_attribute(("tests", self.cases().to_string().as_str()))
            .with_attribute(("failures", self.failures().to_string().as_str()))
            .with_attribute(("skipped", self.skipped().to_string().as_str()))
            .with_attribute(("errors", "0"))
            .write_inner_content(|xml| {
                if self.findings.is_empty() {
                    let case = xml.create_element("testcase").with_attribute(("name", SOUND));
                    case.with_attribute(("classname", name.as_str())).write_empty()?;
                }
                self.findings.iter().try_for_each(|finding| write_case(xml, finding, &name, sources))
            })?;
        Ok(())
    }
}

fn write_case(xml: &mut Xml, finding: &Finding, suite: &str, sources: &SourceMap) -> io::Result<()> {
    let message = clean(&finding.message);
    let (line, column) = finding.place.map(|place| sources.position(place)).unwrap_or_default();
    let at = finding.place.map(|_| format!(" at {line}:{column}")).unwrap_or_default();
    let name = format!("{}[{}]{at}: {message}", word(finding.severity), finding.code);
    let mut case = xml
        .create_element("testcase")
        .with_attribute(("name", name.as_str()))
        .with_attribute(("classname", suite));
    if finding.place.is_some() {
        case = case.with_attribute(("file", suite)).with_attribute(("line", line.to_string().as_str()));
    }
    let outcome = match finding.severity {
        Severity::Error => "failure",
        Severity::Warning => "skipped",
    };
    case.write_inner_content(|xml| {
        xml.create_element(outcome)
            .with_attribute(("message", message.as_str()))
            .with_attribute(("type", finding.code))
            .write_text_content(BytesText::new(&clean_lines(&render_one(finding, sources))))?;
        Ok(())
    })?;
    Ok(())
}

/// One line without what XML 1.0 cannot hold.
fn clean(text: &str) -> String {
    escaped(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

fn clean_lines(text: &str) -> String {
    text.lines().map(|line| clean(line) + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Span;

    #[test]
    fn errors_fail_warnings_are_skipped_and_a_file_without_findings_passes() {
        let mut sources = SourceMap::default();
        let bad = sources.add("a<&\">.toml", "name = \"\u{1}x\"\n");
        sources.add("good.toml", "");
        let span = Span { file: bad, start: 7, end: 10 };
        let mut findings =
            Findings::from(Finding::error("PG206", "bad \u{1b} \u{ffff}").at(span).help("do <this>"));
        findings.push(Finding::warning("PG337", "no way in").help("add a rule"));
        let wanted = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="portgrave check" tests="3" failures="1" skipped="1" errors="0">
  <testsuite name="the policy as a whole" tests="1" failures="0" skipped="1" errors="0">
    <testcase name="warning[PG337]: no way in" classname="the policy as a whole">
      <skipped message="no way in" type="PG337">warning[PG337]: no way in
  = help: add a rule
</skipped>
    </testcase>
  </testsuite>
  <testsuite name="a&lt;&amp;&quot;&gt;.toml" tests="1" failures="1" skipped="0" errors="0">
    <testcase name="error[PG206] at 1:8: bad \u{1b} �" classname="a&lt;&amp;&quot;&gt;.toml" file="a&lt;&amp;&quot;&gt;.toml" line="1">
      <failure message="bad \u{1b} �" type="PG206">error[PG206]: bad \u{1b} �
 --&gt; a&lt;&amp;&quot;&gt;.toml:1:8
  |
1 | name = &quot;\u{1}x&quot;
  |        ^^^^^^^
  = help: do &lt;this&gt;
</failure>
    </testcase>
  </testsuite>
  <testsuite name="good.toml" tests="1" failures="0" skipped="0" errors="0">
    <testcase name="nothing found" classname="good.toml"/>
  </testsuite>
</testsuites>
"#;
        assert_eq!(render_junit(&findings, &sources), wanted);
    }
}
