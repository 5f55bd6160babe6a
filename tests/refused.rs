//! What the built `portgrave check` says of files that it does not take, word for word: `tests/refused/CASE/expected.txt`.
//!
//! A case is copied to a directory of its own, `@DIR@` in its files becomes that directory, and `setup.sh`, where there is
//! one, makes what a repository cannot hold. `policy.toml` or the directory `policy` is the lowest layer, `site.toml` the one
//! above, `names.toml` the addresses of names; a case with nothing but `portgrave.toml` has the layers that it names.
//! `PORTGRAVE_BLESS=1` writes what is said now.

#![cfg(all(feature = "kernel", feature = "daemon"))]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const DIR: &str = "@DIR@";

/// Settings of a case without its own: nothing of the machine that the test runs on is asked.
const SETTINGS: &str = "[resolver]\nservers = [\"192.0.2.53\"]\n";

#[test]
fn every_case_is_told_word_for_word_and_only_errors_fail() {
    let bless = std::env::var_os("PORTGRAVE_BLESS").is_some();
    let mut different = Vec::new();
    for case in cases() {
        let said = check(&case);
        let expected = case.join("expected.txt");
        if bless {
            fs::write(&expected, &said).expect("expected.txt is written");
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        if said != wanted {
            different.push(format!("{}:\n--- wanted\n{wanted}--- said\n{said}", case.display()));
        }
    }
    assert!(different.is_empty(), "{} cases differ:\n{}", different.len(), different.join("\n"));
}

#[test]
fn every_text_says_the_remedy_and_the_place_or_the_file() {
    for case in cases() {
        let text = fs::read_to_string(case.join("expected.txt")).expect("expected.txt");
        for finding in text.split("\n\n") {
            let name = case.display();
            assert!(
                finding.starts_with("error[PG") || finding.starts_with("warning[PG"),
                "{name}: {finding}"
            );
            assert!(finding.contains("= help: "), "{name} has no remedy: {finding}");
        }
    }
}

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refused");
    let entries = fs::read_dir(root).expect("tests/refused");
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    cases.sort();
    assert!(cases.len() >= 25, "only {} cases", cases.len());
    cases
}

/// What the program says on standard error, once its exit status is seen to be right.
fn check(case: &Path) -> String {
    let copy = tempfile::tempdir().expect("a temporary directory");
    let dir = copy.path();
    set_mode(dir, 0o755);
    copy_into(case, dir, &dir.display().to_string());
    let has = |name: &str| dir.join(name).exists();
    let of_its_own = has("portgrave.toml");
    if !of_its_own {
        fs::write(dir.join("portgrave.toml"), SETTINGS).expect("portgrave.toml");
    }
    if has("setup.sh") {
        let status = Command::new("sh").args(["-eu", "setup.sh"]).current_dir(dir).status().expect("sh");
        assert!(status.success(), "{}: setup.sh failed", case.display());
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_portgrave"));
    command.current_dir(dir).args(["check", "--config", "portgrave.toml"]);
    let lowest = if has("policy") { "policy" } else { "policy.toml" };
    if has(lowest) || !of_its_own {
        command.args(["--policy", lowest]);
    }
    for (option, file) in [("--policy", "site.toml"), ("--names", "names.toml")] {
        if has(file) || dir.join(file).is_symlink() {
            command.args([option, file]);
        }
    }
    let output = command.output().expect("portgrave runs");
    let said = String::from_utf8(output.stderr).expect("UTF-8").replace(&dir.display().to_string(), DIR);
    let status = i32::from(said.contains("error[PG"));
    assert_eq!(output.status.code(), Some(status), "{}: {said}", case.display());
    said
}

fn copy_into(from: &Path, to: &Path, dir: &str) {
    for entry in fs::read_dir(from).expect("a case") {
        let (source, target) = {
            let entry = entry.expect("an entry");
            (entry.path(), to.join(entry.file_name()))
        };
        if source.is_dir() {
            fs::create_dir(&target).expect("a directory");
            set_mode(&target, 0o755);
            copy_into(&source, &target, dir);
        } else {
            let text = fs::read_to_string(&source).expect("UTF-8");
            fs::write(&target, text.replace(DIR, dir)).expect("a copy");
            set_mode(&target, 0o644);
        }
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}
