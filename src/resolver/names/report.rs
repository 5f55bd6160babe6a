//! What people are told of each name.

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
