//! Streams: how long each frame is on its way, and how many a gateway carries.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;

use super::Tally;
use crate::clock::now_ns;
use crate::http::{Connection, Reply};
use crate::wire::{self, Frame, Plan};

/// The least body a prompt is sent with here: streams are about frames, not about prompts.
const BODY_BYTES: usize = 2048;
/// Kept answers of one load, over all streams; past it no new stream is started.
const KEPT_BYTES_MAX: usize = 1 << 30;

pub(super) async fn drive(
    address: SocketAddr,
    streams: usize,
    plan: Plan,
    until: u64,
) -> Result<Tally> {
    let request: Arc<[u8]> = wire::request(&address.to_string(), &plan, BODY_BYTES).into();
    // Spread over a stream's length, so that starts are even, and over one gap, so that no two frames fall due together.
    let spread_us = plan.gap_us * (plan.frames as u64 + 1);
    let start = now_ns();
    let mut callers = JoinSet::new();
    for number in 0..streams {
        let wait = Duration::from_micros(spread_us * number as u64 / streams as u64);
        let kept_bytes_max = KEPT_BYTES_MAX / streams;
        let request = request.clone();
        callers.spawn(async move {
            tokio::time::sleep(wait).await;
            let mut kept = Vec::new();
            let mut kept_bytes = 0;
            let mut connection = None;
            while now_ns() < until && kept_bytes < kept_bytes_max {
                let mut reply = Reply::default();
                let outcome = exchange(&mut connection, address, &request, &mut reply).await;
                if outcome.is_err() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                kept_bytes += reply.body.len();
                kept.push(outcome.map(|()| reply));
            }
            kept
        });
    }
    let mut kept = Vec::new();
    while let Some(part) = callers.join_next().await {
        kept.append(&mut part?);
    }
    let wall_ns = now_ns() - start;
    let mut tally = judge(kept, plan.frames);
    tally.wall_ns = wall_ns;
    Ok(tally)
}

async fn exchange(
    connection: &mut Option<Connection>,
    address: SocketAddr,
    request: &[u8],
    reply: &mut Reply,
) -> Result<()> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(address).await?,
    };
    open.send(request, reply).await?;
    *connection = reply.reusable().then_some(open);
    Ok(())
}

/// After the run: every stream is compared with what the mock sent, and every frame's delay taken.
fn judge(kept: Vec<Result<Reply>>, frames: usize) -> Tally {
    let frame = Frame::new();
    let mut tally = Tally::default();
    for outcome in kept {
        let reply = match outcome {
            Ok(reply) if reply.status == 200 => reply,
            Ok(reply) => {
                tally.fail(|| format!("status {}", reply.status));
                continue;
            }
            Err(error) => {
                tally.fail(|| format!("{error:#}"));
                continue;
            }
        };
        tally.latencies_ns.push(reply.done_ns - reply.sent_ns);
        match wire::check_stream(&reply.body, &frame, frames) {
            Ok(stamps) => time_frames(&mut tally, &reply, &stamps, frame.len()),
            Err(error) => {
                tally.altered += 1;
                tally.fault.get_or_insert_with(|| format!("{error:#}"));
            }
        }
    }
    tally
}

/// A frame has arrived when the read that completed it returned.
fn time_frames(tally: &mut Tally, reply: &Reply, stamps: &[u64], frame_bytes: usize) {
    let mut reads = reply.reads.iter().peekable();
    for (number, stamp) in stamps.iter().enumerate() {
        let end = (number + 1) * frame_bytes;
        while reads.next_if(|(length, _)| *length < end).is_some() {}
        let Some((_, arrived)) = reads.peek() else {
            break;
        };
        if number == 0 {
            tally.first_ns.push(arrived.saturating_sub(reply.sent_ns));
        }
        tally.delays_ns.push(arrived.saturating_sub(*stamp));
    }
}
