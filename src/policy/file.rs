//! One policy file: its TOML, its language version, then section by section.

use super::keys::POLICY;
use super::reader::{Reader, Table, Value};
use super::{Layer, ParsedFile, ParsedPolicy, Spanned, hosts, rule, services};
use crate::diag::{FileId, Finding, Findings, SourceMap};
use toml::de::DeTable;

/// The version of the policy language that this program knows.
const LANGUAGE: &str = "1";

/// All files, lowest layer first; or every finding of every file.
pub fn parse(sources: &SourceMap, files: &[(FileId, Layer)]) -> Result<ParsedPolicy, Findings> {
    let mut findings = Findings::default();
    let mut policy = ParsedPolicy::default();
    for (file, layer) in files {
        let mut reader = Reader::new(*file);
        let parsed = parse_file(&mut reader, sources.text(*file), *file, *layer);
        policy.files.push(parsed);
        findings.extend(reader.findings);
    }
    if findings.has_errors() { Err(findings) } else { Ok(policy) }
}

/// The TOML of a text; syntax errors are findings, and what could be read goes on.
pub(super) fn toml<'t>(reader: &mut Reader, text: &'t str) -> Table<'t> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().map(|range| reader.span(range));
        let finding = Finding::error("PG101", format!("not TOML: {}", error.message())).at(span);
        reader.findings.push(finding.help("see https://toml.io/en/v1.1.0 for the syntax"));
    }
    table.into_inner()
}

fn parse_file(reader: &mut Reader, text: &str, file: FileId, layer: Layer) -> ParsedFile {
    let table = toml(reader, text);
    let mut parsed = ParsedFile {
        file,
        layer,
        features: Vec::new(),
        baseline: Vec::new(),
        hosts: Vec::new(),
        services: Vec::new(),
        rules: Vec::new(),
    };
    if reader.findings.has_errors() {
        return parsed;
    }
    language(reader, &table, text);
    reader.known_keys(&table, &POLICY);
    if let Some(value) = table.get("features") {
        parsed.features = switches(reader, value, "[features]");
    }
    if let Some(value) = table.get("baseline") {
        parsed.baseline = switches(reader, value, "[baseline]");
    }
    if let Some(value) = table.get("hosts") {
        parsed.hosts = hosts::parse(reader, value);
    }
    if let Some(value) = table.get("services") {
        parsed.services = services::parse(reader, value);
    }
    if let Some(value) = table.get("rule") {
        parsed.rules = rule::parse(reader, value);
    }
    parsed
}

/// `language = 1`, before everything else.
fn language(reader: &mut Reader, table: &Table<'_>, text: &str) {
    let start = reader.span(0..text.find('\n').unwrap_or(text.len()).min(1));
    let Some(value) = table.get("language") else {
        let below = table.iter().find_map(|(name, value)| {
            let inner = value.get_ref().as_table()?;
            inner
                .keys()
                .find(|key| key.get_ref() == "language")
                .map(|key| (name.get_ref().to_string(), key.span()))
        });
        match below {
            Some((header, place)) => {
                let message = format!("`language` stands below [{header}], so it belongs to that section");
                reader.error(
                    "PG105",
                    reader.span(place),
                    message,
                    "move `language = 1` to the top of the file",
                );
            }
            None => {
                let help = "begin the file with `language = 1`";
                reader.error("PG104", start, "the file does not say its language version", help);
            }
        }
        return;
    };
    let number = value.get_ref().as_integer().map(|number| number.as_str().to_owned());
    match number.as_deref() {
        Some(LANGUAGE) => {}
        Some(other) => {
            let message = format!("language version {other} is not known to this program");
            reader.error(
                "PG106",
                reader.of(value),
                message,
                "write `language = 1`, or install a newer portgrave",
            );
        }
        None => reader.wrong_type(value, "the number 1"),
    }
    let first = table.iter().map(|(key, _)| key.span().start).min();
    let own = table.iter().find(|(key, _)| key.get_ref() == "language").map(|(key, _)| key.span().start);
    if first != own {
        reader.error(
            "PG107",
            reader.of(value),
            "`language` is not the first key",
            "move it to the top of the file",
        );
    }
}

fn switches(reader: &mut Reader, value: &Value<'_>, section: &str) -> Vec<(Spanned<String>, bool)> {
    let Some(table) = reader.table(value, "a table of switches") else { return Vec::new() };
    let mut switches = Vec::new();
    for (key, value) in table.iter() {
        let span = reader.span(key.span());
        let name = key.get_ref().to_string();
        if section == "[baseline]" && name == "containers" {
            let help = "leave it out, and write rules for DNS and DHCP from the containers' networks";
            reader.error("PG103", span, "`containers` in [baseline] is not built yet", help);
            continue;
        }
        if section == "[features]" {
            super::check_name(reader, &name, span, "a switch");
        }
        if let Some(on) = reader.boolean(value) {
            switches.push((Spanned { value: name, span }, on));
        }
    }
    switches
}
