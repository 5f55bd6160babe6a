//! What has happened, in its order, for threads that wait for it.

use super::PATIENCE;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Instant;

#[derive(Debug)]
pub struct Events<T> {
    all: Mutex<Vec<T>>,
    more: Condvar,
}

impl<T> Default for Events<T> {
    fn default() -> Self {
        Self { all: Mutex::default(), more: Condvar::new() }
    }
}

impl<T: Clone + std::fmt::Debug> Events<T> {
    pub fn push(&self, event: T) {
        self.lock().push(event);
        self.more.notify_all();
    }

    pub fn all(&self) -> Vec<T> {
        self.lock().clone()
    }

    pub fn last(&self, which: impl Fn(&T) -> bool) -> Option<T> {
        self.lock().iter().rev().find(|event| which(event)).cloned()
    }

    pub fn count(&self, which: impl Fn(&T) -> bool) -> usize {
        self.lock().iter().filter(|event| which(event)).count()
    }

    /// Waits until there are `count` events that `which` takes, and returns these.
    ///
    /// # Panics
    /// When patience is at its end, with the last events.
    pub fn wait(&self, what: &str, count: usize, which: impl Fn(&T) -> bool) -> Vec<T> {
        self.wait_or(what, count, which, || None)
    }

    /// The same; `gone` may say that nothing more will come.
    pub fn wait_or(
        &self,
        what: &str,
        count: usize,
        which: impl Fn(&T) -> bool,
        mut gone: impl FnMut() -> Option<String>,
    ) -> Vec<T> {
        let start = Instant::now();
        let mut all = self.lock();
        loop {
            let found: Vec<T> = all.iter().filter(|event| which(event)).cloned().collect();
            if found.len() >= count {
                return found;
            }
            let why = gone().or_else(|| (start.elapsed() >= PATIENCE).then(|| format!("after {PATIENCE:?}")));
            if let Some(why) = why {
                let last = &all[all.len().saturating_sub(40)..];
                panic!("waiting for {what}: {} of {count} ({why}); the last events: {last:#?}", found.len());
            }
            all = self
                .more
                .wait_timeout(all, std::time::Duration::from_millis(200))
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        // A wait that fails panics with the lock.
        self.all.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
