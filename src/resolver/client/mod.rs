//! The stub client: all names at once, in one thread around one `poll`.

use super::course::{Course, Next};
use super::exchange::Exchange;
use super::outcome::{Failure, Lookup, Lookups};
use super::question::{ENTROPY, Question};
use crate::types::{Family, HostName};
use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

mod events;
#[cfg(test)]
mod tests;

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
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(1),
            second_wait: Duration::from_secs(2),
            question: Duration::from_secs(8),
            in_flight: 128,
            per_server: 64,
        }
    }
}

/// More than any deadline, and little enough for the clock.
const LONGEST: Duration = Duration::from_secs(3600);

/// Asks each name for both families, and returns when every question has an end or `deadline` has passed. Servers are
/// asked in their order; one that lets its waits pass goes behind the others.
///
/// # Errors
/// Only if the machine fails: no randomness, or `poll` refuses. What servers do ends in [`Lookup::outcome`].
pub fn lookup_all(
    names: &[HostName],
    servers: &[SocketAddr],
    deadline: Duration,
    limits: &Limits,
) -> io::Result<Lookups> {
    let mut client = Client::new(names, servers, deadline, *limits)?;
    while client.start_what_may()? {
        client.wait()?;
        client.expire()?;
    }
    Ok(client.lookups)
}

struct Client {
    limits: Limits,
    ends: Instant,
    servers: Vec<Server>,
    /// Questions without an attempt under way.
    waiting: VecDeque<Asked>,
    running: Vec<Running>,
    random: File,
    lookups: Lookups,
}

struct Server {
    address: SocketAddr,
    in_flight: usize,
    /// It let a wait pass and has not answered since.
    silent: bool,
    /// It does not keep the spelling of names: only TCP keeps strangers out.
    tcp_only: bool,
}

struct Asked {
    name: HostName,
    family: Family,
    course: Course,
    /// Set by the first attempt.
    ends: Option<Instant>,
    /// Attempts whose wait has passed, newest last.
    late: VecDeque<(usize, Exchange)>,
}

struct Running {
    asked: Asked,
    server: usize,
    again: bool,
    exchange: Exchange,
    until: Instant,
    /// Something came that was no answer: if no answer follows, TCP is asked.
    suspect: bool,
}

impl Client {
    fn new(
        names: &[HostName],
        servers: &[SocketAddr],
        deadline: Duration,
        limits: Limits,
    ) -> io::Result<Self> {
        let mut distinct: Vec<SocketAddr> = Vec::new();
        for server in servers {
            if !distinct.contains(server) {
                distinct.push(*server);
            }
        }
        let names: BTreeSet<&HostName> = names.iter().collect();
        let questions = names.into_iter().flat_map(|name| Family::BOTH.map(|family| (name.clone(), family)));
        let waiting = questions.map(|(name, family)| {
            let course = Course::new(distinct.len());
            Asked { name, family, course, ends: None, late: VecDeque::new() }
        });
        let server = |address| Server { address, in_flight: 0, silent: false, tcp_only: false };
        Ok(Self {
            limits: Limits {
                in_flight: limits.in_flight.max(1),
                per_server: limits.per_server.max(1),
                ..limits
            },
            ends: Instant::now() + deadline.min(LONGEST),
            waiting: waiting.collect(),
            servers: distinct.into_iter().map(server).collect(),
            running: Vec::new(),
            random: File::open("/dev/urandom")?,
            lookups: Lookups::default(),
        })
    }

    /// Starts attempts as far as the limits go. False when nothing is left to wait for.
    fn start_what_may(&mut self) -> io::Result<bool> {
        let mut held = VecDeque::new();
        while self.running.len() < self.limits.in_flight {
            if self.servers.iter().all(|s| s.in_flight >= self.limits.per_server) && !self.servers.is_empty()
            {
                break;
            }
            let Some(asked) = self.waiting.pop_front() else { break };
            if let Some(asked) = self.start(asked)? {
                held.push_back(asked);
            }
        }
        held.append(&mut self.waiting);
        self.waiting = held;
        Ok(!self.running.is_empty())
    }

    /// Gives the question back if the servers that it may ask are busy.
    fn start(&mut self, mut asked: Asked) -> io::Result<Option<Asked>> {
        loop {
            let next = asked
                .course
                .next(&self.preference(), |server| self.servers[server].in_flight < self.limits.per_server);
            let (server, again) = match next {
                Next::Wait => return Ok(Some(asked)),
                Next::GiveUp => {
                    self.end_without_answer(asked);
                    return Ok(None);
                }
                Next::Ask { server, again } => (server, again),
            };
            let tcp = self.servers[server].tcp_only;
            match self.open(&asked, server, tcp)? {
                Some(exchange) => {
                    self.run(asked, server, again, exchange);
                    return Ok(None);
                }
                None => asked.course.failed(server, Failure::Unreachable),
            }
        }
    }

    /// Servers' indexes, those that answer first.
    fn preference(&self) -> Vec<usize> {
        let (silent, well): (Vec<usize>, Vec<usize>) =
            (0..self.servers.len()).partition(|&index| self.servers[index].silent);
        [well, silent].concat()
    }

    fn open(&mut self, asked: &Asked, server: usize, tcp: bool) -> io::Result<Option<Exchange>> {
        let mut entropy = [0; ENTROPY];
        self.random.read_exact(&mut entropy)?;
        let question = Question::new(&asked.name, asked.family, &entropy);
        let address = self.servers[server].address;
        let opened = if tcp { Exchange::tcp(address, question) } else { Exchange::udp(address, question) };
        let counters = &mut self.lookups.counters;
        *(if tcp { &mut counters.tcp_asked } else { &mut counters.udp_asked }) += u64::from(opened.is_ok());
        Ok(opened.ok())
    }

    fn run(&mut self, mut asked: Asked, server: usize, again: bool, exchange: Exchange) {
        let now = Instant::now();
        let ends = *asked.ends.get_or_insert((now + self.limits.question).min(self.ends));
        let wait = if again { self.limits.second_wait } else { self.limits.first_wait };
        self.servers[server].in_flight += 1;
        let until = (now + wait).min(ends);
        self.running.push(Running { asked, server, again, exchange, until, suspect: false });
    }

    fn end_without_answer(&mut self, asked: Asked) {
        let (server, failure) = asked.course.verdict();
        let server = server.map(|index| self.servers[index].address);
        self.end(asked, Lookup { server, outcome: Err(failure) });
    }

    fn end(&mut self, asked: Asked, lookup: Lookup) {
        self.lookups.by_question.insert((asked.name, asked.family), lookup);
    }
}
