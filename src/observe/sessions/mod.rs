//! Which session an exchange belongs to, and where in its conversation it stands. On the observer's thread, after the
//! digest, in the order in which exchanges ended.
//!
//! ```text
//!  header ► id in the body ► the answer it goes on from ► a conversation whose messages it extends ► none yet
//!  ───────── named ───────   ───────────────────────── inferred ─────────────────────────
//! ```
//!
//! A conversation is known by a digest of all its messages (instructions and marks apart). The next turn begins with the
//! same messages, so one of its beginnings has that digest. A first turn alone is no session; when the second one comes,
//! both get the name `inferred:<id of the first>`.
//!
//! Invariant: clients are kept apart. What one key, program and address sent is never joined with what another sent, unless
//! both name the same session.

mod prefix;
mod talks;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::base::fold::{self, Fold};
use crate::base::recent::{Limit, Recent};
use crate::dialect::session::{self, Part, Parts, Side, Sketch};
use crate::exchange::Exchange;
use crate::neutral::call::Call;
use crate::neutral::kind::Operation;
use talks::{Talk, Talks, Turn};

const HOUR_US: u64 = 3_600 * 1_000_000;
/// What the name of a session begins with that no client named; the id of its first exchange follows.
pub const INFERRED: &str = "inferred:";

/// Limit: answers whose id is remembered, for requests that go on from them.
const RESPONSES: Limit =
    Limit { entries_max: 50_000, weight_max: usize::MAX, turn_us: 6 * HOUR_US };
/// Limit: prompts that were handed to tools and may begin a conversation.
const PROMPTS: Limit = Limit { entries_max: 20_000, weight_max: usize::MAX, turn_us: HOUR_US };
/// Limit: calls with their results that are remembered of one conversation.
pub(crate) const RESULTS_MAX: usize = 512;
/// A shorter text is no prompt: too many are alike.
const PROMPT_BYTES_MIN: usize = 16;
/// Arguments that tools take a sub-agent's prompt in.
const PROMPT_ARGUMENTS: [&str; 8] =
    ["prompt", "message", "task", "instructions", "query", "input", "objective", "description"];
/// Limit: arguments of one call that are looked at, and bytes of them.
const PROMPTS_OF_CALL_MAX: usize = 8;

/// Knows the sessions of the last hours.
pub struct Sessions {
    talks: Talks,
    /// By the provider's id of an answer: the conversation that it is part of.
    responses: Recent<u64>,
    /// By a prompt that a tool was called with: who called it.
    prompts: Recent<Caller>,
}

/// Whose call it was.
#[derive(Debug, Clone)]
struct Caller {
    talk: u64,
    call: Arc<str>,
}

/// Where an exchange stands in its conversation.
#[derive(Debug, Default)]
pub struct Placed {
    pub sketch: Sketch,
    /// How many of its messages were there in an earlier turn.
    pub known: usize,
    /// The conversation, for what is remembered of it.
    pub(crate) talk: Option<u64>,
    scope: u64,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            talks: Talks::default(),
            responses: Recent::new(RESPONSES),
            prompts: Recent::new(PROMPTS),
        }
    }
}

impl Sessions {
    /// Finds the session of the exchange and writes it there, with what else the body says of who called.
    pub fn place(&mut self, exchange: &mut Exchange) -> Placed {
        let Some(body) = exchange.prompt.clone() else { return Placed::default() };
        let parts = match exchange.operation {
            Operation::Chat => Parts::Read,
            Operation::TextCompletion | Operation::Embeddings | Operation::CountTokens => {
                Parts::Leave
            }
            Operation::Models | Operation::Opaque => return Placed::default(),
        };
        let mut sketch = session::sketch(&body, parts);
        exchange.user_label = sketch.user.take().map(Arc::from);
        if exchange.session.is_none() {
            exchange.session = sketch.session.take().map(Arc::from);
        }
        let own = exchange.session.clone();
        if exchange.parent_session.is_none() {
            let parent = sketch.parent.take().filter(|parent| own.as_deref() != Some(parent));
            exchange.parent_session = parent.map(Arc::from);
        }
        let mut placed = Placed { sketch, ..Placed::default() };
        if parts == Parts::Read && !placed.sketch.messages.is_empty() {
            self.join(exchange, &body, &mut placed);
        }
        placed
    }

    /// Finds the conversation that the request goes on with, or begins one.
    fn join(&mut self, exchange: &mut Exchange, body: &[u8], placed: &mut Placed) {
        let sketch = &placed.sketch;
        let now_us = exchange.wall_us.saturating_add(exchange.ended_us);
        let named = exchange.session.clone();
        placed.scope = scope(exchange, named.as_deref());
        let chain = Chain::of(placed.scope, sketch);
        let before = sketch.previous.as_deref().and_then(|id| self.answered(placed.scope, id));
        let found = match before {
            Some(talk) => Some((talk, 0)),
            None => self.talks.extended(&chain, named.is_some()),
        };
        let model = fold::of(&[exchange.model_requested.as_deref().unwrap_or_default().as_bytes()]);
        let turn = Turn::of(sketch, model);
        let shapes = named.is_some().then(|| Shapes::of(placed.scope, &turn, &chain));
        let similar = shapes.and_then(|shapes| self.talks.similar(shapes, &turn));
        let talk = if let Some((talk, known)) = found.or(similar.map(|talk| (talk, 0))) {
            placed.known = known;
            talk
        } else {
            let caller = self.caller(exchange, body, sketch);
            let mut talk = Talk::new(exchange.id);
            self.name_first(exchange, caller, &mut talk);
            self.talks.begin(talk, now_us)
        };
        if let Some(known) = self.talks.get(talk) {
            known.name(exchange);
            let goes_on = sketch.previous.is_none();
            if goes_on && let Some(last) = known.last.as_ref().filter(|last| last.model == model) {
                exchange.summary.prefix_changed_at = prefix::changed(last, &turn, sketch);
            }
        }
        self.talks.remember(talk, turn, &chain, shapes, now_us);
        placed.talk = Some(talk);
    }

    /// A conversation that begins: under the name that the client gave it, or as the work of one that called a tool with
    /// its first words.
    fn name_first(&mut self, exchange: &mut Exchange, caller: Option<Caller>, talk: &mut Talk) {
        if let Some(caller) = caller
            && exchange.parent_session.is_none()
            && let Some(parent) = self.talks.get(caller.talk)
        {
            let name = parent.named(&mut exchange.summary.adopts);
            if exchange.session.as_ref().is_none_or(|own| *own == name) {
                let own = match &exchange.session {
                    Some(session) => format!("{session}/{}", caller.call),
                    None => talks::inferred(talk.first),
                };
                exchange.session = Some(own.into());
                exchange.session_inferred = true;
            }
            exchange.parent_session = Some(name);
        }
        talk.session.clone_from(&exchange.session);
        talk.inferred = exchange.session_inferred;
        talk.parent.clone_from(&exchange.parent_session);
    }

    /// Who called a tool with the words that this conversation opens with.
    fn caller(&mut self, exchange: &Exchange, body: &[u8], sketch: &Sketch) -> Option<Caller> {
        if self.prompts.is_empty() {
            return None;
        }
        let key = key_of(exchange);
        session::opening(body, sketch)
            .iter()
            .filter(|text| text.trim().len() >= PROMPT_BYTES_MIN)
            .find_map(|text| self.prompts.get(prompt_digest(key, text)).cloned())
    }

    /// The conversation that the answer of this id is part of.
    fn answered(&mut self, scope: u64, id: &str) -> Option<u64> {
        self.responses.get(response_digest(scope, id)).copied()
    }

    /// Remembers what later requests may refer to: the answer by its id, and the tools that it calls.
    pub fn remember(&mut self, exchange: &Exchange, placed: &Placed, calls: &[Call]) {
        let Some(talk) = placed.talk else { return };
        let now_us = exchange.wall_us.saturating_add(exchange.ended_us);
        let reading = exchange.summary.last().map(|tally| &tally.reading);
        if let Some(id) = reading.and_then(|reading| reading.response_id.as_deref())
            && id.starts_with("resp_")
        {
            self.responses.put(response_digest(placed.scope, id), talk, 1, now_us);
        }
        let key = key_of(exchange);
        for call in calls.iter().filter(|call| !call.is_text) {
            let mut prompts = prompts(call);
            prompts.truncate(PROMPTS_OF_CALL_MAX);
            let id: Arc<str> = call.id.as_deref().unwrap_or(&call.name).into();
            for prompt in prompts {
                let caller = Caller { talk, call: Arc::clone(&id) };
                self.prompts.put(prompt_digest(key, &prompt), caller, 1, now_us);
            }
        }
    }

    /// What is remembered of a conversation's calls and results.
    pub(crate) fn results(&mut self, placed: &Placed) -> Option<&mut Vec<u64>> {
        Some(&mut self.talks.get(placed.talk?)?.results)
    }
}

/// The arguments of a call that may be the prompt of a sub-agent.
fn prompts(call: &Call) -> Vec<String> {
    let Ok(serde_json::Value::Object(arguments)) = serde_json::from_str(&call.arguments) else {
        return Vec::new();
    };
    let texts = PROMPT_ARGUMENTS.iter().filter_map(|name| arguments.get(*name)?.as_str());
    texts.filter(|text| text.trim().len() >= PROMPT_BYTES_MIN).map(str::to_owned).collect()
}

fn prompt_digest(key: u64, text: &str) -> u64 {
    let mut fold = Fold::default();
    fold.number(key);
    fold.bytes(text.trim().as_bytes());
    fold.end()
}

fn response_digest(scope: u64, id: &str) -> u64 {
    let mut fold = Fold::default();
    fold.number(scope);
    fold.bytes(id.as_bytes());
    fold.end()
}

/// Whose exchange it is, as far as the gateway's keys say.
fn key_of(exchange: &Exchange) -> u64 {
    fold::of(&[exchange.key_label.as_deref().unwrap_or_default().as_bytes()])
}

/// Within what conversations are looked for: the session where there is a name, else the client.
fn scope(exchange: &Exchange, named: Option<&str>) -> u64 {
    let mut fold = Fold::default();
    fold.number(key_of(exchange));
    if let Some(session) = named {
        fold.bytes(b"session");
        fold.bytes(session.as_bytes());
    } else {
        fold.bytes(exchange.agent.as_bytes());
        match exchange.client.map(|client| client.ip()) {
            Some(std::net::IpAddr::V4(address)) => fold.bytes(&address.octets()),
            Some(std::net::IpAddr::V6(address)) => fold.bytes(&address.octets()),
            None => {}
        }
    }
    fold.end()
}

/// The digests of all beginnings of a request's messages, instructions left out: `links[n]` is that of the first `n + 1`.
struct Chain {
    links: Vec<Link>,
    /// Of the tools and instructions, to tell programs apart that ask the same of different models.
    head: u64,
    /// The model has spoken before.
    has_answers: bool,
}

#[derive(Clone, Copy)]
struct Link {
    digest: u64,
    /// Messages up to here, instructions among them.
    messages: usize,
}

impl Chain {
    fn of(scope: u64, sketch: &Sketch) -> Self {
        let mut links = Vec::with_capacity(sketch.messages.len());
        let (mut fold, mut head) = (Fold::default(), Fold::default());
        fold.number(scope);
        sketch.head.iter().for_each(|part| head.number(part.digest));
        for (at, part) in sketch.messages.iter().enumerate() {
            if part.side == Side::System {
                head.number(part.digest);
            } else {
                fold.number(part.digest);
                links.push(Link { digest: fold.end(), messages: at + 1 });
            }
        }
        let has_answers = sketch.messages.iter().any(is_answer);
        Self { links, head: head.end(), has_answers }
    }
}

fn is_answer(part: &Part) -> bool {
    part.side == Side::Answered
}

/// By what a conversation of a named session is found again when its messages do not go on from any turn.
#[derive(Clone, Copy)]
struct Shapes {
    /// The same first message.
    first: u64,
    /// The same tools and instructions; `None` without any.
    head: Option<u64>,
}

impl Shapes {
    fn of(scope: u64, turn: &Turn, chain: &Chain) -> Self {
        let digest = |kind: u64| {
            let mut fold = Fold::default();
            fold.number(scope ^ kind);
            fold.number(turn.model);
            fold
        };
        let (mut first, mut head) = (digest(1), digest(2));
        // The chain begins with the first message that is no instruction, in its scope.
        first.number(chain.links.first().map_or(0, |link| link.digest));
        turn.head.iter().for_each(|part| head.number(u64::from(*part)));
        Self { first: first.end(), head: (!turn.head.is_empty()).then(|| head.end()) }
    }
}
