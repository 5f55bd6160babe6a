//! A packet, and what counters say about it with a baseline rule and without it.

use super::lab::Lab;
use super::rig::{Counters, eventually};
use std::collections::BTreeMap;

/// What becomes of a packet, by the counter that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    passes: bool,
    /// One of these counters moves.
    counters: Vec<&'static str>,
}

pub fn passes(counter: &'static str) -> Verdict {
    Verdict { passes: true, counters: vec![counter] }
}

pub fn drops(counter: &'static str) -> Verdict {
    Verdict { passes: false, counters: vec![counter] }
}

pub fn drops_as_one_of(counters: &[&'static str]) -> Verdict {
    Verdict { passes: false, counters: counters.to_vec() }
}

pub struct Case<'a> {
    what: String,
    /// The packet in nft's words.
    matches: String,
    send: Box<dyn Fn(&Lab) + Sync + 'a>,
    with: Verdict,
    without: Verdict,
}

impl<'a> Case<'a> {
    pub fn new(
        what: impl Into<String>,
        matches: impl Into<String>,
        (with, without): (Verdict, Verdict),
        send: impl Fn(&Lab) + Sync + 'a,
    ) -> Self {
        Self { what: what.into(), matches: matches.into(), send: Box::new(send), with, without }
    }

    pub fn with(&self, lab: &Lab) {
        self.hold(lab, &self.with, "with the rule");
    }

    pub fn without(&self, lab: &Lab) {
        self.hold(lab, &self.without, "without the rule");
    }

    fn hold(&self, lab: &Lab, verdict: &Verdict, how: &str) {
        let direction = verdict.counters[0].split('.').next().expect("a direction");
        let start = lab.counters();
        lab.gw.nft(&observer(direction, &self.matches));
        (self.send)(lab);
        eventually(|| {
            judge(&start, &lab.counters(), direction, verdict)
                .map_err(|seen| format!("{}, {how}: {seen}, expected {verdict:?}", self.what))
        });
    }
}

/// Holds every case with the rule in force, and again with its switch off.
pub fn prove(lab: &Lab, rule: &str, site: &str, cases: &[Case<'_>]) {
    assert!(!cases.is_empty());
    lab.apply(&policy(rule, true, site));
    cases.iter().for_each(|case| case.with(lab));
    lab.apply(&policy(rule, false, site));
    cases.iter().for_each(|case| case.without(lab));
}

/// A policy with one baseline rule on or off, and the site's rules.
pub fn policy(rule: &str, on: bool, site: &str) -> String {
    format!("[baseline]\n{rule} = {on}\n\n{site}")
}

/// A site's rule for all peers: `rule("open", "both", &["any"])`.
pub fn rule(name: &str, direction: &str, ports: &[&str]) -> String {
    format!(
        "[[rule]]\nname = \"{name}\"\ndirection = \"{direction}\"\nports = {ports:?}\npeers = \"any\"\n\
         purpose = \"A rule of the site\"\n\n"
    )
}

/// Rules that match none of the packets that are sent here.
pub fn closed() -> String {
    rule("closed", "in", &["tcp/4"])
}

/// Rules that match everything, so that what the baseline drops is seen to be dropped by it.
pub fn open() -> String {
    rule("open", "both", &["any"])
}

/// Counts the packet before the agent's first chain and after its last.
fn observer(direction: &str, matches: &str) -> String {
    let (first, last) = if direction == "in" { ("prerouting", "input") } else { ("output", "output") };
    let before = if direction == "in" { -310 } else { -10 };
    format!(
        "table inet observer {{}}\ndelete table inet observer\ntable inet observer {{\n\
         counter before {{ }}\ncounter after {{ }}\n\
         chain before {{ type filter hook {first} priority {before}; {matches} counter name before; }}\n\
         chain after {{ type filter hook {last} priority 10; {matches} counter name after; }}\n}}\n"
    )
}

/// Counters that packets of the kernel's own accord may move meanwhile.
fn is_noise(counter: &str) -> bool {
    ["established", "loopback", "neighbour-discovery", "multicast-membership"]
        .iter()
        .any(|rule| counter.ends_with(&format!(".baseline.{rule}")))
}

fn judge(start: &Counters, now: &Counters, direction: &str, verdict: &Verdict) -> Result<(), String> {
    let (before, after) = (now.observed("before"), now.observed("after"));
    let mut moved: BTreeMap<String, u64> = now.moved_since(start);
    moved.retain(|name, _| name.starts_with(&format!("{direction}.")));
    let seen = format!("{before} before and {after} after the agent, {moved:?}");
    let counted: u64 = verdict.counters.iter().filter_map(|counter| moved.remove(*counter)).sum();
    moved.retain(|name, _| !is_noise(name));
    let through = if verdict.passes { before } else { 0 };
    let as_expected = before > 0 && after == through && counted >= before && moved.is_empty();
    if as_expected { Ok(()) } else { Err(seen) }
}
