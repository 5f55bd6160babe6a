//! What was learnt of each name: accumulated, never replaced by an answer, never shortened by one.

mod caps;
mod lifetime;
mod merge;
mod warning;

pub use caps::Caps;
pub use lifetime::{Keeping, lifetime};
pub use merge::{Wanted, merge};
pub use warning::Warning;

use super::outcome::Failure;
use crate::model::LearnedAddress;
use crate::types::HostName;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// An address that a name has. Both moments are of the clock that runs through suspend, since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    pub address: IpAddr,
    pub expires: Duration,
    /// In an answer; `None` if that was before this boot or is not known.
    pub last_seen: Option<Duration>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LearnedName {
    /// Sorted by address, each once.
    pub addresses: Vec<Learned>,
    /// Why the last lookup gave nothing, or not all that there is. One family without addresses is no failure.
    pub last_failure: Option<Failure>,
}

/// Every name of a policy with what was learnt of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book {
    pub names: BTreeMap<HostName, LearnedName>,
}

impl Book {
    /// What an earlier run left, as remaining lifetimes.
    pub fn from_remaining(names: &BTreeMap<HostName, Vec<LearnedAddress>>, now: Duration) -> Self {
        let learned = |left: &LearnedAddress| Learned {
            address: left.address,
            expires: now.saturating_add(left.remaining),
            last_seen: None,
        };
        let name = |addresses: &Vec<LearnedAddress>| LearnedName {
            addresses: addresses.iter().map(learned).collect(),
            last_failure: None,
        };
        Self { names: names.iter().map(|(key, addresses)| (key.clone(), name(addresses))).collect() }
    }

    /// What a policy is compiled with: remaining lifetimes in whole seconds, without what has less than one left. Every
    /// name is there, also those without addresses.
    pub fn remaining(&self, now: Duration) -> BTreeMap<HostName, Vec<LearnedAddress>> {
        let left = |learned: &Learned| {
            let remaining = Duration::from_secs(learned.expires.saturating_sub(now).as_secs());
            (!remaining.is_zero()).then_some(LearnedAddress { address: learned.address, remaining })
        };
        let of = |name: &LearnedName| name.addresses.iter().filter_map(left).collect();
        self.names.iter().map(|(key, name)| (key.clone(), of(name))).collect()
    }

    /// The first name to be left without addresses if nobody asks again, and when that is, from now.
    pub fn first_lapse(&self, now: Duration) -> Option<(&HostName, Duration)> {
        let last = |name: &LearnedName| name.addresses.iter().map(|learned| learned.expires).max();
        let held = self.names.iter().filter_map(|(key, name)| Some((key, last(name)?)));
        let first = held.filter(|(_, last)| *last > now).min_by_key(|(key, last)| (*last, *key))?;
        Some((first.0, first.1 - now))
    }
}

#[cfg(test)]
mod tests;
