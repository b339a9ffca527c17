//! Which run of replays a gateway is sending itself: watched and stopped from outside. Who sends it stands in
//! [`crate::proxy::loopback::hosted`].

use std::sync::{Mutex, MutexGuard, PoisonError};

use pinhole_replay::engine::Progress;
use tokio::sync::watch;

use crate::base::id::ExchangeId;
use crate::telemetry::instruments::Gauge;

/// The runs of one gateway. Limit: one at a time; two would be in each other's times.
pub struct Runs {
    current: Mutex<Option<Running>>,
    gauge: Gauge,
}

/// A run that is being sent.
#[derive(Debug, Clone)]
pub struct Running {
    pub id: ExchangeId,
    pub recordings: u64,
    pub targets: Vec<String>,
    progress: watch::Receiver<Progress>,
    stop: watch::Sender<bool>,
}

/// What the thread of a run holds: where it tells of itself, and where it hears that it is to end.
pub struct Reins {
    pub tell: watch::Sender<Progress>,
    pub stopped: watch::Receiver<bool>,
}

impl Running {
    pub fn new(id: ExchangeId, recordings: u64, targets: Vec<String>) -> (Self, Reins) {
        let (stop, stopped) = watch::channel(false);
        let (tell, progress) = watch::channel(Progress::default());
        (Self { id, recordings, targets, progress, stop }, Reins { tell, stopped })
    }

    pub fn progress(&self) -> Progress {
        *self.progress.borrow()
    }

    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }
}

impl Runs {
    pub fn new(gauge: Gauge) -> Self {
        Self { current: Mutex::new(None), gauge }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run that is being sent.
    pub fn current(&self) -> Option<Running> {
        self.lock().clone()
    }

    /// Takes the one place; the run that has it, where it is taken.
    pub fn take(&self, running: Running) -> Result<(), ExchangeId> {
        let mut current = self.lock();
        if let Some(before) = &*current {
            return Err(before.id);
        }
        *current = Some(running);
        self.gauge.up();
        Ok(())
    }

    /// Gives the place back.
    pub fn give_back(&self) {
        if self.lock().take().is_some() {
            self.gauge.down();
        }
    }

    /// Asks the run to end with what it has. False: there is no such run.
    pub fn stop(&self, id: ExchangeId) -> bool {
        let current = self.lock();
        let running = current.as_ref().filter(|running| running.id == id);
        running.is_some_and(|running| {
            running.stop.send_replace(true);
            true
        })
    }

    /// Asks whatever run there is to end.
    pub fn stop_all(&self) {
        if let Some(running) = &*self.lock() {
            running.stop.send_replace(true);
        }
    }

    pub fn is_idle(&self) -> bool {
        self.lock().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_place_and_whoever_has_it_hears_that_it_is_to_end() {
        let runs = Runs::new(Gauge::default());
        let id = ExchangeId::new;
        let (running, reins) = Running::new(id(1), 5, vec!["p/a".to_owned()]);
        runs.take(running).unwrap();
        let (other, _) = Running::new(id(2), 5, Vec::new());
        assert_eq!(runs.take(other), Err(runs.current().unwrap().id));
        assert!(!runs.stop(id(2)), "there is no such run");
        assert!(!*reins.stopped.borrow());
        reins.tell.send_replace(Progress { done: 3, ..Progress::default() });
        assert_eq!(runs.current().unwrap().progress().done, 3);
        assert!(runs.stop(runs.current().unwrap().id));
        assert!(*reins.stopped.borrow() && runs.current().unwrap().is_stopping());
        runs.give_back();
        assert!(runs.is_idle());
        runs.give_back();
    }
}
