//! `portgrave run` with a site of its own, and everything that it says.

use super::events::Events;
use super::kernel::Sets;
use super::place::Lab;
use super::{PATIENCE, eventually};
use crate::rig::{Ns, program};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::fstat;
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Settings, policy files and state in a directory of their own. A daemon may be started on it again and again.
pub struct Site {
    dir: PathBuf,
    name: String,
    /// Further arguments of `run`.
    pub arguments: Vec<String>,
    /// Further variables of its environment.
    pub environment: Vec<(String, String)>,
}

impl Site {
    /// With [paths] and what else the settings shall say.
    pub fn new(lab: &Lab, settings: &str) -> Self {
        Self::named(lab, "site", settings)
    }

    pub fn named(lab: &Lab, name: &str, settings: &str) -> Self {
        let site = Self {
            dir: lab.dir.path().join(name),
            name: name.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
        };
        for part in ["vendor", "policy.d", "state", "run"] {
            std::fs::create_dir_all(site.dir.join(part)).expect("a directory of the test's own");
        }
        site.settings(settings);
        site
    }

    pub fn settings(&self, text: &str) {
        let paths = format!(
            "[paths]\nvendor-dir = \"{0}/vendor\"\npolicy-dir = \"{0}/policy.d\"\n\
             state-dir = \"{0}/state\"\nruntime-dir = \"{0}/run\"\n\n",
            self.dir.display()
        );
        std::fs::write(self.config(), format!("{paths}{text}")).expect("a settings file");
    }

    /// Writes a file of the policy directory as configuration management does: beside it, then renamed.
    pub fn policy(&self, name: &str, text: &str) {
        let (new, path) = (self.path("policy.d/.new"), self.path(&format!("policy.d/{name}.toml")));
        std::fs::write(&new, text).expect("a policy file");
        std::fs::rename(new, path).expect("a policy file in its place");
    }

    /// A policy with one rule, `web`, that lets the gateway speak to these names on port 443; the rest is rejected.
    pub fn policy_for(&self, names: &[&str]) {
        self.policy("site", &format!("{}{}", head(), web("web", names)));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("portgrave.toml")
    }

    pub fn command(&self, verb: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(verb).arg("--config").arg(self.config());
        command
    }

    pub fn output(&self, ns: &Ns, verb: &[&str]) -> Output {
        ns.output(&mut self.command(verb))
    }

    /// The JSON object that a verb prints.
    pub fn json(&self, ns: &Ns, verb: &[&str]) -> Result<Value, String> {
        let output = self.output(ns, &[verb, &["--json"]].concat());
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{verb:?}: {error}: {output:?}"))
    }

    /// Starts a daemon, which need not be ready yet.
    pub fn start<'a>(&'a self, ns: &'a Ns) -> Daemon<'a> {
        Daemon::start(self, ns, false)
    }

    /// Starts a daemon whose standard error is said to be the journal's, and waits until it is ready.
    pub fn run_under_journal<'a>(&'a self, ns: &'a Ns) -> Daemon<'a> {
        let daemon = Daemon::start(self, ns, true);
        daemon.ready();
        daemon
    }

    /// Starts a daemon and waits until it is ready.
    pub fn run<'a>(&'a self, ns: &'a Ns) -> Daemon<'a> {
        let daemon = self.start(ns);
        daemon.ready();
        daemon
    }

    /// What the daemon keeps of names, as text.
    pub fn kept_names(&self) -> String {
        let path = self.path("state/names.json");
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Puts other text there, with the file's mode.
    pub fn keep_names(&self, text: &str) {
        std::fs::write(self.path("state/names.json"), text).expect("the file of names");
    }
}

/// The beginning of a policy that refuses at once what it does not allow.
pub fn head() -> &'static str {
    "language = 1\n\n[default]\nout = \"reject\"\n\n[[rule]]\nname = \"ssh-in\"\ndirection = \"in\"\nservice = \"ssh\"\n\
     peers = \"any\"\n"
}

/// A rule that opens port 443 to names or groups.
pub fn web(rule: &str, peers: &[&str]) -> String {
    format!(
        "\n[[rule]]\nname = \"{rule}\"\ndirection = \"out\"\nports = [\"tcp/443\", \"udp/443\"]\npeers = {peers:?}\n"
    )
}

/// What the service manager was told, and when.
#[derive(Clone, Debug)]
pub struct Told {
    pub text: String,
    pub at: Instant,
}

/// A daemon that runs until it is dropped.
pub struct Daemon<'a> {
    pub site: &'a Site,
    pub ns: &'a Ns,
    child: std::sync::Mutex<Child>,
    /// Its standard error, line by line.
    pub lines: Arc<Events<String>>,
    pub told: Arc<Events<Told>>,
}

impl<'a> Daemon<'a> {
    fn start(site: &'a Site, ns: &'a Ns, under_journal: bool) -> Self {
        let socket = site.path("run/notify.sock");
        let _ = std::fs::remove_file(&socket);
        let receiver = UnixDatagram::bind(&socket).expect("a socket for notifications");
        let mut command = site.command(&["run"]);
        // As systemd gives it to a service.
        let (stderr, theirs) = UnixStream::pair().expect("a stream");
        if under_journal {
            let found = fstat(&theirs).expect("an inode");
            command.env("JOURNAL_STREAM", format!("{}:{}", found.st_dev, found.st_ino));
        }
        command
            .args(&site.arguments)
            .envs(site.environment.iter().map(|(name, value)| (name, value)))
            .env("NOTIFY_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(OwnedFd::from(theirs));
        let child = ns.enter(|| command.spawn()).expect("portgrave starts");
        // It has an end of the stream.
        drop(command);
        let (lines, told) = (Arc::new(Events::default()), Arc::new(Events::default()));
        let (to_lines, to_told) = (Arc::clone(&lines), Arc::clone(&told));
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).for_each(|line| to_lines.push(line));
        });
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length) = receiver.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                to_told.push(Told { text, at: Instant::now() });
            }
        });
        Self { site, ns, child: child.into(), lines, told }
    }

    /// Waits for READY=1.
    pub fn ready(&self) {
        self.notified("READY=1", 1);
    }

    /// Waits until the service manager was told a line `count` times.
    pub fn notified(&self, line: &str, count: usize) -> Vec<Told> {
        let has =
            |told: &Told| told.text.lines().any(|told| told == line || told.starts_with(&format!("{line}=")));
        self.told.wait_or(line, count, has, || self.gone())
    }

    /// Waits for a line of standard error that has all these words, `count` times.
    pub fn line(&self, words: &[&str], count: usize) -> Vec<String> {
        let has = |line: &String| words.iter().all(|word| line.contains(word));
        self.lines.wait_or(&format!("lines with {words:?}"), count, has, || self.gone())
    }

    /// Why nothing more will come of it.
    fn gone(&self) -> Option<String> {
        let status =
            self.child.lock().expect("no poison").try_wait().expect("to ask for the status of a child")?;
        Some(format!("the daemon ended: {status}; it said:\n{}", self.lines.all().join("\n")))
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.lock().expect("no poison").id()).expect("a process id"))
    }

    /// Its children: the worker.
    pub fn children(&self) -> Vec<Pid> {
        self.tree().iter().skip(1).map(|process| Pid::from_raw(process.inner)).collect()
    }

    /// The daemon and its children.
    fn tree(&self) -> Vec<Process> {
        let (daemon, others): (Vec<Process>, Vec<Process>) =
            processes().into_iter().partition(|process| process.inner == self.pid().as_raw());
        let outer = daemon.first().unwrap_or_else(|| panic!("the daemon is not in /proc")).outer;
        daemon.into_iter().chain(others.into_iter().filter(|process| process.parent == outer)).collect()
    }

    /// The memory of the daemon and its children, each page shared out among those that map it (PSS), in KiB.
    pub fn memory(&self) -> u64 {
        let all = self.tree();
        let of = |process: &Process| {
            let path = format!("/proc/{}/smaps_rollup", process.outer);
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).expect("a sum");
            line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number")
        };
        all.iter().map(of).sum()
    }

    /// The time that the daemon and its children have computed, in all.
    pub fn computed(&self) -> Duration {
        let of = |process: &Process| {
            let path = format!("/proc/{}/schedstat", process.outer);
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).expect("nanoseconds")
        };
        Duration::from_nanos(self.tree().iter().map(of).sum())
    }

    /// How often the daemon has gone to sleep of itself, and how often each of its children.
    pub fn sleeps(&self) -> Vec<u64> {
        let of = |process: &Process| status(process, "voluntary_ctxt_switches:");
        self.tree().iter().map(of).collect()
    }

    /// The most memory that the daemon itself has ever had in use, in KiB.
    pub fn peak(&self) -> u64 {
        self.tree().first().map_or(0, |daemon| status(daemon, "VmHWM:"))
    }

    /// The CPU time that daemon and worker have used, in the user's code and in the kernel's.
    pub fn cpu_time(&self) -> Duration {
        let all = processes();
        let daemon = all.iter().find(|process| process.inner == self.pid().as_raw());
        let outer = daemon.unwrap_or_else(|| panic!("the daemon is not in /proc")).outer;
        let both = all.iter().filter(|process| process.outer == outer || process.parent == outer);
        both.map(|process| cpu_time(process.outer)).sum()
    }

    pub fn signal(&self, signal: Signal) {
        assert_eq!(self.gone(), None);
        kill(self.pid(), signal).expect("the daemon runs");
    }

    /// SIGHUP, and waits until it has reloaded.
    pub fn reload(&self) {
        let before = self.told.count(|told| told.text.lines().any(|line| line == "READY=1"));
        self.signal(Signal::SIGHUP);
        self.notified("READY=1", before + 1);
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.end()
    }

    /// kill -9, and waits for the end.
    pub fn kill(self) {
        self.signal(Signal::SIGKILL);
        self.end();
    }

    pub fn end(&self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) =
                self.child.lock().expect("no poison").try_wait().expect("to ask for a status")
            {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the daemon does not end: {:#?}", self.lines.all());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn sets(&self) -> Sets {
        Sets::read(self.ns)
    }

    /// `portgrave names --json`.
    pub fn names(&self) -> Value {
        self.report("names")
    }

    /// `portgrave status --json`.
    pub fn status(&self) -> Value {
        self.report("status")
    }

    fn report(&self, verb: &str) -> Value {
        let read = self.site.json(self.ns, &[verb]);
        read.unwrap_or_else(|error| panic!("{error}\nthe daemon said:\n{}", self.lines.all().join("\n")))
    }

    /// What is reported of one name.
    pub fn name(&self, name: &str) -> Value {
        let all = self.names();
        let found = all["names"].as_array().into_iter().flatten().find(|entry| entry["name"] == name);
        found.cloned().unwrap_or_else(|| panic!("{name} is not reported: {all:#}"))
    }

    /// Waits until what is reported of a name is so.
    pub fn name_is(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{name}: {what}"), || {
            let report = self.name(name);
            if holds(&report) { Ok(report) } else { Err(format!("{report:#}")) }
        })
    }

    /// Waits until the sets of names hold all these addresses.
    pub fn holds(&self, addresses: &[&str]) -> Sets {
        self.sets_are(&format!("hold {addresses:?}"), |sets| addresses.iter().all(|text| sets.holds(text)))
    }

    /// Waits until the sets of names are so.
    pub fn sets_are(&self, what: &str, holds: impl Fn(&Sets) -> bool) -> Sets {
        eventually(&format!("the sets {what}"), || {
            assert_eq!(self.gone(), None);
            let sets = self.sets();
            if holds(&sets) { Ok(sets) } else { Err(format!("{sets:#?}\n{}", self.lines.all().join("\n"))) }
        })
    }
}

/// A process of this PID namespace, as the machine's /proc shows it.
struct Process {
    outer: i32,
    parent: i32,
    inner: i32,
}

/// Whether a process runs; one that has ended and was not waited for does not.
pub fn runs(process: Pid) -> bool {
    processes().iter().any(|other| other.inner == process.as_raw())
}

/// A number of /proc/PID/status.
fn status(process: &Process, field: &str) -> u64 {
    let path = format!("/proc/{}/status", process.outer);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("{path} has no {field}"))
}

/// All processes of this PID namespace that run the program; those that are dead and unburied do not.
pub fn running() -> Vec<Pid> {
    let own = std::fs::canonicalize(program()).expect("the program");
    let runs = |process: &Process| {
        std::fs::read_link(format!("/proc/{}/exe", process.outer)).is_ok_and(|exe| exe == own)
    };
    processes().iter().filter(|process| runs(process)).map(|process| Pid::from_raw(process.inner)).collect()
}

fn processes() -> Vec<Process> {
    let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let own = namespace("self");
    let entries = std::fs::read_dir("/proc").expect("/proc is mounted").map_while(Result::ok);
    let process = |pid: String| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field =
            |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().last());
        let number = |text: &str| text.parse().ok();
        // One that has ended and was not waited for.
        if status.lines().any(|line| line.starts_with("State:\tZ")) {
            return None;
        }
        let (parent, inner) = (number(field("PPid:")?)?, number(field("NSpid:")?)?);
        (namespace(&pid) == own).then_some(Process { outer: number(&pid)?, parent, inner })
    };
    entries.filter_map(|entry| process(entry.file_name().into_string().ok()?)).collect()
}

/// utime and stime of a process: the 14th and 15th field of its line, of which the second may hold blanks.
fn cpu_time(outer: i32) -> Duration {
    let path = format!("/proc/{outer}/stat");
    let line = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let fields: Vec<&str> = line.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number of ticks");
    let a_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok().flatten().expect("the tick");
    Duration::from_secs(ticks(11) + ticks(12)) / u32::try_from(a_second).expect("a small number")
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if std::thread::panicking() {
            eprintln!("the daemon of {} said:\n{}", self.site.name, self.lines.all().join("\n"));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The addresses that are reported of a name.
pub fn addresses(report: &Value) -> BTreeSet<IpAddr> {
    let parsed = |entry: &Value| entry["address"].as_str().and_then(|text| text.parse().ok());
    let all = report["addresses"].as_array().unwrap_or_else(|| panic!("no addresses: {report:#}"));
    all.iter().map(|entry| parsed(entry).unwrap_or_else(|| panic!("no address: {entry}"))).collect()
}

/// The addresses that were refused, each with the reason.
pub fn rejected(report: &Value) -> Vec<(IpAddr, String)> {
    let one = |entry: &Value| {
        let address = entry["address"].as_str()?.parse().ok()?;
        Some((address, entry["reason"].as_str()?.to_owned()))
    };
    let all = report["rejected"].as_array().unwrap_or_else(|| panic!("no list of refusals: {report:#}"));
    all.iter().map(|entry| one(entry).unwrap_or_else(|| panic!("no refusal: {entry}"))).collect()
}
