//! What has to be done to a body as a whole, before it is cut into parts: a coding undone that hides a secret, values
//! that pointers point at, secrets whose characters are spread over the events of a stream.

use super::edits::{apply, documents};
use super::{Redactor, events, pointer};
use crate::base::coding;
use crate::exchange::redact::mark::Kind;

/// Limit: bytes of a body once its coding is undone; what comes after is not looked at.
const DECODED_MAX: usize = 64 * 1024 * 1024;

/// How a body came.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape<'a> {
    /// The coding as the headers name it.
    pub coding: Option<&'a str>,
    /// A stream of events.
    pub events: bool,
}

/// A body that differs from the one on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaned {
    pub bytes: Vec<u8>,
    /// It came in a coding, and these are the bytes in clear.
    pub coding_undone: bool,
}

impl Redactor {
    /// What is stored instead of the body; `None`: the body itself, of which new parts still go through
    /// [`Redactor::clean`].
    pub fn whole(&self, body: &[u8], shape: Shape<'_>) -> Option<Cleaned> {
        let Some(coding) = shape.coding else {
            let bytes = self.whole_text(body, shape.events)?;
            return Some(Cleaned { bytes, coding_undone: false });
        };
        let text = coding::beginning(coding, body, DECODED_MAX);
        let bytes = self.whole_text(&text, shape.events);
        let clean = self.clean(bytes.as_deref().unwrap_or(&text)).or(bytes)?;
        Some(Cleaned { bytes: clean, coding_undone: true })
    }

    fn whole_text(&self, text: &[u8], is_events: bool) -> Option<Vec<u8>> {
        let pointed = self.pointed(text, is_events);
        let joined = events::clean(&self.rules, pointed.as_deref().unwrap_or(text), is_events);
        joined.or(pointed)
    }

    fn pointed(&self, text: &[u8], is_events: bool) -> Option<Vec<u8>> {
        if self.pointers.is_empty() {
            return None;
        }
        let mut edits = Vec::new();
        for document in documents(text, is_events) {
            let Some(bytes) = text.get(document.clone()) else { continue };
            for span in pointer::spans(&self.pointers, bytes) {
                let value = bytes.get(span.clone()).unwrap_or_default();
                // A string is digested without its quotes, so that it looks the same where a pattern finds it.
                let inner = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
                let own = self.rules.marker().placeholder(&Kind::Pointer, inner.unwrap_or(value));
                if !inner.is_some_and(|inner| inner.starts_with(b"[redacted:pointer:")) {
                    let place = document.start + span.start..document.start + span.end;
                    edits.push((place, format!("\"{own}\"").into_bytes()));
                }
            }
        }
        (!edits.is_empty()).then(|| apply(text, &edits))
    }
}
