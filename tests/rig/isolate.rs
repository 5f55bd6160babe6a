//! Runs the body of a test in a process of its own, in private namespaces.

use nix::mount::{MsFlags, mount};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const INSIDE: &str = "PORTGRAVE_RIG_INSIDE";
/// Marks the lines of the inner process that are meant for people; the rest is its test runner's.
const SPOKEN: char = '\u{1e}';
/// Runs `body` as user 0 in private network, mount and PID namespaces. `test` is the full name of the calling test:
/// the process runs the same test once more, and comes here again.
///
/// # Panics
/// If the body does, or if this machine does not allow namespaces: never skips.
pub fn isolated(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        end_with_parent();
        private_run();
        body();
        return;
    }
    let exe = std::env::current_exe().expect("the path of the test binary");
    let mut child = Command::new("unshare")
        .args(unshare_flags())
        .arg(exe)
        .args([test, "--exact", "--nocapture", "--include-ignored"])
        .env(INSIDE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare (util-linux) must be installed");
    let mut errors = child.stderr.take().expect("a pipe");
    let stderr = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = errors.read_to_string(&mut text);
        text
    });
    let mut rest = String::new();
    for line in BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok) {
        match line.split_once(SPOKEN) {
            Some((_, spoken)) => println!("{spoken}"),
            None => rest.push_str(&format!("{line}\n")),
        }
    }
    let status = child.wait().expect("the inner process");
    let stderr = stderr.join().expect("the reader of stderr");
    assert!(status.success(), "{test} failed in its namespaces ({status})\n{rest}{stderr}");
    assert!(rest.contains("1 passed"), "the inner process ran no test named {test}\n{rest}{stderr}");
}

/// Prints a line for people, from inside.
pub fn say(line: impl AsRef<str>) {
    for part in line.as_ref().lines() {
        println!("{SPOKEN}{part}");
    }
}

/// Whether user ids other than 0 exist here: not where an ordinary user's own id was mapped alone.
pub fn has_all_users() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().nth(2).and_then(|count| count.parse::<u64>().ok()).unwrap_or(0) > 65535
}

fn unshare_flags() -> Vec<&'static str> {
    let common = ["--net", "--mount", "--pid", "--fork", "--kill-child"];
    let plain = Command::new("unshare").args(common).arg("true").stderr(Stdio::null()).status();
    let mut flags = common.to_vec();
    if !plain.expect("unshare (util-linux) must be installed").success() {
        flags.push("--map-root-user");
    }
    flags
}

/// Ends this process, and with it every other of its PID namespace, when the outer one is gone or time is up.
fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(3);
    });
    std::thread::spawn(|| {
        let limit = limit();
        std::thread::sleep(limit);
        eprintln!("the test is still running after {limit:?}: ended");
        std::process::exit(4);
    });
}

/// No test of the rig is allowed to take longer; one that does is hanging. PORTGRAVE_TEST_SECONDS gives long runs
/// and emulated machines more.
fn limit() -> Duration {
    let seconds = std::env::var("PORTGRAVE_TEST_SECONDS").ok();
    Duration::from_secs(
        seconds.map_or(420, |text| text.parse().expect("PORTGRAVE_TEST_SECONDS is in seconds")),
    )
}

/// An empty /run, for named namespaces and for what servers write there.
fn private_run() {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=755"))
        .expect("a tmpfs on /run");
    for directory in ["/run/netns", "/run/sshd", "/run/lock"] {
        std::fs::create_dir_all(directory).expect("a directory in the private /run");
    }
}

/// Shows `text` as the contents of a file of the system, such as /etc/resolv.conf, to this process and its children.
pub fn replace_file(path: &str, text: &str) {
    let copy = PathBuf::from(format!("/run/rig{}", path.replace('/', "-")));
    std::fs::write(&copy, text).expect("a copy in the private /run");
    let target = match std::fs::canonicalize(path) {
        Ok(existing) => existing,
        Err(_) => dangling(Path::new(path)),
    };
    mount(Some(&copy), &target, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .unwrap_or_else(|error| panic!("cannot bind over {}: {error}", target.display()));
}

/// A symbolic link into the hidden /run: what it points to is made anew.
fn dangling(path: &Path) -> PathBuf {
    let link = std::fs::read_link(path).unwrap_or_else(|_| panic!("{} is missing", path.display()));
    let target = path.parent().unwrap_or(Path::new("/")).join(link);
    std::fs::create_dir_all(target.parent().expect("a directory")).expect("a directory in the private /run");
    std::fs::write(&target, "").expect("an empty file in the private /run");
    std::fs::canonicalize(&target).expect("a file that was just made")
}
