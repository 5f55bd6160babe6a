//! Logged packets in the reducer: one line each, and now and then how many more there were.

use super::action::Action;
use super::log::Entry;
use crate::observe::Record;
use std::time::Duration;

/// While packets are logged, what is held back is counted so often.
const COUNT_EVERY: Duration = Duration::from_secs(10);

/// A log that cannot be read is tried again so often.
const TRY_EVERY: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Logging {
    count_at: Option<Duration>,
    /// By the kernel's counters, when they were read last. They may be older than this process.
    held_back: Option<u64>,
    /// Why the kernel's log is not read.
    unlogged: Option<String>,
    try_at: Option<Duration>,
    /// That the worker did not read in time, since it was last said.
    lost: u64,
}

impl Logging {
    pub(super) fn next(&self) -> Option<Duration> {
        [self.count_at, self.try_at].into_iter().flatten().min()
    }

    pub(super) fn time(&mut self, now: Duration) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.count_at.is_some_and(|at| at <= now) {
            self.count_at = None;
            actions.push(Action::CountHeldBack);
        }
        if self.try_at.is_some_and(|at| at <= now) {
            self.try_at = Some(now + TRY_EVERY);
            actions.push(Action::TryLog);
        }
        actions
    }

    /// Why the kernel's log is not read, where it should be.
    pub(super) fn unlogged(&self) -> Option<&str> {
        self.unlogged.as_deref()
    }

    /// Something has changed: a log that cannot be read is tried at once.
    pub(super) fn try_soon(&mut self, now: Duration) {
        self.try_at = self.try_at.map(|_| now);
    }

    /// A worker has started, with the socket of the log or without.
    pub(super) fn begins(&mut self, unlogged: Option<String>, now: Duration) -> Vec<Action> {
        self.try_at = unlogged.is_some().then_some(now + TRY_EVERY);
        let before = std::mem::replace(&mut self.unlogged, unlogged);
        let entry = match &self.unlogged {
            _ if before == self.unlogged => None,
            Some(why) => Some(Entry::error(format!("packets are not logged: {why}"))),
            None => Some(Entry::info("packets are logged again")),
        };
        let mut actions: Vec<Action> = entry.map(Action::Log).into_iter().collect();
        if self.held_back.is_none() {
            actions.push(Action::CountHeldBack);
        }
        actions
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
        let Some(before) = self.held_back.replace(held_back) else {
            // What is held back for a peer that was noisy before has no line that would bring a count.
            self.count_at.get_or_insert(now + COUNT_EVERY);
            return Vec::new();
        };
        let more = held_back.checked_sub(before).unwrap_or(held_back) + std::mem::take(&mut self.lost);
        if more == 0 {
            return Vec::new();
        }
        self.count_at.get_or_insert(now + COUNT_EVERY);
        let message =
            format!("{more} more packets were not logged: one peer, or all together, sent too many");
        vec![Action::Log(Entry::warning(message).of_packets(more))]
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
        // What an earlier process has left.
        assert!(matches!(logging.begins(None, at(0))[..], [Action::CountHeldBack]));
        assert!(logging.counted(7, at(0)).is_empty());
        assert!(matches!(logging.time(at(10))[..], [Action::CountHeldBack]));
        assert!(logging.counted(7, at(10)).is_empty());
        assert!(logging.time(at(15)).is_empty() && logging.next().is_none());
        logging.logged(Vec::new(), 3, |_| None, at(15));
        assert_eq!(logging.next(), Some(at(25)));
        assert!(matches!(logging.time(at(25))[..], [Action::CountHeldBack]));
        assert_eq!(logging.counted(107, at(25)).len(), 1);
        assert_eq!(logging.next(), Some(at(35)));
        assert_eq!(logging.time(at(35)).len(), 1);
        assert!(logging.counted(107, at(35)).is_empty() && logging.next().is_none());
        logging.logged(Vec::new(), 0, |_| None, at(40));
        assert_eq!(logging.counted(40, at(50)).len(), 1);
    }

    #[test]
    fn a_log_that_cannot_be_read_is_said_once_and_tried_until_it_can_be() {
        let mut logging = Logging::default();
        logging.counted(0, at(0));
        logging.time(at(10));
        logging.counted(0, at(10));
        assert!(matches!(logging.begins(Some("taken".into()), at(11))[..], [Action::Log(_)]));
        assert_eq!((logging.unlogged(), logging.next()), (Some("taken"), Some(at(21))));
        assert!(matches!(logging.time(at(21))[..], [Action::TryLog]));
        assert!(logging.begins(Some("taken".into()), at(22)).is_empty());
        assert_eq!(logging.next(), Some(at(32)));
        logging.try_soon(at(23));
        assert_eq!(logging.next(), Some(at(23)));
        assert!(matches!(logging.begins(None, at(32))[..], [Action::Log(_)]));
        assert_eq!((logging.unlogged(), logging.next()), (None, None));
        logging.try_soon(at(33));
        assert!(logging.begins(None, at(40)).is_empty() && logging.next().is_none());
    }
}
