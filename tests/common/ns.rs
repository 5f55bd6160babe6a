//! Tests in network namespaces of their own: the test binary runs the one test again under `unshare`.
//!
//! A test that cannot have its namespace fails; it is never skipped.

use std::process::{Command, Output};

/// Set in the run inside; it holds the namespace outside, to prove that there is a new one.
const GUARD: &str = "PORTGRAVE_TEST_OUTER_NETNS";

/// Runs the test `name` again in a network namespace of its own (for an ordinary user within a user namespace) and
/// fails if that fails. Returns true inside, where the test is to do its work, and false outside, where it is done:
///
/// ```ignore
/// #[test]
/// fn a_test() {
///     if !ns::in_fresh_namespace("a_test") {
///         return;
///     }
///     …
/// }
/// ```
pub fn in_fresh_namespace(name: &str) -> bool {
    inside(if is_root() { "-n" } else { "-rn" }, name)
}

/// The same within a user namespace also for root: there the limits of sockets hold.
pub fn in_user_namespace(name: &str) -> bool {
    inside("-rn", name)
}

/// Whether this process is root without a user namespace, and so may pass the limits of sockets.
pub fn passes_limits() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").expect("/proc is mounted");
    is_root() && map.split_whitespace().eq(["0", "0", "4294967295"])
}

fn inside(flags: &str, name: &str) -> bool {
    if let Ok(outer) = std::env::var(GUARD) {
        assert_ne!(outer, current(), "the test runs in the namespace of the machine");
        return true;
    }
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
    false
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
