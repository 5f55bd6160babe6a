//! When to look at the kernel, and when to mend it: others may go on changing the table, and must not make the agent spin.

use std::collections::VecDeque;
use std::time::Duration;

/// The generation id is asked for so often; a look follows at most so often.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// After so many repairs in a minute each waits.
const REPAIRS: usize = 5;
const MINUTE: Duration = Duration::from_secs(60);
const SLOW: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Drift {
    next_poll: Duration,
    /// When the poll began whose answer is awaited: answers take more or less long, polls are apart.
    poll_began: Option<Duration>,
    /// Others have committed, and nobody has looked since.
    moved: bool,
    last_look: Option<Duration>,
    repairs: VecDeque<Duration>,
    /// A repair waits for its time.
    waiting: Option<Duration>,
    /// It was said that repairs are too many.
    complained: bool,
    seen: u64,
    last: Option<(Duration, Vec<String>)>,
}

/// What a look at the kernel leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mending {
    Now,
    /// So many repairs were made within a minute that this one waits; said once.
    Later {
        say_so: bool,
    },
}

impl Drift {
    pub(super) fn next(&self) -> Duration {
        self.waiting.unwrap_or(self.next_poll).min(self.next_poll)
    }

    /// Whether to ask for the generation id now.
    pub(super) fn polls(&mut self, now: Duration) -> bool {
        let due = now >= self.next_poll;
        if due {
            // From now, not from when it was due: after a suspend there is no row of polls.
            self.next_poll = now + EVERY;
            self.poll_began = Some(now);
        }
        due
    }

    /// Whether to look now.
    pub(super) fn polled(&mut self, moved: bool, now: Duration) -> bool {
        self.moved |= moved;
        let now = self.poll_began.take().unwrap_or(now);
        let rested = self.last_look.is_none_or(|last| now.saturating_sub(last) >= EVERY);
        let looks = self.moved && rested && self.waiting.is_none_or(|until| now >= until);
        if looks {
            self.last_look = Some(now);
        }
        looks
    }

    pub(super) fn intact(&mut self) {
        (self.moved, self.waiting) = (false, None);
    }

    /// The kernel does not hold what it should.
    pub(super) fn differs(&mut self, changes: Vec<String>, now: Duration) -> Mending {
        self.seen += 1;
        self.last = Some((now, changes));
        while self.repairs.front().is_some_and(|first| now.saturating_sub(*first) >= MINUTE) {
            self.repairs.pop_front();
        }
        if self.repairs.len() < REPAIRS {
            self.complained = false;
            return self.mend(now);
        }
        let last = self.repairs.back().copied().unwrap_or_default();
        if now.saturating_sub(last) >= SLOW {
            return self.mend(now);
        }
        self.waiting = Some(last + SLOW);
        let say_so = !std::mem::replace(&mut self.complained, true);
        Mending::Later { say_so }
    }

    /// A repair that failed is tried again with the next look.
    pub(super) fn failed(&mut self, now: Duration) {
        (self.moved, self.waiting) = (true, Some(now + SLOW));
    }

    /// How often others have changed the table, and what they did last.
    pub(super) fn seen(&self) -> (u64, Option<&(Duration, Vec<String>)>) {
        (self.seen, self.last.as_ref())
    }

    /// Whether others change it so often that it is mended only now and then. A minute after the last change that is over.
    pub(super) fn is_contested(&self, now: Duration) -> bool {
        let recent = self.last.as_ref().is_some_and(|(at, _)| now.saturating_sub(*at) < MINUTE);
        self.complained && recent
    }

    fn mend(&mut self, now: Duration) -> Mending {
        self.repairs.push_back(now);
        while self.repairs.len() > REPAIRS {
            self.repairs.pop_front();
        }
        self.waiting = None;
        Mending::Now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn differs(drift: &mut Drift, second: u64) -> Mending {
        drift.differs(vec!["rule deleted".into()], at(second))
    }

    #[test]
    fn the_id_is_asked_for_once_a_second_and_a_look_follows_a_move() {
        let mut drift = Drift::default();
        assert!(drift.polls(at(10)) && !drift.polls(at(10)));
        assert!(!drift.polled(false, at(10)));
        assert!(drift.polls(at(11)) && drift.polled(true, at(11)));
        drift.intact();
        assert!(!drift.polled(false, at(12)));
    }

    #[test]
    fn a_poll_whose_answer_comes_sooner_than_that_of_the_one_before_has_its_look() {
        let mut drift = Drift::default();
        let later = |second, millis| at(second) + Duration::from_millis(millis);
        assert!(drift.polls(at(10)) && drift.polled(true, later(10, 40)));
        drift.intact();
        assert!(drift.polls(at(11)) && drift.polled(true, later(11, 1)));
    }

    #[test]
    fn a_host_where_others_commit_all_the_time_is_looked_at_once_a_second() {
        let mut drift = Drift::default();
        let looks = (0..100).filter(|tenth| drift.polled(true, Duration::from_millis(tenth * 100))).count();
        assert_eq!(looks, 10);
    }

    #[test]
    fn after_five_repairs_in_a_minute_the_next_come_each_ten_seconds_and_that_is_said_once() {
        let mut drift = Drift::default();
        for second in 0..5 {
            assert_eq!(differs(&mut drift, second), Mending::Now);
        }
        assert_eq!(differs(&mut drift, 5), Mending::Later { say_so: true });
        assert_eq!(differs(&mut drift, 6), Mending::Later { say_so: false });
        assert!(drift.is_contested(at(6)));
        assert!(!drift.polled(true, at(13)) && drift.polled(false, at(14)));
        assert_eq!(differs(&mut drift, 14), Mending::Now);
        assert_eq!(differs(&mut drift, 15), Mending::Later { say_so: false });
        assert_eq!(differs(&mut drift, 24), Mending::Now);
    }

    #[test]
    fn what_was_contested_is_healthy_a_minute_after_the_last_change_without_another() {
        let mut drift = Drift::default();
        for second in 0..6 {
            differs(&mut drift, second);
        }
        assert_eq!(differs(&mut drift, 14), Mending::Now);
        drift.intact();
        assert!(drift.is_contested(at(73)) && !drift.is_contested(at(74)));
    }

    #[test]
    fn a_repair_that_failed_is_tried_again_after_ten_seconds_by_a_look_that_nobody_else_asked_for() {
        let mut drift = Drift::default();
        assert!(drift.polled(true, at(0)));
        assert_eq!(differs(&mut drift, 0), Mending::Now);
        drift.failed(at(0));
        assert!(!drift.polled(false, at(9)) && drift.polled(false, at(10)));
    }

    #[test]
    fn a_quiet_minute_makes_repairs_immediate_again() {
        let mut drift = Drift::default();
        for second in 0..6 {
            differs(&mut drift, second);
        }
        assert_eq!(differs(&mut drift, 70), Mending::Now);
        assert!(!drift.is_contested(at(70)));
        assert_eq!(drift.seen().0, 7);
    }
}
