//! What the tasks beside the deciding one do: read and make a request, send it, wait.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::pacer::Pacer;
use super::{Library, Setup};
use crate::context::{self, Ask, History, Prepared, SOURCE};
use crate::outcome::Outcome;
use crate::recording::{Fault, Recording};
use crate::row::Job;
use crate::schedule::Due;
use crate::{Order, Transport};

/// The kind of the fault of an answer that did not end in time.
pub(super) const DEADLINE: &str = "deadline";

/// A recording, where it could be read, and the request made of it.
pub(super) type Made = (Option<Arc<Recording>>, Result<Prepared, Fault>);

/// What came of one due.
pub(super) struct Sent {
    /// When it was intended: later than the due's instant where a cache was warmed before.
    pub(super) at_us: u64,
    pub(super) warming: Option<Outcome>,
    pub(super) outcome: Outcome,
}

pub(super) fn fault(kind: &str, detail: &str) -> Fault {
    Fault { source: SOURCE.to_owned(), kind: kind.to_owned(), detail: Some(detail.to_owned()) }
}

/// Reads the recording, unless it is there, and makes the request of a due.
pub(super) async fn ready(
    setup: &Setup,
    library: &impl Library,
    due: Due,
    known: Option<Arc<Recording>>,
    history: Option<History>,
) -> Made {
    let recording = match known {
        Some(recording) => recording,
        None => match timeout(setup.limits.deadline, library.load(due.job.pair)).await {
            Ok(Ok(recording)) => recording,
            Ok(Err(fault)) => return (None, Err(fault)),
            Err(_) => {
                return (None, Err(fault("not_recorded", "reading the recording did not end")));
            }
        },
    };
    let Some(target) = setup.targets.get(usize::from(due.target)) else {
        return (None, Err(fault("no_target", "there is no target of this number")));
    };
    let Job { pair, repeat, .. } = due.job;
    let marker = format!("{}-{pair}-{}-{repeat}", setup.marker, due.target);
    let made = context::prepare(Ask {
        recording: &recording,
        target,
        cache: setup.cache,
        length: setup.length,
        marker: &marker,
        history: history.as_ref(),
    });
    (Some(recording), made)
}

/// Sends, where asked once before to warm the cache; then the request is intended as soon as that has ended.
pub(super) async fn send<T: Transport>(
    transport: &T,
    mut order: Order,
    zero: Instant,
    deadline: Duration,
    is_warmed: bool,
) -> Sent {
    let mut warming = None;
    if is_warmed {
        let warm = Order { warmup: true, ..order.clone() };
        warming = Some(send_within(transport, warm, zero, deadline).await);
        order.intended_us = zero.elapsed().as_micros() as u64;
    }
    let at_us = order.intended_us;
    let outcome = send_within(transport, order, zero, deadline).await;
    Sent { at_us, warming, outcome }
}

/// Sends, and gives up after the deadline.
async fn send_within<T: Transport>(
    transport: &T,
    order: Order,
    zero: Instant,
    deadline: Duration,
) -> Outcome {
    let sent_us = zero.elapsed().as_micros() as u64;
    let intended_us = order.intended_us;
    match timeout(deadline, transport.send(order)).await {
        Ok(outcome) => outcome,
        Err(_) => Outcome {
            error: Some(fault(
                DEADLINE,
                &format!("no end of an answer within the limit of {} s", deadline.as_secs()),
            )),
            intended_us,
            sent_us,
            ended_us: zero.elapsed().as_micros() as u64,
            ..Outcome::default()
        },
    }
}

/// Ends when a stop is asked for, and never where nobody can ask any more.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|is_stopped| *is_stopped).await.is_err() {
        std::future::pending::<()>().await;
    }
}

pub(super) async fn sleep_to(pacer: &mut Pacer, at: Option<Instant>) {
    if let Some(at) = at {
        pacer.until(at).await;
    }
}

pub(super) async fn sleep_coarse(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}
