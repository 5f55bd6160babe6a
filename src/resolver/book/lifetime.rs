//! How long an address is held.

use std::time::Duration;

/// How long addresses of a name are held: the settings, or what a group says instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeping {
    pub floor: Duration,
    pub cap: Duration,
    /// After the TTL has ended.
    pub grace: Duration,
    /// After the last good answer, while the servers fail.
    pub max_stale: Duration,
}

/// How long an address is held from the moment of the answer. `ttl` is the lowest along the chain, in seconds.
///
/// A floor over the cap counts as the cap.
pub fn lifetime(ttl: u32, floor: Duration, cap: Duration, grace: Duration) -> Duration {
    Duration::from_secs(ttl.into()).max(floor).min(cap).saturating_add(grace)
}

impl Keeping {
    pub(super) fn answered(&self, now: Duration, ttl: u32) -> Duration {
        now.saturating_add(lifetime(ttl, self.floor, self.cap, self.grace))
    }

    /// While servers fail, each failure holds an address as long as an answer with no TTL would, up to `max_stale` after
    /// the last good answer.
    pub(super) fn failed(&self, now: Duration, last_seen: Duration) -> Duration {
        self.answered(now, 0).min(last_seen.saturating_add(self.max_stale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_held_between_floor_and_cap_and_the_grace_follows() {
        let (floor, cap, grace) =
            (Duration::from_secs(60), Duration::from_secs(86_400), Duration::from_secs(300));
        for (ttl, expected) in
            [(0, 360), (59, 360), (61, 361), (86_400, 86_700), (86_401, 86_700), (u32::MAX, 86_700)]
        {
            assert_eq!(lifetime(ttl, floor, cap, grace), Duration::from_secs(expected), "TTL {ttl}");
        }
    }

    #[test]
    fn the_cap_wins_over_a_floor_that_is_higher_and_nothing_overflows() {
        assert_eq!(
            lifetime(5, Duration::MAX, Duration::from_secs(9), Duration::ZERO),
            Duration::from_secs(9)
        );
        assert_eq!(lifetime(5, Duration::MAX, Duration::MAX, Duration::MAX), Duration::MAX);
    }
}
