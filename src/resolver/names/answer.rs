//! What an answer, or a failure, does.

use super::pace;
use super::schedule::Kind;
use super::{Names, Never, question};
use crate::resolver::book::{Change, Ms, NameId, Warning, is_well_below, ms, of_answer};
use crate::resolver::outcome::{Answer, Failure, Lookup};
use crate::types::{Family, HostName};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// One end of one question.
#[derive(Clone, Copy)]
struct Place {
    id: NameId,
    family: Family,
    server: Option<IpAddr>,
    now: Ms,
}

impl Names {
    /// What came of a question. One that is not in flight changes nothing.
    pub fn answered(
        &mut self,
        name: &HostName,
        family: Family,
        lookup: &Lookup,
        never: Never<'_>,
        now: Duration,
    ) -> Change {
        let mut change = Change::default();
        let flying = |id: &NameId| self.schedule.is_flying(question(*id, family));
        let Some(id) = self.book.id(name).filter(flying) else { return change };
        let place = Place { id, family, server: lookup.server.map(|server| server.ip()), now: ms(now) };
        self.book.expire(place.now);
        match &lookup.outcome {
            Ok(answer) => self.addresses_came(place, answer, never, &mut change),
            Err(failure) => {
                if failure.is_of_the_name() {
                    self.set_rejected(place, Vec::new());
                }
                self.failed(place, *failure, &mut change);
            }
        }
        self.warn(id, &mut change);
        change
    }

    /// An answer of which everything is refused is none.
    fn addresses_came(&mut self, place: Place, answer: &Answer, never: Never<'_>, change: &mut Change) {
        let Place { id, family, server, now } = place;
        let all = &answer.addresses;
        let shortest = all.iter().map(|(_, ttl)| *ttl).min();
        let name = self.book.name(id);
        let (mut taken, mut rejected) = (BTreeMap::new(), Vec::new());
        for &(address, ttl) in all.iter().filter(|(address, _)| Family::of(*address) == family) {
            match never(name, address) {
                Some(reason) => rejected.push((address, reason)),
                None => {
                    let lowest = taken.entry(address).or_insert(ttl);
                    *lowest = ttl.min(*lowest);
                }
            }
        }
        let taken = self.capped(place, taken.into_iter().collect(), answer.left_out as usize, change);
        let fresh = self.book.take(id, &taken, server, now, change);
        let nothing = taken.is_empty();
        self.set_rejected(place, rejected);
        if nothing {
            return self.failed(place, Failure::NoData { seconds: shortest }, change);
        }
        self.subject_mut(id).of_mut(family).ended(Ok(()), server, now);
        self.ask_for_more(place, shortest.unwrap_or(0), fresh > 0);
    }

    fn ask_for_more(&mut self, place: Place, ttl: u32, is_new: bool) {
        let keeping = self.book.keeping(place.id);
        let wait = pace::answered(ttl, &keeping, self.min_interval, &mut self.random);
        let inquiry = self.subject_mut(place.id).of_mut(place.family);
        let learning = pace::learning(ttl, inquiry.looks);
        inquiry.looks = if is_new { inquiry.looks.saturating_add(1) } else { 0 };
        inquiry.promised = place.now + wait;
        let (question, end) = (question(place.id, place.family), place.now + wait);
        if is_new && learning < wait {
            self.schedule.look(question, place.now + learning, end);
        } else {
            self.schedule.put(question, Kind::Known, end);
        }
    }

    fn failed(&mut self, place: Place, failure: Failure, change: &mut Change) {
        let Place { id, family, server, now } = place;
        let keeping = self.book.keeping(id);
        let inquiry = self.subjects[id as usize].of_mut(family);
        let no_names = inquiry.no_name.map_or(0, |no_name| no_name.times);
        let (kind, wait) = match failure {
            Failure::NoData { seconds } => (Kind::Known, pace::no_data(seconds, &keeping, &mut self.random)),
            Failure::NxDomain { .. } => (Kind::Failing, pace::no_name(no_names, &keeping, &mut self.random)),
            Failure::ServFail
            | Failure::Refused
            | Failure::FormErr
            | Failure::NotImp
            | Failure::OtherCode { .. }
            | Failure::Lame
            | Failure::ChainTooLong
            | Failure::ChainLoop
            | Failure::TwoAliases
            | Failure::Malformed
            | Failure::Timeout
            | Failure::Unreachable
            | Failure::NoServers
            | Failure::TooMany => (Kind::Failing, pace::failed(inquiry.failures, &mut self.random)),
        };
        inquiry.ended(Err(failure), server, now);
        if !failure.is_of_the_name() {
            self.book.extend(id, family, wait, now, change);
        }
        self.schedule.put(question(id, family), kind, now + wait);
    }

    fn capped(
        &mut self,
        place: Place,
        mut taken: Vec<(IpAddr, u32)>,
        left_out: usize,
        change: &mut Change,
    ) -> Vec<(IpAddr, u32)> {
        let Place { id, family, .. } = place;
        let (cap, count) = (self.book.caps().answer, taken.len() + left_out);
        let dropped = of_answer(&mut taken, cap, |address| self.book.has(id, address)) + left_out;
        let inquiry = self.subjects[id as usize].of_mut(family);
        if dropped > 0 && !inquiry.warned_of_many {
            let name = self.book.name(id).clone();
            change.warnings.push(Warning::AnswerCap { name, family, dropped, cap });
        }
        inquiry.warned_of_many = dropped > 0 || inquiry.warned_of_many && !is_well_below(count, cap);
        taken
    }

    fn set_rejected(&mut self, place: Place, mut rejected: Vec<(IpAddr, &'static str)>) {
        rejected.sort_unstable();
        rejected.dedup();
        rejected.truncate(self.book.caps().answer);
        self.subject_mut(place.id).of_mut(place.family).rejected = rejected;
    }

    /// Each once, until what it says has ended. A name whose addresses are refused is known to have none that counts.
    fn warn(&mut self, id: NameId, change: &mut Change) {
        let (name, held) = (self.book.name(id).clone(), self.book.count(id));
        let subject = self.subject_mut(id);
        let refused = subject.rejected();
        if !refused.is_empty() && !subject.warned.of_refused && subject.is_answered() {
            subject.warned.of_refused = true;
            let (name, addresses) = (name.clone(), refused.clone());
            change.warnings.push(Warning::Refused { name, addresses, all: held == 0 });
        }
        subject.warned.of_refused &= !refused.is_empty();
        let failure = subject.failure().filter(|failure| refused.is_empty() || !failure.is_of_the_name());
        if let Some(failure) = failure.filter(|_| !subject.warned.of_failure) {
            change.warnings.push(Warning::Unanswered { name: name.clone(), failure, held });
        }
        subject.warned.of_failure = failure.is_some();
        let gone = subject.is_gone();
        if gone && !subject.warned.of_gone {
            change.warnings.push(Warning::Gone { name, held });
        }
        subject.warned.of_gone = gone;
    }
}
