//! A name that is asked: its questions, one a family, and what is said of it.

use super::inquiry::Inquiry;
use super::report::State;
use crate::resolver::outcome::Failure;
use crate::types::Family;
use std::net::IpAddr;

#[derive(Default)]
pub(super) struct Subject {
    inquiries: [Inquiry; 2],
    /// There is one server only.
    pub alone: bool,
    pub warned: Warned,
}

/// What was said and has not ended.
#[derive(Default)]
pub(super) struct Warned {
    pub of_failure: bool,
    pub of_refused: bool,
    pub of_gone: bool,
}

impl Subject {
    pub(super) fn of(&self, family: Family) -> &Inquiry {
        &self.inquiries[index(family)]
    }

    pub(super) fn of_mut(&mut self, family: Family) -> &mut Inquiry {
        &mut self.inquiries[index(family)]
    }

    pub(super) fn both(&self) -> impl Iterator<Item = &Inquiry> {
        self.inquiries.iter()
    }

    /// Whether each question has had an end.
    pub(super) fn is_answered(&self) -> bool {
        self.both().all(|inquiry| inquiry.last.is_some())
    }

    /// What the last answers had that the name may not have.
    pub(super) fn rejected(&self) -> Vec<(IpAddr, &'static str)> {
        self.both().flat_map(|inquiry| inquiry.rejected.iter().copied()).collect()
    }

    /// What servers failed at counts before what they said of the name, and that only if no family has an address.
    pub(super) fn failure(&self) -> Option<Failure> {
        let failures: Vec<Failure> = self.both().filter_map(Inquiry::failure).collect();
        let of_servers = failures.iter().find(|failure| !failure.is_of_the_name());
        let of_the_name = failures.iter().max().filter(|_| failures.len() == self.inquiries.len());
        of_servers.or(of_the_name).copied()
    }

    pub(super) fn is_gone(&self) -> bool {
        let gone = |inquiry: &Inquiry| inquiry.no_name.is_some_and(|no_name| no_name.is_gone(self.alone));
        self.both().any(gone) && !self.both().any(Inquiry::says_it_is_there)
    }

    pub(super) fn state(&self) -> State {
        match self.failure() {
            _ if self.is_gone() => State::Gone,
            Some(_) => State::Failing,
            None if self.both().any(|inquiry| inquiry.last == Some(Ok(()))) => State::Ok,
            None => State::Unknown,
        }
    }
}

pub(super) fn index(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}
