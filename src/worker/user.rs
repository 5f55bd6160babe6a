//! The worker's user: another than the agent's, where it may be changed.

use super::walls::{Missing, missing};
use crate::host::users;
use caps::{CapSet, Capability};
use nix::unistd::{Gid, Uid, geteuid, setgroups, setresgid, setresuid};
use std::fs::read_to_string;
use std::io;

const NAME: &str = "portgrave";
const NOBODY: (u32, u32) = (65534, 65534);

/// The rights that a change takes: the last one is the agent's, who could not end a worker of another user without it.
const TAKEN: [Capability; 3] = [Capability::CAP_SETUID, Capability::CAP_SETGID, Capability::CAP_KILL];

/// The user that a worker of this process asks DNS as.
///
/// # Errors
/// If /etc/passwd or /proc cannot be read: a worker will refuse to run, too.
pub fn uid() -> io::Result<u32> {
    Ok(other()?.map_or(geteuid().as_raw(), |(uid, _)| uid))
}

/// Changes user and groups if that can be done; else the user stays.
pub(super) fn change() -> Result<(), Missing> {
    let Some((uid, gid)) = other().map_err(|error| missing("user", error))? else { return Ok(()) };
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    let changed =
        setgroups(&[]).and_then(|()| setresgid(gid, gid, gid)).and_then(|()| setresuid(uid, uid, uid));
    changed.map_err(|error| missing("user", error))
}

/// User and group to change to, if root may do that and they exist in this user namespace.
fn other() -> io::Result<Option<(u32, u32)>> {
    if !may_change()? {
        return Ok(None);
    }
    let (uid, gid) = unprivileged()?;
    Ok(exist(uid, gid)?.then_some((uid, gid)))
}

fn unprivileged() -> io::Result<(u32, u32)> {
    let own = users::listed(NAME)?.filter(|(uid, gid)| *uid != 0 && *gid != 0);
    Ok(own.unwrap_or(NOBODY))
}

fn may_change() -> io::Result<bool> {
    let held = caps::read(None, CapSet::Effective).map_err(io::Error::other)?;
    Ok(geteuid().is_root() && TAKEN.iter().all(|right| held.contains(right)))
}

/// Whether the namespace has these ids, and lets groups be dropped.
fn exist(uid: u32, gid: u32) -> io::Result<bool> {
    let read = |path| match read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    };
    // A kernel without user namespaces has none of these files.
    let maps = |path, id| Ok::<_, io::Error>(read(path)?.is_none_or(|map| is_mapped(&map, id)));
    let groups = read("/proc/self/setgroups")?.is_none_or(|groups| groups.trim_end() == "allow");
    Ok(groups && maps("/proc/self/uid_map", uid)? && maps("/proc/self/gid_map", gid)?)
}

/// Lines of: first id inside, first id outside, how many.
fn is_mapped(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().filter_map(|number| number.parse::<u64>().ok());
        let (Some(first), Some(_), Some(count)) = (numbers.next(), numbers.next(), numbers.next()) else {
            return false;
        };
        (first..first.saturating_add(count)).contains(&u64::from(id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_in_a_namespace_if_its_map_has_it() {
        let all = "         0          0 4294967295\n";
        let root = "         0       1000          1\n";
        let two = "0 1000 1\n1 100000 65534\n";
        assert!(is_mapped(all, 65534) && is_mapped(root, 0) && is_mapped(two, 65534));
        assert!(
            !is_mapped(root, 65534) && !is_mapped(two, 65535) && !is_mapped("", 0) && !is_mapped("0 0", 0)
        );
    }
}
