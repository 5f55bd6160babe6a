//! What comes in while questions are in flight, and what the passing of time ends.

use super::{Asked, Client, Running};
use crate::resolver::exchange::Progress;
use crate::resolver::judge::Judged;
use crate::resolver::outcome::{Failure, Lookup};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

/// How many sockets of attempts that ran out are still listened to, for each question.
const LATE: usize = 2;

/// What an event makes of a question.
enum Step {
    On(Running),
    Next(Asked),
    /// The same server by TCP.
    Tcp(Running),
    End(Asked, Lookup),
}

impl Client {
    /// Waits for the first event or the end of the first wait, and carries out what came.
    pub(super) fn wait(&mut self) -> io::Result<()> {
        let first = self.running.iter().map(|running| running.until).min().unwrap_or(self.ends);
        let ready = self.poll(first.saturating_duration_since(Instant::now()))?;
        let all: Vec<Running> = self.running.drain(..).collect();
        for (running, ready) in all.into_iter().zip(ready) {
            let step = if ready.is_empty() { Step::On(running) } else { self.advance(running, &ready) };
            self.take(step)?;
        }
        Ok(())
    }

    /// For each running question which of its sockets have news: 0 is the attempt under way, then the late ones.
    fn poll(&self, wait: Duration) -> io::Result<Vec<Vec<usize>>> {
        let mut places = Vec::new();
        let mut sockets = Vec::new();
        for (index, running) in self.running.iter().enumerate() {
            let late = running.asked.late.iter().map(|(_, exchange)| exchange);
            for (place, exchange) in std::iter::once(&running.exchange).chain(late).enumerate() {
                let (socket, flags) = exchange.interest();
                places.push((index, place));
                sockets.push(PollFd::new(socket, flags));
            }
        }
        // Rounded up: a wait that ends a moment early would spin.
        let wait = wait + Duration::from_millis(1);
        match poll(&mut sockets, PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut ready = vec![Vec::new(); self.running.len()];
        for ((index, place), socket) in places.into_iter().zip(&sockets) {
            if socket.revents().is_some_and(|events| events != PollFlags::empty()) {
                ready[index].push(place);
            }
        }
        Ok(ready)
    }

    /// Late sockets first, the last one first, so that places stay true while spent ones are dropped.
    fn advance(&mut self, mut running: Running, ready: &[usize]) -> Step {
        for &place in ready.iter().rev() {
            if place > 0 {
                if let Some(lookup) = self.advance_late(&mut running.asked, place - 1) {
                    self.leave(&running);
                    return Step::End(running.asked, lookup);
                }
                continue;
            }
            return match running.exchange.advance() {
                Progress::Pending => Step::On(running),
                Progress::Broken(failure) => self.fail(running, failure),
                Progress::Message(judged) => self.judged(running, judged),
            };
        }
        Step::On(running)
    }

    /// An attempt whose wait has passed may still end the question, but not make it worse.
    fn advance_late(&mut self, asked: &mut Asked, place: usize) -> Option<Lookup> {
        let (server, exchange) = &mut asked.late[place];
        let address = Some(self.servers[*server].address);
        let outcome = match exchange.advance() {
            Progress::Pending => return None,
            Progress::Message(Judged::Ignored(_)) => {
                self.lookups.counters.spoof_suspect += 1;
                return None;
            }
            Progress::Message(Judged::Answered(answer)) => Some(Ok(answer)),
            Progress::Message(Judged::Failed(failure)) if failure.is_of_the_name() => Some(Err(failure)),
            Progress::Message(_) | Progress::Broken(_) => None,
        };
        self.servers[*server].silent &= outcome.is_none();
        asked.late.remove(place);
        outcome.map(|outcome| Lookup { server: address, outcome })
    }

    fn judged(&mut self, mut running: Running, judged: Judged) -> Step {
        let server = running.server;
        self.servers[server].silent &= matches!(judged, Judged::Ignored(_));
        let outcome = match judged {
            Judged::Ignored(_) => {
                self.lookups.counters.spoof_suspect += 1;
                running.suspect = true;
                return Step::On(running);
            }
            Judged::Truncated => return Step::Tcp(running),
            Judged::LowerCased => {
                self.servers[server].tcp_only = true;
                return Step::Tcp(running);
            }
            Judged::Answered(answer) => Ok(answer),
            Judged::Failed(failure) if failure.is_of_the_name() => Err(failure),
            Judged::Failed(failure) => return self.fail(running, failure),
            Judged::Empty => {
                self.leave(&running);
                running.asked.course.empty(server);
                return Step::Next(running.asked);
            }
        };
        self.leave(&running);
        Step::End(running.asked, Lookup { server: Some(self.servers[server].address), outcome })
    }

    fn fail(&mut self, mut running: Running, failure: Failure) -> Step {
        self.leave(&running);
        running.asked.course.failed(running.server, failure);
        Step::Next(running.asked)
    }

    fn leave(&mut self, running: &Running) {
        self.servers[running.server].in_flight -= 1;
    }

    fn take(&mut self, step: Step) -> io::Result<()> {
        match step {
            Step::On(running) => self.running.push(running),
            Step::Next(asked) => self.waiting.push_front(asked),
            Step::End(asked, lookup) => self.end(asked, lookup),
            Step::Tcp(running) => {
                let opened = self.open(&running.asked, running.server, true)?;
                self.leave(&running);
                let Running { mut asked, server, again, .. } = running;
                match opened {
                    Some(exchange) => self.run(asked, server, again, exchange),
                    None => {
                        asked.course.failed(server, Failure::Unreachable);
                        self.waiting.push_front(asked);
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends the waits that have passed, and everything at the deadline.
    pub(super) fn expire(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let all: Vec<Running> = self.running.drain(..).collect();
        for running in all {
            let step = if running.until <= now { self.timed_out(running, now) } else { Step::On(running) };
            self.take(step)?;
        }
        let over = |asked: &Asked| asked.ends.unwrap_or(self.ends) <= now;
        let (ended, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(over);
        self.waiting = waiting;
        let ended: VecDeque<Asked> = ended;
        for asked in ended {
            self.end_without_answer(asked);
        }
        Ok(())
    }

    fn timed_out(&mut self, running: Running, now: Instant) -> Step {
        self.lookups.counters.timeouts += 1;
        let time_left = running.asked.ends.is_some_and(|ends| now < ends);
        if running.suspect && !running.exchange.is_tcp() && time_left {
            return Step::Tcp(running);
        }
        self.leave(&running);
        self.servers[running.server].silent = true;
        let Running { mut asked, server, again, exchange, .. } = running;
        asked.course.silent(server, again);
        asked.late.push_back((server, exchange));
        while asked.late.len() > LATE {
            asked.late.pop_front();
        }
        Step::Next(asked)
    }
}
