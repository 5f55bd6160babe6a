//! The walls around the worker, each raised before the first packet is read. What cannot be raised and is not named as
//! optional ends the worker.
//!
//! In this order: nothing inherited, no reading of its memory by others of its user, nothing gained by programs, the
//! bounding set, user and groups, capabilities, limits, Landlock, system calls. Each of them would still permit what the
//! later ones need; after the last one nothing can be opened.

use super::message::{Landlock, Raised};
use super::{calls, user};
use caps::{CapSet, Capability};
use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{close, geteuid};
use std::fmt::Display;
use std::fs::read_dir;
use std::io;
use std::os::fd::RawFd;

#[cfg(test)]
mod tests;

/// A wall that does not stand.
#[derive(Debug, thiserror::Error)]
#[error("{wall}: {why}")]
pub(super) struct Missing {
    wall: &'static str,
    why: String,
}

pub(super) fn missing(wall: &'static str, why: impl Display) -> Missing {
    Missing { wall, why: why.to_string() }
}

/// Closes what is open besides what the agent hands over. Its own descriptors close by themselves; whatever started the agent
/// may have left others.
pub(super) fn inherit_nothing() -> Result<(), Missing> {
    let wall = |error: io::Error| missing("descriptors", error);
    for descriptor in open_descriptors().map_err(wall)? {
        // That of the list is closed already.
        if let Err(error) = close(descriptor) {
            if error != Errno::EBADF {
                return Err(missing("descriptors", error));
            }
        }
    }
    match open_descriptors().map_err(wall)?.len() {
        1 => Ok(()),
        others => Err(missing("descriptors", format!("{} more than three are open", others - 1))),
    }
}

/// All but the first three; one of them is that of the list itself.
fn open_descriptors() -> io::Result<Vec<RawFd>> {
    let mut open = Vec::new();
    for entry in read_dir("/proc/self/fd")? {
        open.extend(entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    open.retain(|descriptor| *descriptor > 2);
    Ok(open)
}

/// Raises the walls. What has to be opened is open by now.
pub(super) fn raise() -> Result<Raised, Missing> {
    let raised = raise_inner()?;
    calls::restrict()?;
    Ok(raised)
}

/// All but the last one.
fn raise_inner() -> Result<Raised, Missing> {
    undumpable()?;
    prctl::set_no_new_privs().map_err(|error| missing("no_new_privs", error))?;
    empty_bounding_set()?;
    user::change()?;
    // A change of the user takes the last two back.
    undumpable()?;
    end_with_the_agent()?;
    drop_capabilities()?;
    limit()?;
    let landlock = forbid_access().map_err(|error| missing("Landlock", error))?;
    Ok(Raised { uid: geteuid().as_raw(), landlock })
}

fn undumpable() -> Result<(), Missing> {
    prctl::set_dumpable(false).map_err(|error| missing("dumpable", error))
}

/// The end of the socketpair ends it too, but only if it looks. Signals to stop are for the agent, and it outlives them.
fn end_with_the_agent() -> Result<(), Missing> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| missing("pdeathsig", error))?;
    let stops = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];
    stops.into_iter().collect::<SigSet>().thread_block().map_err(|error| missing("signals", error))
}

/// Only who may is asked to; without capabilities and with `no_new_privs` nothing is gained by this set.
fn empty_bounding_set() -> Result<(), Missing> {
    let wall = |error| missing("bounding set", error);
    if !caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).map_err(wall)? {
        return Ok(());
    }
    caps::clear(None, CapSet::Bounding).map_err(wall)
}

fn drop_capabilities() -> Result<(), Missing> {
    let wall = |error| missing("capabilities", error);
    // The permitted set takes the effective set with it.
    for set in [CapSet::Ambient, CapSet::Inheritable, CapSet::Permitted] {
        caps::clear(None, set).map_err(wall)?;
    }
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable, CapSet::Ambient] {
        if !caps::read(None, set).map_err(wall)?.is_empty() {
            return Err(missing("capabilities", "some are left"));
        }
    }
    Ok(())
}

/// Questions in flight have up to three sockets each; the address space holds the program several times.
const LIMITS: [(Resource, u64); 5] = [
    (Resource::RLIMIT_NPROC, 0),
    (Resource::RLIMIT_CORE, 0),
    (Resource::RLIMIT_FSIZE, 0),
    (Resource::RLIMIT_NOFILE, 512),
    (Resource::RLIMIT_AS, 256 * 1024 * 1024),
];

fn limit() -> Result<(), Missing> {
    for (resource, limit) in LIMITS {
        let (_, hard) = getrlimit(resource).map_err(|error| missing("limits", error))?;
        let limit = limit.min(hard);
        setrlimit(resource, limit, limit).map_err(|error| missing("limits", error))?;
    }
    Ok(())
}

/// No file, no TCP port to listen at, no abstract socket and no process outside; as much of it as the kernel knows.
fn forbid_access() -> Result<Landlock, landlock::RulesetError> {
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V6))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Landlock::Full,
        RulesetStatus::PartiallyEnforced => Landlock::Partial,
        RulesetStatus::NotEnforced => Landlock::Absent,
    })
}
