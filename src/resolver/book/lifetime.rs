//! How long an address is held.

use super::moment::{Ms, ms};
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

/// How long a question may stay without an end.
pub(in crate::resolver) const LONGEST_QUESTION: Ms = 20_000;

impl Keeping {
    /// When an address expires that has just been seen.
    pub(super) fn answered(&self, now: Ms, ttl: u32) -> Ms {
        now + ms(lifetime(ttl, self.floor, self.cap, self.grace))
    }

    /// When an address expires after servers failed: what an answer would give whose TTL lasts to the end of the next question, `again` from
    /// now, and never later than `max_stale` after the last good answer.
    pub(super) fn failed(&self, now: Ms, again: Ms, last_seen: Ms) -> Ms {
        let held = ms(self.floor).max(again + LONGEST_QUESTION) + ms(self.grace);
        (now + held).min(last_seen + ms(self.max_stale))
    }

    /// By how much an expiry in the kernel may lag behind the true one before it is written.
    pub(super) fn slack(&self) -> Ms {
        (ms(self.grace) / 2).max(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_ttl_is_held_between_floor_and_cap_and_the_grace_follows() {
        let (floor, cap, grace) = (seconds(60), seconds(86_400), seconds(300));
        for (ttl, expected) in
            [(0, 360), (59, 360), (61, 361), (86_400, 86_700), (86_401, 86_700), (u32::MAX, 86_700)]
        {
            assert_eq!(lifetime(ttl, floor, cap, grace), seconds(expected), "TTL {ttl}");
        }
    }

    #[test]
    fn the_cap_wins_over_a_floor_that_is_higher_and_nothing_overflows() {
        assert_eq!(lifetime(5, Duration::MAX, seconds(9), Duration::ZERO), seconds(9));
        assert_eq!(lifetime(5, Duration::MAX, Duration::MAX, Duration::MAX), Duration::MAX);
        let most = Duration::MAX;
        let keeping = Keeping { floor: most, cap: most, grace: most, max_stale: most };
        assert!(keeping.answered(ms(most), u32::MAX) > 0);
        assert!(keeping.failed(ms(most), 0, ms(most)) > 0);
    }

    #[test]
    fn a_failure_holds_an_address_until_the_next_question_has_ended_but_not_past_max_stale() {
        let keeping = Keeping {
            floor: seconds(60),
            cap: seconds(86_400),
            grace: seconds(300),
            max_stale: seconds(900),
        };
        for (again, expected) in [(0, 360), (5, 360), (40, 360), (41, 361), (360, 680)] {
            assert_eq!(keeping.failed(0, again * 1_000, 0), expected * 1_000, "asked again after {again} s");
        }
        assert_eq!(keeping.failed(700_000, 5_000, 0), 900_000);
    }

    #[test]
    fn the_kernel_may_lag_by_half_the_grace_and_by_a_second_where_there_is_none() {
        let slack = |grace| {
            let keeping =
                Keeping { floor: seconds(1), cap: seconds(1), grace: seconds(grace), max_stale: seconds(0) };
            keeping.slack()
        };
        assert_eq!([slack(0), slack(1), slack(2), slack(300)], [1_000, 1_000, 1_000, 150_000]);
    }
}
