//! How many logged packets go on to the agent: a flood may neither fill its inbox nor keep the worker from DNS.

use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);
/// What goes on in a second; more is counted.
const SENT: usize = 1_000;
/// What is read in a second, to be counted; more is left to the kernel, which counts it too.
const READ: usize = 10_000;

/// What was done in the second that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    began: Instant,
    sent: usize,
    read: usize,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, sent: 0, read: 0 }
    }

    /// Of so many records that came, how many may go on.
    pub(super) fn admit(&mut self, records: usize, now: Instant) -> usize {
        if now.saturating_duration_since(self.began) >= SECOND {
            *self = Self::new(now);
        }
        let admitted = records.min(SENT - self.sent);
        self.read = self.read.saturating_add(records.max(1));
        self.sent += admitted;
        admitted
    }

    /// Until when nothing is read, if enough was.
    pub(super) fn rests_until(&self, now: Instant) -> Option<Instant> {
        let ends = self.began + SECOND;
        (self.read >= READ && now < ends).then_some(ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_go_on_in_each_second() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(pace.admit(32, start), 32);
        assert_eq!(pace.admit(2_000, start + SECOND / 2), 968);
        assert_eq!(pace.admit(1, start + SECOND - Duration::from_nanos(1)), 0);
        assert_eq!(pace.admit(2_000, start + SECOND), 1_000);
    }

    #[test]
    fn reading_rests_for_what_is_left_of_a_second_in_which_ten_thousand_came() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.admit(9_998, start);
        // A datagram without records takes time too.
        pace.admit(0, start);
        assert_eq!(pace.rests_until(start), None);
        pace.admit(5, start);
        assert_eq!(pace.rests_until(start + SECOND / 4), Some(start + SECOND));
        assert_eq!(pace.rests_until(start + SECOND), None);
        pace.admit(1, start + SECOND);
        assert_eq!(pace.rests_until(start + SECOND), None);
    }
}
