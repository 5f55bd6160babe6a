//! Logged packets in the reducer: one line each, and now and then how many more there were.

use super::action::Action;
use super::log::Entry;
use crate::observe::Record;
use std::time::Duration;

/// While packets are logged, what is held back is counted so often.
const COUNT_EVERY: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Logging {
    count_at: Option<Duration>,
    /// By the kernel's counters, when they were read last.
    held_back: u64,
    /// That the worker did not read in time, since it was last said.
    lost: u64,
}

impl Logging {
    pub(super) fn next(&self) -> Option<Duration> {
        self.count_at
    }

    pub(super) fn time(&mut self, now: Duration) -> Option<Action> {
        let due = self.count_at.is_some_and(|at| at <= now);
        due.then(|| {
            self.count_at = None;
            Action::CountHeldBack
        })
    }

    pub(super) fn logged(
        &mut self,
        records: Vec<Record>,
        lost: u64,
        name_of: impl Fn(&Record) -> Option<String>,
        now: Duration,
    ) -> Vec<Action> {
        self.lost += lost;
        self.count_at.get_or_insert(now + COUNT_EVERY);
        let entry = |record: Record| {
            let name = name_of(&record);
            Action::Log(Entry::Packet { record: Box::new(record), name })
        };
        records.into_iter().map(entry).collect()
    }

    /// What the kernel's counters say. A counter that was made anew begins at nothing.
    pub(super) fn counted(&mut self, held_back: u64, now: Duration) -> Vec<Action> {
        let more =
            held_back.checked_sub(self.held_back).unwrap_or(held_back) + std::mem::take(&mut self.lost);
        self.held_back = held_back;
        if more == 0 {
            return Vec::new();
        }
        self.count_at.get_or_insert(now + COUNT_EVERY);
        let message =
            format!("{more} more packets were not logged: one peer, or all together, sent too many");
        vec![Action::Log(Entry::warning(message))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_held_back_is_said_while_there_is_more_of_it_and_then_nobody_wakes_up() {
        let mut logging = Logging::default();
        assert!(logging.time(at(5)).is_none() && logging.next().is_none());
        logging.logged(Vec::new(), 3, |_| None, at(5));
        assert_eq!(logging.next(), Some(at(15)));
        assert!(matches!(logging.time(at(15)), Some(Action::CountHeldBack)));
        assert_eq!(logging.counted(100, at(15)).len(), 1);
        assert_eq!(logging.next(), Some(at(25)));
        assert!(logging.time(at(25)).is_some());
        assert!(logging.counted(100, at(25)).is_empty() && logging.next().is_none());
        logging.logged(Vec::new(), 0, |_| None, at(30));
        assert_eq!(logging.counted(40, at(40)).len(), 1);
    }
}
