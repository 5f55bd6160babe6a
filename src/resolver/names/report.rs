//! What people are told of each name.

use super::{Names, questions};
use crate::model::Kept;
use crate::resolver::book::{Ms, NameId, between};
use serde::Serialize;
use std::net::IpAddr;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NameReport {
    pub name: String,
    pub rules: Vec<String>,
    pub state: State,
    pub addresses: Vec<AddressReport>,
    /// `None` while every question of it is in flight.
    pub next_query_seconds: Option<u64>,
    pub in_flight: bool,
    pub last_error: Option<String>,
    /// What the last answers had that no name may have.
    pub rejected: Vec<Rejected>,
    /// The last answers had nothing else.
    pub all_rejected: bool,
    /// What to do about it: the caller knows.
    pub advice: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ok,
    /// Servers fail, or say that the name has no addresses.
    Failing,
    /// Its servers have said for long enough that there is no such name.
    Gone,
    /// Nobody has answered yet.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AddressReport {
    pub address: IpAddr,
    /// Whose answer had it last.
    pub server: Option<IpAddr>,
    pub first_seen_seconds_ago: Option<u64>,
    pub last_seen_seconds_ago: Option<u64>,
    pub remaining_seconds: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    pub address: IpAddr,
    pub reason: &'static str,
}

impl Names {
    pub(super) fn report_of(&self, id: NameId, now: Ms) -> NameReport {
        let subject = &self.subjects[id as usize];
        let next = questions(id).into_iter().filter_map(|question| self.schedule.at(question)).min();
        let addresses: Vec<AddressReport> = self.book.kept_of(id, now).map(address).collect();
        let rejected = subject.rejected().into_iter();
        let rejected: Vec<Rejected> =
            rejected.map(|(address, reason)| Rejected { address, reason }).collect();
        NameReport {
            name: self.book.name(id).to_string(),
            rules: self.book.rules(id).map(ToString::to_string).collect(),
            state: subject.state(),
            next_query_seconds: next.map(|at| between(now, at).as_secs()),
            in_flight: questions(id).into_iter().any(|question| self.schedule.is_flying(question)),
            last_error: subject.failure().map(|failure| failure.to_string()),
            all_rejected: !rejected.is_empty() && !subject.both().any(|inquiry| inquiry.last == Some(Ok(()))),
            addresses,
            rejected,
            advice: None,
        }
    }
}

fn address(kept: Kept) -> AddressReport {
    AddressReport {
        address: kept.address,
        server: kept.server,
        first_seen_seconds_ago: kept.seen.map(|seen| seen.first.as_secs()),
        last_seen_seconds_ago: kept.seen.map(|seen| seen.last.as_secs()),
        remaining_seconds: kept.remaining.as_secs(),
    }
}
