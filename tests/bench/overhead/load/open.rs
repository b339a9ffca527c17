//! The open loop: a request falls due every so often, whatever came back. Waiting behind a slow answer is counted,
//! because latency runs from the instant a request was due and not from when it could be sent.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use tokio::task::JoinSet;

use super::Tally;
use super::closed::{Caller, Script};
use crate::clock::{SECOND, Ticker, now_ns};
use crate::wire::{self, Plan, Prompt};

/// Connections at most; past that a due request waits for one, and its waiting counts.
const CONNECTIONS_MAX: usize = 256;
const ANSWER_BYTES: usize = 512;

pub(super) async fn drive(
    address: SocketAddr,
    rate: u64,
    body_bytes: usize,
    until: u64,
) -> Result<Tally> {
    let script = Arc::new(Script {
        address,
        prompt: Prompt::new(&address.to_string(), &Plan::answer(ANSWER_BYTES), body_bytes),
        answer: wire::answer_body(ANSWER_BYTES),
    });
    let mut busy = JoinSet::new();
    let mut idle: Vec<Caller> = Vec::new();
    let start = now_ns();
    let every = SECOND / rate;
    let mut ticker = Ticker::new(start + every, every)?;
    let mut due = start;
    let mut arrivals = 0;
    while due < until {
        if arrivals == 0 {
            arrivals = ticker.due().await?;
        }
        arrivals -= 1;
        due += every;
        while let Some(caller) = busy.try_join_next() {
            idle.push(caller?);
        }
        let mut caller = match idle.pop() {
            Some(caller) => caller,
            None if busy.len() < CONNECTIONS_MAX => Caller::new(script.clone(), busy.len()),
            None => match busy.join_next().await {
                Some(caller) => caller?,
                None => break,
            },
        };
        busy.spawn(async move {
            caller.call(due).await;
            caller
        });
    }
    let mut tally = Tally::default();
    while let Some(caller) = busy.join_next().await {
        idle.push(caller?);
    }
    for caller in idle {
        tally.add(caller.tally);
    }
    tally.wall_ns = now_ns() - start;
    Ok(tally)
}
