//! Runs the checks of a row and says what it saw.

use super::row_checks::{Check, Class, Probe};
use super::{Counters, Outcome, World, say};
use std::collections::BTreeMap;

/// What became of one row's packets.
#[derive(Clone, Debug, Default)]
pub struct RowResult {
    pub id: String,
    pub title: String,
    /// Packets tried, and how many of them passed, by class.
    pub tried: BTreeMap<Class, (usize, usize)>,
    /// What was not as it should be.
    pub wrong: Vec<String>,
    /// Kinds of packets that do not exist for this row.
    pub missing: Vec<&'static str>,
}

impl RowResult {
    /// Sends every packet of a row. `expect` says which should pass, and `counted` which of the agent's counters
    /// one of them must have moved when it does.
    pub fn of(
        world: &World,
        (id, title): (&str, &str),
        checks: &[Check],
        expect: impl Fn(&Check) -> bool,
        counted: &[String],
    ) -> Self {
        let mut result = Self { id: id.to_owned(), title: title.to_owned(), ..Self::default() };
        let start = Arrivals::read(world);
        let mut broadcasts = 0;
        for check in checks {
            let passed = result.send(world, check, expect(check), counted);
            if let Probe::Flow(flow) = &check.probe {
                broadcasts += u64::from(passed && flow.broadcast && !flow.is_in());
            }
        }
        let end = Arrivals::read(world);
        let (left, arrived) = (end.left - start.left, end.arrived - start.arrived);
        // A broadcast arrives at both of the others.
        if arrived != left + broadcasts {
            result.wrong.push(format!(
                "{left} packets left the gateway ({broadcasts} broadcasts), {arrived} arrived"
            ));
        }
        result
    }

    pub fn holds(&self) -> bool {
        self.wrong.is_empty()
    }

    fn send(&mut self, world: &World, check: &Check, expected: bool, counted: &[String]) -> bool {
        let (written, seen) = match &check.probe {
            Probe::Flow(flow) => (flow.written(), flow.send(world)),
            Probe::Ftp(case) => (case.written(), case.send(world)),
        };
        let passed = seen.outcome == Outcome::Passed;
        let tried = self.tried.entry(check.class).or_default();
        tried.0 += 1;
        tried.1 += usize::from(passed);
        let class = check.class.as_str();
        match &seen.outcome {
            Outcome::Passed if !expected => {
                self.wrong.push(format!("{class}: {written} passed ({:?})", seen.moved))
            }
            Outcome::Dropped if expected => {
                self.wrong.push(format!("{class}: {written} was dropped ({:?})", seen.moved))
            }
            Outcome::Lost(why) => self.wrong.push(format!("{class}: {written}: {why}")),
            Outcome::Passed | Outcome::Dropped => {}
        }
        let is_flow = matches!(check.probe, Probe::Flow(_));
        if passed && is_flow && !counted.is_empty() && !seen.moved.iter().any(|name| counted.contains(name)) {
            self.wrong
                .push(format!("{class}: {written} passed, counted as {:?}, not {counted:?}", seen.moved));
        }
        passed
    }

    /// One line: every class with its packets, `+` passed and `-` dropped.
    pub fn line(&self) -> String {
        let mut line = format!("{} {:<33}", self.id, self.title);
        for (class, (tried, passed)) in &self.tried {
            let dropped = tried - passed;
            let part = match (passed, dropped) {
                (_, 0) => format!("{passed} passed"),
                (0, _) => format!("{dropped} dropped"),
                (_, _) => format!("{passed} passed, {dropped} dropped"),
            };
            line.push_str(&format!("{}: {part}; ", class.as_str()));
        }
        for missing in &self.missing {
            line.push_str(&format!("{missing}; "));
        }
        line.push_str(if self.holds() { "as it should be" } else { "NOT as it should be" });
        line
    }
}

/// Prints the table and the sum.
pub fn print_table(results: &[RowResult], all: bool) {
    if all {
        for result in results {
            say(result.line());
        }
    }
    let count = |wanted: bool| -> usize {
        let tried = results.iter().flat_map(|result| result.tried.values());
        tried.map(|(tried, passed)| if wanted { *passed } else { tried - passed }).sum()
    };
    say(format!(
        "{} packets passed and {} were dropped; rows as they should be: {} of {}",
        count(true),
        count(false),
        results.iter().filter(|result| result.holds()).count(),
        results.len()
    ));
}

/// What is wrong, a line each.
pub fn print_failures(results: &[RowResult]) -> Vec<String> {
    let mut lines = Vec::new();
    for result in results {
        lines.extend(result.wrong.iter().map(|wrong| format!("{}: {wrong}", result.id)));
    }
    for line in &lines {
        say(line);
    }
    lines
}

/// Probes that left the gateway behind the agent's chains, and probes that arrived at the others.
struct Arrivals {
    left: u64,
    arrived: u64,
}

impl Arrivals {
    fn read(world: &World) -> Self {
        let arrived = |ns| Counters::read(ns).observed("arrived");
        Self {
            left: Counters::read(&world.gw).observed("out-after"),
            arrived: arrived(&world.peer) + arrived(&world.other),
        }
    }
}
