//! An exchange that another program has recorded, made into a recording: one attempt, whose answer is what the client got.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Uri;
use pinhole_replay::recording::{Attempt, Body, Fault, Leg, Recording, Usage, Whole};

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
        let uri: Option<Uri> = self.url.parse().ok();
        let target =
            uri.as_ref().and_then(Uri::path_and_query).map(http::uri::PathAndQuery::as_str);
        let target = target.filter(|target| target.starts_with('/')).unwrap_or("/").to_owned();
        let path = target.split('?').next().unwrap_or("/").to_owned();
        let host = uri.as_ref().and_then(Uri::host).map(str::to_owned);
        let provider = self.provider.take().or_else(|| host.map(provider_of));
        let ended = self.ended_us.or(self.head_us).unwrap_or(self.started_us);
        let request = whole(self.request_body.take(), self.request_headers.as_deref());
        let response = whole(self.response_body.take(), self.response_headers.as_deref());
        let since = |at: i64| at.saturating_sub(self.started_us).max(0);
        let mut recording = Recording {
            id: id_of(source, &self.id, self.started_us),
            started_at_us: self.started_us,
            duration_us: since(ended),
            session: self.session.take(),
            method: std::mem::take(&mut self.method),
            path,
            status: self.status,
            usage: self.usage.take(),
            cost_nanousd: self.cost_nanousd,
            key_label: self.key_label.take(),
            user_label: self.user_label.take(),
            client_addr: self.client.take(),
            request_bytes: length(&request),
            response_bytes: length(&response),
            redacted: false,
            replayable: request.whole().is_some(),
            tags: std::mem::take(&mut self.tags),
            ..Recording::default()
        };
        if recording.method.is_empty() {
            recording.method = "POST".to_owned();
        }
        if uuid::Uuid::try_parse(&self.id).is_ok() && recording.id != self.id {
            recording.tags.push(("imported_id".to_owned(), std::mem::take(&mut self.id)));
        }
        recording.times.ttft_us = self.first_content_us.map(since);
        recording.error.clone_from(&self.error);
        recording.tags.push(("imported".to_owned(), source.label().to_owned()));
        if self.rebuilt {
            recording.tags.push(("bodies".to_owned(), "rebuilt".to_owned()));
        }
        recording.request = Leg {
            line: Some(format!("{} {target}", recording.method)),
            headers: self.request_headers.take(),
            body: request,
        };
        recording.attempts = vec![Attempt {
            provider: provider.unwrap_or_else(|| "unknown".to_owned()),
            model: self.model.take(),
            because: "imported".to_owned(),
            status: self.status,
            error: self.error.take(),
            head_us: self.head_us.map(since),
            ended_us: self.ended_us.map(since),
            link_us: self.link_us,
            peer: self.peer.take(),
            bytes: length(&response),
            usage: recording.usage.clone(),
            cost_nanousd: recording.cost_nanousd,
            request: Leg {
                line: None,
                headers: None,
                body: same_if_there(&recording.request.body),
            },
            response: Leg {
                line: self.status.map(|status| status.to_string()),
                headers: self.response_headers.clone(),
                body: response,
            },
            frames: std::mem::take(&mut self.frames),
            ..Attempt::default()
        }];
        let answered = self.status.is_some();
        recording.response = Leg {
            line: self.status.map(|status| status.to_string()),
            headers: self.response_headers.take(),
            body: if answered { Body::Same } else { Body::default() },
        };
        recording
    }
}

fn same_if_there(body: &Body) -> Body {
    if body.whole().is_some() { Body::Same } else { Body::default() }
}

fn length(body: &Body) -> i64 {
    body.whole().map_or(0, |whole| i64::try_from(whole.bytes.len()).unwrap_or(i64::MAX))
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
