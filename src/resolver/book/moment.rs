//! Moments and spans as whole milliseconds.

use std::time::Duration;

/// Milliseconds since boot, suspend included; negative before it.
pub(in crate::resolver) type Ms = i64;

/// Further away than any moment, and never so far that sums overflow.
const FAR: Ms = Ms::MAX / 4;

/// A moment that has always passed.
pub(in crate::resolver) const NEVER_YET: Ms = -FAR;

pub(in crate::resolver) fn ms(time: Duration) -> Ms {
    Ms::try_from(time.as_millis()).unwrap_or(FAR).min(FAR)
}

/// The time from `from` to `to`, none if that is the other way round.
pub(in crate::resolver) fn between(from: Ms, to: Ms) -> Duration {
    Duration::from_millis(u64::try_from(to.saturating_sub(from)).unwrap_or(0))
}
