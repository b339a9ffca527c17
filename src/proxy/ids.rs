//! Which provider handed out an id: a stored response, a file or a batch is fetched where it was made.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use memchr::memmem;

use crate::base::coding;
use crate::exchange::Exchange;
use crate::neutral::kind::{Dialect, Operation};

/// Limit: ids remembered; the oldest are forgotten first.
const IDS_MAX: usize = 65_536;
/// Limits on what is taken for an id.
const ID_BYTES_MIN: usize = 6;
const ID_BYTES_MAX: usize = 128;
/// Limit: how far into an answer an id is looked for.
const HEAD_MAX: usize = 2 * 1024;
/// Limit: how far into a compressed answer an id is looked for.
const DECODED_MAX: usize = 4 * 1024;

/// The ids seen so far, each with its provider.
#[derive(Default)]
pub struct Ids(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    provider_of: HashMap<String, Arc<str>>,
    /// In order of arrival; emptied from the front.
    order: VecDeque<String>,
}

impl Ids {
    /// Whether answers of this kind hand out ids to come back for.
    pub fn concern(dialect: Dialect, operation: Operation) -> bool {
        operation == Operation::Opaque
            || (dialect == Dialect::OpenAiResponses && operation == Operation::Chat)
    }

    /// Remembers the id that a complete answer begins with. `coding` is its `content-encoding`: SDKs ask for one.
    pub fn learn(&self, exchange: &Exchange, coding: Option<&HeaderValue>) {
        let Some(attempt) = exchange.last_attempt() else {
            return;
        };
        let coding = coding.and_then(|coding| coding.to_str().ok());
        let head = attempt.frames.beginning(HEAD_MAX);
        let head = match coding {
            Some(coding) => coding::beginning(coding, &head, DECODED_MAX),
            None => head,
        };
        let Some(id) = first_id(&head) else {
            return;
        };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.provider_of.insert(id.to_owned(), Arc::clone(&attempt.provider)).is_none() {
            seen.order.push_back(id.to_owned());
        }
        while seen.order.len() > IDS_MAX {
            if let Some(oldest) = seen.order.pop_front() {
                seen.provider_of.remove(&oldest);
            }
        }
    }

    /// The provider of the first segment of `path` that is a known id.
    pub fn provider_of(&self, path: &str) -> Option<Arc<str>> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        path.split('/').find_map(|segment| seen.provider_of.get(segment).cloned())
    }
}

/// The value of the first `"id"` in an answer's first bytes, if it looks like one.
fn first_id(head: &[u8]) -> Option<&str> {
    let at = memmem::find(head, br#""id""#)?;
    let after = head.get(at + 4..)?.trim_ascii_start().strip_prefix(b":")?;
    let text = after.trim_ascii_start().strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', text)?;
    let id = text.get(..end)?;
    let plausible = (ID_BYTES_MIN..=ID_BYTES_MAX).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    plausible.then(|| std::str::from_utf8(id).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_answers_and_streams() {
        assert_eq!(first_id(br#"{"id": "resp_abc123", "object":"response"}"#), Some("resp_abc123"));
        assert_eq!(
            first_id(b"event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1a2b\"}}\n\n"),
            Some("resp_1a2b")
        );
        assert_eq!(first_id(br#"{"object":"file","id":"file-XYZ9876"}"#), Some("file-XYZ9876"));
        for none in [
            &br#"{"id":1}"#[..],
            br#"{"id":"a b c d e"}"#,
            br#"{"id":"abc"}"#,
            br#"{"id":"unfin"#,
            b"",
        ] {
            assert_eq!(first_id(none), None);
        }
    }
}
