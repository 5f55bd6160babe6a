//! What is known of each server beyond the question at hand.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// More servers than any machine asks: the one not asked for longest is forgotten.
const MOST: usize = 256;

pub(super) struct Servers {
    /// After how long a silent server is tried again in its old place.
    retry: Duration,
    known: BTreeMap<SocketAddr, Health>,
}

struct Health {
    asked: Instant,
    heard: Option<Instant>,
    silent: bool,
    /// It does not keep the spelling of names: only TCP keeps strangers out.
    tcp_only: bool,
}

impl Servers {
    pub(super) fn new(retry: Duration) -> Self {
        Self { retry, known: BTreeMap::new() }
    }

    /// Indexes into `servers`, in their order, silent ones behind the others. A silent one whose next try is due counts as
    /// one that answers.
    pub(super) fn preference(&self, servers: &[SocketAddr], now: Instant) -> Vec<usize> {
        let (well, silent): (Vec<usize>, Vec<usize>) =
            (0..servers.len()).partition(|&index| self.may_answer(servers[index], now));
        [well, silent].concat()
    }

    fn may_answer(&self, server: SocketAddr, now: Instant) -> bool {
        let health = self.known.get(&server);
        health
            .is_none_or(|health| !health.silent || now.saturating_duration_since(health.asked) >= self.retry)
    }

    pub(super) fn tcp_only(&self, server: SocketAddr) -> bool {
        self.known.get(&server).is_some_and(|health| health.tcp_only)
    }

    pub(super) fn asked(&mut self, server: SocketAddr, now: Instant) {
        if let Some(health) = self.known.get_mut(&server) {
            health.asked = now;
            return;
        }
        if self.known.len() >= MOST {
            let oldest = self.known.iter().min_by_key(|(_, health)| health.asked);
            let oldest = oldest.map(|(server, _)| *server);
            oldest.and_then(|server| self.known.remove(&server));
        }
        self.known.insert(server, Health { asked: now, heard: None, silent: false, tcp_only: false });
    }

    pub(super) fn heard(&mut self, server: SocketAddr, now: Instant) {
        if let Some(health) = self.known.get_mut(&server) {
            health.heard = Some(now);
            health.silent = false;
        }
    }

    /// A wait that began at `since` has passed. A server that has answered others meanwhile is not silent: it is this one
    /// question to which it has no answer.
    pub(super) fn unheard(&mut self, server: SocketAddr, since: Instant) {
        if let Some(health) = self.known.get_mut(&server) {
            health.silent |= health.heard.is_none_or(|heard| heard < since);
        }
    }

    pub(super) fn set_tcp_only(&mut self, server: SocketAddr, tcp_only: bool) {
        if let Some(health) = self.known.get_mut(&server) {
            health.tcp_only = tcp_only;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], last))
    }

    const RETRY: Duration = Duration::from_secs(30);

    #[test]
    fn a_silent_server_goes_behind_and_comes_back_by_an_answer() {
        let mut servers = Servers::new(RETRY);
        let (list, now) = ([address(1), address(2), address(3)], Instant::now());
        assert_eq!(servers.preference(&list, now), [0, 1, 2]);
        servers.asked(address(1), now);
        servers.unheard(address(1), now);
        assert_eq!(servers.preference(&list, now), [1, 2, 0]);
        servers.heard(address(1), now);
        assert_eq!(servers.preference(&list, now), [0, 1, 2]);
    }

    #[test]
    fn a_silent_server_is_tried_by_one_question_each_time_the_interval_has_passed() {
        let mut servers = Servers::new(RETRY);
        let (list, now) = ([address(1), address(2)], Instant::now());
        servers.asked(address(1), now);
        servers.unheard(address(1), now);
        let just_before = now + RETRY - Duration::from_millis(1);
        assert_eq!(servers.preference(&list, just_before), [1, 0]);
        assert_eq!(servers.preference(&list, now + RETRY), [0, 1]);
        servers.asked(address(1), now + RETRY);
        assert_eq!(servers.preference(&list, now + RETRY), [1, 0]);
        assert_eq!(servers.preference(&list, now + 2 * RETRY), [0, 1]);
    }

    #[test]
    fn a_server_that_answers_others_is_not_silent() {
        let mut servers = Servers::new(RETRY);
        let (list, began) = ([address(1), address(2)], Instant::now());
        servers.asked(address(1), began);
        servers.heard(address(1), began + Duration::from_millis(500));
        servers.unheard(address(1), began);
        assert_eq!(servers.preference(&list, began), [0, 1]);
        servers.unheard(address(1), began + Duration::from_secs(1));
        assert_eq!(servers.preference(&list, began), [1, 0]);
    }

    #[test]
    fn the_server_not_asked_for_longest_is_forgotten_first() {
        let mut servers = Servers::new(RETRY);
        let now = Instant::now();
        for last in 0..1000 {
            servers.asked(address(last), now + Duration::from_millis(last.into()));
            servers.set_tcp_only(address(last), true);
            servers.asked(address(0), now + Duration::from_millis(last.into()));
        }
        assert_eq!(servers.known.len(), MOST);
        assert!(
            servers.tcp_only(address(0)) && servers.tcp_only(address(999)) && !servers.tcp_only(address(1))
        );
    }
}
