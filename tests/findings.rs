//! The codes of findings: those in the sources, those in `diag::codes` and those in `docs/findings.md` are the same.

use portgrave::diag::codes;
use std::path::{Path, PathBuf};

fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// All that stands in `src/` but the list of codes.
fn sources() -> String {
    fn read(directory: &Path, text: &mut String) {
        for entry in std::fs::read_dir(directory).expect("a directory of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                read(&path, text);
            } else if !path.ends_with("diag/codes.rs") {
                text.push_str(&std::fs::read_to_string(&path).expect("a source file"));
            }
        }
    }
    let mut text = String::new();
    read(&root("src"), &mut text);
    text
}

#[test]
fn every_code_is_in_use() {
    let list = std::fs::read_to_string(root("src/diag/codes.rs")).expect("the list of codes");
    let sources = sources();
    for (code, _) in codes::all() {
        let line = list.lines().find(|line| line.contains(&format!("= \"{code}\":"))).expect("its line");
        let name = line.trim().split(' ').next().expect("its name");
        let used = [format!("codes::{name}"), format!("\"{code}\"")];
        assert!(used.iter().any(|use_of| sources.contains(use_of)), "{code} ({name}) is used nowhere");
    }
}

#[test]
fn the_document_has_each_code_with_its_meaning_and_a_remedy_and_no_other() {
    let document = std::fs::read_to_string(root("docs/findings.md")).expect("docs/findings.md");
    let rows: Vec<&str> = document.lines().filter(|line| line.starts_with("| PG")).collect();
    assert_eq!(rows.len(), codes::all().len());
    for (row, (code, meaning)) in rows.iter().zip(codes::all()) {
        let remedy =
            row.strip_prefix(&format!("| {code} | {meaning} | ")).and_then(|rest| rest.strip_suffix(" |"));
        assert!(remedy.is_some_and(|remedy| remedy.len() >= 5), "{code}: {row}");
    }
}
