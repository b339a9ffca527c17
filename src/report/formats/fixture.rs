//! Exchanges as the store gives them back, for the tests of formats.

use crate::store::stored::{Attempt, Body, Label, LabelOn, Leg, Listed, Stored, Whole};

const EVENTS: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hé\"}}]}\n\ndata: [DONE]\n\n";

/// A chat stream that went well.
pub(super) fn chat(n: u8) -> Stored {
    let label = Label {
        on: LabelOn::Exchange,
        name: "good".to_owned(),
        score: Some(0.5),
        note: None,
        author: None,
        at_us: 7,
    };
    Stored {
        row: row(n),
        request: Leg {
            line: Some("POST /v1/chat/completions?beta=1&x".to_owned()),
            headers: headers(&[
                ("Host", "127.0.0.1:8000"),
                ("Content-Type", "application/json"),
                ("X-Two", "a"),
                ("x-two", "b"),
            ]),
            body: body(br#"{"model":"gpt-5","messages":[{"role":"user","content":"a\u00e9"}]}"#),
        },
        attempts: vec![attempt()],
        response: Leg {
            line: Some("200".to_owned()),
            headers: headers(&[("content-type", "text/event-stream"), ("x-pinhole-id", "1")]),
            body: Body::Same,
        },
        labels: vec![label],
        ..Stored::default()
    }
}

fn headers(pairs: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Some(pairs.collect()).filter(|all: &Vec<_>| !all.is_empty())
}

fn body(bytes: &[u8]) -> Body {
    Body::Whole(Whole { bytes: bytes.to_vec(), ..Whole::default() })
}

fn row(n: u8) -> Listed {
    Listed {
        id: format!("019aa000-0000-7000-8000-0000000000{n:02x}"),
        started_at_us: 1_763_625_600_123_456,
        session_id: Some("session-1".to_owned()),
        dialect: "openai_chat".to_owned(),
        operation: "chat".to_owned(),
        provider: Some("openai".to_owned()),
        model_requested: Some("gpt-5".to_owned()),
        model: Some("gpt-5".to_owned()),
        status: Some(200),
        outcome: "complete".to_owned(),
        stream: true,
        input_tokens: Some(10),
        output_tokens: Some(5),
        usage_source: Some("provider".to_owned()),
        cost_nanousd: Some(62_500),
        ttft_us: Some(1_500),
        duration_us: 9_000,
        overhead_us: 40,
        request_bytes: 63,
        response_bytes: i64::try_from(EVENTS.len()).unwrap(),
        attempts: 1,
        finish_reason: Some("stop".to_owned()),
        agent: "curl".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        capture_level: "full".to_owned(),
        replayable: true,
        tags: vec![("team".to_owned(), "search".to_owned())],
        method: "POST".to_owned(),
        ..Listed::default()
    }
}

fn attempt() -> Attempt {
    Attempt {
        provider: "openai".to_owned(),
        model: Some("gpt-5".to_owned()),
        because: "exact model id".to_owned(),
        status: Some(200),
        sent_us: 100,
        head_us: Some(1_600),
        ended_us: Some(8_900),
        link_us: Some([10, 200, 300]),
        peer: Some("192.0.2.7:443".to_owned()),
        http: Some("2".to_owned()),
        tls: Some("1.3".to_owned()),
        bytes: i64::try_from(EVENTS.len()).unwrap(),
        input_tokens: Some(10),
        output_tokens: Some(5),
        usage_source: Some("provider".to_owned()),
        cost_nanousd: Some(62_500),
        edits: vec!["authorization".to_owned()],
        request: Leg { line: None, headers: headers(&[("accept", "*/*")]), body: Body::Same },
        response: Leg {
            line: Some("200".to_owned()),
            headers: headers(&[("content-type", "text/event-stream")]),
            body: body(EVENTS.as_bytes()),
        },
        frames: vec![(1_600, 30), (5_000, 12), (8_900, EVENTS.len() as u32 - 42)],
        ..Attempt::default()
    }
}

/// The same with another request.
pub(super) fn with_request(mut stored: Stored, body: &[u8]) -> Stored {
    stored.request.body = Body::Whole(Whole { bytes: body.to_vec(), ..Whole::default() });
    stored
}

/// Exchanges that are odd each in its own way.
pub(super) fn variants() -> Vec<Stored> {
    let whole = |bytes: &[u8]| Whole { bytes: bytes.to_vec(), ..Whole::default() };
    let gzip = crate::base::coding::gzip(b"{\"usage\":{}}");
    let mut all: Vec<Stored> = (0..8).map(chat).collect();
    all[1].response.body = Body::Whole(whole(b"translated"));
    all[2].attempts[0].response.body =
        Body::Whole(Whole { coding: Some("gzip".to_owned()), ..whole(&gzip) });
    all[3].request.body = Body::Whole(whole(&[0xff, 0, 0xfe]));
    all[3].response.body = Body::Whole(whole(b""));
    all[4].request.body = Body::Whole(Whole { cut_bytes: 99, redacted: true, ..whole(b"cut") });
    all[4].row.redacted = true;
    // Of the level `meta`, and turned away before any attempt.
    all[5].request = Leg::default();
    all[5].response = Leg::default();
    all[5].attempts.clear();
    all[5].row.error_source = Some("gateway".to_owned());
    all[5].row.error_kind = Some("overloaded".to_owned());
    all[5].row.error_detail = Some("no place".to_owned());
    all[6].request.body = Body::Absent(crate::store::capture::Absent::ShedMemory);
    all[6].response.headers = None;
    let again = all[6].attempts[0].clone();
    all[6].attempts.insert(0, again);
    all[6].attempts[0].response.body = Body::Whole(whole(b"{\"error\":1}"));
    all[7].request.headers = Some(vec![("b".to_owned(), "\u{e9}\"\\".to_owned()); 3]);
    all[7].row.headers = vec![("x-team".to_owned(), "blue".to_owned())];
    all[7].row.duplicate_of = Some(all[1].row.id.clone());
    all[7].row.prefix_changed_at = Some(12);
    all[7].attempts[0].frames.clear();
    all[7].attempts[0].untabled = 4;
    all[7].response_frames = vec![(2_000, 3), (9_000, 4)];
    all
}
