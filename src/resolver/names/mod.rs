//! Names that a policy wants to know: when each is asked, and what is learnt of it.
//!
//! Pure: every method is told what time it is, by CLOCK_BOOTTIME. A question is a name and a family; it waits for its
//! moment or is in flight. What is learnt is in the book.

mod answer;
mod inquiry;
mod pace;
mod report;
mod schedule;
mod subject;
mod wanted;

pub use super::book::{Caps, Change, Keeping, Warning};
pub use report::{AddressReport, NameReport, Rejected, State};
pub use wanted::{Ask, Due, Never, Wanted};

use super::book::{Book, Ms, NameId, between, ms};
use crate::model::{Kept, LearnedAddress};
use crate::types::{Family, HostName};
use pace::Random;
use schedule::{Kind, QuestionId, Schedule};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;
use subject::Subject;

/// After a suspend the names are asked again spread over this time.
const SPREAD: Duration = Duration::from_secs(10);

/// What is learnt of names, and when they are asked.
pub struct Names {
    book: Book,
    /// By the names' numbers.
    subjects: Vec<Subject>,
    schedule: Schedule,
    random: Random,
    min_interval: Duration,
    /// The most that a question was late that had been answered with addresses.
    latest: Ms,
}

impl Names {
    /// The seed is of the small random delays.
    pub fn new(seed: u64) -> Self {
        Self {
            book: Book::default(),
            subjects: Vec::new(),
            schedule: Schedule::default(),
            random: Random::new(seed),
            min_interval: Wanted::default().min_interval,
            latest: 0,
        }
    }

    /// A policy came into force: new names are due at once, others go, and what was learnt of those that stay stays.
    pub fn want(&mut self, wanted: Wanted, now: Duration) -> Change {
        let now = ms(now);
        self.min_interval = wanted.min_interval;
        self.book.expire(now);
        let turnover = self.book.want(&wanted.names, wanted.rules, wanted.caps);
        turnover
            .gone
            .iter()
            .flat_map(|id| questions(*id))
            .for_each(|question| self.schedule.withdraw(question));
        for id in turnover.come {
            let needed = self.subjects.len().max(id as usize + 1);
            self.subjects.resize_with(needed, Subject::default);
            self.subjects[id as usize] = Subject::default();
            questions(id).into_iter().for_each(|question| self.schedule.put(question, Kind::New, now));
        }
        for id in self.book.ids() {
            self.subjects[id as usize].alone = wanted.alone.contains(self.book.name(id));
        }
        turnover.change
    }

    /// What an earlier run left, filtered and capped as answers are.
    pub fn recall(
        &mut self,
        kept: &BTreeMap<HostName, Vec<Kept>>,
        never: Never<'_>,
        now: Duration,
    ) -> Change {
        self.book.recall(kept, |name, address| never(name, address).is_some(), ms(now))
    }

    /// The machine's own addresses have changed. Names whose answers had what no name might have are due at once.
    pub fn refilter(&mut self, never: Never<'_>, now: Duration) -> Change {
        let rejected = |inquiry: &inquiry::Inquiry| !inquiry.rejected.is_empty();
        for id in self.book.ids().filter(|id| self.subjects[*id as usize].both().any(rejected)) {
            for question in questions(id) {
                if let (Some(kind), true) =
                    (self.schedule.kind(question), self.schedule.at(question).is_some())
                {
                    self.schedule.put(question, kind, ms(now));
                }
            }
        }
        self.book.refilter(|name, address| never(name, address).is_some())
    }

    /// Other servers, or another way to them: what failed is due at once.
    pub fn retry(&mut self, now: Duration) {
        for question in self.schedule.failing() {
            self.inquiry_mut(question).failures = 0;
            self.schedule.put(question, Kind::Failing, ms(now));
        }
    }

    /// What to send now.
    pub fn due(&mut self, now: Duration) -> Due {
        let mut change = Change::default();
        for question in self.schedule.overdue(ms(now)) {
            self.strand(question, ms(now), &mut change);
        }
        let sent = self.schedule.take(ms(now));
        sent.iter().for_each(|question| self.note_late(*question, ms(now)));
        let questions = sent.into_iter().map(|question| self.ask(question)).collect();
        Due { questions, change }
    }

    /// How much later than due a name was asked, at the worst, whose last answer had addresses.
    pub fn latest(&self) -> Duration {
        between(0, self.latest)
    }

    /// Every question at once, for a client that asks once and has limits of its own.
    pub fn all(&mut self, now: Duration) -> Vec<Ask> {
        let all: Vec<QuestionId> = self.book.ids().flat_map(questions).collect();
        all.iter().for_each(|question| self.schedule.send(*question, ms(now)));
        all.into_iter().map(|question| self.ask(question)).collect()
    }

    /// The moment at which [`Self::due`] has something to do.
    pub fn next_due(&self, now: Duration) -> Option<Duration> {
        self.schedule.next(ms(now)).map(|at| between(0, at))
    }

    /// What was in flight is due again. What is known of that, and of all that waits for its turn, is held as if servers had failed.
    pub fn worker_died(&mut self, now: Duration) -> Change {
        let mut change = Change::default();
        self.book.expire(ms(now));
        for question in self.schedule.due(ms(now)) {
            let (id, family) = parts(question);
            self.book.extend(id, family, 0, ms(now), &mut change);
        }
        for question in self.schedule.flying() {
            self.strand(question, ms(now), &mut change);
        }
        change
    }

    /// The machine was suspended for this time, until now; to be told before anything else at that moment. The kernel's elements
    /// have not aged meanwhile: those of `removed` are to go, if they are there, and those of `addresses` to be written
    /// anew, with shorter lives. Every name is asked again.
    pub fn suspended(&mut self, by: Duration, now: Duration) -> Change {
        let now = ms(now);
        let removed = self.book.expire(now);
        self.book.kernel_stood_still(ms(by));
        for question in self.book.ids().flat_map(questions) {
            if let (Some(kind), Some(_)) = (self.schedule.kind(question), self.schedule.at(question)) {
                let later = pace::spread(SPREAD, &mut self.random);
                self.schedule.put(question, kind, now + later);
                let (id, family) = parts(question);
                self.subjects[id as usize].of_mut(family).promised = now + later;
            }
        }
        self.schedule.stood_still(ms(by));
        Change { addresses: self.book.all_addresses(), removed, warnings: Vec::new() }
    }

    /// The kernel has taken these lives, counted from `now`: what [`Self::addresses`] or [`Self::book_now`] gave at that moment.
    pub fn written(&mut self, lives: &BTreeMap<HostName, Vec<LearnedAddress>>, now: Duration) {
        self.book.written(lives, ms(now));
    }

    /// Every name that has one of these addresses, with what is left of the lives of these.
    pub fn addresses(
        &self,
        only: &BTreeSet<IpAddr>,
        now: Duration,
    ) -> BTreeMap<HostName, Vec<LearnedAddress>> {
        self.book.lives_of(only, ms(now))
    }

    /// Every name, also those without addresses, with all its addresses: lives in whole seconds, at least one.
    pub fn book_now(&self, now: Duration) -> BTreeMap<HostName, Vec<LearnedAddress>> {
        self.book.lives(ms(now))
    }

    /// A name that has this address.
    pub fn name_of(&self, address: IpAddr) -> Option<&HostName> {
        self.book.name_of(address)
    }

    /// For the state file.
    pub fn kept(&self, now: Duration) -> BTreeMap<HostName, Vec<Kept>> {
        self.book.kept(ms(now))
    }

    /// Whether something has changed that the state file should have: a new address, or a life that is longer by minutes.
    pub fn is_dirty(&self) -> bool {
        self.book.is_dirty()
    }

    /// The state file has what [`Self::kept`] gave last.
    pub fn saved(&mut self) {
        self.book.saved();
    }

    /// The first name to be left without addresses if nobody asks again, and when that is, from now.
    pub fn first_lapse(&self, now: Duration) -> Option<(&HostName, Duration)> {
        self.book.first_lapse(ms(now))
    }

    pub fn report(&self, now: Duration) -> Vec<NameReport> {
        self.book.ids().map(|id| self.report_of(id, ms(now))).collect()
    }

    fn ask(&self, question: QuestionId) -> Ask {
        let (id, family) = parts(question);
        let subject = &self.subjects[id as usize];
        let no_name = subject.of(family).no_name.filter(|_| !subject.alone);
        let not_first = no_name.and_then(|no_name| no_name.server);
        Ask { name: self.book.name(id).clone(), family, not_first }
    }

    fn note_late(&mut self, question: QuestionId, now: Ms) {
        let inquiry = self.inquiry_mut(question);
        let late = if inquiry.last == Some(Ok(())) { now - inquiry.promised } else { 0 };
        self.latest = self.latest.max(late);
    }

    /// Nobody has answered. The first time that may be chance; then the question itself may be what they die of.
    fn strand(&mut self, question: QuestionId, now: Ms, change: &mut Change) {
        let inquiry = self.inquiry_mut(question);
        let before = inquiry.strandings;
        inquiry.strandings = before.saturating_add(1);
        let again = if before == 0 { 0 } else { pace::failed(before - 1, &mut self.random) };
        let kind = self.schedule.kind(question).filter(|_| before == 0).unwrap_or(Kind::Failing);
        self.schedule.put(question, kind, now + again);
        let (id, family) = parts(question);
        self.book.expire(now);
        self.book.extend(id, family, again, now, change);
    }

    fn subject_mut(&mut self, id: NameId) -> &mut Subject {
        &mut self.subjects[id as usize]
    }

    fn inquiry_mut(&mut self, question: QuestionId) -> &mut inquiry::Inquiry {
        let (id, family) = parts(question);
        self.subjects[id as usize].of_mut(family)
    }
}

fn question(id: NameId, family: Family) -> QuestionId {
    id * 2 + subject::index(family) as QuestionId
}

fn questions(id: NameId) -> [QuestionId; 2] {
    Family::BOTH.map(|family| question(id, family))
}

fn parts(question: QuestionId) -> (NameId, Family) {
    (question / 2, Family::BOTH[question as usize % 2])
}

#[cfg(test)]
mod tests;
