//! The reducer: what is known, and what is to be done about what happens. It asks nobody, and is told what time it is.

use super::action::{Action, Notice};
use super::drift::{Drift, Mending};
use super::event::{Adding, Cause, Changed, Event, InForce, Lives, Machine, Signal};
use super::log::Entry;
use super::logging::Logging;
use super::names::Learning;
use super::report;
use crate::control::{ClientId, Handed, Request, agreed, refused};
use crate::diag::Severity;
use crate::resolver::Counters;
use crate::site::Report;
use crate::worker::{Backoff, FromWorker};
use serde_json::{Value, json};
use std::time::Duration;

/// Changes of the machine that follow each other are taken together.
const MACHINE_RESTS: Duration = Duration::from_secs(1);

/// With nothing in force the host is open: the files are tried again soon.
const RETRY_AFTER: Duration = Duration::from_secs(10);

pub(super) struct State {
    pub(super) learning: Learning,
    pub(super) in_force: Option<InForce>,
    pub(super) drift: Drift,
    pub(super) worker: WorkerState,
    /// The last change that somebody asked for, and when it ended.
    pub(super) last: Option<(Duration, Report)>,
    /// Why facts of the machine that have changed are not in force.
    pub(super) outdated: Option<String>,
    pub(super) started: Duration,
    relearning: Relearning,
    pub(super) logging: Logging,
    /// Nothing is in force: the files are tried again then.
    retry_at: Option<Duration>,
    /// What the service manager was told last.
    status: String,
}

#[derive(Default)]
pub(super) struct WorkerState {
    pub(super) running: bool,
    pub(super) ready: bool,
    pub(super) restarts: u64,
    pub(super) last_end: Option<String>,
    pub(super) counters: Counters,
    started: Duration,
    backoff: Backoff,
    start_at: Option<Duration>,
}

/// When the machine is asked again.
#[derive(Default)]
struct Relearning {
    due: Option<(Machine, Duration)>,
    last: Option<Duration>,
}

impl State {
    pub(super) fn new(seed: u64, now: Duration) -> Self {
        Self {
            learning: Learning::new(seed),
            in_force: None,
            drift: Drift::default(),
            worker: WorkerState::default(),
            last: None,
            outdated: None,
            started: now,
            relearning: Relearning::default(),
            logging: Logging::default(),
            retry_at: None,
            status: String::new(),
        }
    }

    /// The moment at which [`Event::Time`] has something to do.
    pub(super) fn next(&self, now: Duration) -> Duration {
        let machine = self.relearning.due.map(|(_, due)| due);
        let names = self.learning.next(self.worker.ready, now);
        let moments = [self.worker.start_at, machine, names, self.logging.next(), self.retry_at];
        moments.into_iter().flatten().fold(self.drift.next(), Duration::min)
    }

    pub(super) fn step(&mut self, event: Event, now: Duration) -> Vec<Action> {
        match event {
            Event::Time => self.time(now),
            Event::Signal(Signal::Reload) => {
                vec![Action::Tell(Notice::Reloading), Action::Reload(Cause::Hangup)]
            }
            Event::Signal(Signal::Stop) => {
                vec![Action::Tell(Notice::Stopping), Action::CountHeldBack, Action::Save, Action::Stop]
            }
            Event::Worker(message) => self.heard(message, now),
            Event::WorkerStarted { unlogged } => {
                self.worker.started(now);
                self.logging.begins(unlogged, now)
            }
            Event::WorkerEnded(why) => self.worker_ended(why, now),
            Event::Machine(what) => self.machine_changed(what, now),
            Event::Suspended(by) => self.learning.suspended(by, now),
            Event::Asked { client, request, handed } => self.asked(client, request, handed, now),
            Event::Changed(changed) => self.changed(*changed, now),
            Event::Added { lives, outcome } => self.added(&lives, outcome, now),
            Event::Polled { moved } => {
                if self.drift.polled(moved, now) {
                    vec![Action::Look]
                } else {
                    Vec::new()
                }
            }
            Event::Looked(look) => self.looked(look, now),
            Event::Repaired(repaired) => self.repaired(repaired, now),
            Event::Saved(saved) => self.learning.saved(saved, now),
            Event::HeldBack(count) => self.logging.counted(count, now),
            Event::LogFree => self.renew_worker(now),
        }
    }

    /// The turn of the loop ends: what its events have brought goes to the kernel together.
    pub(super) fn turn_ends(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = self.learning.turn_ends(now);
        let status = report::line(self);
        if status != self.status {
            self.status.clone_from(&status);
            actions.push(Action::Tell(Notice::Status(status)));
        }
        actions
    }

    fn time(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.worker.is_due(now) {
            actions.push(Action::StartWorker);
        }
        if let Some((machine, _)) = self.relearning.due.filter(|(_, due)| *due <= now) {
            self.relearning = Relearning { due: None, last: Some(now) };
            actions.push(Action::Relearn(Cause::Machine(machine)));
        }
        if let Some(in_force) = &self.in_force {
            actions.extend(self.learning.time(in_force, self.worker.ready, now));
        }
        actions.extend(self.logging.time(now));
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            actions.push(Action::Reload(Cause::Files));
        }
        if self.drift.polls(now) {
            actions.extend([Action::Tell(Notice::Alive), Action::Poll]);
        }
        actions
    }

    fn heard(&mut self, message: FromWorker, now: Duration) -> Vec<Action> {
        match message {
            FromWorker::Ready(raised) => {
                self.worker.ready = true;
                let message = format!("names are asked by a process of uid {}", raised.uid);
                vec![Action::Log(Entry::info(message))]
            }
            FromWorker::Refused { reason } => {
                vec![Action::Log(Entry::error(format!("no names can be asked: {reason}")))]
            }
            FromWorker::Ended { name, family, lookup } => match &self.in_force {
                Some(in_force) => self.learning.answered((&name, family), &lookup, in_force, now),
                None => Vec::new(),
            },
            FromWorker::Denied { records, lost } => {
                let learning = &self.learning;
                self.logging.logged(records, lost, |record| learning.name_of(record), now)
            }
            FromWorker::Counters(counters) => {
                self.worker.counters = counters;
                Vec::new()
            }
        }
    }

    fn worker_ended(&mut self, why: String, now: Duration) -> Vec<Action> {
        let wait = self.worker.ended(why.clone(), now);
        let message =
            format!("the process that asks names ended ({why}); another starts in {} s", wait.as_secs());
        let mut actions = vec![Action::Log(Entry::warning(message))];
        actions.extend(self.learning.worker_ended(now));
        actions
    }

    /// At once if nothing of the kind happened for a while, else when that while is over.
    fn machine_changed(&mut self, what: Machine, now: Duration) -> Vec<Action> {
        let rested = self.relearning.last.map_or(now, |last| (last + MACHINE_RESTS).max(now));
        self.relearning.due.get_or_insert((what, rested));
        if rested <= now { self.time(now) } else { Vec::new() }
    }

    fn asked(
        &mut self,
        client: ClientId,
        request: Request,
        handed: Option<Handed>,
        now: Duration,
    ) -> Vec<Action> {
        let reply = |value: Value| vec![Action::Reply(client, value)];
        match request {
            Request::Ping {} => reply(agreed(json!({}))),
            Request::Status {} => reply(agreed(report::status(self, now))),
            Request::Names {} => vec![Action::ReplyNames(client)],
            Request::Reload {} => {
                vec![Action::Tell(Notice::Reloading), Action::Reload(Cause::Client(client))]
            }
            Request::Apply {} => match handed {
                Some(handed) => vec![Action::Tell(Notice::Reloading), Action::Take(client, handed)],
                None => reply(refused("no policy came with the request", "hand it over as a sealed memfd")),
            },
        }
    }

    fn changed(&mut self, changed: Changed, now: Duration) -> Vec<Action> {
        let Changed { cause, report, in_force } = changed;
        let mut actions = Vec::new();
        if let Some(in_force) = in_force {
            actions.extend(self.take(in_force, now));
        } else {
            self.learning.refused_whole(&cause, now);
        }
        actions.extend(said_of(&cause, &report));
        if let Cause::Client(client) = cause {
            let mut fields = report.json.clone();
            fields["text"] = json!(report.text());
            fields["rules"] = json!(self.in_force.as_ref().map(|in_force| in_force.rules));
            actions.push(Action::Reply(client, agreed(fields)));
        }
        match cause {
            Cause::Start => actions.push(Action::Reload(Cause::Files)),
            Cause::Machine(_) | Cause::Names => {
                self.outdated = (!report.is_good()).then(|| report.text().trim_end().to_owned());
            }
            // What was refused before is the last that somebody asked for.
            Cause::Management => {}
            Cause::Files | Cause::Hangup | Cause::Client(_) => {
                self.outdated = None;
                self.last = Some((now, report));
            }
        }
        if self.in_force.is_some() {
            actions.push(Action::Tell(Notice::Ready));
        } else {
            self.retry_at = Some(now + RETRY_AFTER);
        }
        actions
    }

    fn take(&mut self, mut in_force: InForce, now: Duration) -> Vec<Action> {
        self.retry_at = None;
        let servers = self.in_force.as_ref().map(|before| before.servers.clone());
        let same_servers = servers.is_none_or(|before| before == in_force.servers);
        let same_log = self.in_force.as_ref().is_some_and(|before| before.log_group == in_force.log_group);
        let mut actions = self.learning.want(&in_force, same_servers, now);
        // The names have them now.
        in_force.lives.clear();
        let unkept = self.in_force.as_ref().and_then(|before| before.unkept.as_ref());
        if let Some(error) = in_force.unkept.as_ref().filter(|error| unkept != Some(*error)) {
            actions.push(Action::Log(Entry::error(format!("{}: {error}", report::UNKEPT))));
        }
        self.drift.intact();
        self.in_force = Some(in_force);
        let mut worker = if same_log && self.worker.running { Vec::new() } else { self.renew_worker(now) };
        self.logging.try_soon(now);
        worker.extend(actions);
        worker
    }

    /// Another worker, with the socket of the log that is in force; the names that were being asked are asked again.
    fn renew_worker(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = self.worker.renew();
        if actions.len() > 1 {
            actions.extend(self.learning.worker_ended(now));
        }
        actions
    }

    fn added(&mut self, lives: &Lives, outcome: Adding, now: Duration) -> Vec<Action> {
        match outcome {
            Adding::Written => {
                self.learning.written(lives, now);
                Vec::new()
            }
            Adding::NeedsMore => vec![Action::Relearn(Cause::Names)],
            Adding::Overtaken => {
                self.learning.not_written(lives);
                if self.drift.polled(true, now) { vec![Action::Look] } else { Vec::new() }
            }
            Adding::Refused(why) => {
                let wait = self.learning.refused(now);
                let message = format!(
                    "the kernel refused addresses of names ({why}); everything is tried again in {} s",
                    wait.as_secs()
                );
                vec![Action::Log(Entry::error(message))]
            }
        }
    }

    fn looked(&mut self, look: Result<Vec<String>, String>, now: Duration) -> Vec<Action> {
        let changes = match look {
            Ok(changes) => changes,
            Err(error) => {
                self.drift.failed(now);
                return vec![Action::Log(Entry::error(format!("the table cannot be read: {error}")))];
            }
        };
        if changes.is_empty() {
            self.drift.intact();
            return Vec::new();
        }
        let message = format!("others have changed the table inet portgrave: {}", changes.join("; "));
        let mut actions = Vec::new();
        match self.drift.differs(changes, now) {
            Mending::Now => actions.extend([Action::Log(Entry::warning(message)), Action::Repair]),
            Mending::Later { say_so: false } => {}
            Mending::Later { say_so: true } => {
                let often = "it was mended five times within a minute; from now on it is mended each 10 s";
                actions.push(Action::Log(Entry::error(format!("{message}; {often}: find who changes it"))));
            }
        }
        actions
    }

    fn repaired(&mut self, repaired: Result<(), String>, now: Duration) -> Vec<Action> {
        match repaired {
            Ok(()) => {
                self.drift.intact();
                vec![Action::Log(Entry::info("the table is as it was again"))]
            }
            Err(error) => {
                self.drift.failed(now);
                vec![Action::Log(Entry::error(format!("the table could not be mended: {error}")))]
            }
        }
    }
}

/// What the journal is told of a change.
fn said_of(cause: &Cause, report: &Report) -> Vec<Action> {
    let why = match cause {
        Cause::Start => "the policy in force before the start",
        Cause::Files => "the files at the start",
        Cause::Management => {
            "neither a generation nor sound files: the built-in policy management is in force"
        }
        Cause::Hangup => "reload (SIGHUP)",
        Cause::Client(_) => "asked over the control socket",
        Cause::Machine(machine) => machine.as_str(),
        Cause::Names => "addresses of names",
    };
    let quiet = matches!(cause, Cause::Machine(_) | Cause::Names) && report.outcome == "unchanged";
    if quiet {
        return Vec::new();
    }
    let message = format!("{}: {why}", report.outcome);
    let good = report.is_good() && *cause != Cause::Management;
    let line = if good { Entry::info(message) } else { Entry::error(message) };
    let line = match report.generation {
        Some(number) => line.of_generation(number),
        None => line,
    };
    let told = report.told.iter().map(|(severity, text)| {
        let text = text.trim_end();
        Action::Log(match severity {
            Severity::Error => Entry::error(text),
            Severity::Warning => Entry::warning(text),
        })
    });
    std::iter::once(Action::Log(line)).chain(told).collect()
}

impl WorkerState {
    fn is_due(&mut self, now: Duration) -> bool {
        let due = self.start_at.is_some_and(|at| at <= now);
        if due {
            self.start_at = None;
        }
        due
    }

    fn started(&mut self, now: Duration) {
        (self.running, self.ready, self.started) = (true, false, now);
    }

    fn ended(&mut self, why: String, now: Duration) -> Duration {
        let lived = if self.running { now.saturating_sub(self.started) } else { Duration::ZERO };
        let wait = self.backoff.ended(lived);
        (self.running, self.ready, self.start_at) = (false, false, Some(now + wait));
        self.restarts += 1;
        self.last_end = Some(why);
        wait
    }

    /// One that runs is ended, for it listens to another group of the kernel's log; the next is started.
    fn renew(&mut self) -> Vec<Action> {
        if std::mem::replace(&mut self.running, false) {
            self.ready = false;
            return vec![Action::StopWorker, Action::StartWorker];
        }
        if self.start_at.is_some() { Vec::new() } else { vec![Action::StartWorker] }
    }
}

#[cfg(test)]
mod tests;
