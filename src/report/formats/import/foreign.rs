//! An exchange that another program has recorded, made into a recording: one attempt, whose answer is what the client got.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Uri;
use http::uri::PathAndQuery;
use pinhole_replay::recording::{Attempt, Body, Fault, Leg, Recording, Times, Usage, Whole};

use crate::base::coding;
use crate::report::formats::import::Source;

/// Headers, in order.
pub(super) type Heads = Vec<(String, String)>;

/// What other recorders know of an exchange. Times are microseconds since 1970.
#[derive(Debug, Clone, Default)]
pub(super) struct Foreign {
    /// The id it has there.
    pub id: String,
    pub started_us: i64,
    pub head_us: Option<i64>,
    pub first_content_us: Option<i64>,
    pub ended_us: Option<i64>,
    pub method: String,
    /// Whole, or path and query.
    pub url: String,
    /// Absent: it follows from the URL.
    pub provider: Option<String>,
    pub model: Option<String>,
    pub session: Option<String>,
    pub request_headers: Option<Heads>,
    pub request_body: Option<Vec<u8>>,
    pub status: Option<u16>,
    pub response_headers: Option<Heads>,
    pub response_body: Option<Vec<u8>>,
    pub frames: Vec<(u64, u32)>,
    /// Resolving, connecting, TLS.
    pub link_us: Option<[i64; 3]>,
    pub peer: Option<String>,
    pub client: Option<String>,
    pub key_label: Option<String>,
    pub user_label: Option<String>,
    pub usage: Option<Usage>,
    pub cost_nanousd: Option<i64>,
    pub error: Option<Fault>,
    /// Bodies were put together from parts: they say what was said, not in which bytes.
    pub rebuilt: bool,
    pub tags: Vec<(String, String)>,
}

/// Hosts and the presets they belong to.
const HOSTS: [(&str, &str); 9] = [
    ("api.openai.com", "openai"),
    ("api.anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "gemini"),
    ("openrouter.ai", "openrouter"),
    ("api.mistral.ai", "mistral"),
    ("api.groq.com", "groq"),
    ("api.deepseek.com", "deepseek"),
    ("api.x.ai", "xai"),
    ("api.together.xyz", "together"),
];

impl Foreign {
    pub(super) fn recording(mut self, source: Source) -> Recording {
        let (target, host) = self.target();
        let id = id_of(source, &self.id, self.started_us);
        let tags = self.all_tags(source, &id);
        let method = std::mem::take(&mut self.method);
        let method = if method.is_empty() { "POST".to_owned() } else { method };
        let request = whole(self.request_body.take(), self.request_headers.as_deref());
        let attempt = self.attempt(host, &request);
        let line = self.status.map(|status| status.to_string());
        let answer = if line.is_some() { Body::Same } else { Body::default() };
        let ended_us = self.ended_us.or(self.head_us).unwrap_or(self.started_us);
        Recording {
            id,
            started_at_us: self.started_us,
            duration_us: self.since(ended_us),
            path: target.split('?').next().unwrap_or("/").to_owned(),
            times: Times {
                ttft_us: self.first_content_us.map(|at| self.since(at)),
                ..Times::default()
            },
            session: self.session,
            status: self.status,
            error: self.error,
            usage: self.usage,
            cost_nanousd: self.cost_nanousd,
            key_label: self.key_label,
            user_label: self.user_label,
            client_addr: self.client,
            request_bytes: length(&request),
            response_bytes: attempt.bytes,
            replayable: request.whole().is_some(),
            tags,
            request: Leg {
                line: Some(format!("{method} {target}")),
                headers: self.request_headers,
                body: request,
            },
            method,
            response: Leg { line, headers: self.response_headers, body: answer },
            attempts: vec![attempt],
            ..Recording::default()
        }
    }

    /// Path and query, and the host where the URL has one.
    fn target(&self) -> (String, Option<String>) {
        let uri: Option<Uri> = self.url.parse().ok();
        let target = uri.as_ref().and_then(Uri::path_and_query).map(PathAndQuery::as_str);
        let target = target.filter(|target| target.starts_with('/')).unwrap_or("/").to_owned();
        (target, uri.as_ref().and_then(Uri::host).map(str::to_owned))
    }

    /// Microseconds from the beginning.
    fn since(&self, at: i64) -> i64 {
        at.saturating_sub(self.started_us).max(0)
    }

    /// Its own, and where it came from.
    fn all_tags(&mut self, source: Source, id: &str) -> Vec<(String, String)> {
        let mut tags = std::mem::take(&mut self.tags);
        if uuid::Uuid::try_parse(&self.id).is_ok() && id != self.id {
            tags.push(("imported_id".to_owned(), std::mem::take(&mut self.id)));
        }
        tags.push(("imported".to_owned(), source.label().to_owned()));
        if self.rebuilt {
            tags.push(("bodies".to_owned(), "rebuilt".to_owned()));
        }
        tags
    }

    /// The one attempt: what went to the provider is what the client sent.
    fn attempt(&mut self, host: Option<String>, request: &Body) -> Attempt {
        let provider = self.provider.take().or_else(|| host.map(provider_of));
        let body = whole(self.response_body.take(), self.response_headers.as_deref());
        Attempt {
            provider: provider.unwrap_or_else(|| "unknown".to_owned()),
            model: self.model.take(),
            because: "imported".to_owned(),
            status: self.status,
            error: self.error.clone(),
            head_us: self.head_us.map(|at| self.since(at)),
            ended_us: self.ended_us.map(|at| self.since(at)),
            link_us: self.link_us,
            peer: self.peer.take(),
            bytes: length(&body),
            usage: self.usage.clone(),
            cost_nanousd: self.cost_nanousd,
            request: Leg { line: None, headers: None, body: same_if_there(request) },
            response: Leg {
                line: self.status.map(|status| status.to_string()),
                headers: self.response_headers.clone(),
                body,
            },
            frames: std::mem::take(&mut self.frames),
            ..Attempt::default()
        }
    }
}

fn same_if_there(body: &Body) -> Body {
    if body.whole().is_some() { Body::Same } else { Body::default() }
}

pub(super) fn length(body: &Body) -> i64 {
    body.whole().map_or(0, |whole| count(whole.bytes.len()))
}

pub(super) fn count(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// The body, with its coding where its bytes really are in one: many recorders keep the headers and undo the coding.
pub(super) fn whole(bytes: Option<Vec<u8>>, headers: Option<&[(String, String)]>) -> Body {
    let Some(bytes) = bytes else { return Body::default() };
    let named = headers.and_then(|all| value(all, "content-encoding"));
    let named = named.map(str::trim).filter(|name| !name.eq_ignore_ascii_case("identity"));
    let zipped = bytes.starts_with(&[0x1f, 0x8b, 0x08]).then_some("gzip");
    let coding = named.filter(|name| !name.is_empty()).or(zipped);
    let is_text = std::str::from_utf8(&bytes).is_ok_and(|text| !text.contains('\0'));
    let coding = coding.filter(|name| !is_text && decodes(name, &bytes)).map(str::to_owned);
    Body::Whole(Whole { bytes, coding, ..Whole::default() })
}

fn decodes(coding: &str, bytes: &[u8]) -> bool {
    !coding::beginning(coding, bytes, 1_024).is_empty()
        || coding::decode(coding, &Bytes::copy_from_slice(bytes), 1_024).is_ok()
}

/// The first value of a header.
pub(super) fn value<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn provider_of(host: String) -> String {
    HOSTS.iter().find(|(known, _)| *known == host).map_or(host, |(_, name)| (*name).to_owned())
}

/// The id it has, where that is a UUID in the order of time, as ids in the store are; else one made of it, so that reading
/// the file again gives the same.
pub(super) fn id_of(source: Source, id: &str, started_us: i64) -> String {
    if let Ok(uuid) = uuid::Uuid::try_parse(id)
        && uuid.get_version_num() == 7
    {
        return uuid.hyphenated().to_string();
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(source.label().as_bytes());
    hasher.update(b"\0");
    hasher.update(id.as_bytes());
    hasher.update(&started_us.to_le_bytes());
    let mut tail = [0; 10];
    tail.copy_from_slice(hasher.finalize().as_bytes().first_chunk::<10>().unwrap_or(&[0; 10]));
    let millis = u64::try_from(started_us / 1_000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid().hyphenated().to_string()
}

/// Bytes given as base64.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Seconds since 1970, perhaps with a fraction.
pub(super) fn seconds(value: f64) -> Option<i64> {
    // Past these the product is no time that anybody has recorded.
    (0.0..1e11).contains(&value).then(|| (value * 1e6).round() as i64)
}
