//! Names that a policy wants to know: when each is asked, and what is learnt of it.
//!
//! Pure: every method is told what time it is, by CLOCK_BOOTTIME.

mod report;
mod wanted;

pub use super::book::{Caps, Keeping, Warning};
pub use report::{AddressReport, NameReport, Rejected, State};
pub use wanted::{Ask, Change, Due, Never, Wanted};

use super::outcome::Lookup;
use crate::model::{Kept, LearnedAddress};
use crate::types::{Family, HostName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// What is learnt of names, and when they are asked.
pub struct Names {
    wanted: Wanted,
}

impl Names {
    /// The seed is of the small random delays.
    pub fn new(_seed: u64) -> Self {
        Self { wanted: Wanted::default() }
    }

    /// A policy came into force: new names are due at once, others go, and what was learnt of those that stay stays.
    pub fn want(&mut self, wanted: Wanted, _now: Duration) -> Change {
        self.wanted = wanted;
        Change::default()
    }

    /// What an earlier run left, filtered and capped as answers are.
    pub fn recall(
        &mut self,
        _kept: &BTreeMap<HostName, Vec<Kept>>,
        _never: Never<'_>,
        _now: Duration,
    ) -> Change {
        Change::default()
    }

    /// The machine's own addresses have changed.
    pub fn refilter(&mut self, _never: Never<'_>, _now: Duration) -> Change {
        Change::default()
    }

    /// Other servers, or another way to them: what failed is due at once.
    pub fn retry(&mut self, _now: Duration) {}

    /// What to send now.
    pub fn due(&mut self, _now: Duration) -> Due {
        Due::default()
    }

    /// Every question at once, for a client that asks once and has limits of its own.
    pub fn all(&mut self, _now: Duration) -> Vec<Ask> {
        Vec::new()
    }

    /// The moment at which [`Self::due`] has something to do.
    pub fn next_due(&self, _now: Duration) -> Option<Duration> {
        None
    }

    /// What came of a question. One that is not in flight changes nothing.
    pub fn answered(
        &mut self,
        _name: &HostName,
        _family: Family,
        _lookup: &Lookup,
        _never: Never<'_>,
        _now: Duration,
    ) -> Change {
        Change::default()
    }

    /// What was in flight is due again; what is known of it is held as if the servers had failed.
    pub fn worker_died(&mut self, _now: Duration) -> Change {
        Change::default()
    }

    /// The machine was suspended for a while, until now. The kernel's elements have not aged: those of `removed` are to go, those of `addresses`
    /// to be written anew. Every name is asked again.
    pub fn suspended(&mut self, _by: Duration, _now: Duration) -> Change {
        Change::default()
    }

    /// The kernel has taken these lives, counted from `now`: what [`Self::addresses`] or [`Self::book_now`] gave at that moment.
    pub fn written(&mut self, _lives: &BTreeMap<HostName, Vec<LearnedAddress>>, _now: Duration) {}

    /// Every name that holds one of these addresses, with what is left of the lives of these.
    pub fn addresses(
        &self,
        _only: &BTreeSet<IpAddr>,
        _now: Duration,
    ) -> BTreeMap<HostName, Vec<LearnedAddress>> {
        BTreeMap::new()
    }

    /// Every name, also those without addresses, with all its addresses: lives in whole seconds, at least one.
    pub fn book_now(&self, _now: Duration) -> BTreeMap<HostName, Vec<LearnedAddress>> {
        BTreeMap::new()
    }

    /// For the state file.
    pub fn kept(&self, _now: Duration) -> BTreeMap<HostName, Vec<Kept>> {
        BTreeMap::new()
    }

    /// Whether something has changed that the state file should have: a new address, or a life that is longer by minutes.
    pub fn is_dirty(&self) -> bool {
        false
    }

    /// The state file has what [`Self::kept`] gave last.
    pub fn saved(&mut self) {}

    /// The first name to be left without addresses if nobody asks again, and when that is, from now.
    pub fn first_lapse(&self, _now: Duration) -> Option<(&HostName, Duration)> {
        None
    }

    pub fn report(&self, _now: Duration) -> Vec<NameReport> {
        Vec::new()
    }
}
