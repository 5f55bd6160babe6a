//! Each wall by trying: this test program runs itself again, and the new process tries what is forbidden.

use super::super::message::Landlock;
use super::{raise, raise_inner};
use nix::sys::signal::kill;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::unistd::{Pid, Uid, geteuid, getppid, seteuid};
use std::fs::File;
use std::io::{self, Write, stdout};
use std::net::TcpListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Output};

const ATTEMPT: &str = "PORTGRAVE_TEST_ATTEMPT";
const WALLS: &str = "PORTGRAVE_TEST_WALLS";
const SIGSEGV: i32 = 11;
const SIGSYS: i32 = 31;

/// What is forbidden, and a way to try it with nothing but the forbidden call.
type Attempt = (&'static str, fn(&Known) -> io::Result<()>);

/// What can be asked before the walls alone.
struct Known {
    parent: Pid,
    user: Uid,
}

const ATTEMPTS: [Attempt; 12] = [
    ("open a file", |_| File::open("/etc/passwd").map(drop)),
    ("make a file", |_| tempfile::tempfile().map(drop)),
    ("run a program in its place", |_| Err(Command::new("/bin/true").exec())),
    ("start a program", |_| Command::new("/bin/true").status().map(drop)),
    ("start a thread", |_| std::thread::Builder::new().spawn(|| ()).map(|thread| thread.join().unwrap())),
    ("signal its parent", |known| Ok(kill(known.parent, None)?)),
    ("read its parent's memory", |known| {
        // Others than root are kept from their parent's memory by some machines, but not from its map.
        let file = if known.user.is_root() { "mem" } else { "maps" };
        File::open(format!("/proc/{}/{file}", known.parent)).map(drop)
    }),
    ("open a Unix socket", |_| opened(AddressFamily::Unix, SockType::Datagram)),
    ("open a netlink socket", |_| opened(AddressFamily::Netlink, SockType::Raw)),
    ("listen", |_| TcpListener::bind("127.0.0.1:0").map(drop)),
    ("write to the log's socket", |_| {
        stdout().write_all(b"x\n")?;
        stdout().flush()
    }),
    ("become who it is", |known| Ok(seteuid(known.user)?)),
];

/// What the walls before the last one, which the kernel may not all have, stop too.
const STOPPED_TWICE: [&str; 7] = [
    "open a file",
    "make a file",
    "run a program in its place",
    "start a program",
    "signal its parent",
    "read its parent's memory",
    "listen",
];

fn opened(family: AddressFamily, kind: SockType) -> io::Result<()> {
    Ok(socket(family, kind, SockFlag::empty(), None).map(drop)?)
}

fn again(what: &str, walls: &str) -> Output {
    let once = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "worker::walls::tests::an_attempt", "--nocapture"])
            .envs([(ATTEMPT, what), (WALLS, walls)])
            .output()
            .unwrap()
    };
    // The change of the user interrupts the test program's other thread by a signal, and on a busy machine, once in ten thousand
    // times, the kernel ends it as it returns from that (SIGSEGV, SI_KERNEL). The worker has one thread.
    let output = once();
    if output.status.signal() == Some(SIGSEGV) { once() } else { output }
}

/// Does nothing, unless it was started to try something.
#[test]
fn an_attempt() {
    let Ok(what) = std::env::var(ATTEMPT) else { return };
    let (_, attempt) = ATTEMPTS.into_iter().find(|(name, _)| *name == what).unwrap();
    let known = Known { parent: getppid(), user: geteuid() };
    let raised = match std::env::var(WALLS).unwrap().as_str() {
        "none" => None,
        "all but the last" => Some(raise_inner().unwrap()),
        "all" => Some(raise().unwrap()),
        other => panic!("no such walls: {other}"),
    };
    let twice = raised.is_none_or(|raised| raised.landlock == Landlock::Full);
    eprintln!("{}", if twice { "walls stand" } else { "an old kernel" });
    match attempt(&known) {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("refused: {error}");
            std::process::exit(9);
        }
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_walls_everything_that_is_forbidden_succeeds() {
    for (what, _) in ATTEMPTS {
        let output = again(what, "none");
        assert!(output.status.success(), "{what}: {} {}", output.status, said(&output));
        assert!(said(&output).contains("walls stand"), "{what}");
    }
}

#[test]
fn behind_the_walls_the_kernel_ends_who_tries() {
    for (what, _) in ATTEMPTS {
        let output = again(what, "all");
        assert!(
            said(&output).contains("walls stand") || said(&output).contains("an old kernel"),
            "{what}: {}",
            said(&output)
        );
        assert_eq!(output.status.signal(), Some(SIGSYS), "{what}: {}", said(&output));
    }
}

#[test]
fn what_matters_most_is_stopped_by_two_walls() {
    for what in STOPPED_TWICE {
        let output = again(what, "all but the last");
        if said(&output).contains("walls stand") {
            assert_eq!(output.status.code(), Some(9), "{what}: {} {}", output.status, said(&output));
        }
    }
}
