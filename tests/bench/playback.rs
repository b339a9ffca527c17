//! What playback promises: frames within 2 ms (p99) of their recorded times at 1x, and 5,000 requests a second at full
//! speed on two cores, the clients among them.
//!
//! `cargo bench --bench playback`

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a benchmark prints, and stops at what it did not expect"
)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use pinhole::base::clock;
use pinhole::simulate::playback::{Collection, Handle, Options, Speed};
use pinhole_replay::library::{After, Library, Rules};
use pinhole_replay::recording::{Attempt, Body, Leg, Recording};

/// Streams at once, frames in each, and the time between two frames.
const STREAMS: usize = 16;
const FRAMES: usize = 400;
const GAP_US: u64 = 11_300;
const FRAME: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"}}]}\n\n";
/// Clients at full speed, and how long they ask.
const CLIENTS: usize = 8;
const FOR: Duration = Duration::from_secs(5);
/// Questions of the library at full speed.
const QUESTIONS: usize = 1_000;

fn main() {
    cadence();
    throughput();
}

/// A chat of some 4 kB; `n` makes it another question.
fn question(n: usize, frames: usize) -> String {
    let prompt = "You are a helper who reads code and answers in short sentences. ".repeat(60);
    format!(
        "{{\"model\":\"m\",\"stream\":{},\"user\":\"someone\",\"messages\":[{{\"role\":\"system\",\"content\":\"{prompt}\"}},\
         {{\"role\":\"user\",\"content\":\"question {n}\"}}]}}",
        frames > 1
    )
}

fn recording(n: usize, frames: usize) -> Recording {
    let times = (1..=frames as u64).map(|frame| (frame * GAP_US, FRAME.len() as u32));
    let framing = match frames {
        1 => ("content-length", FRAME.len().to_string()),
        _ => ("transfer-encoding", "chunked".to_owned()),
    };
    let kind = ("content-type".to_owned(), "text/event-stream".to_owned());
    let headers = vec![kind, (framing.0.to_owned(), framing.1)];
    Recording {
        id: format!("recording-{n}"),
        method: "POST".to_owned(),
        path: "/v1/chat/completions".to_owned(),
        status: Some(200),
        request: Leg { body: Body::of(question(n, frames).into_bytes()), ..Leg::default() },
        attempts: vec![Attempt {
            status: Some(200),
            ended_us: i64::try_from(frames as u64 * GAP_US).ok(),
            request: Leg { body: Body::Same, ..Leg::default() },
            response: Leg {
                headers: Some(headers),
                body: Body::of(FRAME.repeat(frames).into_bytes()),
                ..Leg::default()
            },
            frames: times.collect(),
            ..Attempt::default()
        }],
        response: Leg { body: Body::Same, ..Leg::default() },
        ..Recording::default()
    }
}

fn start(count: usize, frames: usize, speed: &str) -> Handle {
    let mut collection = Collection::new(Library::new(Rules::usual(), After::Last));
    (0..count).for_each(|n| collection.push(&recording(n, frames)));
    let speed = Speed::parse(speed).expect("a speed");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    collection.serve(listener, Options { speed, ..Options::default() }).expect("a playback")
}

fn request(n: usize, frames: usize) -> Vec<u8> {
    let body = question(n, frames);
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// How late each frame of one stream came, in microseconds, seen from the client.
fn lateness(address: SocketAddr, n: usize) -> Vec<u64> {
    let mut socket = TcpStream::connect(address).expect("a connection");
    socket.set_nodelay(true).expect("an option");
    let request = request(n, FRAMES);
    let zero = clock::now();
    socket.write_all(&request).expect("sent");
    // Size in hexadecimal, two line ends.
    let chunk = FRAME.len() + 6;
    let (mut late, mut seen, mut buffer) = (Vec::new(), Vec::new(), [0; 4_096]);
    let mut head = None;
    while late.len() < FRAMES {
        let read = socket.read(&mut buffer).expect("bytes");
        let at_us = clock::us_between(zero, clock::now());
        assert!(read > 0, "the stream ended early");
        seen.extend_from_slice(buffer.get(..read).unwrap_or_default());
        head =
            head.or_else(|| seen.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4));
        let came = head.map_or(0, |head| (seen.len() - head) / chunk).min(FRAMES);
        for frame in late.len()..came {
            late.push(at_us.saturating_sub((frame as u64 + 1) * GAP_US));
        }
    }
    late
}

fn cadence() {
    let playing = start(STREAMS, FRAMES, "1x");
    let address = playing.addr();
    let clients: Vec<_> =
        (0..STREAMS).map(|n| thread::spawn(move || lateness(address, n))).collect();
    let mut late: Vec<u64> =
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect();
    late.sort_unstable();
    let at = |percent: usize| late.get(late.len() * percent / 100).copied().unwrap_or(0);
    println!(
        "cadence error at 1x, {STREAMS} streams, a frame each {GAP_US} µs: p50 {} µs, p90 {} µs, p99 {} µs, max {} µs ({} frames; goal p99 < 2000 µs)",
        at(50),
        at(90),
        at(99),
        late.last().copied().unwrap_or(0),
        late.len()
    );
}

fn throughput() {
    let playing = start(QUESTIONS, 1, "0");
    let (address, answered) = (playing.addr(), AtomicU64::new(0));
    let begun = clock::now();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let answered = &answered;
            scope.spawn(move || {
                let mut socket = TcpStream::connect(address).expect("a connection");
                socket.set_nodelay(true).expect("an option");
                let asked: Vec<Vec<u8>> =
                    (0..100).map(|n| request((client * 100 + n) % QUESTIONS, 1)).collect();
                let mut buffer = [0; 4_096];
                for request in asked.iter().cycle() {
                    if begun.elapsed() >= FOR {
                        break;
                    }
                    socket.write_all(request).expect("sent");
                    let mut seen = Vec::new();
                    while !seen.ends_with(FRAME.as_bytes()) {
                        let read = socket.read(&mut buffer).expect("bytes");
                        assert!(read > 0, "the answer ended early");
                        seen.extend_from_slice(buffer.get(..read).unwrap_or_default());
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let answered = answered.load(Ordering::Relaxed);
    assert_eq!(playing.counts().exact, answered, "all of them exact");
    println!(
        "full speed, {CLIENTS} clients on the same machine, requests of {} bytes: {:.0} requests/s (goal 5000)",
        question(0, 1).len(),
        answered as f64 / begun.elapsed().as_secs_f64()
    );
}
