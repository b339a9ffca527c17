//! Crowds: thousands of open streams that say nothing, and a thousand long prompts at the same instant.
//! Both ask how much memory a gateway takes, not how fast it is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::http::{Connection, Reply};
use crate::wire::{self, Plan};

/// Streams opened at the same time; more would only queue.
const OPENERS: usize = 64;
const PATIENCE: Duration = Duration::from_mins(1);
/// Long enough that all prompts are under way together.
const HELD_US: u64 = 500_000;
const BODY_BYTES: usize = 1 << 20;
const STREAM_BODY_BYTES: usize = 2048;

/// Streams that got their first frame and wait for a second one that never comes.
pub(crate) struct Idle {
    pub(crate) connections: Vec<Connection>,
    pub(crate) failed: u64,
    pub(crate) fault: Option<String>,
}

pub(crate) async fn idle_streams(address: SocketAddr, count: usize) -> Result<Idle> {
    let plan = Plan { stall: true, ..Plan::stream(2, 0) };
    let request: Arc<[u8]> = wire::request(&address.to_string(), &plan, STREAM_BODY_BYTES).into();
    let mut openers = JoinSet::new();
    for number in 0..OPENERS {
        let request = request.clone();
        let share = count / OPENERS + usize::from(number < count % OPENERS);
        openers.spawn(async move {
            let mut opened = Vec::with_capacity(share);
            for _ in 0..share {
                let one = timeout(PATIENCE, open_stream(address, &request)).await;
                opened.push(one.unwrap_or_else(|late| Err(late.into())));
            }
            opened
        });
    }
    let mut idle = Idle { connections: Vec::with_capacity(count), failed: 0, fault: None };
    while let Some(opened) = openers.join_next().await {
        for one in opened? {
            match one {
                Ok(connection) => idle.connections.push(connection),
                Err(error) => {
                    idle.failed += 1;
                    idle.fault.get_or_insert_with(|| format!("{error:#}"));
                }
            }
        }
    }
    Ok(idle)
}

async fn open_stream(address: SocketAddr, request: &[u8]) -> Result<Connection> {
    let mut connection = Connection::open(address).await?;
    let mut reply = Reply::default();
    connection.send_until_first(request, &mut reply).await?;
    ensure!(
        reply.status == 200,
        "status {}: {}",
        reply.status,
        String::from_utf8_lossy(&reply.body)
    );
    Ok(connection)
}

/// Sends `count` prompts of 1 MiB at the same instant and counts what was answered: a status, or why there is none.
pub(crate) async fn long_prompts(
    address: SocketAddr,
    count: usize,
) -> Result<BTreeMap<String, u64>> {
    let plan = Plan { delay_us: HELD_US, ..Plan::answer(512) };
    let request: Arc<[u8]> = wire::request(&address.to_string(), &plan, BODY_BYTES).into();
    let together = Arc::new(Barrier::new(count));
    let mut callers = JoinSet::new();
    for _ in 0..count {
        let (request, together) = (request.clone(), together.clone());
        callers.spawn(async move {
            let connection = Connection::open(address).await;
            together.wait().await;
            let mut reply = Reply::default();
            let sent = timeout(PATIENCE, async {
                connection?.send_and_listen(&request, &mut reply).await
            });
            match sent.await {
                Ok(Ok(())) => reply.status.to_string(),
                Ok(Err(error)) => format!("{error:#}"),
                Err(_) => "no answer in time".to_owned(),
            }
        });
    }
    let mut outcomes = BTreeMap::new();
    while let Some(outcome) = callers.join_next().await {
        *outcomes.entry(outcome?).or_default() += 1;
    }
    Ok(outcomes)
}
