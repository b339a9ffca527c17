//! Redaction between what was exchanged and what is stored: bodies as a whole before they are cut, under the policy in
//! force.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use bytes::Bytes;

use crate::exchange::redact;
use crate::policy::redact::{Redactor, Settings, Shape};
use crate::store::capture::{BodyIn, Captured, Content, LegIn};
use crate::store::vault::Clean;

/// The policy in force; a reload replaces it for everybody who holds this.
#[derive(Debug, Clone)]
pub struct Redaction(Arc<InForce>);

#[derive(Debug)]
struct InForce {
    redactor: ArcSwap<Redactor>,
    /// Set at the start, from the store.
    key: Mutex<[u8; 32]>,
}

/// That of this process. Before the start: what is known to everybody, under a key of this process's own.
static IN_FORCE: LazyLock<Redaction> = LazyLock::new(Redaction::default);

/// The policy of this process.
pub fn in_force() -> Redaction {
    IN_FORCE.clone()
}

impl Default for Redaction {
    fn default() -> Self {
        let key = redact::process_key();
        let redactor = ArcSwap::from_pointee(Redactor::new(&Settings::default(), key));
        Self(Arc::new(InForce { redactor, key: Mutex::new(key) }))
    }
}

impl Redaction {
    /// Puts the rules of a configuration in force, also for headers, spans and log lines; `key` is the store's.
    pub fn start(&self, settings: &Settings, key: [u8; 32]) {
        *self.key() = key;
        self.reload(settings);
    }

    /// The same with the key there is.
    pub fn reload(&self, settings: &Settings) {
        let redactor = Redactor::new(settings, *self.key());
        redactor.install();
        self.0.redactor.store(Arc::new(redactor));
    }

    fn key(&self) -> MutexGuard<'_, [u8; 32]> {
        self.0.key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn current(&self) -> Arc<Redactor> {
        self.0.redactor.load_full()
    }

    /// Takes out what has to be found in a body as a whole: what pointers point at, and secrets spread over the events of
    /// an answer; and keys out of the lines before the headers. The rest goes when the store looks through what is new.
    pub fn whole_bodies(&self, captured: &mut Captured) {
        let redactor = self.0.redactor.load();
        request(&redactor, &mut captured.request);
        let mut events = false;
        for attempt in &mut captured.attempts {
            events = attempt.kind.events;
            request(&redactor, &mut attempt.request);
            body(&redactor, &mut attempt.response.body, events);
        }
        body(&redactor, &mut captured.response.body, events);
    }
}

fn request(redactor: &Redactor, leg: &mut LegIn) {
    if let Some(line) = &mut leg.line
        && let Some(clean) = redactor.rules().clean_text(line)
    {
        *line = clean;
    }
    if redactor.has_pointers() {
        body(redactor, &mut leg.body, false);
    }
}

impl Clean for Redaction {
    fn clean(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.0.redactor.load().clean(text)
    }

    fn version(&self) -> u32 {
        self.0.redactor.load().version()
    }
}

fn body(redactor: &Redactor, body: &mut BodyIn, events: bool) {
    let BodyIn::Content(content) = body else { return };
    let shape = Shape { coding: content.coding.as_deref(), events };
    let Some(cleaned) = redactor.whole(&content.bytes, shape) else { return };
    *content = Content {
        bytes: Bytes::from(cleaned.bytes),
        cut_bytes: content.cut_bytes,
        coding: content.coding.take().filter(|_| !cleaned.coding_undone),
        redacted: true,
        ..Content::default()
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::redact::pointer::Pointer;
    use crate::store::capture::{AttemptIn, Kind};

    fn content(text: &str) -> LegIn {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        LegIn { body: BodyIn::Content(Content { bytes, ..Content::default() }), ..LegIn::default() }
    }

    fn text(leg: &LegIn) -> (&str, bool) {
        let BodyIn::Content(content) = &leg.body else { panic!("no content") };
        (std::str::from_utf8(&content.bytes).unwrap(), content.redacted)
    }

    #[test]
    fn bodies_are_cleaned_as_a_whole_and_say_so() {
        let redaction = Redaction::default();
        let events = "data: {\"t\":\"sk-proj-a8F3kQ\"}\n\ndata: {\"t\":\"92mZx71Lp0\"}\n\n";
        let mut captured = Captured {
            request: LegIn {
                line: Some("GET /v1/models?key=a8F3kQ92mZx7 HTTP/1.1".to_owned()),
                ..content(r#"{"user":"u-1"}"#)
            },
            attempts: vec![AttemptIn {
                response: content(events),
                kind: Kind { events: true, dialect: "openai_chat" },
                ..AttemptIn::default()
            }],
            ..Captured::default()
        };
        redaction.whole_bodies(&mut captured);
        assert_eq!(text(&captured.request), (r#"{"user":"u-1"}"#, false));
        let line = captured.request.line.as_deref().unwrap_or_default();
        assert!(line.starts_with("GET /v1/models?key=[redacted:") && !line.contains("a8F3"));
        let (answer, redacted) = text(&captured.attempts[0].response);
        assert!(redacted && !answer.contains("a8F3") && !answer.contains("Zx71"), "{answer}");
        let pointers = vec![Pointer::parse("/user").unwrap()];
        let settings = Settings { pointers, ..Settings::default() };
        redaction.clone().start(&settings, [1; 32]);
        redaction.whole_bodies(&mut captured);
        let (request, redacted) = text(&captured.request);
        assert!(redacted && request.starts_with(r#"{"user":"[redacted:pointer:"#), "{request}");
    }
}
