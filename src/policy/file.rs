//! One policy file: its TOML, its language version, then section by section.

use super::keys::POLICY;
use super::reader::{Reader, Table};
use super::{
    DefaultEntry, Layer, ParsedFile, ParsedPolicy, defaults, hosts, language, overrides, rule, services,
    switches, syntax, zones,
};
use crate::diag::{FileId, Findings, SourceMap};

/// All files, lowest layer first; or every finding of every file.
pub fn parse(sources: &SourceMap, files: &[(FileId, Layer)]) -> Result<ParsedPolicy, Findings> {
    let mut findings = Findings::default();
    let mut policy = ParsedPolicy::default();
    for (file, layer) in files {
        match parse_file(sources.text(*file), *file, *layer) {
            Ok(parsed) => policy.files.push(parsed),
            Err(more) => findings.extend(more),
        }
    }
    if findings.has_errors() { Err(findings) } else { Ok(policy) }
}

fn parse_file(text: &str, file: FileId, layer: Layer) -> Result<ParsedFile, Findings> {
    let mut reader = Reader::new(file);
    let mut parsed = ParsedFile {
        file,
        layer,
        default: DefaultEntry::default(),
        features: Vec::new(),
        baseline: Vec::new(),
        hosts: Vec::new(),
        services: Vec::new(),
        zones: Vec::new(),
        rules: Vec::new(),
        overrides: Vec::new(),
    };
    if let Some(mut table) = syntax::read(&mut reader, text) {
        if language::check(&mut reader, &mut table) {
            sections(&mut reader, &table, &mut parsed);
        }
    }
    reader.finish(parsed)
}

fn sections(reader: &mut Reader, table: &Table<'_>, parsed: &mut ParsedFile) {
    reader.known_keys(table, &POLICY);
    if let Some(value) = table.get("default") {
        parsed.default = defaults::parse(reader, value);
    }
    if let Some(value) = table.get("features") {
        parsed.features = switches::features(reader, value);
    }
    if let Some(value) = table.get("baseline") {
        parsed.baseline = switches::baseline(reader, value);
    }
    if let Some(value) = table.get("hosts") {
        parsed.hosts = hosts::parse(reader, value);
    }
    if let Some(value) = table.get("services") {
        parsed.services = services::parse(reader, value);
    }
    if let Some(value) = table.get("zones") {
        parsed.zones = zones::parse(reader, value);
    }
    if let Some(value) = table.get("rule") {
        parsed.rules = rule::parse(reader, value);
    }
    if let Some(value) = table.get("override") {
        parsed.overrides = overrides::parse(reader, value);
    }
}
