//! What can happen.

use crate::control::{ClientId, Handed, Request};
use crate::model::{LearnedAddress, never};
use crate::resolver::names::Wanted;
use crate::site::Report;
use crate::types::HostName;
use crate::worker::FromWorker;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

pub(super) enum Event {
    /// A deadline may have come.
    Time,
    Signal(Signal),
    Worker(FromWorker),
    WorkerStarted {
        /// Why it does not read the kernel's log, where it should.
        unlogged: Option<String>,
    },
    /// It ended, or could not be started.
    WorkerEnded(String),
    /// The machine is not what it was.
    Machine(Machine),
    /// The machine slept for so long: its clock ran on, and nothing else.
    Suspended(Duration),
    Asked {
        client: ClientId,
        request: Request,
        handed: Option<Handed>,
    },
    Changed(Box<Changed>),
    Added {
        lives: Lives,
        outcome: Adding,
    },
    /// Whether somebody else has committed.
    Polled {
        moved: bool,
    },
    Looked(Result<Vec<String>, String>),
    Repaired(Result<(), String>),
    Saved(Result<(), String>),
    /// How many packets the kernel has not logged.
    HeldBack(u64),
    /// The kernel's log could be read, had another worker its socket.
    LogFree,
}

/// Addresses of names, each with what is left of its life.
pub(super) type Lives = BTreeMap<HostName, Vec<LearnedAddress>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Reload,
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Machine {
    Servers,
    Users,
    Interfaces,
}

impl Machine {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Servers => "resolv.conf has changed",
            Self::Users => "passwd has changed",
            Self::Interfaces => "interfaces or their addresses have changed",
        }
    }
}

/// Why a change was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The generation in force, put into the kernel before anything else.
    Start,
    /// The files as they are at the start.
    Files,
    /// The built-in policy: there is no generation, and the files are unsound.
    Management,
    Hangup,
    Client(ClientId),
    Machine(Machine),
    /// The kernel refused addresses, or they need more than is in force.
    Names,
}

/// How a change ended.
pub(super) struct Changed {
    pub(super) cause: Cause,
    pub(super) report: Report,
    /// What is in force now, where that is not what was.
    pub(super) in_force: Option<InForce>,
}

/// What the reducer must know of the policy in force.
pub(super) struct InForce {
    pub(super) generation: u64,
    pub(super) rules: usize,
    pub(super) log_group: Option<u16>,
    pub(super) held_back: Vec<String>,
    /// Why it is not kept for the next start.
    pub(super) unkept: Option<String>,
    /// The fields of `status` that are of the generation.
    pub(super) facts: serde_json::Value,
    pub(super) wanted: Wanted,
    pub(super) filter: never::Filter,
    pub(super) servers: Servers,
    /// The lives that the kernel holds.
    pub(super) lives: Lives,
}

/// Whom to ask for a name.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Servers {
    pub(super) default: Vec<SocketAddr>,
    /// Of names with servers of their own.
    pub(super) own: BTreeMap<HostName, Vec<SocketAddr>>,
}

impl Servers {
    pub(super) fn of(&self, name: &HostName) -> &[SocketAddr] {
        self.own.get(name).unwrap_or(&self.default)
    }
}

/// What became of addresses that were to be added.
pub(super) enum Adding {
    Written,
    NeedsMore,
    Overtaken,
    Refused(String),
}
