//! One directory a case, with the exact text of all findings in `expected.txt`. `policy.toml` (or several files of one layer)
//! is parsed and, if its form is right, resolved; files under `vendor/` and `runtime/` are layers below and above;
//! `portgrave.toml` is parsed as settings. `PORTGRAVE_BLESS=1` writes the expected texts anew.

use portgrave::diag::{FileId, Findings, SourceMap, codes, render_json, render_text};
use portgrave::model::{management, resolve};
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
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            let code = format!("PG{digits}");
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

/// Texts that nobody would write: each gives findings or a policy, and the findings can be shown.
#[test]
fn no_damage_to_a_text_stops_the_parser() {
    let mut random = Random(1);
    let mut sound = 0;
    let golden = entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"));
    let sounds = golden.iter().filter_map(|case| std::fs::read(case.join("policy.toml")).ok());
    let rejects = cases().into_iter().map(|case| Found::of(&case).sources.text(FileId(0)).into());
    let texts: Vec<Vec<u8>> = rejects.chain(sounds).collect();
    for round in 0..4000 {
        let mut bytes = texts[round % texts.len()].clone();
        for _ in 0..=random.below(2) {
            random.damage(&mut bytes);
        }
        let mut sources = SourceMap::default();
        let file = sources.add("policy.toml", String::from_utf8_lossy(&bytes));
        match parse(&sources, &[(file, Layer(1))]) {
            Err(findings) => {
                assert!(findings.has_errors() && !render_text(&findings, &sources, true).is_empty());
                render_json(&findings, &sources);
            }
            Ok(parsed) => {
                let (_, findings) = resolve(&parsed);
                render_text(&findings, &sources, false);
                sound += 1;
            }
        }
        let _ = parse_settings(&sources, Some(file));
    }
    assert!(sound > 20, "{sound} texts were sound: the meaning of too few was judged");
}

/// A linear congruential generator (the constants are Knuth's, of MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    /// Takes a piece out, doubles it, or puts a character of the syntax in.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let from = self.below(bytes.len() + 1);
        let until = (from + self.below(20)).min(bytes.len());
        match self.below(3) {
            0 => drop(bytes.drain(from..until)),
            1 => bytes.extend_from_within(from..until),
            _ => {
                let syntax = b"\"'[]{}=,.#\n\r\t\\@!-/: 0\xff\x00";
                bytes.insert(from, syntax[self.below(syntax.len())]);
            }
        }
    }
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
            parse(&sources, &files).map_or_else(
                |findings| findings,
                |mut parsed| {
                    let mut findings = management::fall_back(&mut sources, &mut files, &mut parsed);
                    findings.extend(resolve(&parsed).1);
                    findings
                },
            )
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
    let mut cases = entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rejects"));
    cases.retain(|case| case.is_dir());
    assert!(cases.len() >= 140, "{} cases", cases.len());
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
