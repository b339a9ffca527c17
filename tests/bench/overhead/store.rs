//! What a gateway says of its store: whether it is behind, and what it had to leave out.

use std::net::SocketAddr;
use std::time::Duration;

use crate::http::{Connection, Reply};

/// Between two questions, and how often it is asked before it is measured as it is.
const PAUSE: Duration = Duration::from_millis(50);
const QUESTIONS: u32 = 200;

/// Waits until what was captured is written.
pub(crate) async fn drained(ops: Option<SocketAddr>) {
    let Some(ops) = ops else { return };
    for _ in 0..QUESTIONS {
        match sum(ops, "pinhole_capture_queue_exchanges").await {
            Some(waiting) if waiting > 0.0 => tokio::time::sleep(PAUSE).await,
            _ => return,
        }
    }
}

/// Exchanges that were shed or failed, so far.
pub(crate) async fn shed(ops: Option<SocketAddr>) -> Option<f64> {
    let text = metrics(ops?).await?;
    let shed = ["shed", "failed"].map(|result| format!("result=\"{result}\""));
    Some(values(&text, "pinhole_capture_exchanges_total", |labels| {
        shed.iter().any(|one| labels.contains(one))
    }))
}

async fn sum(ops: SocketAddr, name: &str) -> Option<f64> {
    Some(values(&metrics(ops).await?, name, |_| true))
}

async fn metrics(ops: SocketAddr) -> Option<String> {
    let mut reply = Reply::default();
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {ops}\r\n\r\n");
    Connection::open(ops).await.ok()?.send(request.as_bytes(), &mut reply).await.ok()?;
    String::from_utf8(reply.body).ok()
}

fn values(text: &str, name: &str, wanted: impl Fn(&str) -> bool) -> f64 {
    let lines = text.lines().filter_map(|line| line.strip_prefix(name));
    lines
        .filter(|rest| rest.starts_with(['{', ' ']) && wanted(rest))
        .filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}
