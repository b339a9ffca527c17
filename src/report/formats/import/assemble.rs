//! Puts exchanges together of single events, as recorders write them that log what passes instead of what was asked and
//! answered: pieces of requests and answers on both sides of a proxy, with an id that says what belongs together.

use std::collections::VecDeque;

use pinhole_replay::recording::{Attempt, Body, Leg, Recording};

use crate::base::json::Walk;
use crate::report::formats::import::Source;
use crate::report::formats::import::foreign::{Foreign, Heads, count, length, whole};

/// Limit: exchanges being put together; past it the oldest is given as it is.
const OPEN_MAX: usize = 256;
/// Limit: bytes of the pieces of all of them.
const BYTES_MAX: usize = 256 * 1024 * 1024;
/// Limit: bytes before a body that are looked through for a message's head.
const HEAD_MAX: usize = 256 * 1024;

/// Which leg a piece passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    FromClient,
    ToProvider,
    FromProvider,
    ToClient,
}

/// One thing that was logged.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub at_us: i64,
    pub way: Way,
    /// Empty for a mark: a stream began, a stream ended.
    pub bytes: Vec<u8>,
    /// One of several pieces.
    pub piece: bool,
    pub facts: Facts,
}

/// What events say beside their bytes; each may say a part.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// What belongs together has the same.
    pub request_id: String,
    pub session: Option<String>,
    pub provider: Option<String>,
    pub model: Option<String>,
    pub key_label: Option<String>,
    pub client: Option<String>,
    pub user_agent: Option<String>,
    pub status: Option<u16>,
    pub method: Option<String>,
    pub url: Option<String>,
    /// The try at a provider, where it is numbered.
    pub attempt: Option<i64>,
}

#[derive(Default)]
struct Open {
    facts: Facts,
    started_us: i64,
    ended_us: i64,
    request: Option<Vec<u8>>,
    answer: Vec<u8>,
    answered: bool,
    tries: Vec<Try>,
}

#[derive(Default)]
struct Try {
    number: Option<i64>,
    facts: Facts,
    sent_us: i64,
    head_us: Option<i64>,
    ended_us: Option<i64>,
    request: Option<Vec<u8>>,
    answer: Vec<u8>,
    /// Pieces with their arrivals; of an answer that came in one there are none.
    frames: Vec<(i64, u32)>,
}

/// Exchanges being put together, the oldest first.
pub(super) struct Assembler {
    source: Source,
    open: VecDeque<Open>,
    bytes: usize,
    /// Bodies were read and written anew before they were logged.
    rebuilt: bool,
}

impl Assembler {
    pub(super) fn new(source: Source, rebuilt: bool) -> Self {
        Self { source, open: VecDeque::new(), bytes: 0, rebuilt }
    }

    /// Takes an event; gives an exchange when that closes one.
    pub(super) fn take(&mut self, event: Event) -> Option<Recording> {
        let id = &event.facts.request_id;
        let known = self.open.iter().rposition(|open| open.facts.request_id == *id);
        let repeats = known.and_then(|at| self.open.get(at)).is_some_and(|open| {
            event.way == Way::FromClient && (open.request.is_some() || !open.tries.is_empty())
        });
        let mut done = None;
        let at = match known {
            Some(at) if repeats => {
                // An id that is used again, such as a session's: what had it is over.
                done = self.remove(at);
                self.begin(&event)
            }
            Some(at) => at,
            None => {
                if self.open.len() >= OPEN_MAX || self.bytes > BYTES_MAX {
                    done = self.remove(0);
                }
                self.begin(&event)
            }
        };
        self.bytes += event.bytes.len();
        if let Some(open) = self.open.get_mut(at) {
            open.take(event);
        }
        done
    }

    fn begin(&mut self, event: &Event) -> usize {
        self.open.push_back(Open { started_us: event.at_us, ..Open::default() });
        self.open.len() - 1
    }

    fn remove(&mut self, at: usize) -> Option<Recording> {
        let open = self.open.remove(at)?;
        self.bytes = self.bytes.saturating_sub(open.bytes());
        Some(open.recording(self.source, self.rebuilt))
    }

    /// What is left at the end.
    pub(super) fn next_left(&mut self) -> Option<Recording> {
        self.remove(0)
    }
}

impl Open {
    fn bytes(&self) -> usize {
        let tried: usize = self.tries.iter().map(Try::bytes).sum();
        self.request.as_ref().map_or(0, Vec::len) + self.answer.len() + tried
    }

    fn take(&mut self, event: Event) {
        self.ended_us = self.ended_us.max(event.at_us);
        self.facts.learn(&event.facts);
        match event.way {
            Way::FromClient => self.request = Some(event.bytes),
            Way::ToClient => {
                self.answered = true;
                self.answer.extend_from_slice(&event.bytes);
            }
            Way::ToProvider => {
                let tried = self.begin_try(&event);
                tried.request = Some(event.bytes);
            }
            Way::FromProvider => {
                let tried = self.running_try(&event);
                tried.facts.learn(&event.facts);
                tried.head_us.get_or_insert(event.at_us);
                tried.ended_us = Some(event.at_us);
                if event.piece && !event.bytes.is_empty() {
                    let length = u32::try_from(event.bytes.len()).unwrap_or(u32::MAX);
                    tried.frames.push((event.at_us, length));
                }
                tried.answer.extend_from_slice(&event.bytes);
            }
        }
    }

    fn begin_try(&mut self, event: &Event) -> &mut Try {
        let number = event.facts.attempt;
        let same = |tried: &Try| number.is_some() && tried.number == number;
        // A request that is logged again before its answer, once as it was made and once as it was sent, is the same try.
        let at = self.tries.iter().position(same).or_else(|| {
            let last = self.tries.len().checked_sub(1)?;
            self.tries.get(last).filter(|tried| tried.head_us.is_none() && number.is_none())?;
            Some(last)
        });
        let at = at.unwrap_or_else(|| {
            self.tries.push(Try { number, sent_us: event.at_us, ..Try::default() });
            self.tries.len() - 1
        });
        let tried = &mut self.tries[at];
        tried.facts.learn(&event.facts);
        tried
    }

    fn running_try(&mut self, event: &Event) -> &mut Try {
        let number = event.facts.attempt;
        let at = self.tries.iter().rposition(|tried| number.is_none() || tried.number == number);
        let at = at.unwrap_or_else(|| {
            self.tries.push(Try { number, sent_us: event.at_us, ..Try::default() });
            self.tries.len() - 1
        });
        &mut self.tries[at]
    }

    fn recording(self, source: Source, rebuilt: bool) -> Recording {
        let Self { facts, started_us, ended_us, request, answer, answered, tries } = self;
        let mut attempts: Vec<Made> = tries.into_iter().map(|it| it.attempt(started_us)).collect();
        let last = attempts.last();
        let (asked_line, asked_heads, asked) = split_head(request);
        let answered_with = last.and_then(|made| made.attempt.response.body.whole());
        let answered_with = answered_with.map(|whole| whole.bytes.as_slice());
        let url = facts.url.clone().or_else(|| last.and_then(|made| made.path.clone()));
        let foreign = Foreign {
            id: facts.request_id.clone(),
            started_us,
            ended_us: Some(ended_us),
            method: facts.method.clone().unwrap_or_else(|| "POST".to_owned()),
            url: target(asked_line.as_deref())
                .or_else(|| url.as_deref().map(path_of))
                .unwrap_or_else(|| guessed_path(asked.as_deref(), answered_with).to_owned()),
            provider: facts.provider.clone(),
            model: facts.model.clone(),
            session: facts.session.clone(),
            request_headers: asked_heads.or_else(|| agent_head(facts.user_agent.as_deref())),
            request_body: asked,
            status: last.and_then(|made| made.attempt.status),
            client: facts.client.clone(),
            key_label: facts.key_label.clone(),
            rebuilt,
            ..Foreign::default()
        };
        let mut recording = foreign.recording(source);
        same_as_before(&mut recording, &mut attempts);
        answer_client(&mut recording, answered.then_some(answer));
        recording
    }
}

/// Puts the attempts in the place of the one that was made up.
fn same_as_before(recording: &mut Recording, made: &mut Vec<Made>) {
    if made.is_empty() {
        recording.attempts.clear();
        return;
    }
    let asked = recording.request.body.whole().cloned();
    if asked.is_none()
        && let Some(first) = made.first_mut()
    {
        // Only the proxy's other side was logged: what went to the provider is what there is.
        recording.request.body = std::mem::take(&mut first.attempt.request.body);
        recording.replayable = recording.request.body.whole().is_some();
        recording.request_bytes = length(&recording.request.body);
        first.attempt.request.body = Body::Same;
    }
    recording.attempts = made
        .drain(..)
        .map(|made| {
            let mut attempt = made.attempt;
            if asked.is_some() && attempt.request.body.whole() == asked.as_ref() {
                attempt.request.body = Body::Same;
            }
            attempt
        })
        .collect();
}

fn answer_client(recording: &mut Recording, answer: Option<Vec<u8>>) {
    let last = recording.attempts.last();
    let provider = last.and_then(|attempt| attempt.response.body.whole());
    let heads = last.and_then(|attempt| attempt.response.headers.clone());
    recording.response_bytes = provider.map_or(0, |whole| count(whole.bytes.len()));
    let (body, status) = match answer {
        Some(answer) if provider.is_none_or(|whole| whole.bytes != answer) => {
            let (line, own, answer) = split_head(Some(answer));
            let answer = answer.unwrap_or_default();
            recording.response_bytes = count(answer.len());
            recording.response.headers = own;
            (whole(Some(answer), None), status_of(line.as_deref()))
        }
        Some(_) => (Body::Same, None),
        None if provider.is_some() => (Body::Same, None),
        None => (Body::default(), None),
    };
    if body == Body::Same {
        recording.response.headers = heads;
    }
    recording.status = status.or(recording.status);
    recording.response.line = recording.status.map(|status| status.to_string());
    recording.response.body = body;
}

struct Made {
    attempt: Attempt,
    path: Option<String>,
}

impl Try {
    fn bytes(&self) -> usize {
        self.request.as_ref().map_or(0, Vec::len) + self.answer.len()
    }

    fn attempt(self, started_us: i64) -> Made {
        let since = |at: i64| at.saturating_sub(started_us).max(0);
        let came_in_pieces = !self.frames.is_empty();
        let (line, heads, asked) = split_head(self.request);
        let answered = (!self.answer.is_empty()).then_some(self.answer);
        let (status_line, answer_heads, answer) =
            if came_in_pieces { (None, None, answered) } else { split_head(answered) };
        let status = self.facts.status.or_else(|| status_of(status_line.as_deref()));
        // Only successes are logged without a status.
        let status = status.or_else(|| answer.as_ref().map(|_| 200));
        let asked = whole(asked, heads.as_deref());
        let body = whole(answer, answer_heads.as_deref());
        let path = self.facts.url.clone().or_else(|| target(line.as_deref()));
        let frames = self.frames.iter();
        let attempt = Attempt {
            provider: self.facts.provider.unwrap_or_else(|| "unknown".to_owned()),
            model: self.facts.model,
            key_label: self.facts.key_label,
            because: "imported".to_owned(),
            status,
            sent_us: since(self.sent_us),
            head_us: self.head_us.map(since),
            ended_us: self.ended_us.map(since),
            bytes: length(&body),
            frames: frames.map(|(at, length)| (since(*at).cast_unsigned(), *length)).collect(),
            request: Leg { line, headers: heads, body: asked },
            response: Leg {
                line: status.map(|status| status.to_string()),
                headers: answer_heads,
                body,
            },
            ..Attempt::default()
        };
        Made { attempt, path }
    }
}

impl Facts {
    /// What was said first counts.
    fn learn(&mut self, other: &Self) {
        if self.request_id.is_empty() {
            self.request_id.clone_from(&other.request_id);
        }
        for (own, new) in [
            (&mut self.session, &other.session),
            (&mut self.provider, &other.provider),
            (&mut self.model, &other.model),
            (&mut self.key_label, &other.key_label),
            (&mut self.client, &other.client),
            (&mut self.user_agent, &other.user_agent),
            (&mut self.method, &other.method),
            (&mut self.url, &other.url),
        ] {
            if own.is_none() {
                own.clone_from(new);
            }
        }
        self.status = self.status.or(other.status);
        self.attempt = self.attempt.or(other.attempt);
    }
}

/// Line, headers and body of a message that was logged as it stands on the wire; a body alone is a body.
fn split_head(bytes: Option<Vec<u8>>) -> (Option<String>, Option<Heads>, Option<Vec<u8>>) {
    let Some(mut bytes) = bytes else { return (None, None, None) };
    let looked_at = bytes.get(..bytes.len().min(HEAD_MAX)).unwrap_or_default();
    let line_end = memchr::memmem::find(looked_at, b"\r\n");
    let line = line_end.and_then(|end| std::str::from_utf8(&looked_at[..end]).ok());
    let is_head = line.is_some_and(|line| {
        line.starts_with("HTTP/")
            || line.rsplit_once(' ').is_some_and(|(_, version)| version.starts_with("HTTP/"))
    });
    let end = memchr::memmem::find(looked_at, b"\r\n\r\n").filter(|_| is_head);
    let Some(end) = end else { return (None, None, Some(bytes)) };
    let body = bytes.split_off(end + 4);
    let head = String::from_utf8_lossy(&bytes);
    let mut lines = head.split("\r\n");
    let line = lines.next().map(str::to_owned);
    let heads = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect();
    (line, Some(heads), Some(body))
}

fn target(line: Option<&str>) -> Option<String> {
    line?.split(' ').nth(1).filter(|target| target.starts_with('/')).map(str::to_owned)
}

fn status_of(line: Option<&str>) -> Option<u16> {
    line.filter(|line| line.starts_with("HTTP/"))?.split(' ').nth(1)?.parse().ok()
}

/// The provider's path, which is the client's but for where the provider keeps it.
fn path_of(url: &str) -> String {
    let after = url.split_once("://").map_or(url, |(_, after)| after);
    after.find('/').map_or_else(|| "/".to_owned(), |at| after[at..].to_owned())
}

/// Limit: bytes of a body's beginning that tell what it is.
const TOLD_BY: usize = 4_096;

/// Where nothing says which endpoint it was, the bodies do: the answer more surely than the request.
fn guessed_path(asked: Option<&[u8]>, answer: Option<&[u8]>) -> &'static str {
    const ANSWERS: [(&str, &str); 6] = [
        ("\"message_start\"", "/v1/messages"),
        ("\"stop_reason\"", "/v1/messages"),
        ("\"response.created\"", "/v1/responses"),
        ("\"object\":\"response\"", "/v1/responses"),
        ("\"candidates\"", "/v1beta/models/unknown:generateContent"),
        ("\"choices\"", "/v1/chat/completions"),
    ];
    let answer = answer.unwrap_or_default();
    let answer = answer.get(..TOLD_BY).unwrap_or(answer);
    let told =
        ANSWERS.iter().find(|(mark, _)| memchr::memmem::find(answer, mark.as_bytes()).is_some());
    if let Some((_, path)) = told {
        return path;
    }
    let mut path = "/v1/chat/completions";
    Walk::new(asked.unwrap_or_default()).members(|_, key| match key {
        b"input" => path = "/v1/responses",
        b"contents" => path = "/v1beta/models/unknown:generateContent",
        b"system" | b"anthropic_version" => path = "/v1/messages",
        _ => {}
    });
    path
}

fn agent_head(agent: Option<&str>) -> Option<Heads> {
    agent.map(|agent| vec![("user-agent".to_owned(), agent.to_owned())])
}
