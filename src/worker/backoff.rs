//! How long to wait before a worker that ended is started again.

use std::time::Duration;

/// A worker that lived so long was well.
const WELL: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(60);

/// The first time at once, then after 1, 2, 4 … 60 s; a worker that lived for 60 s sets it back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    /// Workers that ended before they were well, one after the other.
    ended: u32,
}

impl Backoff {
    /// How long to wait after the end of a worker that lived so long.
    pub fn ended(&mut self, lived: Duration) -> Duration {
        if lived >= WELL {
            self.ended = 0;
        }
        let wait = match self.ended {
            0 => Duration::ZERO,
            // 64 s is past the longest already.
            ended => Duration::from_secs(1 << (ended - 1).min(6)).min(LONGEST),
        };
        self.ended = self.ended.saturating_add(1);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_early_end_doubles_the_wait_up_to_a_minute() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..10).map(|_| backoff.ended(Duration::from_secs(59)).as_secs()).collect();
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn a_worker_that_lived_a_minute_is_started_again_at_once() {
        let mut backoff = Backoff { ended: 40 };
        assert_eq!(backoff.ended(Duration::from_secs(60)), Duration::ZERO);
        assert_eq!(backoff.ended(Duration::ZERO), Duration::from_secs(1));
    }
}
