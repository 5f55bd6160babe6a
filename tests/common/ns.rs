//! Tests in network namespaces of their own: the test binary runs the one test again under `unshare`.
//!
//! A test that cannot have its namespace fails; it is never skipped.

// Every test binary has a copy of this file and uses its own part.
#![allow(dead_code)]

use std::process::{Command, Output};

/// Set in the run inside; it holds the namespace outside, to prove that there is a new one.
const GUARD: &str = "PORTGRAVE_TEST_OUTER_NETNS";

/// The namespaces that a test asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// A network namespace; for an ordinary user within a user namespace.
    Network,
    /// A network namespace within a user namespace, also for root: limits of sockets hold.
    User,
}

/// Runs the test `name` again in namespaces of its own and fails if that fails. Returns false inside, where the test
/// is to do its work, and true outside, where it is done:
///
/// ```ignore
/// #[test]
/// fn a_test() {
///     if ns::ran_inside(Namespace::Network, "a_test") {
///         return;
///     }
///     …
/// }
/// ```
pub fn ran_inside(namespace: Namespace, name: &str) -> bool {
    if let Ok(outer) = std::env::var(GUARD) {
        assert_ne!(outer, current(), "the test runs in the namespace of the machine");
        return false;
    }
    let flags = match namespace {
        Namespace::Network if is_root() => "-n",
        Namespace::Network | Namespace::User => "-rn",
    };
    let program = std::env::current_exe().expect("the test binary has a path");
    let output = Command::new("unshare")
        .arg(flags)
        .arg(program)
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(GUARD, current())
        .output()
        .expect("unshare starts (util-linux)");
    let text = text(&output);
    assert!(output.status.success(), "{name} failed in its namespace:\n{text}");
    assert!(text.contains("1 passed"), "no test is called {name}:\n{text}");
    // Figures, for who asks for the output of tests that pass.
    println!("{text}");
    true
}

/// Whether this process is root without a user namespace, and so may pass the limits of sockets.
pub fn passes_limits() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").expect("/proc is mounted");
    is_root() && map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// Both streams of a finished program.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn current() -> String {
    let link = std::fs::read_link("/proc/self/ns/net").expect("/proc is mounted");
    link.to_string_lossy().into_owned()
}
