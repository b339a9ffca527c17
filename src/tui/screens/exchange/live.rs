//! An exchange that runs still: what has come of it so far, and the same as if it were stored, so that one view shows both.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;

use crate::store::capture::Absent;
use crate::store::stored::{Attempt, Body, Leg, Listed, Stored, Whole};

/// As `GET /api/live/{id}` tells it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    pub id: String,
    pub started_at_us: i64,
    pub age_us: i64,
    pub phase: String,
    pub dialect: String,
    pub operation: String,
    pub method: String,
    pub path: String,
    pub stream: bool,
    pub model_requested: Option<String>,
    pub provider: Option<String>,
    pub model: Option<String>,
    pub attempts: i64,
    pub sent_us: Option<i64>,
    pub agent: String,
    pub session_id: Option<String>,
    pub key_label: Option<String>,
    pub client_addr: Option<String>,
    pub trace_id: Option<String>,
    pub response_bytes: i64,
    pub frames: u64,
    pub quiet_us: Option<i64>,
    pub response: Option<Piece>,
}

/// What has come since the last time.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Piece {
    pub attempt: u32,
    pub status: Option<u16>,
    pub coding: Option<String>,
    /// Which piece of the answer the first of `frames` is.
    pub from: usize,
    pub frames: Vec<(u64, u32)>,
    pub text: Option<String>,
    pub base64: Option<String>,
    pub cut_bytes: u64,
    /// Why there are no bytes.
    pub withheld: Option<String>,
}

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Live {
    told: Told,
    attempt: u32,
    frames: Vec<(u64, u32)>,
    bytes: Vec<u8>,
    cut_bytes: u64,
    withheld: Option<String>,
    /// When it was told last, in milliseconds since the start.
    at_ms: u64,
}

impl Live {
    /// Takes an answer in; false: nothing new came.
    pub(super) fn absorb(&mut self, answer: Value, now_ms: u64) -> Result<bool, String> {
        let mut told: Told = serde_json::from_value(answer)
            .map_err(|error| format!("the gateway's answer cannot be read: {error}"))?;
        let piece = told.response.take().unwrap_or_default();
        let is_new = self.told.phase != told.phase
            || self.told.attempts != told.attempts
            || !piece.frames.is_empty();
        self.at_ms = now_ms;
        self.told = told;
        if piece.attempt != self.attempt || piece.from == 0 {
            self.attempt = piece.attempt;
            self.frames.clear();
            self.bytes.clear();
        }
        if piece.from == self.frames.len() {
            // Pieces that the table has no row for come again with every answer.
            let known: u64 = self.frames.iter().map(|(_, length)| u64::from(*length)).sum();
            self.bytes.truncate(usize::try_from(known).unwrap_or(usize::MAX));
            self.frames.extend(&piece.frames);
            if let Some(text) = &piece.text {
                self.bytes.extend_from_slice(text.as_bytes());
            } else if let Some(base64) = &piece.base64 {
                self.bytes.extend(BASE64_STANDARD.decode(base64).unwrap_or_default());
            }
        }
        self.told.response =
            Some(Piece { status: piece.status, coding: piece.coding, ..Piece::default() });
        self.cut_bytes = piece.cut_bytes;
        self.withheld = piece.withheld;
        Ok(is_new)
    }

    /// The path that asks for what is not known yet.
    pub(super) fn path(id: &str, live: Option<&Self>) -> String {
        match live {
            Some(live) => {
                format!("live/{id}?attempt={}&after={}", live.attempt, live.frames.len())
            }
            None => format!("live/{id}"),
        }
    }

    pub(super) fn phase(&self) -> &str {
        &self.told.phase
    }

    /// Why nothing of the answer can be shown, as long as that is so.
    pub(super) fn nothing(&self) -> &str {
        match &self.withheld {
            Some(why) => why,
            None if self.told.frames > 0 => {
                "pieces of the answer have come; what they say is shown when the next one comes"
            }
            None => "nothing of an answer has come yet",
        }
    }

    pub(super) fn frames(&self) -> u64 {
        self.told.frames
    }

    /// How long it has run, and how long nothing has come, now.
    pub(super) fn ages_us(&self, now_ms: u64) -> (i64, Option<i64>) {
        let since = i64::try_from(now_ms.saturating_sub(self.at_ms) * 1_000).unwrap_or(0);
        (self.told.age_us + since, self.told.quiet_us.map(|quiet| quiet + since))
    }

    /// As if it were stored.
    pub(super) fn stored(&self, now_ms: u64) -> Stored {
        let told = &self.told;
        let piece = told.response.clone().unwrap_or_default();
        let (age_us, _) = self.ages_us(now_ms);
        let row = Listed {
            id: told.id.clone(),
            started_at_us: told.started_at_us,
            session_id: told.session_id.clone(),
            dialect: told.dialect.clone(),
            operation: told.operation.clone(),
            provider: told.provider.clone(),
            model_requested: told.model_requested.clone(),
            model: told.model.clone(),
            status: piece.status,
            stream: told.stream,
            duration_us: age_us,
            response_bytes: told.response_bytes,
            attempts: told.attempts,
            agent: told.agent.clone(),
            path: told.path.clone(),
            client_addr: told.client_addr.clone(),
            key_label: told.key_label.clone(),
            trace_id: told.trace_id.clone(),
            method: told.method.clone(),
            capture_level: "full".to_owned(),
            ..Listed::default()
        };
        let body = if self.bytes.is_empty() {
            Body::Absent(Absent::Nothing)
        } else {
            Body::Whole(Whole {
                bytes: self.bytes.clone(),
                coding: piece.coding,
                cut_bytes: self.cut_bytes,
                ..Whole::default()
            })
        };
        let attempt = Attempt {
            provider: told.provider.clone().unwrap_or_default(),
            model: told.model.clone(),
            status: piece.status,
            sent_us: told.sent_us.unwrap_or(0),
            head_us: self.frames.first().and_then(|(at, _)| i64::try_from(*at).ok()),
            bytes: told.response_bytes,
            response: Leg { body, ..Leg::default() },
            frames: self.frames.clone(),
            ..Attempt::default()
        };
        Stored {
            row,
            attempts: if told.attempts > 0 { vec![attempt] } else { Vec::new() },
            response: Leg { body: Body::Same, ..Leg::default() },
            ..Stored::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pieces_are_put_together_and_begun_anew_with_another_attempt() {
        let mut live = Live::default();
        let told = |attempt: u32, from: usize, text: &str| {
            json!({"id": "ID", "phase": "answering", "attempts": attempt, "age_us": 5_000,
                   "response": {"attempt": attempt, "from": from, "frames": [[100, text.len()]],
                                "text": text, "status": 200}})
        };
        assert_eq!(Live::path("ID", None), "live/ID");
        assert!(live.absorb(told(1, 0, "data: a\n\n"), 10).unwrap());
        assert_eq!(Live::path("ID", Some(&live)), "live/ID?attempt=1&after=1");
        assert!(live.absorb(told(1, 1, "data: b\n\n"), 20).unwrap());
        let stored = live.stored(30);
        assert_eq!(stored.client_response().unwrap().bytes, b"data: a\n\ndata: b\n\n");
        assert_eq!((stored.row.duration_us, stored.attempts[0].frames.len()), (15_000, 2));
        assert!(live.absorb(told(2, 0, "x"), 40).unwrap());
        assert_eq!(live.stored(40).client_response().unwrap().bytes, b"x");
        let quiet = json!({"id": "ID", "phase": "answering", "attempts": 2, "quiet_us": 7,
                           "response": {"attempt": 2, "from": 1}});
        assert!(!live.absorb(quiet, 50).unwrap());
        assert_eq!(live.ages_us(51).1, Some(1_007));
        assert!(live.absorb(json!("x"), 60).is_err());
    }
}
