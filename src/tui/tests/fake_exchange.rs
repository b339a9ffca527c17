//! What the made-up gateway answers of a single exchange: its diagnosis, and one that runs.

use serde_json::{Value, json};

use crate::tui::ask::{Result, Trouble};

/// The one that can run.
pub(super) const RUNNING: &str = "01a1f95a-ffff-7fff-8def-0123456789ab";

#[derive(Default)]
pub(super) struct Own {
    /// Pieces of the answer that have come; nothing: it does not run.
    pub(super) pieces: Option<Vec<&'static str>>,
}

impl Own {
    pub(super) fn runs(&self, id: &str) -> bool {
        id == RUNNING && self.pieces.is_some()
    }

    pub(super) fn get(&self, path: &str) -> Option<Result<Value>> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if path.starts_with("exchanges/") && path.ends_with("/diagnosis") {
            let text = "\u{1b}[1;31mThe provider refused the request: too many tokens.\u{1b}[0m\n\n  \
                        context_length · where: provider\n\n\u{1b}[1mWhat to do\u{1b}[0m\n  1. Send less.\n";
            return Some(Ok(json!({ "verdict": "…", "text": text })));
        }
        let id = path.strip_prefix("live/")?;
        if !self.runs(id) {
            let detail = format!("no exchange with the id `{id}` runs");
            return Some(Err(Trouble::Refused { status: 404, detail }));
        }
        let after = query.rsplit("after=").next().and_then(|after| after.parse().ok());
        Some(Ok(self.live(after.unwrap_or(0))))
    }

    fn live(&self, after: usize) -> Value {
        let pieces = self.pieces.clone().unwrap_or_default();
        let new = pieces.get(after..).unwrap_or_default();
        let frames: Vec<(usize, usize)> = new
            .iter()
            .enumerate()
            .map(|(at, piece)| ((after + at + 1) * 400_000, piece.len()))
            .collect();
        json!({
            "id": RUNNING, "started_at_us": super::fake::NOW_US, "age_us": 3_100_000,
            "phase": "answering", "dialect": "openai_chat", "operation": "chat", "method": "POST",
            "path": "/v1/chat/completions", "stream": true, "model_requested": "gpt-5",
            "provider": "openai-eu", "model": "gpt-5-2026-08", "attempts": 1, "sent_us": 900,
            "agent": "codex", "frames": pieces.len(), "quiet_us": 300_000,
            "response_bytes": pieces.concat().len(),
            "response": {
                "attempt": 1, "status": 200, "from": after, "frames": frames,
                "text": new.concat(), "cut_bytes": 0,
            },
        })
    }
}
