//! The start of attempts: who waits, whom to ask, within the limits on what is in flight.

use super::waiting::Queue;
use super::{Attempt, Client, Id};
use crate::resolver::course::Next;
use crate::resolver::exchange::Exchange;
use crate::resolver::outcome::Failure;
use crate::resolver::question::{ENTROPY, Question};
use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::Instant;

/// What came of a question whose turn it was.
enum Start {
    Running,
    /// Its servers have enough to do.
    Busy,
    /// It has ended.
    Over,
}

impl Client {
    /// Starts attempts as far as the limits go, one for each list of servers in turn.
    pub(super) fn start_what_may(&mut self) -> io::Result<()> {
        let mut busy = Vec::new();
        while self.running.len() < self.limits.in_flight {
            let Some(mut queue) = self.waiting.turn() else { break };
            if self.start_from(&mut queue)? {
                self.waiting.behind(queue);
            } else {
                busy.push(queue);
            }
        }
        busy.into_iter().rev().for_each(|queue| self.waiting.before(queue));
        Ok(())
    }

    /// Questions that were left without an answer once have a quarter of the places, and more only if nobody else waits:
    /// they take long, and most will be left so again.
    fn start_from(&mut self, queue: &mut Queue) -> io::Result<bool> {
        let slow = self.running.iter().filter(|attempt| attempt.slow).count();
        let slow_first = 4 * slow < self.limits.in_flight;
        for slow in [slow_first, !slow_first] {
            while let Some(id) = queue.line(slow).pop_front() {
                match self.start(id)? {
                    Start::Running => return Ok(true),
                    Start::Over => {}
                    Start::Busy => {
                        queue.line(slow).push_front(id);
                        break;
                    }
                }
            }
        }
        Ok(false)
    }

    fn start(&mut self, id: Id) -> io::Result<Start> {
        loop {
            let now = Instant::now();
            let Some(asked) = self.questions.get(&id) else { return Ok(Start::Over) };
            let preference = self.servers.preference(&asked.servers, now);
            let next = asked.course.next(&preference, |place| self.is_free(asked.servers[place]));
            let (place, again) = match next {
                Next::Wait => return Ok(Start::Busy),
                Next::GiveUp => {
                    self.end_without_answer(id);
                    return Ok(Start::Over);
                }
                Next::Ask { server, again } => (server, again),
            };
            let tcp = self.servers.tcp_only(asked.servers[place]);
            if self.run(id, place, again, tcp)? {
                return Ok(Start::Running);
            }
        }
    }

    fn is_free(&self, server: SocketAddr) -> bool {
        self.running.iter().filter(|attempt| attempt.server == server).count() < self.limits.per_server
    }

    /// False if the server cannot be reached.
    pub(super) fn run(&mut self, id: Id, place: usize, again: bool, tcp: bool) -> io::Result<bool> {
        let mut entropy = [0; ENTROPY];
        self.random.read_exact(&mut entropy)?;
        let Some(asked) = self.questions.get_mut(&id) else { return Ok(false) };
        let (server, now) = (asked.servers[place], Instant::now());
        let question = Question::new(&asked.name, asked.family, &entropy);
        self.servers.asked(server, now);
        let opened = if tcp { Exchange::tcp(server, question) } else { Exchange::udp(server, question) };
        let Ok(exchange) = opened else {
            asked.course.failed(place, Failure::Unreachable);
            self.servers.set_tcp_only(server, false);
            return Ok(false);
        };
        *(if tcp { &mut self.counters.tcp_asked } else { &mut self.counters.udp_asked }) += 1;
        let ends = *asked.ends.get_or_insert(now + self.limits.question);
        let wait = if again { self.limits.second_wait } else { self.limits.first_wait };
        let until = (now + wait).min(ends);
        let (slow, began, suspect, late) = (asked.slow, now, false, false);
        self.running.push(Attempt { id, server, place, again, slow, exchange, began, until, suspect, late });
        Ok(true)
    }
}
