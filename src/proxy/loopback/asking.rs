//! Asking a model which of two answers is better: the questions as requests in a language that the judge's provider speaks,
//! sent through the same listener as the run's own and captured as replays of the exchange they are about. Whatever goes
//! wrong with a question is counted; no row waits for a judge that does not answer, and no run ends over one.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use pinhole_replay::answers::judge::{self, Order as Shown, Prompt, SHOWN_MAX, Said};
use pinhole_replay::context::{self, Ask, Cache, Length, Target, parse_target};
use pinhole_replay::estimate::Estimate;
use pinhole_replay::outcome::{Answer, Outcome};
use pinhole_replay::recording::{Body, Leg, Recording};
use pinhole_replay::row::{Asking, Job};
use pinhole_replay::{Order, Transport};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

use crate::base::clock;
use crate::dialect::messages;
use crate::neutral::kind::Dialect;
use crate::neutral::message::Part;
use crate::proxy::loopback::aim::{self, Aim};
use crate::proxy::loopback::{Loopback, hearing};
use crate::proxy::state::Shared;

/// Limit: questions in flight, so that a judge takes little from what is measured.
const IN_FLIGHT_MAX: usize = 8;
/// Limit: tokens of a judge's answer, its reasoning included.
const ANSWER_TOKENS_MAX: u64 = 2_000;
/// At worst so few characters are a token.
const CHARS_PER_TOKEN_WORST: usize = 2;
/// What stands around the request and the two answers.
const FRAME_CHARS: usize = 1_500;

/// Who judges, and how it is spoken to.
#[derive(Debug, Clone)]
pub struct Seat {
    pub aim: Aim,
    target: Target,
    dialect: Dialect,
    /// What its provider calls the limit of an answer's tokens in the Chat Completions dialect.
    cap: &'static str,
}

/// Finds the judge of a plan, and a language of requests that its provider speaks.
pub(super) fn seat(shared: &Shared, written: &str) -> Result<Seat, String> {
    let parsed = parse_target(written).map_err(|error| error.to_string())?;
    let (aim, dialect, is_openai) = aim::any(shared, &parsed)?;
    // OpenAI's own newer models refuse the old name, and other servers do not know the new one.
    let cap = if is_openai { "max_completion_tokens" } else { "max_tokens" };
    let target = Target { model: Some(parsed.selector.clone()), ..parsed };
    Ok(Seat { aim, target, dialect, cap })
}

impl Seat {
    /// What judging so many answers will come to, both ways round.
    pub(super) fn estimate(&self, answers: u64) -> Estimate {
        let requests = answers * 2;
        let (input, output) = (2_000, 200);
        let price = self.aim.price;
        let times = i64::try_from(requests).unwrap_or(i64::MAX);
        Estimate {
            target: format!("{} (judge)", self.aim.target),
            requests,
            input_tokens: requests * input,
            output_tokens: requests * output,
            cost_nanousd: price.map(|price| price.cost(input, 0, output).saturating_mul(times)),
            worst_nanousd: price.map(|price| {
                let worst = worst_input();
                price.cost(worst, 0, ANSWER_TOKENS_MAX).saturating_mul(times)
            }),
            guessed: requests,
        }
    }

    /// The most that judging one answer can cost.
    pub(super) fn worst_nanousd(&self) -> i64 {
        let each = |price: pinhole_replay::estimate::Price| {
            price.cost(worst_input(), 0, ANSWER_TOKENS_MAX)
        };
        self.aim.price.map_or(0, each).saturating_mul(2)
    }
}

fn worst_input() -> u64 {
    ((3 * SHOWN_MAX + FRAME_CHARS) / CHARS_PER_TOKEN_WORST) as u64
}

/// Asks.
pub struct Asker {
    seat: Seat,
    transport: Loopback,
    seed: u64,
    deadline: Duration,
    places: Semaphore,
    stop: watch::Receiver<bool>,
}

impl Asker {
    pub fn new(
        seat: Seat,
        transport: Loopback,
        seed: u64,
        deadline: Duration,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self { seat, transport, seed, deadline, places: Semaphore::new(IN_FLIGHT_MAX), stop }
    }

    /// The judge's word on a pair of answers to a recorded request, asked for in both orders; and what asking came to.
    pub async fn ask(
        &self,
        recording: &Recording,
        base: &Answer,
        new: &Answer,
    ) -> (Option<i8>, Asking) {
        let request = readable(recording);
        let question = |shown| {
            let prompt = judge::prompt(&request, base, new, shown, self.seed);
            self.question(recording, prompt)
        };
        let (one, other) =
            tokio::join!(question(Shown::BaselineFirst), question(Shown::TargetFirst));
        let judged = judge::combine(one.said, other.said);
        let costs = [one.cost_nanousd, other.cost_nanousd];
        let is_failed = |reply: &&Reply| reply.was_sent && reply.said.is_none();
        let failed = [one, other].iter().filter(is_failed).count();
        let asking = Asking {
            asked: u8::from(one.was_sent) + u8::from(other.was_sent),
            failed: u8::try_from(failed).unwrap_or(u8::MAX),
            inconsistent: judged.is_some_and(|judged| !judged.is_consistent),
            cost_nanousd: costs.iter().flatten().copied().reduce(i64::saturating_add),
        };
        (judged.map(|judged| judged.winner), asking)
    }

    async fn question(&self, recording: &Recording, prompt: Prompt) -> Reply {
        let mut stop = self.stop.clone();
        let stopped = async move {
            if stop.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = stopped => Reply::default(),
            reply = self.reply(recording, prompt) => reply,
        }
    }

    async fn reply(&self, recording: &Recording, prompt: Prompt) -> Reply {
        let Ok(_place) = self.places.acquire().await else { return Reply::default() };
        let Some(order) = order(&self.seat, recording, prompt) else { return Reply::default() };
        let sent = tokio::time::timeout(self.deadline, self.transport.send(order)).await;
        let outcome = sent.unwrap_or_default();
        Reply { was_sent: true, said: said(&outcome), cost_nanousd: outcome.cost_nanousd }
    }
}

/// What came of one question.
#[derive(Debug, Default, Clone, Copy)]
struct Reply {
    was_sent: bool,
    said: Option<Said>,
    cost_nanousd: Option<i64>,
}

fn said(outcome: &Outcome) -> Option<Said> {
    outcome.is_good().then(|| judge::read(&outcome.answer.text)).flatten()
}

/// A question as a request. `None`: the judge's parameters cannot stand in one.
fn order(seat: &Seat, about: &Recording, prompt: Prompt) -> Option<Order> {
    let (path, body) = written(seat, prompt);
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    let recording = Recording {
        id: about.id.clone(),
        dialect: seat.dialect.label().to_owned(),
        operation: "chat".to_owned(),
        method: "POST".to_owned(),
        path: path.to_owned(),
        request: Leg {
            headers: Some(headers),
            body: Body::of(body.to_string().into_bytes()),
            ..Leg::default()
        },
        ..Recording::default()
    };
    let asked = Ask {
        recording: &recording,
        target: &seat.target,
        cache: Cache::AsIs,
        length: Length::Free,
        marker: "",
        history: None,
    };
    let body = context::prepare(asked).ok()?.body;
    Some(Order {
        job: Job { pair: 0, target: None, repeat: 0 },
        target: 0,
        recording: Arc::new(recording),
        body,
        warmup: false,
        intended_us: 0,
        zero: clock::now(),
    })
}

fn written(seat: &Seat, Prompt { system, user }: Prompt) -> (&'static str, Value) {
    match seat.dialect {
        Dialect::Anthropic => (
            "/v1/messages",
            json!({"model": "", "max_tokens": ANSWER_TOKENS_MAX, "system": system,
                "messages": [{"role": "user", "content": user}]}),
        ),
        Dialect::OpenAiResponses => (
            "/v1/responses",
            json!({"model": "", "max_output_tokens": ANSWER_TOKENS_MAX, "store": false,
                "instructions": system, "input": user}),
        ),
        Dialect::Gemini => (
            "/v1beta/models/judge:generateContent",
            json!({"systemInstruction": {"parts": [{"text": system}]},
                "contents": [{"role": "user", "parts": [{"text": user}]}],
                "generationConfig": {"maxOutputTokens": ANSWER_TOKENS_MAX}}),
        ),
        Dialect::OpenAiChat | Dialect::OpenAiEmbeddings => (
            "/v1/chat/completions",
            json!({"model": "", (seat.cap): ANSWER_TOKENS_MAX,
                "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}]}),
        ),
    }
}

/// A request as people would read it: who said what, in order. Where nothing can be read of it, its bytes.
fn readable(recording: &Recording) -> String {
    let Some(whole) = recording.client_request() else { return String::new() };
    let said = messages::request(hearing::dialect(&recording.dialect), &whole.bytes);
    let mut out = String::new();
    let mut put = |role: &str, parts: &[Part]| {
        for part in parts {
            let _infallible = match part {
                Part::Text(text) => writeln!(out, "{role}: {text}"),
                Part::Reasoning(_) => Ok(()),
                Part::ToolCall { name, arguments, .. } => {
                    writeln!(out, "{role}: [calls the tool {name} with {arguments}]")
                }
                Part::ToolResponse { response, .. } => {
                    writeln!(out, "{role}: [the tool returned] {response}")
                }
                Part::Media { modality, .. } => writeln!(out, "{role}: [{modality}]"),
                Part::Uri { .. } | Part::Other(_) => writeln!(out, "{role}: [not text]"),
            };
        }
    };
    put("system", &said.system);
    for message in &said.messages {
        put(&message.role, &message.parts);
    }
    if out.is_empty() { String::from_utf8_lossy(&whole.bytes).into_owned() } else { out }
}
