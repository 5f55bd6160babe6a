//! The loop: waits for what happens, tells the reducer, and carries out what it answers.

mod carry;
mod engine;
mod sources;

use super::action::Action;
use super::event::{Cause, Event, Lives};
use super::state::State;
use crate::control::{BindError, Server};
use crate::host::notify::Notifier;
use crate::host::{clock, log};
use crate::netlink;
use crate::site::{Context, Inputs, lookups, names, settings};
use crate::store::{Store, remaining};
use crate::worker;
use carry::Hands;
use engine::Engine;
use sources::Sources;
use std::collections::VecDeque;
use std::io;

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Control(#[from] BindError),
    #[error("{0}: {1}")]
    Machine(&'static str, io::Error),
}

/// What is logged without PORTGRAVE_LOG.
const LOGGED: &str = "info";

/// Runs until it is told to stop.
pub fn run(inputs: Inputs) -> Result<(), StartError> {
    log::start(Some(LOGGED));
    let settings = settings(&inputs);
    let group = carry::group_of(&settings.control.group);
    let server = Server::bind(&settings.control_socket(), group)?;
    let notifier =
        Notifier::from_environment().map_err(|error| StartError::Machine("NOTIFY_SOCKET", error))?;
    let sources = Sources::open(&inputs.root)?;
    let asks_as =
        worker::uid().map_err(|error| StartError::Machine("the user that names are asked as", error))?;
    let now = clock::since_boot();
    let seed = u64::try_from(now.as_nanos()).unwrap_or(0) ^ u64::from(std::process::id());
    let mut daemon = Daemon {
        state: State::new(seed, now),
        hands: Hands {
            engine: Engine::new(inputs, settings, asks_as),
            server,
            notifier,
            worker: None,
            stops: false,
            had_much: true,
        },
        sources,
        events: VecDeque::new(),
    };
    daemon.start();
    while !daemon.hands.stops {
        daemon.turn();
    }
    Ok(())
}

struct Daemon {
    state: State,
    hands: Hands,
    sources: Sources,
    events: VecDeque<Event>,
}

impl Daemon {
    /// The generation in force comes first, with its last known addresses, and nobody is asked; then the files.
    fn start(&mut self) {
        let Self { state, hands, .. } = self;
        let (started, warnings) = hands.engine.start(&mut |context, store| recall(state, context, store));
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        match started {
            Some(changed) => self.events.push_back(Event::Changed(Box::new(changed))),
            None => self.carry_out(vec![Action::Reload(Cause::Files)]),
        }
        self.handle();
        if self.state.in_force.is_none() {
            self.carry_out(vec![Action::Manage]);
            self.handle();
        }
    }

    /// Waits for something, and does all that follows from it.
    fn turn(&mut self) {
        let next = self.state.next(clock::since_boot());
        let happened = self.sources.wait(&mut self.hands, next);
        self.events.extend(happened);
        self.events.push_back(Event::Time);
        self.handle();
        let actions = self.state.turn_ends(clock::since_boot());
        self.carry_out(actions);
        self.handle();
        if std::mem::take(&mut self.hands.had_much) {
            netlink::give_back_memory();
        }
    }

    fn handle(&mut self) {
        while let Some(event) = self.events.pop_front() {
            let actions = self.state.step(event, clock::since_boot());
            self.carry_out(actions);
        }
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            let events = self.hands.carry_out(action, &mut self.state);
            self.events.extend(events);
        }
    }
}

/// What the store knows of the names of a policy, as far as they may have it.
fn recall(state: &mut State, context: &Context, store: &Store) -> Lives {
    let now = clock::since_boot();
    let names = state.learning.names_mut();
    names.want(names::wanted(context), now);
    let filter = context.filter();
    match (store.names(), lookups::moment()) {
        (Ok(kept), Ok(moment)) => {
            let never = |name: &crate::types::HostName, address| filter.why_not(name, address);
            names.recall(&remaining(&kept, &moment), &never, now);
        }
        (Err(error), _) => tracing::warn!("{}", carry::set_aside(store, &error)),
        (_, Err(error)) => tracing::warn!("the last known addresses of names are not used: boot id: {error}"),
    }
    names.book_now(now)
}
