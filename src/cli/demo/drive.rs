//! Plays the agents against the gateway: sends, reads as the real clients do, and notes every call.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, header};
use http_body_util::BodyExt;

use crate::base::sse::Splitter;
use crate::base::{clock, task};
use crate::exchange::attempt::Link;
use crate::neutral::kind::Dialect;
use crate::upstream::client::{AnswerBody, Call as Outbound, Client, Unsent};
use crate::upstream::outgoing::Outgoing;
use crate::upstream::provider::Provider;

use super::answer::Answer;
use super::talk::{self, Letter, Talk};
use super::traffic::{
    self, Ask, COMPARING, Expected, LANES, PAIRS, SESSIONS, Session, Story, Turn,
};

/// Limit: one event of an answer.
const EVENT_BYTES_MAX: usize = 1 << 20;
/// Limit: how long one call may take before the demo calls it lost.
const CALL_MAX: Duration = Duration::from_secs(10);
/// A client that loses interest does so after so many pieces of content.
const HANG_UP_AFTER: usize = 6;

/// One call, as its client saw it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Index into [`SESSIONS`].
    pub(crate) session: usize,
    pub(crate) dialect: Dialect,
    pub(crate) model: &'static str,
    pub(crate) ask: Ask,
    /// Its history ends with a tool's result.
    pub(crate) with_result: bool,
    pub(crate) stream: bool,
    pub(crate) story: Story,
    pub(crate) expected: Expected,
    /// The prompt's number, for prompts sent to both models.
    pub(crate) pair: Option<usize>,
    /// Of the body as sent.
    pub(crate) digest: blake3::Hash,
    /// `x-pinhole-id`; `None` when no answer came.
    pub(crate) id: Option<String>,
    pub(crate) status: Option<u16>,
    /// Send − start of the play.
    pub(crate) sent_us: u64,
    /// First content − send.
    pub(crate) ttft_us: Option<u64>,
    /// End − send.
    pub(crate) total_us: u64,
    pub(crate) bytes: u64,
    pub(crate) answer: Answer,
    pub(crate) end: End,
}

/// How the answer's body ended for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Whole,
    /// The client left after the dialect's last event, without waiting for the end of the body.
    Left,
    /// The client left in the middle, at this time.
    HungUp(Instant),
    /// The connection ended abnormally.
    Broken,
    /// No answer, or none in time.
    Lost,
}

/// The calls so far, shared by the sessions and the progress line.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// Held for a push, never across an await.
    calls: Mutex<Vec<Call>>,
    /// Sessions and lanes still at work.
    working: AtomicUsize,
    begun: Instant,
    /// No call starts after this.
    stop: Instant,
}

impl Ledger {
    pub(crate) fn new(begun: Instant, stop: Instant) -> Arc<Self> {
        Arc::new(Self { calls: Mutex::default(), working: AtomicUsize::new(0), begun, stop })
    }

    /// How far it is: time, agents at work, calls that have ended.
    pub(crate) fn progress(&self) -> (Duration, usize, usize) {
        let elapsed = clock::now().saturating_duration_since(self.begun);
        (elapsed, self.working.load(Ordering::Relaxed), self.lock().len())
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, call: Call) {
        self.lock().push(call);
    }

    fn is_over(&self) -> bool {
        clock::now() >= self.stop
    }
}

/// Plays every session to its end, or until the ledger's time is up; says whether all were played out.
pub(crate) async fn play(gateway: &Provider, ledger: &Arc<Ledger>) -> bool {
    let mut running = Vec::new();
    for at in 0..COMPARING {
        let agent = Agent::new(at, gateway, ledger);
        running.push(task::spawn("demo session", agent.work()));
    }
    for lane in 0..LANES {
        let agent = Agent::new(COMPARING, gateway, ledger);
        running.push(task::spawn("demo comparison", agent.compare(lane)));
    }
    ledger.working.store(running.len(), Ordering::Relaxed);
    let mut all = true;
    for session in running {
        all &= session.await.unwrap_or(false);
    }
    all
}

/// One session at work, with connections of its own.
struct Agent {
    at: usize,
    session: &'static Session,
    client: Arc<Client>,
    ledger: Arc<Ledger>,
}

impl Agent {
    fn new(at: usize, gateway: &Provider, ledger: &Arc<Ledger>) -> Self {
        Self {
            at,
            session: &SESSIONS[at],
            client: Arc::new(Client::new(gateway)),
            ledger: Arc::clone(ledger),
        }
    }

    /// Turn after turn with a growing history; false when time was up before the last.
    async fn work(self) -> bool {
        let all = self.play_turns().await;
        self.ledger.working.fetch_sub(1, Ordering::Relaxed);
        all
    }

    async fn play_turns(&self) -> bool {
        let mut talks: Vec<(Dialect, Talk)> = Vec::new();
        for turn in self.session.turns {
            let dialect = talk::dialect(self.session, turn);
            // A turn in another dialect is another application of the same user: it has a history of its own.
            let mut talk = match talks.iter().position(|(known, _)| *known == dialect) {
                Some(at) => talks.swap_remove(at).1,
                None => Talk::new(dialect),
            };
            talk.user(turn);
            if !self.turn(&mut talk, dialect, turn).await {
                return false;
            }
            talks.push((dialect, talk));
        }
        true
    }

    /// One turn: a request, and when the model calls a tool, the request with its result.
    async fn turn(&self, talk: &mut Talk, dialect: Dialect, turn: &Turn) -> bool {
        let mut turn = *turn;
        // Limit: a tool call, a retry, and the answer.
        for _ in 0..3 {
            if self.ledger.is_over() {
                return false;
            }
            let (call, wait) = self.call(talk, dialect, &turn, None).await;
            let answer = call.answer.clone();
            self.ledger.push(call);
            if let Some(wait) = wait {
                tokio::time::sleep(wait).await;
                turn.story = Story::Fine;
                continue;
            }
            if answer.error.is_none() && !matches!(turn.ask, Ask::CountTokens | Ask::Embed) {
                talk.model(&answer);
            }
            if answer.calls.is_empty() {
                return true;
            }
            talk.results(&answer);
        }
        true
    }

    /// The lane's share of the prompts, each to both models, which take turns at being first; in every other lane the
    /// other one begins, so that a hiccup of the machine meets both alike.
    async fn compare(self, lane: usize) -> bool {
        let all = self.play_pairs(lane).await;
        self.ledger.working.fetch_sub(1, Ordering::Relaxed);
        all
    }

    async fn play_pairs(&self, lane: usize) -> bool {
        for pair in (lane..PAIRS).step_by(LANES) {
            let models = if (pair / LANES + lane).is_multiple_of(2) {
                [traffic::FAST, traffic::SLOW]
            } else {
                [traffic::SLOW, traffic::FAST]
            };
            for model in models {
                if self.ledger.is_over() {
                    return false;
                }
                let turn = Turn {
                    says: PROMPTS[pair % PROMPTS.len()],
                    ask: Ask::Brief,
                    stream: true,
                    dialect: None,
                    model: Some(model),
                    story: Story::Fine,
                };
                let mut talk = Talk::new(Dialect::OpenAiChat);
                talk.user(&turn);
                let (call, _) = self.call(&talk, Dialect::OpenAiChat, &turn, Some(pair)).await;
                self.ledger.push(call);
            }
        }
        true
    }

    /// Sends one request and reads its answer. The duration is what a refusing provider asked to wait.
    async fn call(
        &self,
        talk: &Talk,
        dialect: Dialect,
        turn: &Turn,
        pair: Option<usize>,
    ) -> (Call, Option<Duration>) {
        let key = match turn.story {
            Story::WrongKey => "pk-demo-of-last-year".to_owned(),
            _ => self.session.key(),
        };
        let mut letter = talk.letter(self.session, turn, &key);
        if let Some(pair) = pair {
            // Each prompt is a conversation of its own: none waits for another when they are sent again.
            let name = HeaderValue::try_from(format!("{}-{pair}", self.session.name));
            if let Ok(name) = name {
                letter.headers.insert(talk::SESSION, name);
            }
        }
        let mut call = Call {
            session: self.at,
            dialect,
            model: turn.model.unwrap_or(self.session.model),
            ask: turn.ask,
            with_result: talk.ends_with_result(),
            stream: turn.stream,
            story: turn.story,
            expected: turn.story.expected(),
            sent_us: 0,
            pair,
            digest: blake3::hash(&letter.body),
            id: None,
            status: None,
            ttft_us: None,
            total_us: 0,
            bytes: 0,
            answer: Answer::default(),
            end: End::Lost,
        };
        let sent = clock::now();
        call.sent_us = clock::us_between(self.ledger.begun, sent);
        let exchange = async {
            let response = send(&self.client, letter).await?;
            call.id = text_of(response.headers(), "x-pinhole-id");
            call.status = Some(response.status().as_u16());
            let wait = retry_after(response.headers());
            call.read(response, sent).await;
            wait
        };
        let wait = tokio::time::timeout(CALL_MAX, exchange).await.ok().flatten();
        call.total_us = clock::us_between(sent, clock::now());
        (call, wait)
    }
}

impl Call {
    /// Reads the body as the client would, and leaves when it would.
    async fn read(&mut self, response: Response<AnswerBody>, sent: Instant) {
        let streamed = text_of(response.headers(), "content-type")
            .is_some_and(|kind| kind.starts_with("text/event-stream"));
        let mut body = response.into_body();
        let mut splitter = Splitter::new(EVENT_BYTES_MAX);
        let mut whole = Vec::new();
        self.end = loop {
            let data = match body.frame().await {
                None => break End::Whole,
                Some(Err(_)) => break End::Broken,
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            };
            self.bytes += data.len() as u64;
            if !streamed {
                whole.extend_from_slice(&data);
                continue;
            }
            splitter.feed(&data, |event| self.answer.event(self.dialect, &event.data));
            if self.ttft_us.is_none() && self.answer.contents > 0 {
                self.ttft_us = Some(clock::us_between(sent, clock::now()));
            }
            if self.story == Story::HangUp && self.answer.contents >= HANG_UP_AFTER {
                break End::HungUp(clock::now());
            }
            // Codex does not wait for the end of the body.
            if self.answer.ended && self.dialect == Dialect::OpenAiResponses {
                break End::Left;
            }
        };
        if !streamed {
            self.answer = Answer::plain(self.dialect, &whole);
        }
    }
}

/// Sends once; again only on a fresh connection when the pooled one had died before anything was written.
async fn send(client: &Arc<Client>, letter: Letter) -> Option<Response<AnswerBody>> {
    let mut outbound = Outbound {
        method: Method::POST,
        path: letter.path.parse().ok()?,
        headers: letter.headers,
        body: Outgoing::whole(Bytes::from(letter.body)),
    };
    // Limit: the pool holds no more connections than one session has calls.
    for _ in 0..4 {
        let line = client.connection(&mut Link::default()).await.ok()?;
        match client.send(line, outbound).await {
            Ok(response) => return Some(response),
            Err(Unsent::Untouched(call)) => outbound = *call,
            Err(Unsent::Failed(_)) => return None,
        }
    }
    None
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = text_of(headers, header::RETRY_AFTER.as_str())?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What is asked of both models.
const PROMPTS: [&str; 8] = [
    "Name three uses of a pinhole camera.",
    "Why is the sky dark at night?",
    "Which comes first, the test or the code?",
    "Explain a mutex to a cook.",
    "What does a notary do?",
    "Describe the smell of rain.",
    "When is a queue better than a stack?",
    "What would you ask a lighthouse keeper?",
];

#[cfg(test)]
impl Call {
    /// A plain call that went well, as the audit and the timeline want it.
    pub(crate) fn sample() -> Self {
        let mut answer = Answer::default();
        answer.usage.output = 7;
        answer.told = true;
        Self {
            session: 0,
            dialect: Dialect::Anthropic,
            model: traffic::SLOW,
            ask: Ask::Words,
            with_result: false,
            stream: false,
            story: Story::Fine,
            expected: Story::Fine.expected(),
            pair: None,
            digest: blake3::hash(b"body"),
            id: Some("id-1".to_owned()),
            status: Some(200),
            sent_us: 0,
            ttft_us: None,
            total_us: 10,
            bytes: 100,
            answer,
            end: End::Whole,
        }
    }
}
