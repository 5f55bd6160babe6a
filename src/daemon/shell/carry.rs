//! What the loop does with its hands: everything that is not waiting.

use super::engine::Engine;
use crate::control::{ClientId, Handed, Server};
use crate::daemon::action::{Action, Notice};
use crate::daemon::event::{Cause, Event, Lives};
use crate::daemon::log::{Entry, Fields, Level};
use crate::daemon::report;
use crate::daemon::state::State;
use crate::host::clock;
use crate::host::notify::Notifier;
use crate::netlink::{Kernel, NfTables};
use crate::observe::{self, Record};
use crate::ruleset::{Object, ObjectDef};
use crate::site::lookups;
use crate::store::{Names, Store, StoreError};
use crate::worker::{Refusal, ToWorker, Worker};
use serde::Serialize;
use std::io;
use std::os::fd::OwnedFd;

/// The end of the names of counters of packets that were not logged.
const HELD_BACK: &str = ".baseline.log-held-back";

pub(super) struct Hands {
    pub(super) engine: Engine,
    pub(super) server: Server,
    pub(super) notifier: Notifier,
    pub(super) worker: Option<Worker>,
    pub(super) stops: bool,
    /// Something large was made, and is free again when its turn ends.
    pub(super) had_much: bool,
}

impl Hands {
    /// Carries an action out, and gives what comes of it.
    pub(super) fn carry_out(&mut self, action: Action, state: &mut State) -> Vec<Event> {
        let changed = |changed| vec![Event::Changed(Box::new(changed))];
        self.had_much |= action.needs_much();
        match action {
            Action::Reload(cause) => changed(self.engine.reload(cause, lives(state))),
            Action::Manage => changed(self.engine.management(Cause::Management)),
            Action::Take(client, handed) => changed(self.take(client, handed, state)),
            Action::Relearn(cause) => changed(self.engine.relearn(cause, lives(state))),
            Action::Add(lives) => {
                let outcome = self.engine.add(&lives);
                vec![Event::Added { lives, outcome }]
            }
            Action::Ask { name, family, servers } => self.ask(&ToWorker::Ask { name, family, servers }),
            Action::StoodStill(by) => {
                self.engine.stood_still(by);
                Vec::new()
            }
            Action::Poll => self.poll(),
            Action::Look => vec![Event::Looked(self.engine.look())],
            Action::Repair => vec![Event::Repaired(self.engine.repair())],
            Action::StartWorker => self.start_worker(state),
            Action::StopWorker => {
                self.worker = None;
                Vec::new()
            }
            Action::TryLog => log_of(state).is_ok().then_some(Event::LogFree).into_iter().collect(),
            Action::CountHeldBack => held_back().map(Event::HeldBack).into_iter().collect(),
            Action::Save => vec![Event::Saved(self.save(state))],
            Action::Reply(client, reply) => self.reply(client, &reply),
            Action::ReplyNames(client) => self.reply(client, &report::names(state, clock::since_boot())),
            Action::Tell(notice) => self.tell(&notice, state),
            Action::Log(entry) => write(&entry),
            Action::Stop => {
                self.stops = true;
                Vec::new()
            }
        }
    }

    fn take(&mut self, client: ClientId, handed: Handed, state: &State) -> crate::daemon::event::Changed {
        self.engine.hand_over(Cause::Client(client), handed, lives(state))
    }

    /// A question that the worker has no room for is asked again when its time is over.
    fn ask(&mut self, question: &ToWorker) -> Vec<Event> {
        match self.worker.as_mut().map(|worker| worker.send(question)) {
            Some(Err(Refusal::Gone)) => self.worker_gone("it is gone".into()),
            Some(Ok(()) | Err(Refusal::Full | Refusal::Unfit(_))) | None => Vec::new(),
        }
    }

    pub(super) fn worker_gone(&mut self, why: String) -> Vec<Event> {
        self.worker = None;
        vec![Event::WorkerEnded(why)]
    }

    fn poll(&mut self) -> Vec<Event> {
        match self.engine.moved() {
            Ok(moved) => vec![Event::Polled { moved }],
            Err(error) => vec![Event::Looked(Err(error.to_string()))],
        }
    }

    /// Without the kernel's log names are asked all the same.
    fn start_worker(&mut self, state: &State) -> Vec<Event> {
        let (socket, unlogged) = match log_of(state) {
            Ok(socket) => (socket, None),
            Err(error) => (None, Some(error.to_string())),
        };
        match Worker::start(socket) {
            Ok(worker) => {
                self.worker = Some(worker);
                vec![Event::WorkerStarted { unlogged }]
            }
            Err(error) => vec![Event::WorkerEnded(format!("it cannot be started: {error}"))],
        }
    }

    fn save(&mut self, state: &State) -> Result<(), String> {
        let now = clock::since_boot();
        let written = lookups::moment().map_err(|error| error.to_string())?;
        let names = Names { written: Some(written), names: state.learning.names().kept(now) };
        let store = Store::open(&self.engine.settings().state_dir).map_err(|error| error.to_string())?;
        store.keep_names(&names).map_err(|error| error.to_string())
    }

    fn reply(&mut self, client: ClientId, reply: &impl Serialize) -> Vec<Event> {
        self.server.reply(client, reply, clock::since_boot());
        Vec::new()
    }

    /// A service manager that cannot be told is no reason to stop.
    fn tell(&mut self, notice: &Notice, state: &State) -> Vec<Event> {
        let line = report::line(state);
        let told = match notice {
            Notice::Ready => self.notifier.ready(&line),
            Notice::Reloading => self.notifier.reloading(&line),
            Notice::Stopping => self.notifier.stopping(&line),
            Notice::Alive => self.notifier.alive(),
            Notice::Status(line) => self.notifier.status(line),
        };
        if let Err(error) = told {
            tracing::debug!("the service manager cannot be told: {error}");
        }
        Vec::new()
    }
}

/// The socket of the kernel's log, where the policy logs.
fn log_of(state: &State) -> io::Result<Option<OwnedFd>> {
    let group = state.in_force.as_ref().and_then(|in_force| in_force.log_group);
    group.map(observe::open).transpose()
}

/// Packets that the kernel was to log, had they not been too many.
fn held_back() -> Option<u64> {
    let held = NfTables.read(0).ok().flatten()?;
    let counted = |(name, object): (&String, &Object)| match object.kind {
        ObjectDef::Counter { packets, .. } if name.ends_with(HELD_BACK) => packets,
        ObjectDef::Counter { .. } | ObjectDef::CtHelper { .. } => 0,
    };
    Some(held.objects.iter().map(counted).sum())
}

/// The addresses that the policy is compiled with.
fn lives(state: &State) -> Lives {
    state.learning.names().book_now(clock::since_boot())
}

fn write(entry: &Entry) -> Vec<Event> {
    match entry {
        Entry::Line { level, message, fields: Fields { generation, name, not_logged } } => match level {
            Level::Error => tracing::error!(generation, name, not_logged, "{message}"),
            Level::Warning => tracing::warn!(generation, name, not_logged, "{message}"),
            Level::Info => tracing::info!(generation, name, not_logged, "{message}"),
        },
        Entry::Packet { record, name } => packet(record, name.as_deref()),
    }
    Vec::new()
}

/// One logged packet. Fields that it does not have are not written.
fn packet(record: &Record, name: Option<&str>) {
    let Record { what, rule, direction, protocol, source, destination, .. } = record;
    let interface = nix::net::if_::if_indextoname(record.interface).ok();
    let interface = interface.as_ref().and_then(|name| name.to_str().ok());
    tracing::info!(
        rule = %rule,
        verdict = what.as_str(),
        direction = direction.as_str(),
        interface,
        proto = *protocol,
        src = %source,
        dst = %destination,
        sport = record.source_port,
        dport = record.destination_port,
        icmp_type = record.icmp_type,
        name,
        "packet"
    );
}

/// A state file that cannot be what was written is moved away, and never trusted.
pub(super) fn set_aside(store: &Store, error: &StoreError) -> String {
    match store.set_aside(error) {
        Ok(Some(path)) => format!("{error}; it is now {}", path.display()),
        Ok(None) => error.to_string(),
        Err(more) => format!("{error}; it cannot be moved away: {more}"),
    }
}

/// The group that may read over the control socket; root alone where there is none.
pub(super) fn group_of(name: &str) -> Option<u32> {
    match nix::unistd::Group::from_name(name) {
        Ok(Some(group)) => Some(group.gid.as_raw()),
        found => {
            let why = found.err().map_or_else(
                || "there is no such group".to_owned(),
                |error| io::Error::from(error).to_string(),
            );
            tracing::warn!("[control] group = \"{name}\": {why}; only root may use the control socket");
            None
        }
    }
}
