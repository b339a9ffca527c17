//! What recording one sampled exchange costs on the observer's thread: mapping it to three spans and handing them to the
//! batch. The exporter's own thread, which encodes and sends, is not in it. Budget: 10 µs an exchange.
//!
//! `cargo bench --bench spans`

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints, and stops at what it did not expect"
)]

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use pinhole::base::clock;
use pinhole::base::id::ExchangeId;
use pinhole::base::trace::{Sampler, SpanId};
use pinhole::exchange::Exchange;
use pinhole::exchange::attempt::{Attempt, Link, RateLimit};
use pinhole::exchange::frames::Frames;
use pinhole::exchange::leg::Leg;
use pinhole::exchange::outcome::Outcome;
use pinhole::exchange::room::{Room, Share};
use pinhole::exchange::summary::{Summary, Tally, Times};
use pinhole::exchange::trace::{Incoming, Trace};
use pinhole::neutral::kind::{Dialect, Operation};
use pinhole::neutral::reading::Reading;
use pinhole::neutral::usage::{Usage, UsageSource};
use pinhole::telemetry::model::{Mapping, Origin};
use pinhole::telemetry::otlp::Otlp;
use pinhole::telemetry::semconv::Profile;
use pinhole::telemetry::settings::{Content, Export, Protocol, Telemetry};
use pinhole::telemetry::spans::spans;

const BATCH: usize = 500;
const ROUNDS: usize = 60;

fn main() {
    // A collector that takes connections and says nothing: the queue fills and the rest is dropped, as it would be.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("a bound socket");
    let mut settings = Telemetry {
        traces: Some(Export {
            protocol: Protocol::HttpProtobuf,
            endpoint: format!("http://{address}/v1/traces"),
            headers: Vec::new(),
            timeout: Duration::from_millis(500),
            gzip: false,
            ca_file: None,
            client: None,
        }),
        ..Telemetry::default()
    };
    settings.batch.queue_max = 1 << 20;
    let otlp = Otlp::start(&settings).expect("an exporter");
    let emitter = otlp.emitter().expect("traces are on");
    let mapping = Mapping {
        profile: Profile::V1_41,
        content: Content::Off,
        content_bytes_max: 0,
        https: false,
    };
    let origin =
        Origin { telemetry_name: "openai".into(), host: "api.openai.com".into(), port: 443 };
    let exchanges: Vec<Exchange> = (0..BATCH).map(|_| exchange()).collect();
    let (mut mapped, mut emitted) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = clock::now();
        let models: Vec<_> =
            exchanges.iter().flat_map(|one| spans(one, &mapping, |_| Some(&origin))).collect();
        let mapping_end = clock::now();
        assert_eq!(models.len(), 3 * BATCH);
        emitter.emit(models);
        let end = clock::now();
        mapped.push(clock::us_between(start, mapping_end) as f64 / BATCH as f64);
        emitted.push(clock::us_between(mapping_end, end) as f64 / BATCH as f64);
    }
    let median = |values: &mut Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let (mapped, emitted) = (median(&mut mapped), median(&mut emitted));
    println!(
        "an exchange of 3 spans: {:.2} µs ({mapped:.2} mapping, {emitted:.2} emitting)",
        mapped + emitted
    );
}

fn attempt() -> Attempt {
    Attempt {
        provider: "openai".into(),
        model: Some("gpt-5-mini".into()),
        model_label: "gpt-5-mini".into(),
        key_label: None,
        because: "exact model id",
        edits: Vec::new(),
        usage_added: false,
        span: SpanId::random(),
        request: Leg::default(),
        sent_us: 55,
        link: Link {
            reused: true,
            peer: Some(([10, 0, 0, 1], 443).into()),
            http: "1.1",
            tls: Some("1.3"),
            ..Link::default()
        },
        head_us: Some(1_234),
        ended_us: Some(9_000),
        status: Some(StatusCode::OK),
        events: true,
        coding: None,
        upstream_request_id: Some("req_0123456789abcdef".to_owned()),
        rate_limit: RateLimit::default(),
        response: Leg::default(),
        frames: Frames::default(),
        failure: None,
    }
}

fn tally() -> Tally {
    let usage = Usage {
        input: Some(1_000),
        output: Some(200),
        cache_read: Some(500),
        cache_write: Some(0),
        reasoning: Some(64),
        ..Usage::default()
    };
    let reading = Reading {
        ended: true,
        response_id: Some("chatcmpl-0123456789abcdef".to_owned()),
        model: Some("gpt-5-mini-2026-01-01".to_owned()),
        finish_reasons: vec!["stop".to_owned()],
        ..Reading::default()
    };
    Tally { reading, usage: Some(usage), source: Some(UsageSource::Provider), ..Tally::default() }
}

fn exchange() -> Exchange {
    let times = Times {
        first_content_us: Some(2_000),
        last_content_us: Some(8_900),
        contents: 200,
        overhead_us: 20,
        ..Times::default()
    };
    Exchange {
        id: ExchangeId::new(clock::wall_us()),
        started: clock::now(),
        wall_us: clock::wall_us(),
        client: Some(([127, 0, 0, 1], 50_000).into()),
        key_label: Some(Arc::from("ci")),
        method: Method::POST,
        path: "/v1/chat/completions".to_owned(),
        dialect: Dialect::OpenAiChat,
        operation: Operation::Chat,
        model_requested: Some("gpt-5-mini".to_owned()),
        stream: true,
        client_request_id: None,
        user_agent: Some(HeaderValue::from_static("OpenAI/Python 2.0.0")),
        session: Some(HeaderValue::from_static("session-1")),
        tags: Vec::new(),
        trace: Trace::begin(None, Incoming::Continue, &Sampler { parent: true, ratio: 1.0 }),
        request: Leg::default(),
        request_bytes: 2_048,
        prompt: None,
        share: Share::new(&Room::new(1 << 20)),
        request_read_us: 40,
        queued_us: 0,
        waited_at_provider: None,
        attempts: vec![attempt()],
        status: Some(StatusCode::OK),
        response: Leg::default(),
        response_bytes: 40_000,
        outcome: Outcome::Complete,
        failure: None,
        ended_us: 9_010,
        left_us: None,
        summary: Summary {
            tallies: vec![tally()],
            times,
            agent: "openai-python",
            ..Summary::default()
        },
    }
}
