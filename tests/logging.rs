//! Where log lines go: to the journal if standard error is the journal, to standard error otherwise.

#[path = "common/ns.rs"]
mod ns;
#[path = "common/site.rs"]
mod site;

use nix::sys::stat::fstat;
use site::Site;
use std::fs::File;
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

/// Set in the run inside.
const GUARD: &str = "PORTGRAVE_TEST_JOURNAL";
const JOURNAL: &str = "/run/systemd/journal/socket";

/// Runs the test again with an empty /run and a network of its own.
fn ran_inside(name: &str) -> bool {
    if std::env::var_os(GUARD).is_some() {
        return false;
    }
    let flags = if nix::unistd::geteuid().is_root() { "-mn" } else { "-rmn" };
    let script = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/journal && exec \"$@\"";
    let output = Command::new("unshare")
        .args([flags, "sh", "-ec", script, "sh"])
        .arg(std::env::current_exe().expect("the test binary has a path"))
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(GUARD, "1")
        .output()
        .expect("unshare starts (util-linux)");
    let text = ns::text(&output);
    assert!(output.status.success() && text.contains("1 passed"), "{name} failed inside:\n{text}");
    true
}

/// What `apply` writes to standard error if that is said to be the journal, or another file is.
fn stderr_of_apply(is_journal: bool, log: Option<&str>) -> String {
    let site = Site::new();
    let errors = File::create(site.path("stderr")).unwrap();
    let found = fstat(&errors).unwrap();
    let inode = if is_journal { found.st_ino } else { found.st_ino + 1 };
    let mut command = site.command(&["apply", "--json"]);
    command
        .stderr(errors)
        .env("JOURNAL_STREAM", format!("{}:{inode}", found.st_dev))
        .env_remove("PORTGRAVE_LOG");
    if let Some(log) = log {
        command.env("PORTGRAVE_LOG", log);
    }
    let output = command.output().expect("portgrave starts");
    let mut text = String::new();
    File::open(site.path("stderr")).unwrap().read_to_string(&mut text).unwrap();
    assert!(output.status.success(), "{text}");
    text
}

/// The entries that journald has received, as text.
fn entries(journal: &UnixDatagram) -> Vec<String> {
    journal.set_nonblocking(true).unwrap();
    let mut buffer = vec![0; 64 * 1024];
    let datagrams = std::iter::from_fn(|| {
        let octets = journal.recv(&mut buffer).ok()?;
        Some(String::from_utf8_lossy(&buffer[..octets]).into_owned())
    });
    datagrams.filter(|entry| !entry.is_empty()).collect()
}

#[test]
fn lines_go_to_the_journal_only_if_standard_error_is_the_journal() {
    if ran_inside("lines_go_to_the_journal_only_if_standard_error_is_the_journal") {
        return;
    }
    let line = "lock held";
    // Nobody listens: the lines go to standard error, which is the journal too.
    assert!(stderr_of_apply(true, Some("debug")).contains(line));

    let journal = UnixDatagram::bind(JOURNAL).unwrap();
    let text = stderr_of_apply(true, Some("debug"));
    assert!(text.is_empty(), "{text}");
    let received = entries(&journal);
    let entry = received.iter().find(|entry| entry.contains(line)).expect("the line is an entry");
    assert!(entry.contains("PORTGRAVE_STATE\n") && entry.contains("SYSLOG_IDENTIFIER\n"), "{entry}");

    let text = stderr_of_apply(false, Some("debug"));
    assert!(text.contains(line) && !text.contains('\u{1b}'), "{text}");
    assert_eq!(entries(&journal), [""; 0]);
}

#[test]
fn nothing_is_logged_unless_it_is_asked_for() {
    if ran_inside("nothing_is_logged_unless_it_is_asked_for") {
        return;
    }
    let journal = UnixDatagram::bind(JOURNAL).unwrap();
    assert_eq!(stderr_of_apply(true, None), "");
    assert_eq!(stderr_of_apply(false, None), "");
    assert_eq!(stderr_of_apply(false, Some("error")), "");
    assert_eq!(entries(&journal), [""; 0]);
}
