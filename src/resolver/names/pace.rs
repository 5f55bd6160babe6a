//! How long to wait before a question is asked again.

use crate::resolver::book::{Keeping, Ms, ms};
use std::time::Duration;

/// After the end of a TTL the server's next answer is another one.
const PAST_TTL: Ms = 100;
const LONGEST: Ms = 3_600_000;
const NO_DATA: std::ops::RangeInclusive<u32> = 60..=3_600;
const NO_NAME: [Ms; 4] = [60_000, 120_000, 300_000, 900_000];
const FIRST_FAILURE: Ms = 5_000;
const LAST_FAILURE: Ms = 300_000;
const FIRST_LOOK: Ms = 2_000;

/// Small pseudo-random numbers that an attacker gains nothing from (SplitMix64).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Below a bound; zero if there is no room below it.
    pub(super) fn below(&mut self, bound: Ms) -> Ms {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bound = u64::try_from(bound).unwrap_or(0).max(1);
        Ms::try_from((mixed ^ (mixed >> 31)) % bound).unwrap_or(0)
    }

    /// Up to a twentieth later, and never so much that the grace would not cover it.
    fn later(&mut self, wait: Ms, grace: Duration) -> Ms {
        wait + self.below((wait / 20).min(ms(grace) / 4) + 1)
    }
}

/// After an answer: when its shortest TTL ends, or what is held of it.
pub(super) fn answered(ttl: u32, keeping: &Keeping, min_interval: Duration, random: &mut Random) -> Ms {
    let ttl = ms(Duration::from_secs(ttl.into())).min(ms(keeping.cap));
    let shortest = ms(min_interval).min(LONGEST);
    random.later((ttl + PAST_TTL).clamp(shortest, LONGEST), keeping.grace)
}

/// After an answer with new addresses, the `looks`-th in a row: a name that rotates shows more soon.
pub(super) fn learning(ttl: u32, looks: u32) -> Ms {
    let wait = FIRST_LOOK << looks.min(16);
    wait.min(ms(Duration::from_secs(ttl.into())) + PAST_TTL).max(FIRST_LOOK)
}

/// The name has no addresses of the family, for these seconds.
pub(super) fn no_data(seconds: Option<u32>, keeping: &Keeping, random: &mut Random) -> Ms {
    let seconds = seconds.unwrap_or(0).clamp(*NO_DATA.start(), *NO_DATA.end());
    random.later(Ms::from(seconds) * 1_000, keeping.grace)
}

/// There is no such name, as `before` answers in a row have said already.
pub(super) fn no_name(before: u32, keeping: &Keeping, random: &mut Random) -> Ms {
    random.later(NO_NAME[NO_NAME.len().min(before as usize + 1) - 1], keeping.grace)
}

/// Servers failed, as they did `before` times in a row already.
pub(super) fn failed(before: u32, random: &mut Random) -> Ms {
    let wait = (FIRST_FAILURE << before.min(16)).min(LAST_FAILURE);
    wait - wait / 5 + random.below(wait * 2 / 5 + 1)
}

/// Somewhere within a time.
pub(super) fn spread(over: Duration, random: &mut Random) -> Ms {
    random.below(ms(over))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn keeping(cap: u64, grace: u64) -> Keeping {
        Keeping { floor: seconds(60), cap: seconds(cap), grace: seconds(grace), max_stale: seconds(86_400) }
    }

    /// The shortest and the longest of many waits.
    fn bounds(wait: impl Fn(&mut Random) -> Ms) -> (Ms, Ms) {
        let mut random = Random::new(1);
        let waits: Vec<Ms> = (0..2_000).map(|_| wait(&mut random)).collect();
        (*waits.iter().min().unwrap(), *waits.iter().max().unwrap())
    }

    fn near((low, high): (Ms, Ms), (lowest, highest): (Ms, Ms)) {
        let slip = (highest - lowest) / 50;
        assert!(lowest <= low && low <= lowest + slip, "{low} is not just above {lowest}");
        assert!(highest - slip <= high && high <= highest, "{high} is not just below {highest}");
    }

    #[test]
    fn an_answer_is_asked_for_again_after_its_ttl_and_up_to_a_twentieth_later() {
        let table = [
            (0, 10_000),
            (9, 10_000),
            (10, 10_100),
            (30, 30_100),
            (300, 300_100),
            (3_599, 3_599_100),
            (3_600, 3_600_000),
            (u32::MAX, 3_600_000),
        ];
        for (ttl, wait) in table {
            let waits = bounds(|random| answered(ttl, &keeping(86_400, 7_200), seconds(10), random));
            near(waits, (wait, wait + wait / 20));
        }
    }

    #[test]
    fn nothing_is_asked_for_so_late_that_it_has_lapsed_meanwhile() {
        let at_most =
            |cap, grace| bounds(|random| answered(7_200, &keeping(cap, grace), seconds(10), random)).1;
        assert_eq!(at_most(600, 0), 600_100);
        assert!(at_most(600, 300) <= 600_100 + 30_005);
        assert!(at_most(86_400, 300) <= 3_600_000 + 75_000);
    }

    #[test]
    fn what_shows_new_addresses_is_asked_after_two_seconds_then_twice_that_up_to_the_ttl() {
        let waits = |ttl| (0..7).map(|looks| learning(ttl, looks)).collect::<Vec<_>>();
        assert_eq!(waits(60), [2_000, 4_000, 8_000, 16_000, 32_000, 60_100, 60_100]);
        assert_eq!(waits(5), [2_000, 4_000, 5_100, 5_100, 5_100, 5_100, 5_100]);
        assert_eq!(waits(0), [2_000; 7]);
    }

    #[test]
    fn a_family_without_addresses_is_asked_for_after_a_minute_to_an_hour() {
        let table = [(None, 60), (Some(5), 60), (Some(900), 900), (Some(86_400), 3_600)];
        for (said, wait) in table {
            let waits = bounds(|random| no_data(said, &keeping(86_400, 7_200), random));
            near(waits, (wait * 1_000, wait * 1_050));
        }
    }

    #[test]
    fn a_name_that_is_not_there_is_asked_for_ever_more_seldom() {
        for (before, wait) in [(0, 60), (1, 120), (2, 300), (3, 900), (4, 900), (u32::MAX, 900)] {
            let waits = bounds(|random| no_name(before, &keeping(86_400, 7_200), random));
            near(waits, (wait * 1_000, wait * 1_050));
        }
    }

    #[test]
    fn servers_that_fail_are_asked_after_five_seconds_then_twice_that_give_or_take_a_fifth() {
        let waits = [5, 10, 20, 40, 80, 160, 300, 300];
        for (before, wait) in (0..).zip(waits).chain([(u32::MAX, 300)]) {
            near(bounds(|random| failed(before, random)), (wait * 800, wait * 1_200));
        }
    }
}
