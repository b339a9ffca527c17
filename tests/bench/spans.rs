//! What one sampled exchange costs, in CPU time: mapping it to three spans and handing them to the batch, which is the
//! observer's thread, and encoding and sending them, which is the exporter's. Budget of the first two: 8 µs.
//!
//! The collector is a thread here that answers 200 to whatever comes; what it costs is taken off.
//!
//! `cargo bench --bench spans`

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints, and stops at what it did not expect"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use pinhole::base::clock;
use pinhole::base::id::ExchangeId;
use pinhole::base::trace::{Sampler, SpanId};
use pinhole::exchange::Exchange;
use pinhole::exchange::attempt::{Attempt, Link, RateLimit};
use pinhole::exchange::frames::Frames;
use pinhole::exchange::leg::{Keep, Leg};
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

/// As the gateway has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Three whole exports of spans.
const BATCH: usize = 512;
const ROUNDS: usize = 40;

fn main() {
    for gzip in [false, true] {
        let cost = measured(gzip);
        let Cost { mapping, emitting, exporting, spans_per_export } = cost;
        println!(
            "an exchange of 3 spans, {}: {:.2} µs on the observer's thread ({mapping:.2} mapping, {emitting:.2} emitting), \
             {exporting:.2} µs on the exporter's ({:.2} a span, {spans_per_export:.0} spans an export)",
            if gzip { "gzip" } else { "plain" },
            mapping + emitting,
            exporting / 3.0,
        );
    }
}

/// Microseconds of CPU an exchange; medians over the rounds, but for what other threads did, which is the mean.
struct Cost {
    mapping: f64,
    emitting: f64,
    exporting: f64,
    spans_per_export: f64,
}

fn measured(gzip: bool) -> Cost {
    let collector = Collector::start();
    let mut settings = Telemetry {
        traces: Some(Export {
            protocol: Protocol::HttpProtobuf,
            endpoint: format!("http://{}/v1/traces", collector.address),
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            gzip,
            ca_file: None,
            client: None,
        }),
        ..Telemetry::default()
    };
    settings.batch.delay = Duration::from_millis(20);
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
    let (process, own) = (cpu::process_us(), cpu::thread_us());
    for _ in 0..ROUNDS {
        let start = cpu::thread_us();
        let models: Vec<_> =
            exchanges.iter().flat_map(|one| spans(one, &mapping, |_| Some(&origin))).collect();
        let mapping_end = cpu::thread_us();
        assert_eq!(models.len(), 3 * BATCH);
        emitter.emit(models);
        let end = cpu::thread_us();
        mapped.push((mapping_end - start) / BATCH as f64);
        emitted.push((end - mapping_end) / BATCH as f64);
        while otlp.counters().waiting() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let others = cpu::process_us() - process - (cpu::thread_us() - own);
    let exporting = others - *collector.cpu_us.lock().expect("no panic");
    let counters = otlp.counters();
    let exported = counters.spans_exported.load(Ordering::Relaxed);
    let exports = counters.trace_exports.load(Ordering::Relaxed);
    assert_eq!(exported, (3 * BATCH * ROUNDS) as u64, "all reach the collector");
    otlp.stop();
    Cost {
        mapping: median(mapped),
        emitting: median(emitted),
        exporting: exporting / (BATCH * ROUNDS) as f64,
        spans_per_export: exported as f64 / exports as f64,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// CPU time in microseconds. Where the system's clocks for it are not at hand, the wall clock's, which is more.
mod cpu {
    #[cfg(target_os = "linux")]
    fn read(clock: rustix::time::ClockId) -> f64 {
        let time = rustix::time::clock_gettime(clock);
        time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
    }

    #[cfg(target_os = "linux")]
    pub(super) fn thread_us() -> f64 {
        read(rustix::time::ClockId::ThreadCPUTime)
    }

    #[cfg(target_os = "linux")]
    pub(super) fn process_us() -> f64 {
        read(rustix::time::ClockId::ProcessCPUTime)
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn thread_us() -> f64 {
        pinhole::base::clock::wall_us() as f64
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn process_us() -> f64 {
        f64::NAN
    }
}

/// Answers 200 to every request, without looking at it.
struct Collector {
    address: SocketAddr,
    /// What its threads have cost.
    cpu_us: Arc<Mutex<f64>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let cpu_us = Arc::new(Mutex::new(0.0));
        let counted = Arc::clone(&cpu_us);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || serve(connection, &counted));
            }
        });
        Self { address, cpu_us }
    }
}

fn serve(connection: TcpStream, cpu_us: &Mutex<f64>) {
    let mut answers = connection.try_clone().expect("a second handle");
    let mut requests = BufReader::with_capacity(1 << 16, connection);
    let (mut told, mut body_bytes, mut line) = (0.0, 0, String::new());
    while requests.read_line(&mut line).is_ok_and(|read| read > 0) {
        if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            body_bytes = length.trim().parse().expect("a number");
        }
        if line == "\r\n" {
            let mut body = (&mut requests).take(body_bytes);
            std::io::copy(&mut body, &mut std::io::sink()).expect("the body");
            let spent = cpu::thread_us();
            *cpu_us.lock().expect("no panic") += spent - told;
            told = spent;
            answers.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("a peer");
        }
        line.clear();
    }
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
        agent: "openai-python",
        user_agent: Some(HeaderValue::from_static("OpenAI/Python 2.0.0")),
        session: Some("session-1".into()),
        session_inferred: false,
        parent_session: None,
        user_label: None,
        tags: Vec::new(),
        trace: Trace::begin(None, Incoming::Continue, &Sampler { parent: true, ratio: 1.0 }),
        seat: None,
        keep: Keep::Numbers,
        replay: None,
        opened: None,
        asked: None,
        request: Leg::default(),
        request_bytes: 2_048,
        prompt: None,
        share: Share::new(&Room::new(1 << 20)),
        request_read_us: 40,
        queued_us: 0,
        waited_at_provider: None,
        chosen: None,
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
