//! An address that a name has.

use super::Keeping;
use super::moment::{Ms, NEVER_YET, between};
use crate::model::{Kept, LearnedAddress, Seen};
use std::net::IpAddr;
use std::time::Duration;

/// A life that is longer by so much than in the state file is worth writing, however long the grace.
const WORTH_SAVING: Ms = 300_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::resolver) struct Held {
    pub(super) address: IpAddr,
    pub(super) server: Option<IpAddr>,
    pub(super) expires: Ms,
    /// The expiry that the kernel has.
    pub(super) written: Ms,
    /// The expiry that the state file has.
    saved: Ms,
    /// In an answer, the first time and the last.
    pub(super) seen: Option<(Ms, Ms)>,
}

impl Held {
    pub(super) fn new(address: IpAddr, expires: Ms) -> Self {
        Self { address, server: None, expires, written: NEVER_YET, saved: NEVER_YET, seen: None }
    }

    pub(super) fn recalled(kept: &Kept, now: Ms) -> Self {
        let ago = |age: Duration| now - super::moment::ms(age);
        let seen = kept.seen.map(|seen| (ago(seen.first), ago(seen.last)));
        let expires = now + super::moment::ms(kept.remaining);
        Self { server: kept.server, seen, saved: expires, ..Self::new(kept.address, expires) }
    }

    /// An answer has it.
    pub(super) fn renew(&mut self, expires: Ms, server: Option<IpAddr>, now: Ms) {
        self.expires = self.expires.max(expires);
        self.server = server;
        self.seen = Some((self.seen.map_or(now, |(first, _)| first), now));
    }

    /// Servers have failed, and are asked again after a while.
    pub(super) fn extend(&mut self, keeping: &Keeping, again: Ms, now: Ms) {
        if let Some((_, last)) = self.seen {
            self.expires = self.expires.max(keeping.failed(now, again, last));
        }
    }

    /// Whether the kernel is to be told: it has forgotten the address, or will by more than the slack too early.
    pub(super) fn lags(&self, keeping: &Keeping, now: Ms) -> bool {
        let forgotten = self.written <= now && self.expires >= now + 1_000;
        forgotten || self.expires - self.written > keeping.slack()
    }

    /// What lags in the state file by no more than in the kernel does not end there before it is renewed.
    pub(super) fn is_worth_saving(&self, keeping: &Keeping) -> bool {
        self.expires - self.saved > keeping.slack().min(WORTH_SAVING)
    }

    pub(super) fn saved(&mut self) {
        self.saved = self.expires;
    }

    pub(super) fn last_seen(&self) -> Ms {
        self.seen.map_or(NEVER_YET, |(_, last)| last)
    }

    /// What is left in whole seconds, at least one: a timeout of zero would make an element permanent.
    pub(super) fn learned(&self, now: Ms) -> Option<LearnedAddress> {
        let remaining = Duration::from_secs(between(now, self.expires).as_secs());
        (!remaining.is_zero()).then_some(LearnedAddress { address: self.address, remaining })
    }

    pub(super) fn kept(&self, now: Ms) -> Option<Kept> {
        let LearnedAddress { address, remaining } = self.learned(now)?;
        let seen =
            self.seen.map(|(first, last)| Seen { first: between(first, now), last: between(last, now) });
        Some(Kept { address, remaining, seen, server: self.server })
    }
}
