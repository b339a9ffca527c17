//! The monotonic clock in nanoseconds, the same for every process of the machine, and a timer as fine as the kernel's.

use std::io;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000_000_000;

/// `CLOCK_MONOTONIC`: what the mock writes into a frame can be subtracted from what the client reads here.
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * SECOND + now.tv_nsec.unsigned_abs()
}

/// Fires at `first_ns` and every `every_ns` after. The runtime's own timers round up to a millisecond, which an
/// arrival every millisecond cannot bear.
///
/// It is read as a pipe is: a descriptor that becomes readable and yields eight bytes.
pub(crate) struct Ticker(pipe::Receiver);

impl Ticker {
    pub(crate) fn new(first_ns: u64, every_ns: u64) -> io::Result<Self> {
        let fd = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        let setting = Itimerspec { it_interval: timespec(every_ns), it_value: timespec(first_ns) };
        timerfd_settime(&fd, TimerfdTimerFlags::ABSTIME, &setting)?;
        Ok(Self(pipe::Receiver::from_owned_fd_unchecked(fd)?))
    }

    /// How many arrivals have fallen due since the last call; at least one.
    pub(crate) async fn due(&mut self) -> io::Result<u64> {
        let mut count = [0_u8; 8];
        self.0.read_exact(&mut count).await?;
        Ok(u64::from_ne_bytes(count))
    }
}

fn timespec(ns: u64) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(ns / SECOND).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(ns % SECOND).unwrap_or(0),
    }
}
