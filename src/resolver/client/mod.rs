//! The stub client: many questions at once, moved on by the caller around its own `poll`.

use self::health::Servers;
use self::waiting::Waiting;
use super::course::Course;
use super::exchange::Exchange;
use super::outcome::{Counters, Failure, Lookup};
use crate::types::{Family, HostName};
use nix::poll::PollFlags;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

mod events;
mod health;
mod start;
#[cfg(test)]
mod tests;
mod waiting;

/// How long answers are waited for and how much is asked at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For a server that is asked for the first time.
    pub first_wait: Duration,
    /// For a server that was silent the first time.
    pub second_wait: Duration,
    /// For one question, all its attempts together.
    pub question: Duration,
    /// Questions in flight.
    pub in_flight: usize,
    /// Of these, at one server.
    pub per_server: usize,
    /// Questions in flight or waiting.
    pub questions: usize,
    /// After how long a server that was silent is asked again before those that answer.
    pub retry: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(1),
            second_wait: Duration::from_secs(2),
            question: Duration::from_secs(8),
            in_flight: 128,
            per_server: 64,
            questions: 4096,
            retry: Duration::from_secs(30),
        }
    }
}

/// The end of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub name: HostName,
    pub family: Family,
    pub lookup: Lookup,
}

/// Asks DNS for as long as it lives. It never waits: the caller polls [`Self::interests`] until [`Self::next_deadline`],
/// and hands what it saw to [`Self::advance`]. After [`Self::new`] it opens sockets and nothing else.
///
/// What it keeps grows with the questions that have no end yet, at most [`Limits::questions`], and with nothing else.
pub struct Client {
    limits: Limits,
    random: File,
    servers: Servers,
    questions: BTreeMap<Id, Asked>,
    ids: BTreeMap<(HostName, Family), Id>,
    last_id: Id,
    waiting: Waiting,
    running: Vec<Attempt>,
    /// Attempts whose wait has passed, oldest first: an answer may still come.
    late: VecDeque<Attempt>,
    ended: Vec<Ended>,
    counters: Counters,
    /// Something is to be done before anything comes.
    due: bool,
}

/// Never used twice: what is left of a question that has ended finds none.
type Id = u64;

struct Asked {
    name: HostName,
    family: Family,
    servers: Vec<SocketAddr>,
    course: Course,
    /// Set by the first attempt.
    ends: Option<Instant>,
    /// A server has left it without an answer.
    slow: bool,
}

struct Attempt {
    id: Id,
    server: SocketAddr,
    /// Of the server in the question's list.
    place: usize,
    /// The server is asked for the second time.
    again: bool,
    slow: bool,
    exchange: Exchange,
    began: Instant,
    until: Instant,
    /// Something came that was no answer: if no answer follows, TCP is asked.
    suspect: bool,
    late: bool,
}

impl Client {
    /// # Errors
    /// If there is no source of random numbers.
    pub fn new(limits: Limits) -> io::Result<Self> {
        Ok(Self {
            limits: Limits {
                in_flight: limits.in_flight.max(1),
                per_server: limits.per_server.max(1),
                ..limits
            },
            random: File::open("/dev/urandom")?,
            servers: Servers::new(limits.retry),
            questions: BTreeMap::new(),
            ids: BTreeMap::new(),
            last_id: 0,
            waiting: Waiting::default(),
            running: Vec::new(),
            late: VecDeque::new(),
            ended: Vec::new(),
            counters: Counters::default(),
            due: false,
        })
    }

    /// Takes a question on; the next [`Self::advance`] asks it. `servers` are asked in their order, except that one that was
    /// silent goes behind the others until it answers.
    ///
    /// A question that has no end yet is not asked twice: it goes on, or begins anew if the servers are others now. Either way it
    /// has one end.
    pub fn ask(&mut self, name: HostName, family: Family, servers: &[SocketAddr]) {
        let servers = distinct(servers);
        let key = (name, family);
        if let Some(id) = self.ids.get(&key).copied() {
            if self.questions.get(&id).is_some_and(|asked| asked.servers == servers) {
                return;
            }
            self.forget(id);
        }
        self.due = true;
        if self.questions.len() >= self.limits.questions {
            let lookup = Lookup { server: None, outcome: Err(Failure::TooMany) };
            self.ended.push(Ended { name: key.0, family, lookup });
            return;
        }
        self.last_id += 1;
        let (id, course) = (self.last_id, Course::new(servers.len()));
        self.waiting.last(&servers, false, id);
        self.ids.insert(key.clone(), id);
        self.questions.insert(id, Asked { name: key.0, family, servers, course, ends: None, slow: false });
    }

    /// What to poll for. What came is handed to [`Self::advance`] in the same order; [`Self::ask`] in between changes nothing.
    pub fn interests(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        self.running.iter().chain(&self.late).map(|attempt| attempt.exchange.interest()).collect()
    }

    /// When [`Self::advance`] has something to do even if nothing comes; a moment that has passed if it has now.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.due {
            return Some(Instant::now());
        }
        let attempts = self.running.iter().map(|attempt| attempt.until);
        attempts.chain(self.questions.values().filter_map(|asked| asked.ends)).min()
    }

    /// Does what can be done without waiting: reads what has come, ends the waits that have passed, asks what may be
    /// asked. `ready` says of each of [`Self::interests`] whether the poll had any event.
    ///
    /// # Errors
    /// Only if there is no randomness. What servers do ends in [`Lookup::outcome`].
    pub fn advance(&mut self, ready: &[bool]) -> io::Result<Vec<Ended>> {
        self.due = false;
        self.hear(ready)?;
        self.expire()?;
        self.start_what_may()?;
        Ok(std::mem::take(&mut self.ended))
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Ends every question with what is known of it now.
    pub(super) fn give_up(&mut self) -> Vec<Ended> {
        let ids: Vec<Id> = self.questions.keys().copied().collect();
        ids.into_iter().for_each(|id| self.end_without_answer(id));
        std::mem::take(&mut self.ended)
    }

    fn end_without_answer(&mut self, id: Id) {
        let Some(asked) = self.questions.get(&id) else { return };
        let (place, failure) = asked.course.verdict();
        let server = place.map(|place| asked.servers[place]);
        self.end(id, Lookup { server, outcome: Err(failure) });
    }

    fn end(&mut self, id: Id, lookup: Lookup) {
        if let Some(asked) = self.forget(id) {
            self.ended.push(Ended { name: asked.name, family: asked.family, lookup });
        }
    }

    /// Its attempts and its place in a queue go when they are next looked at.
    fn forget(&mut self, id: Id) -> Option<Asked> {
        let asked = self.questions.remove(&id)?;
        self.ids.remove(&(asked.name.clone(), asked.family));
        Some(asked)
    }
}

fn distinct(servers: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut distinct = Vec::new();
    for server in servers.iter().take(MOST_SERVERS) {
        if !distinct.contains(server) {
            distinct.push(*server);
        }
    }
    distinct
}

/// Of one question: all that can be asked while it lasts, and some that fail at once.
const MOST_SERVERS: usize = 16;
