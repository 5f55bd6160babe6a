//! The walls between the rooms (docs/architecture.md): who may use whom, who may commit, who may say `unsafe`, and how long a
//! file may be.

use std::path::{Path, PathBuf};

/// A room and the rooms that it may use.
const ROOMS: &[(&str, &[&str])] = &[
    ("diag", &[]),
    ("types", &[]),
    ("frames", &[]),
    // The parsed form uses two of the model's plain values: the action and the direction of a rule.
    ("policy", &["diag", "types", "model"]),
    ("model", &["policy", "diag", "types"]),
    ("ruleset", &["types", "diag"]),
    ("compile", &["model", "ruleset", "types", "diag"]),
    ("plan", &["ruleset", "diag"]),
    ("netlink", &["plan", "ruleset", "frames", "types"]),
    // It probes the kernel for the compiler's features, and fills the compiler's sets of adopted connections.
    ("apply", &["compile", "plan", "ruleset", "model", "netlink", "store", "diag", "types"]),
    ("resolver", &["types", "model"]),
    ("observe", &["frames", "types"]),
    ("store", &["model", "ruleset", "types"]),
    ("host", &["diag", "frames"]),
    ("control", &["diag", "types"]),
    ("worker", &["resolver", "observe", "host", "types", "model", "diag"]),
    (
        "site",
        &[
            "diag", "types", "policy", "model", "ruleset", "compile", "plan", "netlink", "apply", "resolver",
            "store", "host",
        ],
    ),
    (
        "daemon",
        &[
            "diag", "types", "policy", "model", "ruleset", "compile", "plan", "netlink", "apply", "resolver",
            "observe", "worker", "store", "host", "control", "site",
        ],
    ),
    (
        "cli",
        &[
            "diag", "types", "policy", "model", "ruleset", "compile", "plan", "netlink", "apply", "resolver",
            "observe", "worker", "store", "host", "control", "site", "daemon",
        ],
    ),
];

/// Rooms without files, sockets, clocks, output and logs.
const PURE: &[&str] = &["diag", "types", "frames", "policy", "model", "ruleset", "compile", "plan"];
/// Parts of other rooms that are held to the same.
const PURE_PARTS: &[&str] = &["resolver/book/", "resolver/names/"];
const IMPURE: &[&str] = &[
    "std::fs",
    "std::env",
    "std::process",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "Instant::now",
    "SystemTime",
    "tracing::",
    "println!",
];

const MOST_LINES: usize = 800;

/// What is wrong with a file of a room.
fn faults(room: &str, path: &str, text: &str) -> Vec<String> {
    let allowed = ROOMS.iter().find(|(name, _)| *name == room).map(|(_, allowed)| *allowed);
    let Some(allowed) = allowed else { return vec![format!("{path}: the room {room} is not in the table")] };
    let code = without_comments(without_tests(text));
    let mut faults = Vec::new();
    for (number, used) in rooms_used(path, &code) {
        if used != room && !allowed.contains(&used) {
            faults.push(format!("{path}:{number}: {room} may not use {used}"));
        }
    }
    for (number, line) in (1..).zip(code.lines()) {
        let mut fault = |what: String| faults.push(format!("{path}:{number}: {what}"));
        if commits(line) && !["apply", "netlink"].contains(&room) {
            fault("only apply commits".into());
        }
        if line.contains("unsafe") && !path.starts_with("netlink/sys/") {
            fault("unsafe outside netlink/sys".into());
        }
        if PURE.contains(&room) || PURE_PARTS.iter().any(|part| path.starts_with(part)) {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                fault(format!("{word} in a pure room"));
            }
        }
    }
    faults.extend(too_long(path, text));
    faults
}

/// A method of a room's own that is called `commit` too is not the kernel's.
fn commits(line: &str) -> bool {
    let asked = |call: &str| line.matches(call).count() > line.matches(&format!("self{call}")).count();
    asked(".commit(") || asked(".dry_run(") || line.contains("::commit(") || line.contains("::dry_run(")
}

fn too_long(path: &str, text: &str) -> Option<String> {
    (text.lines().count() > MOST_LINES).then(|| format!("{path}: over {MOST_LINES} lines"))
}

/// The rooms that paths from the library's root lead to, each with its line: by `crate::`, by as many `super::` as lead there,
/// and in braces.
fn rooms_used(path: &str, code: &str) -> Vec<(usize, &'static str)> {
    let modules = path.trim_end_matches("mod.rs").trim_end_matches(".rs").trim_end_matches('/');
    let to_root = "super::".repeat(modules.split('/').count());
    let mut used = Vec::new();
    for root in ["crate::", to_root.as_str()] {
        for (at, _) in code.match_indices(root) {
            let line = code[..at].matches('\n').count() + 1;
            let names = first_names(&code[at + root.len()..]);
            used.extend(names.into_iter().filter_map(|name| {
                let (room, _) = ROOMS.iter().find(|(room, _)| *room == name)?;
                Some((line, *room))
            }));
        }
    }
    used
}

/// The first name of a path, or of each path in braces.
fn first_names(rest: &str) -> Vec<&str> {
    let name = |text| -> &str {
        let text: &str = str::trim_start(text);
        &text[..text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())]
    };
    let Some(inside) = rest.strip_prefix('{') else { return vec![name(rest)] };
    let mut names = vec![name(inside)];
    let mut depth = 1;
    for (at, sign) in inside.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(name(&inside[at + 1..])),
            _ => {}
        }
    }
    names
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.split("//").next().unwrap_or(""))).collect()
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
    for dir in ["tests", "benches"] {
        let mut others = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), &mut others);
        for path in others {
            let text = std::fs::read_to_string(&path).expect("a source is text");
            all.extend(too_long(&path.to_string_lossy(), &text));
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn a_planted_fault_of_each_kind_is_found() {
    let found = |room: &str, path: &str, text: &str| faults(room, path, text).len();
    assert_eq!(found("plan", "plan/x.rs", "use crate::ruleset::Rule;\n"), 0);
    assert_eq!(found("plan", "plan/x.rs", "use crate::model::Policy;\n"), 1);
    assert_eq!(
        found("plan", "plan/x.rs", "use crate::{\n    model::{Policy, Rule},\n    cli, ruleset,\n};\n"),
        2
    );
    assert_eq!(found("plan", "plan/x.rs", "use super::{Op, model};\nuse super::super::model::Policy;\n"), 1);
    assert_eq!(found("plan", "plan/mod.rs", "fn f() -> super::model::Policy {}\n"), 1);
    assert_eq!(found("plan", "plan/x.rs", "fn f() {} // crate::model\n"), 0);
    assert_eq!(found("compile", "compile/x.rs", "let now = std::time::Instant::now();\n"), 1);
    assert_eq!(found("types", "types/x.rs", "use std::net::{IpAddr, TcpListener};\n"), 1);
    assert_eq!(found("resolver", "resolver/names/x.rs", "let now = Instant::now();\n"), 1);
    assert_eq!(found("cli", "cli/x.rs", "NfTables.commit(&plan, None)?;\n"), 1);
    assert_eq!(found("cli", "cli/x.rs", "Kernel::dry_run(&mut kernel, &plan)?;\n"), 1);
    assert_eq!(found("cli", "cli/x.rs", "self.commit(&store)?;\n"), 0);
    assert_eq!(found("store", "store/x.rs", "unsafe{ x() }\n"), 1);
    assert_eq!(found("netlink", "netlink/x.rs", "#![allow(unsafe_code)]\n"), 1);
    assert_eq!(found("netlink", "netlink/sys/x.rs", "unsafe { x() }\n"), 0);
    assert_eq!(found("types", "types/x.rs", &"\n".repeat(801)), 1);
    assert_eq!(found("kitchen", "kitchen/x.rs", ""), 1);
}

#[test]
fn the_document_has_the_same_table() {
    let document = include_str!("../docs/architecture.md");
    for (room, allowed) in ROOMS {
        let row = document.lines().find(|line| line.starts_with(&format!("| `{room}` |")));
        let row = row.unwrap_or_else(|| panic!("{room} has no row"));
        let last = row.trim_end_matches(['|', ' ']).rsplit("| ").next().unwrap_or_default();
        let words: Vec<&str> = last.split([',', ' ']).collect();
        let named: Vec<&str> =
            ROOMS.iter().map(|(name, _)| *name).filter(|name| words.contains(name)).collect();
        let mut wanted: Vec<&str> = allowed.to_vec();
        wanted.sort_unstable();
        let mut named = if last == "all" { wanted.clone() } else { named };
        named.sort_unstable();
        assert_eq!(named, wanted, "{room}");
    }
}
