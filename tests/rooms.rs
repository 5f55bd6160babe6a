//! The walls between the rooms (docs/architecture.md): who may use whom, who may commit, who may say `unsafe`, and how long a
//! file may be.

use std::path::{Path, PathBuf};

/// A room and the rooms that it may use.
const ROOMS: &[(&str, &[&str])] = &[
    ("diag", &[]),
    ("types", &[]),
    // The parsed form uses two of the model's plain values: the action and the direction of a rule.
    ("policy", &["diag", "types", "model"]),
    ("model", &["policy", "diag", "types"]),
    ("ruleset", &["types", "diag"]),
    ("compile", &["model", "ruleset", "types", "diag"]),
    ("plan", &["ruleset", "diag"]),
    ("netlink", &["plan", "ruleset", "types"]),
    // It probes the kernel for the compiler's features, and fills the compiler's sets of adopted connections.
    ("apply", &["compile", "plan", "ruleset", "model", "netlink", "store", "diag", "types"]),
    ("resolver", &["types", "model"]),
    ("store", &["model", "ruleset", "types"]),
    ("host", &["diag"]),
    (
        "cli",
        &[
            "diag", "types", "policy", "model", "ruleset", "compile", "plan", "netlink", "apply", "resolver",
            "store", "host",
        ],
    ),
];

/// Rooms without files, sockets, clocks, output and logs.
const PURE: &[&str] = &["diag", "types", "policy", "model", "ruleset", "compile", "plan"];
const IMPURE: &[&str] = &[
    "std::fs",
    "std::env",
    "std::process",
    "TcpStream",
    "UdpSocket",
    "Instant::now",
    "SystemTime",
    "tracing::",
    "println!",
];

const MOST_LINES: usize = 800;

/// What is wrong with a file of a room.
fn faults(room: &str, path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let allowed = ROOMS.iter().find(|(name, _)| *name == room).map(|(_, allowed)| *allowed);
    let Some(allowed) = allowed else { return vec![format!("{path}: the room {room} is not in the table")] };
    let code = without_tests(text);
    for (number, line) in code.lines().enumerate() {
        let mut fault = |what: String| faults.push(format!("{path}:{}: {what}", number + 1));
        let line = line.split("//").next().unwrap_or("");
        for part in line.split("crate::").skip(1) {
            let used: String = part.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let is_room = ROOMS.iter().any(|(name, _)| *name == used);
            if is_room && used != room && !allowed.contains(&used.as_str()) {
                fault(format!("{room} may not use {used}"));
            }
        }
        let commits = line.contains(".commit(") || line.contains(".dry_run(");
        if commits && !["apply", "netlink"].contains(&room) && !line.contains("self.commit(") {
            fault("only apply commits".into());
        }
        if line.contains("unsafe ") && !path.contains("netlink/sys/") {
            fault("unsafe outside netlink/sys".into());
        }
        if PURE.contains(&room) {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                fault(format!("{word} in a pure room"));
            }
        }
    }
    if text.lines().count() > MOST_LINES {
        faults.push(format!("{path}: over {MOST_LINES} lines"));
    }
    faults
}

/// Tests at a file's end may use what they like.
fn without_tests(text: &str) -> &str {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    &text[..end]
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("src is readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_room_uses_what_it_may_not() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut all = Vec::new();
    for path in &files {
        let inside = path.strip_prefix(&src).expect("below src").to_string_lossy().into_owned();
        let Some((room, _)) = inside.split_once('/') else { continue };
        let is_test =
            inside.ends_with("/tests.rs") || inside.contains("/tests/") || inside.ends_with("/testing.rs");
        if !is_test {
            all.extend(faults(room, &inside, &std::fs::read_to_string(path).expect("a source is text")));
        }
    }
    assert!(files.len() > 80, "only {} sources were found", files.len());
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn a_planted_fault_of_each_kind_is_found() {
    let found = |room: &str, path: &str, text: &str| faults(room, path, text).len();
    assert_eq!(found("plan", "plan/x.rs", "use crate::ruleset::Rule;\n"), 0);
    assert_eq!(found("plan", "plan/x.rs", "use crate::model::Policy;\n"), 1);
    assert_eq!(found("compile", "compile/x.rs", "let now = std::time::Instant::now();\n"), 1);
    assert_eq!(found("cli", "cli/x.rs", "NfTables.commit(&plan, None)?;\n"), 1);
    assert_eq!(found("store", "store/x.rs", "unsafe { x() }\n"), 1);
    assert_eq!(found("types", "types/x.rs", &"\n".repeat(801)), 1);
    assert_eq!(found("kitchen", "kitchen/x.rs", ""), 1);
}
