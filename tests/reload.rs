//! A reload leaks nothing and loses nothing: policies take turns under a stream of packets that both allow or both forbid, and
//! every packet is counted before and after the agent's chains.
//!
//! PORTGRAVE_TEST_RELOADS asks for more reloads.

#[path = "reload/cases.rs"]
mod cases;
#[path = "reload/packet.rs"]
mod packet;
mod rig;
#[path = "reload/traffic.rs"]
mod traffic;

use rig::{Agent, isolated, printed, say};
use std::path::{Path, PathBuf};
use std::process::Command;
use traffic::{Counts, Wire};

/// Packets while nothing changes: enough for every kind several times over.
const STILL: u64 = 4000;
/// Packets after each reload, at least.
const PER_RELOAD: u64 = 100;

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
fn either_policy_alone_passes_what_both_allow_and_nothing_that_both_forbid() {
    isolated("either_policy_alone_passes_what_both_allow_and_nothing_that_both_forbid", || {
        let turns = Turns::new();
        let wire = guarded(&turns);
        for which in [0, 1] {
            turns.apply(&wire, which);
            let traffic = wire.start();
            traffic.wait_for(STILL);
            judged(&wire.counts(traffic));
        }
    });
}

#[test]
fn a_reload_loses_no_allowed_packet_and_passes_no_forbidden_one() {
    isolated("a_reload_loses_no_allowed_packet_and_passes_no_forbidden_one", || {
        let turns = Turns::new();
        let wire = guarded(&turns);
        let traffic = wire.start();
        for turn in 0..reloads() {
            turns.apply(&wire, 1 - turn % 2);
            traffic.wait_for(PER_RELOAD);
        }
        let counts = wire.counts(traffic);
        say(format!("{} reloads: {}", reloads(), counts.summary()));
        judged(&counts);
    });
}

/// What a reload that opens the gate for a while does, which the counters must show. (To delete the table will not do: as it
/// goes, the kernel drops a few allowed packets too.)
#[test]
fn packets_that_pass_while_the_gate_is_open_are_seen() {
    isolated("packets_that_pass_while_the_gate_is_open_are_seen", || {
        let turns = Turns::new();
        let wire = guarded(&turns);
        let traffic = wire.start();
        traffic.wait_for(STILL);
        wire.gw.nft("insert rule inet portgrave input accept\ninsert rule inet portgrave output accept\n");
        traffic.wait_for(STILL);
        turns.apply(&wire, 0);
        traffic.wait_for(STILL);
        let counts = wire.counts(traffic);
        assert!(counts.leaked() > 0 && counts.missing() == 0, "{}", counts.summary());
        assert_eq!(counts.faults().len(), counts.forbidden_kinds(), "every forbidden kind passed");
    });
}

/// The same for a map that is emptied in one batch and filled in the next.
#[test]
fn packets_that_are_lost_while_a_map_is_empty_are_seen() {
    isolated("packets_that_are_lost_while_a_map_is_empty_are_seen", || {
        let turns = Turns::new();
        let wire = guarded(&turns);
        let traffic = wire.start();
        traffic.wait_for(STILL);
        wire.gw.nft("flush map inet portgrave in4.allow.any\n");
        traffic.wait_for(STILL);
        turns.apply(&wire, 0);
        traffic.wait_for(STILL);
        let counts = wire.counts(traffic);
        assert!(counts.missing() > 0 && counts.leaked() == 0, "{}", counts.summary());
        assert!(counts.faults().iter().all(|fault| fault.contains("allowed")), "{:?}", counts.faults());
    });
}
