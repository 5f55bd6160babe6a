//! One directory a case, with the exact text of all findings in `expected.txt`. `policy.toml` (or several files of one layer)
//! is parsed and, if its form is right, resolved; files under `vendor/` and `runtime/` are layers below and above;
//! `portgrave.toml` is parsed as settings. `PORTGRAVE_BLESS=1` writes the expected texts anew.

use portgrave::diag::{FileId, Findings, SourceMap, codes, render_json, render_text};
use portgrave::model::resolve;
use portgrave::policy::{Layer, parse, parse_settings};
use std::path::{Path, PathBuf};

const LAYERS: [(&str, Layer); 3] = [("vendor", Layer(0)), ("", Layer(1)), ("runtime", Layer(2))];

#[test]
fn every_mistake_has_its_message() {
    let mut wrong = Vec::new();
    for case in cases() {
        let found = Found::of(&case);
        let expected = case.join("expected.txt");
        assert!(!found.findings.is_empty(), "{} has no finding", case.display());
        if std::env::var_os("PORTGRAVE_BLESS").is_some() {
            std::fs::write(&expected, &found.text).expect("the expected text is written");
        } else if std::fs::read_to_string(&expected).ok().as_deref() != Some(&found.text) {
            wrong.push(format!("--- {}: now\n{}", expected.display(), found.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_finding_has_a_known_code_a_place_and_a_remedy() {
    let known: Vec<&str> = codes::all().iter().map(|(code, _)| *code).collect();
    for case in cases() {
        let found = Found::of(&case);
        for finding in found.findings.iter() {
            assert!(known.contains(&finding.code), "{}: {} is not listed", case.display(), finding.code);
            assert!(finding.help.is_some(), "{}: {} has no remedy", case.display(), finding.message);
            let nowhere = ["PG313", "PG337"].contains(&finding.code);
            assert_eq!(finding.place.is_none(), nowhere, "{}: {}", case.display(), finding.message);
        }
        let json = render_json(&found.findings, &found.sources);
        assert_eq!(json.as_array().map(Vec::len), Some(found.findings.iter().count()));
    }
}

#[test]
fn every_code_of_the_language_has_a_case() {
    let shown: String = cases().iter().map(|case| Found::of(case).text).collect();
    let of_the_language = |code: &str| ["PG1", "PG2", "PG3"].iter().any(|class| code.starts_with(class));
    let missing: Vec<_> = codes::all()
        .iter()
        .filter(|(code, _)| of_the_language(code) && !shown.contains(&format!("[{code}]")))
        .collect();
    assert!(missing.is_empty(), "no case for {missing:?}");
}

/// What the sources say of codes that `codes` does not list would be in no document.
#[test]
fn every_code_in_the_sources_is_listed() {
    let known: Vec<&str> = codes::all().iter().map(|(code, _)| *code).collect();
    let mut read = 0;
    for file in rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        if file.ends_with("diag/codes.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("a source file");
        for part in text.split("\"PG").skip(1) {
            let code = format!("PG{}", part.split('"').next().unwrap_or_default());
            assert!(known.contains(&code.as_str()), "{}: {code} is not listed", file.display());
            read += 1;
        }
    }
    assert!(read > 50, "{read} codes");
}

#[test]
fn the_reference_lists_every_code_of_the_language() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policy-reference.md");
    let reference = std::fs::read_to_string(path).expect("the reference of the language");
    let missing: Vec<_> = codes::all()
        .iter()
        .filter(|(code, _)| code < &"PG5" && !reference.contains(&format!("| {code} |")))
        .collect();
    assert!(missing.is_empty(), "not in the reference: {missing:?}");
}

struct Found {
    findings: Findings,
    sources: SourceMap,
    text: String,
}

impl Found {
    fn of(case: &Path) -> Self {
        let mut sources = SourceMap::default();
        let findings = if case.join("portgrave.toml").exists() {
            let file = add(&mut sources, case, &case.join("portgrave.toml"));
            parse_settings(&sources, Some(file)).err().unwrap_or_default()
        } else {
            let mut files = Vec::new();
            for (directory, layer) in LAYERS {
                for path in toml_files(&case.join(directory)) {
                    files.push((add(&mut sources, case, &path), layer));
                }
            }
            assert!(!files.is_empty(), "{} has no file", case.display());
            parse(&sources, &files).map_or_else(|findings| findings, |parsed| resolve(&parsed).1)
        };
        let text = render_text(&findings, &sources, false);
        Self { findings, sources, text }
    }
}

fn add(sources: &mut SourceMap, case: &Path, path: &Path) -> FileId {
    let name = path.strip_prefix(case).expect("a file of the case").display().to_string();
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    sources.add(name, text)
}

fn cases() -> Vec<PathBuf> {
    let cases = entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rejects"));
    assert!(cases.len() >= 60, "{} cases", cases.len());
    cases
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

fn toml_files(directory: &Path) -> Vec<PathBuf> {
    let toml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "toml");
    entries(directory).into_iter().filter(toml).collect()
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let (directories, files): (Vec<_>, Vec<_>) =
        entries(directory).into_iter().partition(|path| path.is_dir());
    let rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    files.into_iter().filter(rust).chain(directories.iter().flat_map(|inner| rust_files(inner))).collect()
}
