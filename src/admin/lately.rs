//! The last windows that were asked for, held between two questions: a screen asks every second, and of a busy gateway
//! that would be the same hundred thousand rows each time. What ended since is read, the rest is remembered.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::admin::read;
use crate::base::clock;
use crate::store::reader::{ReadError, Reader};
use crate::store::recent::Recents;

/// After this long a window is read anew: late usage, new prices and removals show then.
const AGAIN: Duration = Duration::from_mins(1);
/// Limit: windows held. Each takes up to 15 MB, where a hundred thousand exchanges lie in it.
const WINDOWS_MAX: usize = 2;

/// The windows.
#[derive(Default)]
pub struct Lately(Mutex<Vec<Held>>);

struct Held {
    window: Duration,
    read: Instant,
    recents: Recents,
}

impl Lately {
    /// Does `work` with the exchanges of the window that ends now.
    pub fn with<T>(
        &self,
        reader: &Reader,
        window: Duration,
        work: impl FnOnce(&Recents) -> T,
    ) -> Result<T, ReadError> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Also those that nobody asks for any more.
        windows.retain(|held| held.read.elapsed() < AGAIN);
        let now_us = read::now_us();
        let place = windows.iter().position(|held| held.window == window);
        let mut held = if let Some(at) = place {
            let mut held = windows.remove(at);
            reader.catch_up(&mut held.recents, now_us)?;
            held
        } else {
            let window_us = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
            let recents = reader.recents(window_us, now_us)?;
            Held { window, read: clock::now(), recents }
        };
        let done = work(&held.recents);
        held.recents.rows.shrink_to(held.recents.rows.len() + held.recents.rows.len() / 8);
        windows.push(held);
        let over = windows.len().saturating_sub(WINDOWS_MAX);
        windows.drain(..over);
        Ok(done)
    }
}
