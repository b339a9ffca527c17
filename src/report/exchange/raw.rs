//! The exact bytes of one leg: which they are, and in words why they are not there.

use std::borrow::Cow;

use crate::report::exchange::{body, curl};
use crate::report::words;
use crate::store::stored::{Body, Stored, Whole};

/// Whose bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    Request,
    Response,
    /// Of an attempt, from 0; absent: the last.
    UpstreamRequest(Option<usize>),
    UpstreamResponse(Option<usize>),
}

/// What is written, and what has to be known of it.
#[derive(Debug)]
pub struct Raw<'a> {
    pub bytes: Cow<'a, [u8]>,
    pub notes: Vec<String>,
}

/// The bytes; `Err` says why there are none.
pub fn bytes(stored: &Stored, leg: Leg, decoded: bool) -> Result<Raw<'_>, String> {
    let whole = whole(stored, leg)?;
    let mut notes = Vec::new();
    if whole.redacted {
        notes.push("placeholders stand where secrets were: these are not the bytes of the wire");
    }
    let bytes = if decoded { body::clear(whole) } else { Cow::Borrowed(whole.bytes.as_slice()) };
    let mut notes: Vec<String> = notes.into_iter().map(str::to_owned).collect();
    if whole.cut_bytes > 0 {
        let more = words::bytes(whole.cut_bytes);
        notes.push(format!(
            "{more} more followed that were not kept: of a body the first 64 MiB are"
        ));
    }
    Ok(Raw { bytes, notes })
}

fn whole(stored: &Stored, leg: Leg) -> Result<&Whole, String> {
    let last = stored.attempts.len().checked_sub(1);
    let attempt = |n: Option<usize>| {
        let n = n.or(last).ok_or_else(|| "nothing was sent to a provider".to_owned())?;
        let attempt = stored.attempts.get(n).ok_or_else(|| curl::no_attempt(stored, n))?;
        Ok::<_, String>((n, attempt))
    };
    let (found, kept, what) = match leg {
        Leg::Request => (stored.client_request(), &stored.request.body, "the client's request"),
        Leg::Response => (stored.client_response(), &stored.response.body, "the client's answer"),
        Leg::UpstreamRequest(n) => {
            let (n, attempt) = attempt(n)?;
            let kept = match &attempt.request.body {
                Body::Same => &stored.request.body,
                own => own,
            };
            (stored.upstream_request(n), kept, "what went to the provider")
        }
        Leg::UpstreamResponse(n) => {
            let (n, attempt) = attempt(n)?;
            (stored.upstream_response(n), &attempt.response.body, "the provider's answer")
        }
    };
    found.ok_or_else(|| {
        let why = match kept {
            Body::Absent(why) => words::absent(*why, &stored.row.capture_level),
            Body::Same => last
                .and_then(|last| stored.attempts.get(last))
                .and_then(|last| match &last.response.body {
                    Body::Absent(why) => Some(words::absent(*why, &stored.row.capture_level)),
                    Body::Same | Body::Whole(_) => None,
                })
                .unwrap_or_else(|| "not there".to_owned()),
            Body::Whole(_) => "not there".to_owned(),
        };
        format!("{what} is {why}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::exchange::fixture;

    #[test]
    fn bytes_are_those_of_the_leg() {
        let stored = fixture::left();
        let request = bytes(&stored, Leg::Request, false).unwrap();
        assert_eq!(request.bytes, fixture::golden("anthropic_messages/requests/claude_code.json"));
        let upstream = bytes(&stored, Leg::UpstreamRequest(None), false).unwrap();
        assert_eq!(upstream.bytes, request.bytes);
        let coded = bytes(&stored, Leg::Response, false).unwrap();
        assert!(coded.bytes.starts_with(b"\x1f\x8b") && coded.notes.is_empty());
        assert_eq!(
            bytes(&stored, Leg::UpstreamResponse(Some(0)), false).unwrap().bytes,
            coded.bytes
        );
        let clear = bytes(&stored, Leg::Response, true).unwrap();
        let stream = fixture::golden("anthropic_messages/streams/thinking_tool.sse");
        assert!(stream.starts_with(&clear.bytes) && clear.bytes.len() > 1_000);
    }

    #[test]
    fn what_is_not_there_says_why() {
        let why = |stored: &Stored, leg| bytes(stored, leg, false).unwrap_err();
        let rejected = fixture::rejected();
        let told = why(&rejected, Leg::Request);
        assert!(
            told.contains("the client's request is not kept") && told.contains("--capture full")
        );
        assert_eq!(why(&rejected, Leg::UpstreamRequest(None)), "nothing was sent to a provider");
        let retried = fixture::retried();
        let told = why(&retried, Leg::UpstreamResponse(Some(4)));
        assert_eq!(told, "there is no attempt 5; the exchange has 2");
        let failed = fixture::failed();
        assert!(why(&failed, Leg::UpstreamRequest(None)).contains("no memory"), "of the client's");
        let placeholders = bytes(&retried, Leg::UpstreamRequest(None), false).unwrap();
        assert!(placeholders.notes[0].contains("placeholders"), "{:?}", placeholders.notes);
    }
}
