//! Stored exchanges for tests of reports.

use crate::store::capture::Absent;
use crate::store::stored::{Attempt, Body, Leg, Listed, Stored, Whole};

pub(crate) fn whole(bytes: &[u8]) -> Body {
    Body::Whole(Whole { bytes: bytes.to_vec(), ..Whole::default() })
}

/// A finished call of the chat kind, captured in full; answered 200 with nothing in it.
pub(crate) fn exchange(dialect: &str) -> Stored {
    let row = Listed {
        id: "0199-this".to_owned(),
        started_at_us: 1_763_600_000_000_000,
        dialect: dialect.to_owned(),
        operation: "chat".to_owned(),
        provider: Some("far".to_owned()),
        model_requested: Some("m-1".to_owned()),
        model: Some("m-1".to_owned()),
        status: Some(200),
        outcome: "complete".to_owned(),
        duration_us: 2_000_000,
        request_bytes: 100,
        attempts: 1,
        agent: "other".to_owned(),
        path: "/v1/x".to_owned(),
        method: "POST".to_owned(),
        capture_level: "full".to_owned(),
        seq: 10,
        ..Listed::default()
    };
    let attempt = Attempt {
        provider: "far".to_owned(),
        model: Some("m-1".to_owned()),
        key_label: Some("key-1".to_owned()),
        because: "configured".to_owned(),
        status: Some(200),
        sent_us: 1_000,
        head_us: Some(101_000),
        ended_us: Some(1_900_000),
        request: Leg { body: Body::Same, ..Leg::default() },
        ..Attempt::default()
    };
    Stored {
        row,
        request: Leg { body: whole(b"{\"model\":\"m-1\"}"), ..Leg::default() },
        attempts: vec![attempt],
        response: Leg { body: Body::Same, ..Leg::default() },
        ..Stored::default()
    }
}

impl Stored {
    /// The provider refused with this status and body.
    pub(crate) fn refused(mut self, status: u16, body: &str) -> Self {
        self.row.status = Some(status);
        self.row.upstream_status = Some(status);
        self.row.outcome = "upstream_error".to_owned();
        self.row.error_source = Some("upstream".to_owned());
        let attempt = self.attempt();
        attempt.status = Some(status);
        attempt.response.line = Some(format!("{status}"));
        self.answering(body)
    }

    pub(crate) fn attempt(&mut self) -> &mut Attempt {
        self.attempts.last_mut().expect("an attempt")
    }

    pub(crate) fn answering(mut self, body: &str) -> Self {
        self.row.response_bytes = i64::try_from(body.len()).expect("short");
        let attempt = self.attempt();
        attempt.bytes = i64::try_from(body.len()).expect("short");
        attempt.response.body = whole(body.as_bytes());
        self
    }

    pub(crate) fn asking(mut self, body: &str) -> Self {
        self.request.body = whole(body.as_bytes());
        self.row.request_bytes = i64::try_from(body.len()).expect("short");
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let headers = &mut self.attempt().response.headers;
        headers.get_or_insert_default().push((name.to_owned(), value.to_owned()));
        self
    }

    /// It ended in this way, by this code.
    pub(crate) fn ended(mut self, outcome: &str, kind: &str, detail: &str) -> Self {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        self.row.outcome = outcome.to_owned();
        self.row.error_kind = some(kind);
        self.row.error_detail = some(detail);
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.error_kind = some(kind);
        }
        self
    }

    /// No answer came.
    pub(crate) fn unanswered(mut self) -> Self {
        self.row.status = Some(502);
        let attempt = self.attempt();
        attempt.status = None;
        attempt.head_us = None;
        attempt.response.body = Body::Absent(Absent::NotKept);
        self
    }

    /// Captured without headers and bodies.
    pub(crate) fn bare(mut self) -> Self {
        self.row.capture_level = "meta".to_owned();
        self.request.body = Body::default();
        for attempt in &mut self.attempts {
            attempt.request = Leg::default();
            attempt.response = Leg::default();
        }
        self
    }
}
