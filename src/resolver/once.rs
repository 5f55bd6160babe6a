//! All names once: a loop around the client, for who has nothing else to wait for.

use super::client::{Client, Ended, Limits};
use super::outcome::{Failure, Lookup, Lookups};
use crate::types::{Family, HostName};
use nix::errno::Errno;
use nix::poll::{PollFd, PollTimeout, poll};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// More than any deadline, and little enough for the clock.
const LONGEST: Duration = Duration::from_secs(3600);

/// Asks each name at its servers for both families, and returns when every question has an end or `deadline` has passed.
///
/// # Errors
/// Only if the machine fails: no randomness, or `poll` refuses. What servers do ends in [`Lookup::outcome`].
pub fn lookup_all(
    asked: &BTreeMap<&HostName, &[SocketAddr]>,
    deadline: Duration,
    limits: &Limits,
) -> io::Result<Lookups> {
    let ends = Instant::now() + deadline.min(LONGEST);
    let mut client = Client::new(Limits { questions: limits.questions.max(1), ..*limits })?;
    let of_both = |(name, servers)| Family::BOTH.map(|family| (name, family, servers));
    let mut unasked = asked.iter().map(|(name, servers)| (*name, *servers)).flat_map(of_both);
    let mut lookups = Lookups::default();
    let mut open = 0;
    while Instant::now() < ends {
        for (name, family, servers) in unasked.by_ref().take(limits.questions.max(1) - open) {
            client.ask(name.clone(), family, servers);
            open += 1;
        }
        if open == 0 {
            break;
        }
        let ended = client.advance(&ready(&client, ends)?)?;
        open -= ended.len();
        take(&mut lookups, ended);
    }
    take(&mut lookups, client.give_up());
    for (name, family, _) in unasked {
        let lookup = Lookup { server: None, outcome: Err(Failure::Timeout) };
        lookups.by_question.insert((name.clone(), family), lookup);
    }
    lookups.counters = client.counters();
    Ok(lookups)
}

fn take(lookups: &mut Lookups, ended: Vec<Ended>) {
    let ended = ended.into_iter().map(|ended| ((ended.name, ended.family), ended.lookup));
    lookups.by_question.extend(ended);
}

/// Waits for the first event, but not for longer than until `ends`.
pub(super) fn ready(client: &Client, ends: Instant) -> io::Result<Vec<bool>> {
    let until = client.next_deadline().map_or(ends, |deadline| deadline.min(ends));
    let wait = until.saturating_duration_since(Instant::now());
    // Rounded up: a wait that ends a moment early would spin.
    let wait = if wait.is_zero() { wait } else { wait + Duration::from_millis(1) };
    let mut sockets: Vec<PollFd> =
        client.interests().into_iter().map(|(socket, flags)| PollFd::new(socket, flags)).collect();
    match poll(&mut sockets, PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(sockets.iter().map(|socket| socket.any().unwrap_or(true)).collect())
}
