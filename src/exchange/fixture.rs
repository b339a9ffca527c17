//! An exchange as tests want one: a chat stream that went well, to be altered field by field.

use http::{Method, StatusCode};

use crate::base::clock;
use crate::base::id::ExchangeId;
use crate::base::trace::{SpanId, TraceId};
use crate::exchange::Exchange;
use crate::exchange::attempt::{Attempt, Link, RateLimit};
use crate::exchange::frames::Frames;
use crate::exchange::leg::{Keep, Leg};
use crate::exchange::outcome::Outcome;
use crate::exchange::room::{Room, Share};
use crate::exchange::summary::{Summary, Times};
use crate::exchange::trace::Trace;
use crate::neutral::kind::{Dialect, Operation};

pub(crate) fn exchange() -> Exchange {
    Exchange {
        id: ExchangeId::new(1_763_625_600_123_456),
        started: clock::now(),
        wall_us: 1_763_625_600_123_456,
        client: None,
        key_label: Some("ci".into()),
        method: Method::POST,
        path: "/v1/chat/completions".to_owned(),
        dialect: Dialect::OpenAiChat,
        operation: Operation::Chat,
        model_requested: Some("gpt-5".to_owned()),
        stream: true,
        client_request_id: None,
        agent: "none",
        user_agent: None,
        session: None,
        session_inferred: false,
        parent_session: None,
        user_label: None,
        tags: Vec::new(),
        trace: Trace {
            id: TraceId([0xab; 16]),
            parent: None,
            linked: None,
            server: SpanId([1; 8]),
            call: SpanId([2; 8]),
            sampled: false,
        },
        seat: None,
        keep: Keep::Numbers,
        replay: None,
        asked: None,
        request: Leg::default(),
        request_bytes: 2_048,
        prompt: None,
        share: Share::new(&Room::new(1_000)),
        queued_us: 0,
        waited_at_provider: None,
        chosen: None,
        request_read_us: 40,
        attempts: vec![attempt()],
        status: Some(StatusCode::OK),
        response: Leg::default(),
        opened: None,
        response_bytes: 512,
        outcome: Outcome::GatewayError,
        failure: None,
        ended_us: 0,
        left_us: None,
        summary: Summary {
            times: Times { overhead_us: 15, ..Times::default() },
            agent: "none",
            ..Summary::default()
        },
    }
}

fn attempt() -> Attempt {
    Attempt {
        provider: "openai".into(),
        model: Some("gpt-5".into()),
        model_label: "gpt-5".into(),
        usage_added: false,
        span: SpanId([3; 8]),
        link: Link { reused: true, ..Link::default() },
        ended_us: None,
        events: true,
        coding: None,
        rate_limit: RateLimit::default(),
        key_label: None,
        because: "exact model id",
        edits: Vec::new(),
        request: Leg::default(),
        sent_us: 55,
        head_us: Some(1_234),
        status: Some(StatusCode::OK),
        upstream_request_id: Some("req_1".to_owned()),
        response: Leg::default(),
        frames: Frames::default(),
        failure: None,
    }
}
