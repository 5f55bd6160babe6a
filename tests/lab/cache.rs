//! What a caching server between the world and its clients says: everybody who asks gets the same RRset, with a TTL that
//! counts down, until it ends; then the next one comes.

use std::time::Instant;

/// The RRset that is in the cache, and since when by the cache's clock of whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    index: usize,
    since: u64,
}

#[derive(Debug)]
pub struct Cache {
    started: Instant,
    held: Option<Held>,
}

impl Cache {
    pub fn new() -> Self {
        Self { started: Instant::now(), held: None }
    }

    /// Which of `count` RRsets, and what is left of its TTL. Like real caches this one counts whole seconds: what it says
    /// is at most a second more than is left.
    pub fn ask(&mut self, count: usize, ttl: u32, now: Instant) -> (usize, u32) {
        let second = now.duration_since(self.started).as_secs();
        let held = match self.held {
            Some(held) if second < held.since + u64::from(ttl) => held,
            Some(held) => Held { index: (held.index + 1) % count, since: second },
            None => Held { index: 0, since: second },
        };
        self.held = Some(held);
        let age = u32::try_from(second - held.since).expect("tests do not run for years");
        (held.index, ttl - age)
    }
}
