//! Runs that a gateway sends itself, asked for over the operations API: one at a time, each on threads of its own, watched and
//! stopped from outside, its report written at its end however it ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pinhole_replay::engine::Progress;
use pinhole_replay::faces::gate::Gate;
use tokio::sync::watch;

use crate::base::id::ExchangeId;
use crate::proxy::loopback::account;
use crate::proxy::loopback::drive;
use crate::proxy::loopback::run::Ready;
use crate::proxy::state::Shared;
use crate::report::replay::runs::Place;
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

/// Why a run was not begun.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error(
        "the run {0} is being sent, and a gateway sends one at a time; wait for its end, or stop it with DELETE /api/runs/{0}"
    )]
    Busy(ExchangeId),
    #[error("the gateway is draining and begins no run; ask the one that takes its place")]
    Draining,
    #[error("no thread for the run: {0}")]
    Thread(std::io::Error),
}

impl Running {
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

    /// Sends a run, and returns as soon as it is under way.
    pub fn begin(
        &self,
        shared: &Arc<Shared>,
        ready: Ready,
        place: Place,
        gates: Vec<Gate>,
    ) -> Result<Running, HostError> {
        let mut current = self.lock();
        if let Some(running) = &*current {
            return Err(HostError::Busy(running.id));
        }
        if shared.is_draining() {
            return Err(HostError::Draining);
        }
        let (stop, stopped) = watch::channel(false);
        let (tell, progress) = watch::channel(Progress::default());
        let running = Running {
            id: ready.id,
            recordings: ready.source.lines().len() as u64,
            targets: ready.plan.to.clone(),
            progress,
            stop,
        };
        let slot = Slot(Arc::clone(shared));
        let thread = std::thread::Builder::new().name("pinhole-run".to_owned());
        let sending = move || {
            // Given back whatever happens, also when something panics.
            let slot = slot;
            send(&slot.0, &ready, &place, &gates, stopped, &tell);
        };
        // Before the thread, which may be quick.
        *current = Some(running.clone());
        self.gauge.up();
        drop(current);
        match thread.spawn(sending) {
            Ok(_detached) => Ok(running),
            // The slot was given back with the closure.
            Err(error) => Err(HostError::Thread(error)),
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

/// The gateway's one place for a run.
struct Slot(Arc<Shared>);

impl Drop for Slot {
    fn drop(&mut self) {
        let runs = &self.0.runs;
        *runs.lock() = None;
        runs.gauge.down();
    }
}

/// To the end, and then its report.
fn send(
    shared: &Arc<Shared>,
    ready: &Ready,
    place: &Place,
    gates: &[Gate],
    stop: watch::Receiver<bool>,
    progress: &watch::Sender<Progress>,
) {
    let run = ready.id;
    tracing::info!(%run, recordings = ready.source.lines().len(), targets = ?ready.plan.to, "a run of replays begins");
    let ended = match drive::go(shared, ready, place, stop, progress) {
        Ok(finish) => finish.ended.name(),
        Err(error) => {
            tracing::error!(%run, %error, "the run broke off");
            "broken"
        }
    };
    // Also of a run that broke off: what its journal has is what there is.
    match account::settle(ready, place, gates) {
        Ok(_kept) => tracing::info!(%run, ended, "the run has ended, its report is kept"),
        Err(error) => tracing::error!(%run, ended, %error, "the run has no report"),
    }
}
