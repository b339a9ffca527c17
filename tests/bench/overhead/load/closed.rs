//! Closed loops: each connection sends its next request when the last was answered. Shows capacity, not waiting.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinSet;

use super::Tally;
use crate::clock::now_ns;
use crate::http::{Connection, Reply};
use crate::wire::{self, Plan, Prompt};

/// After a failure, so that a dead gateway is not hammered.
const PAUSE: Duration = Duration::from_millis(2);

pub(super) async fn drive(
    address: SocketAddr,
    connections: usize,
    plan: Plan,
    body_bytes: usize,
    until: u64,
) -> Result<Tally> {
    let script = Arc::new(Script {
        address,
        prompt: Prompt::new(&address.to_string(), &plan, body_bytes),
        answer: wire::answer_body(plan.answer_bytes),
    });
    let mut callers = JoinSet::new();
    for number in 0..connections {
        let mut caller = Caller::new(script.clone(), number);
        callers.spawn(async move {
            while now_ns() < until {
                if !caller.call(now_ns()).await {
                    tokio::time::sleep(PAUSE).await;
                }
            }
            caller.tally
        });
    }
    let mut tally = Tally::default();
    while let Some(part) = callers.join_next().await {
        tally.add(part?);
    }
    Ok(tally)
}

/// What every caller of a load sends and expects.
pub(super) struct Script {
    pub(super) address: SocketAddr,
    pub(super) prompt: Prompt,
    pub(super) answer: Vec<u8>,
}

/// One connection and what came of its requests.
pub(super) struct Caller {
    script: Arc<Script>,
    prompt: Prompt,
    connection: Option<Connection>,
    reply: Reply,
    pub(super) tally: Tally,
}

impl Caller {
    pub(super) fn new(script: Arc<Script>, number: usize) -> Self {
        let prompt = script.prompt.seeded(now_ns() ^ number as u64);
        let (reply, tally) = (Reply::default(), Tally::default());
        Self { script, prompt, connection: None, reply, tally }
    }

    /// Sends one request that was due at `due`; whether it was answered well.
    pub(super) async fn call(&mut self, due: u64) -> bool {
        if let Err(error) = self.exchange().await {
            self.connection = None;
            self.tally.fail(|| format!("{error:#}"));
            return false;
        }
        if !self.reply.reusable() {
            self.connection = None;
        }
        if self.reply.status != 200 {
            let reply = &self.reply;
            self.tally.fail(|| {
                let text = String::from_utf8_lossy(&reply.body);
                format!("status {}: {}", reply.status, text.trim())
            });
            return false;
        }
        // Half a kilobyte compares in nanoseconds; keeping a million answers for later would cost more.
        self.tally.altered += u64::from(self.reply.body != self.script.answer);
        self.tally.latencies_ns.push(self.reply.done_ns - due);
        true
    }

    async fn exchange(&mut self) -> Result<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(Connection::open(self.script.address).await?),
        };
        self.prompt.refresh();
        connection.send(&self.prompt.bytes, &mut self.reply).await
    }
}
