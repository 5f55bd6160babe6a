//! What comes in while questions are in flight, and what the passing of time ends.

use super::{Attempt, Client, Id};
use crate::resolver::exchange::Progress;
use crate::resolver::judge::Judged;
use crate::resolver::outcome::{Failure, Lookup};
use std::io;
use std::time::Instant;

impl Client {
    /// Reads from the attempts that are ready, and drops those whose question has ended.
    pub(super) fn hear(&mut self, ready: &[bool]) -> io::Result<()> {
        let running = std::mem::take(&mut self.running);
        let attempts = running.into_iter().chain(std::mem::take(&mut self.late));
        for (attempt, ready) in attempts.zip(ready.iter().copied().chain(std::iter::repeat(false))) {
            if !self.questions.contains_key(&attempt.id) {
                continue;
            }
            if ready {
                self.hear_one(attempt)?;
            } else {
                self.keep(attempt);
            }
        }
        Ok(())
    }

    fn hear_one(&mut self, mut attempt: Attempt) -> io::Result<()> {
        match attempt.exchange.advance() {
            Progress::Pending => self.keep(attempt),
            Progress::Broken(failure) => {
                self.cannot_by_tcp(&attempt);
                self.failed(&attempt, failure);
            }
            Progress::Message(judged) => self.judged(attempt, judged)?,
        }
        Ok(())
    }

    fn keep(&mut self, attempt: Attempt) {
        if !attempt.late {
            self.running.push(attempt);
            return;
        }
        self.late.push_back(attempt);
        while self.late.len() > self.limits.in_flight {
            self.late.pop_front();
        }
    }

    fn judged(&mut self, mut attempt: Attempt, judged: Judged) -> io::Result<()> {
        if let Judged::Ignored(_) = judged {
            self.counters.spoof_suspect += 1;
            attempt.suspect = true;
            self.keep(attempt);
            return Ok(());
        }
        self.servers.heard(attempt.server, Instant::now());
        let server = Some(attempt.server);
        match judged {
            Judged::Answered(answer) => self.end(attempt.id, Lookup { server, outcome: Ok(answer) }),
            Judged::Failed(failure) if failure.is_of_the_name() => {
                self.end(attempt.id, Lookup { server, outcome: Err(failure) });
            }
            Judged::Failed(failure) => self.failed(&attempt, failure),
            Judged::Empty => self.empty(&attempt),
            Judged::Truncated => self.by_tcp(&attempt)?,
            Judged::LowerCased => {
                self.servers.set_tcp_only(attempt.server, true);
                self.by_tcp(&attempt)?;
            }
            Judged::Ignored(_) => {}
        }
        Ok(())
    }

    /// An attempt whose wait has passed may end the question, but not make it worse: another one is under way for it.
    fn failed(&mut self, attempt: &Attempt, failure: Failure) {
        if let (Some(asked), false) = (self.questions.get_mut(&attempt.id), attempt.late) {
            asked.course.failed(attempt.place, failure);
            self.waiting.first(&asked.servers, asked.slow, attempt.id);
        }
    }

    fn empty(&mut self, attempt: &Attempt) {
        if let (Some(asked), false) = (self.questions.get_mut(&attempt.id), attempt.late) {
            asked.course.empty(attempt.place);
            self.waiting.first(&asked.servers, asked.slow, attempt.id);
        }
    }

    /// The same server once more.
    fn by_tcp(&mut self, attempt: &Attempt) -> io::Result<()> {
        if !attempt.late && !self.run(attempt.id, attempt.place, attempt.again, true)? {
            self.failed(attempt, Failure::Unreachable);
        }
        Ok(())
    }

    /// Where TCP fails, whoever lower-cased a name may have been a stranger: UDP is tried again.
    fn cannot_by_tcp(&mut self, attempt: &Attempt) {
        if attempt.exchange.is_tcp() {
            self.servers.set_tcp_only(attempt.server, false);
        }
    }

    /// Ends the waits that have passed, and the questions whose time is over.
    pub(super) fn expire(&mut self) -> io::Result<()> {
        let now = Instant::now();
        if self.running.iter().any(|attempt| attempt.until <= now) {
            for attempt in std::mem::take(&mut self.running) {
                if attempt.until <= now {
                    self.timed_out(attempt, now)?;
                } else {
                    self.running.push(attempt);
                }
            }
        }
        let over = self.questions.iter().filter(|(_, asked)| asked.ends.is_some_and(|ends| ends <= now));
        let over: Vec<Id> = over.map(|(id, _)| *id).collect();
        over.into_iter().for_each(|id| self.end_without_answer(id));
        Ok(())
    }

    fn timed_out(&mut self, mut attempt: Attempt, now: Instant) -> io::Result<()> {
        let Some(asked) = self.questions.get_mut(&attempt.id) else { return Ok(()) };
        self.counters.timeouts += 1;
        if attempt.suspect && !attempt.exchange.is_tcp() && asked.ends.is_some_and(|ends| now < ends) {
            return self.by_tcp(&attempt);
        }
        self.servers.unheard(attempt.server, attempt.began);
        asked.course.silent(attempt.place, attempt.again);
        asked.slow = true;
        self.waiting.last(&asked.servers, true, attempt.id);
        self.cannot_by_tcp(&attempt);
        attempt.late = true;
        self.keep(attempt);
        Ok(())
    }
}
