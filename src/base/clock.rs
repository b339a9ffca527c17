//! The only place that reads the clocks. Decisions take time as an argument; deeds ask here.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Monotonic now: every duration in an exchange is a difference of two of these.
#[expect(clippy::disallowed_methods, reason = "this module is where the clock is read")]
pub fn now() -> Instant {
    Instant::now()
}

/// Wall clock in microseconds since 1970, for display and ids only; never subtracted to get a duration.
#[expect(clippy::disallowed_methods, reason = "this module is where the clock is read")]
pub fn wall_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// Microseconds from `start` to `end`, zero when the order is reversed.
pub fn us_between(start: Instant, end: Instant) -> u64 {
    u64::try_from(end.saturating_duration_since(start).as_micros()).unwrap_or(u64::MAX)
}
