//! A named network namespace, and what runs in it.

use super::PATIENCE;
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

pub struct Ns {
    pub name: &'static str,
    handle: File,
}

impl Ns {
    /// A new namespace, quiet: no duplicate address detection, no solicitation, no packet of its own accord.
    pub fn new(name: &'static str) -> Self {
        run(Command::new("ip").args(["netns", "add", name]));
        let handle = File::open(format!("/run/netns/{name}")).expect("the namespace that was just made");
        let ns = Self { name, handle };
        for (key, value) in [
            ("ipv6/conf/default/accept_dad", "0"),
            ("ipv6/conf/default/dad_transmits", "0"),
            ("ipv6/conf/default/accept_ra", "0"),
            ("ipv6/conf/default/router_solicitations", "0"),
            ("ipv4/conf/default/rp_filter", "0"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/ip_local_port_range", "51000 60999"),
        ] {
            ns.sysctl(key, value);
        }
        ns.ip("link set lo up\n");
        ns
    }

    /// Runs `body` on a thread in the namespace. Sockets that it opens and processes that it starts stay there.
    pub fn enter<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.handle, CloneFlags::CLONE_NEWNET).expect("to enter a namespace of our own");
                body()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    pub fn sysctl(&self, key: &str, value: &str) {
        let path = format!("/proc/sys/net/{key}");
        self.enter(|| std::fs::write(&path, value)).unwrap_or_else(|error| panic!("{path}: {error}"));
    }

    /// Runs lines of `ip -batch`.
    pub fn ip(&self, batch: &str) {
        self.feed(Command::new("ip").args(["-batch", "-"]), batch);
    }

    /// Loads nft text.
    pub fn nft(&self, text: &str) {
        self.feed(Command::new("nft").args(["-f", "-"]), text);
    }

    /// Loads nft text that may be refused, and says whether it was taken.
    pub fn try_nft(&self, text: &str) -> bool {
        self.output(Command::new("nft").arg(text)).status.success()
    }

    /// What `nft` prints for these arguments.
    pub fn nft_list(&self, args: &[&str]) -> String {
        let output = self.output(Command::new("nft").args(args));
        assert!(output.status.success(), "nft {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("nft prints UTF-8")
    }

    pub fn output(&self, command: &mut Command) -> Output {
        command.stdin(Stdio::null());
        self.enter(|| command.output()).unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
    }

    /// The standard output of a command that must succeed.
    pub fn stdout(&self, command: &mut Command) -> String {
        let output = self.output(command);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?} in {}: {}\n{text}{errors}", self.name, output.status);
        text
    }

    /// Starts a process that lives until it is dropped.
    pub fn start(&self, command: &mut Command) -> Process {
        let child = self.enter(|| command.spawn()).unwrap_or_else(|error| {
            panic!("cannot start {command:?}: {error} (tests/PACKAGES lists what must be installed)")
        });
        Process { child, what: format!("{command:?} in {}", self.name) }
    }

    /// Starts a server with its output in `log`, and waits until `ready` holds.
    pub fn serve(&self, command: &mut Command, log: PathBuf, ready: impl Fn() -> bool) -> Process {
        let file = File::create(&log).expect("a log file");
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a second handle")).stderr(file);
        let mut process = self.start(command);
        let start = Instant::now();
        while !ready() {
            let text = || std::fs::read_to_string(&log).unwrap_or_default();
            if let Some(status) = process.child.try_wait().expect("to ask for the status of a child") {
                panic!("{} ended at once: {status}\n{}", process.what, text());
            }
            assert!(start.elapsed() < PATIENCE, "{} is not ready\n{}", process.what, text());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        process
    }

    /// Whether something listens on a port here.
    pub fn listens(&self, proto: &str, port: u16) -> bool {
        let wanted = format!(":{port:04X}");
        let tables = [format!("/proc/thread-self/net/{proto}"), format!("/proc/thread-self/net/{proto}6")];
        let state = if proto == "tcp" { "0A" } else { "07" };
        self.enter(|| {
            tables.iter().any(|table| {
                std::fs::read_to_string(table).unwrap_or_default().lines().any(|line| {
                    let fields: Vec<&str> = line.split_whitespace().collect();
                    fields.len() > 3 && fields[1].ends_with(&wanted) && fields[3] == state
                })
            })
        })
    }

    fn feed(&self, command: &mut Command, input: &str) {
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let output = self.enter(|| {
            let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
            let mut stdin = child.stdin.take().expect("a pipe");
            stdin.write_all(input.as_bytes()).expect("to write to a child");
            drop(stdin);
            child.wait_with_output().expect("to wait for a child")
        });
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?} in {}: {errors}\n{input}", self.name);
    }
}

/// A child that is ended with its value.
pub struct Process {
    pub child: Child,
    what: String,
}

impl Process {
    /// Waits for its end, and returns whether it succeeded.
    pub fn wait(&mut self) -> bool {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("to ask for the status of a child") {
                return status.success();
            }
            assert!(start.elapsed() < PATIENCE * 3, "{} does not end", self.what);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
