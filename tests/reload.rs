//! A reload leaks nothing and loses nothing: policies take turns under a stream of packets that both allow or both forbid, and
//! every packet is counted before and after the agent's chains.
//!
//! PORTGRAVE_TEST_RELOADS asks for more reloads.

#[path = "reload/cases.rs"]
mod cases;
mod rig;
#[path = "reload/traffic.rs"]
mod traffic;

use rig::{Agent, isolated, printed, say};
use std::path::{Path, PathBuf};
use std::process::Command;
use traffic::{Counts, Wire};

/// Packets of each state before the policies take turns: enough for every kind several times over.
const STILL: u64 = 4000;

fn reloads() -> usize {
    std::env::var("PORTGRAVE_TEST_RELOADS").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

/// Two policies, their list files and names, and what applies them.
struct Turns {
    dir: tempfile::TempDir,
    agent: Agent,
    policies: [PathBuf; 2],
    names: PathBuf,
}

impl Turns {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let agent = Agent::at(dir.path(), "[resolver]\nservers = [\"93.184.1.1\"]\n");
        let lists = dir.path().join("lists");
        std::fs::create_dir(&lists).expect("a directory of lists");
        let policy =
            |n: usize| agent.policy(&format!("policy-{n}"), &cases::policy(n, &lists.display().to_string()));
        let policies = [policy(0), policy(1)];
        let names = dir.path().join("names.toml");
        std::fs::write(&names, cases::names()).expect("a file of names");
        Self { dir, agent, policies, names }
    }

    /// The list files of a policy take the place of the other's.
    fn put_lists(&self, which: usize) {
        for (name, text) in cases::lists(which) {
            let path = self.dir.path().join("lists").join(format!("{name}.txt"));
            std::fs::write(path, text).expect("a list file");
        }
    }

    fn command(&self, verb: &str, which: usize) -> Command {
        let policy: &Path = &self.policies[which];
        let mut command = self.agent.command(verb, &[policy]);
        command.arg("--names").arg(&self.names);
        command
    }

    fn apply(&self, wire: &Wire, which: usize) {
        self.put_lists(which);
        let output = wire.gw.output(&mut self.command("apply", which));
        assert!(output.status.success(), "policy {which}: {}", printed(&output));
    }

    /// The text that nft would load for a policy, as `portgrave show` prints it.
    fn text(&self, wire: &Wire, which: usize) -> String {
        self.put_lists(which);
        wire.gw.stdout(&mut self.command("show", which))
    }
}

/// A wire whose gateway has the first policy in force, with live flows and counters.
fn guarded(turns: &Turns) -> Wire {
    let mut wire = Wire::new(cases::kinds());
    turns.apply(&wire, 0);
    wire.observe();
    wire
}

fn judged(counts: &Counts) {
    let faults = counts.faults();
    assert!(faults.is_empty(), "{}\n{}", counts.summary(), faults.join("\n"));
}

#[test]
fn a_reload_loses_no_allowed_packet_and_passes_no_forbidden_one() {
    isolated("a_reload_loses_no_allowed_packet_and_passes_no_forbidden_one", || {
        let turns = Turns::new();
        let wire = guarded(&turns);
        let traffic = wire.start();
        for turn in 0..reloads() {
            turns.apply(&wire, 1 - turn % 2);
        }
        let counts = wire.counts(traffic);
        say(format!("{} reloads: {}", reloads(), counts.summary()));
        judged(&counts);
    });
}
