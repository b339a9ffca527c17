//! What was captured as the outcome it was: the column that targets are compared with, read by the same rules as theirs.

use bytes::Bytes;
use http::StatusCode;
use pinhole_replay::outcome::Outcome;
use pinhole_replay::recording::{Attempt, Fault, Recording};

use crate::base::coding;
use crate::proxy::loopback::hearing::Hearing;

/// Limit: bytes of a recorded answer once it is decoded.
const DECODED_MAX: usize = 64 << 20;

/// The recorded outcome. Times count from the arrival of the recorded request; `None`: nothing was recorded of an answer.
pub fn outcome(recording: &Recording) -> Option<Outcome> {
    heard(recording).map(|(outcome, _)| outcome)
}

/// Whether what was recorded is a good answer that says nothing.
pub(super) fn says_nothing(recording: &Recording) -> bool {
    heard(recording).is_some_and(|(outcome, is_empty)| outcome.is_good() && is_empty)
}

/// The outcome, and whether it came to its end and says nothing.
fn heard(recording: &Recording) -> Option<(Outcome, bool)> {
    let mut outcome = Outcome {
        id: Some(recording.id.clone()).filter(|id| !id.is_empty()),
        status: recording.status,
        ended_us: count(recording.duration_us),
        ..Outcome::default()
    };
    let Some(attempt) = recording.attempts.last() else {
        outcome.error = Some(fault(recording)?);
        return Some((outcome, false));
    };
    let whole = recording.upstream_response(recording.attempts.len() - 1)?;
    outcome.head_us = attempt.head_us.map(count);
    let mut hearing = Hearing::new(recording, is_stream(attempt, &whole.bytes));
    match &whole.coding {
        None => pieces(attempt, &whole.bytes, outcome.ended_us, &mut hearing),
        Some(coding) => {
            let bytes = Bytes::from(whole.bytes.clone());
            let decoded = coding::decode(coding, &bytes, DECODED_MAX).ok()?;
            hearing.piece(outcome.ended_us, &decoded);
        }
    }
    let status = attempt.status.and_then(|status| StatusCode::from_u16(status).ok());
    let heard = hearing.end(status.unwrap_or_default(), true, None, &mut outcome);
    outcome.cost_nanousd = recording.cost_nanousd;
    outcome.usage = recording.usage.clone().or(outcome.usage);
    outcome.error = fault(recording).or(heard.fault);
    Some((outcome, heard.is_empty))
}

/// The answer as it came, piece by piece; what the table does not know came at the end.
fn pieces(attempt: &Attempt, mut bytes: &[u8], ended_us: u64, hearing: &mut Hearing) {
    for (at_us, length) in &attempt.frames {
        let length = (*length as usize).min(bytes.len());
        let (piece, rest) = bytes.split_at(length);
        hearing.piece(*at_us, piece);
        bytes = rest;
    }
    if !bytes.is_empty() {
        hearing.piece(ended_us, bytes);
    }
}

fn is_stream(attempt: &Attempt, bytes: &[u8]) -> bool {
    let mut headers = attempt.response.headers.iter().flatten();
    let kind = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    match kind {
        Some((_, kind)) => kind.starts_with("text/event-stream"),
        None => bytes.starts_with(b"data:") || bytes.starts_with(b"event:"),
    }
}

fn fault(recording: &Recording) -> Option<Fault> {
    if let Some(fault) = &recording.error {
        return Some(fault.clone());
    }
    let good = matches!(recording.outcome.as_str(), "" | "complete");
    let kind = recording.outcome.clone();
    (!good).then(|| Fault { source: "client".to_owned(), kind, detail: None })
}

fn count(us: i64) -> u64 {
    u64::try_from(us).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use pinhole_replay::recording::{Body, Leg};

    use super::*;

    fn recording(body: &str, frames: &[(u64, u32)]) -> Recording {
        let headers = vec![("content-type".to_owned(), "text/event-stream".to_owned())];
        Recording {
            id: "one".to_owned(),
            dialect: "openai_chat".to_owned(),
            operation: "chat".to_owned(),
            duration_us: 900_000,
            status: Some(200),
            outcome: "complete".to_owned(),
            cost_nanousd: Some(7),
            attempts: vec![Attempt {
                status: Some(200),
                response: Leg {
                    headers: Some(headers),
                    body: Body::of(body.as_bytes().to_vec()),
                    ..Leg::default()
                },
                frames: frames.to_vec(),
                ..Attempt::default()
            }],
            ..Recording::default()
        }
    }

    fn event(delta: &str) -> String {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta}}}]}}\n\n")
    }

    #[test]
    fn what_was_captured_is_read_as_what_comes_back() {
        let parts = [
            event("{\"role\":\"assistant\",\"content\":\"\"}"),
            event("{\"content\":\"Two \"}"),
            event("{\"content\":\"trees.\"}"),
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n".to_owned(),
        ];
        let frames: Vec<(u64, u32)> =
            (1..).zip(&parts).map(|(n, part)| (n * 100_000, part.len() as u32)).collect();
        let outcome = outcome(&recording(&parts.concat(), &frames)).unwrap();
        assert!(outcome.is_good() && outcome.streamed, "{outcome:?}");
        let at: Vec<u64> = outcome.contents.iter().map(|one| one.at_us).collect();
        assert_eq!(at, [200_000, 300_000], "the empty content is none");
        assert_eq!(outcome.first_event_us, Some(100_000), "and an event all the same");
        assert_eq!(outcome.answer.text, "Two trees.");
        assert_eq!(outcome.answer.finish.as_deref(), Some("stop"));
        assert_eq!((outcome.ended_us, outcome.cost_nanousd), (900_000, Some(7)));
    }

    #[test]
    fn a_stream_that_broke_off_is_an_error_and_so_is_a_refusal_without_an_attempt() {
        let cut = event("{\"content\":\"Two \"}");
        let outcome_ = outcome(&recording(&cut, &[])).unwrap();
        assert_eq!(outcome_.error.unwrap().kind, "truncated");
        let refused =
            Recording { status: Some(429), outcome: "rejected".to_owned(), ..Recording::default() };
        assert_eq!(outcome(&refused).unwrap().error.unwrap().kind, "rejected");
        assert_eq!(outcome(&Recording::default()), None);
    }
}
