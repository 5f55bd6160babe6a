//! What is to be done.

use super::event::{Cause, Lives};
use crate::control::{ClientId, Handed};
use crate::types::{Family, HostName};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

pub(super) enum Action {
    /// Read the files, and put them in force.
    Reload(Cause),
    /// Put the built-in policy in force.
    Manage,
    /// Put in force what a client handed over.
    Take(ClientId, Handed),
    /// Ask the machine again, and put the policy in force under what it says.
    Relearn(Cause),
    Ask {
        name: HostName,
        family: Family,
        servers: Vec<SocketAddr>,
    },
    /// Add addresses of names to the kernel's sets.
    Add(Lives),
    /// The kernel has not aged for so long, while the clock ran on.
    StoodStill(Duration),
    /// Ask for the generation id.
    Poll,
    /// Read the table tersely.
    Look,
    Repair,
    StartWorker,
    StopWorker,
    /// Read how many packets the kernel has not logged.
    CountHeldBack,
    /// Find out whether the kernel's log can be read now.
    TryLog,
    /// Write the addresses of names to the disk.
    Save,
    Reply(ClientId, Value),
    /// What is known of all names.
    ReplyNames(ClientId),
    Tell(Notice),
    Log(super::log::Entry),
    Stop,
}

impl Action {
    /// Whether it makes something that is proportional to all addresses, whose memory is worth giving back.
    pub(super) fn needs_much(&self) -> bool {
        match self {
            Self::Reload(_)
            | Self::Manage
            | Self::Take(..)
            | Self::Relearn(_)
            | Self::Look
            | Self::Repair
            | Self::ReplyNames(_) => true,
            // Also proportional, but it happens again and again.
            Self::Save => false,
            Self::Ask { .. }
            | Self::Add(_)
            | Self::StoodStill(_)
            | Self::Poll
            | Self::StartWorker
            | Self::StopWorker
            | Self::CountHeldBack
            | Self::TryLog
            | Self::Reply(..)
            | Self::Tell(_)
            | Self::Log(_)
            | Self::Stop => false,
        }
    }
}

/// What the service manager is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Ready,
    Reloading,
    Stopping,
    Alive,
    Status(String),
}
