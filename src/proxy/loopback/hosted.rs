//! Runs that a gateway sends itself, asked for over the operations API: one at a time, each on threads of its own, its report
//! written at its end however it ends.

use std::sync::Arc;

use pinhole_replay::faces::gate::Gate;
use pinhole_replay::plan::{Plan, PlanError};
use serde_json::{Map, Value};

use crate::base::id::ExchangeId;
use crate::proxy::loopback::run::{self, Ready, Unready};
use crate::proxy::loopback::{account, drive};
use crate::proxy::runs::{Reins, Running};
use crate::proxy::state::Shared;
use crate::report::replay::runs::Place;
use crate::report::replay::source::Source;

/// A plan that was asked for, with its conditions read.
#[derive(Debug)]
pub struct Wanted {
    plan: Plan,
    gates: Vec<Gate>,
}

/// Why a plan that was asked for is none.
#[derive(Debug, thiserror::Error)]
pub enum WantedError {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("fail_if: {0}")]
    Gate(#[from] pinhole_replay::faces::gate::Error),
    #[error(
        "`report` names files, and the operations API writes none; GET /api/runs/{{run_id}} gives the report"
    )]
    Report,
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

impl Wanted {
    /// Reads a plan from JSON, whose members are the keys of a plan's file.
    pub fn read(plan: Map<String, Value>) -> Result<Self, WantedError> {
        let plan = Plan::of_json(plan)?;
        if !plan.report.is_empty() {
            return Err(WantedError::Report);
        }
        plan.check()?;
        let gates = Gate::of_plan(&plan)?;
        Ok(Self { plan, gates })
    }

    /// What is to be sent: a query, whatever it looks like.
    pub fn from(&self) -> &str {
        &self.plan.from
    }

    /// The most recordings that are to be sent.
    pub fn limit(&self) -> usize {
        let limit = self.plan.limit.and_then(|limit| usize::try_from(limit).ok());
        limit.unwrap_or(usize::MAX)
    }

    /// Finds out what it comes to, and sends nothing.
    pub fn ready(self, shared: &Shared, source: Source) -> Result<Hosted, Unready> {
        Ok(Hosted { ready: run::ready(shared, self.plan, source)?, gates: self.gates })
    }
}

/// A run that can be begun.
pub struct Hosted {
    pub ready: Ready,
    gates: Vec<Gate>,
}

impl Hosted {
    /// Sends it, and returns as soon as it is under way.
    pub fn begin(self, shared: &Arc<Shared>, place: Place) -> Result<(), HostError> {
        if shared.is_draining() {
            return Err(HostError::Draining);
        }
        let ready = &self.ready;
        let recordings = ready.source.lines().len() as u64;
        let (running, reins) = Running::new(ready.id, recordings, ready.plan.to.clone());
        shared.runs.take(running).map_err(HostError::Busy)?;
        let slot = Slot(Arc::clone(shared));
        // A drain that began meanwhile found no run that it could have ended.
        if shared.is_draining() {
            return Err(HostError::Draining);
        }
        let thread = std::thread::Builder::new().name("pinhole-run".to_owned());
        // The place is given back whatever happens: also when the thread cannot be had, or panics.
        let sent = thread.spawn(move || {
            let slot = slot;
            self.send(&slot.0, &place, reins);
        });
        sent.map(drop).map_err(HostError::Thread)
    }

    /// To the end, and then its report.
    fn send(&self, shared: &Arc<Shared>, place: &Place, reins: Reins) {
        let ready = &self.ready;
        let run = ready.id;
        let recordings = ready.source.lines().len();
        tracing::info!(%run, recordings, targets = ?ready.plan.to, "a run of replays begins");
        let ended = match drive::go(shared, ready, place, reins.stopped, &reins.tell) {
            Ok(finish) => finish.ended.name(),
            Err(error) => {
                tracing::error!(%run, %error, "the run broke off");
                "broken"
            }
        };
        // Also of a run that broke off: what its journal has is what there is.
        match account::settle(ready, place, &self.gates) {
            Ok(_kept) => tracing::info!(%run, ended, "the run has ended, its report is kept"),
            Err(error) => tracing::error!(%run, ended, %error, "the run has no report"),
        }
    }
}

/// The gateway's one place for a run, taken.
struct Slot(Arc<Shared>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.runs.give_back();
    }
}
