//! What passes and what does not: deny-lists for both directions, and the gateway's own headers. Pure.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::base::headers::remove_all;
use crate::exchange::attempt::RateLimit;
use crate::exchange::level::Level;
use crate::policy::identity::{Caller, Place};

pub const X_PINHOLE_ID: HeaderName = HeaderName::from_static("x-pinhole-id");
pub const X_PINHOLE_UPSTREAM: HeaderName = HeaderName::from_static("x-pinhole-upstream");
pub const X_PINHOLE_MODEL: HeaderName = HeaderName::from_static("x-pinhole-model");
pub const X_PINHOLE_ATTEMPTS: HeaderName = HeaderName::from_static("x-pinhole-attempts");
pub const X_PINHOLE_UPSTREAM_STATUS: HeaderName =
    HeaderName::from_static("x-pinhole-upstream-status");
pub const X_PINHOLE_INSTANCE: HeaderName = HeaderName::from_static("x-pinhole-instance");
pub const X_APERTURE_UPSTREAM: HeaderName = HeaderName::from_static("x-aperture-upstream");
pub const X_APERTURE_REGION: HeaderName = HeaderName::from_static("x-aperture-region");
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub const X_PINHOLE_COST: HeaderName = HeaderName::from_static("x-pinhole-cost");
pub const X_CACHE: HeaderName = HeaderName::from_static("x-cache");
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
pub const BAGGAGE: HeaderName = HeaderName::from_static("baggage");
const X_PINHOLE_CAPTURE: HeaderName = HeaderName::from_static("x-pinhole-capture");
const X_PINHOLE_TAG: HeaderName = HeaderName::from_static("x-pinhole-tag");

/// Where clients name their session, the first of them wins: any client, Claude Code, Codex, OpenCode, older Codex.
const SESSION: [HeaderName; 6] = [
    HeaderName::from_static("x-session-id"),
    HeaderName::from_static("x-claude-code-session-id"),
    HeaderName::from_static("session-id"),
    HeaderName::from_static("x-opencode-session"),
    HeaderName::from_static("x-session-affinity"),
    HeaderName::from_static("session_id"),
];
const CLAUDE_CODE: usize = 1;
const CODEX: usize = 2;
/// Where they name the session that theirs works for.
const PARENT: [HeaderName; 2] = [
    HeaderName::from_static("x-parent-session-id"),
    HeaderName::from_static("x-opencode-parent-session"),
];
/// Limit: bytes of a session's name.
const SESSION_BYTES_MAX: usize = 256;

/// Limits on tags; what is over them is left out.
const TAGS_MAX: usize = 16;
const TAG_BYTES_MAX: usize = 256;

/// Belongs to one connection, never to the next one.
static HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Further request headers that never reach a provider.
static REQUEST_DENIED: [HeaderName; 5] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::COOKIE,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
];

/// Further response headers that never reach a client. `alt-svc` would send it past the gateway.
static RESPONSE_DENIED: [HeaderName; 3] =
    [header::SET_COOKIE, header::PROXY_AUTHENTICATE, header::ALT_SVC];

/// Prefixes of the gateway's own headers.
const OWN: [&str; 2] = ["x-pinhole-", "x-aperture-"];

/// Takes off what must not go upstream, the one credential that opened the gateway among it, and for what `is_gone` says
/// yes: all at once, because each time the others are put into a new map.
pub fn strip_request(
    headers: &mut HeaderMap,
    caller: &Caller,
    is_gone: impl Fn(&HeaderName) -> bool,
) {
    let named = named_hops(headers);
    let key = match caller {
        Caller::Known { place: Place::Header(name), .. } => Some(name),
        _ => None,
    };
    remove_all(headers, |name| {
        is_hop(name, &named)
            || REQUEST_DENIED.contains(name)
            || is_own(name)
            || key == Some(name)
            || is_gone(name)
    });
}

/// Takes off what must not go back to the client.
pub fn strip_response(headers: &mut HeaderMap) {
    let named = named_hops(headers);
    remove_all(headers, |name| {
        is_hop(name, &named) || RESPONSE_DENIED.contains(name) || is_own(name)
    });
}

fn is_hop(name: &HeaderName, named: &[HeaderName]) -> bool {
    HOP_BY_HOP.contains(name) || named.contains(name)
}

/// What the connection's own header says belongs to the connection.
fn named_hops(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| {
            !token.eq_ignore_ascii_case("keep-alive") && !token.eq_ignore_ascii_case("close")
        })
        .filter_map(|token| HeaderName::try_from(token).ok())
        .collect()
}

fn is_own(name: &HeaderName) -> bool {
    OWN.iter().any(|prefix| name.as_str().starts_with(prefix))
}

/// The id a provider gave its answer, by the names in use.
pub fn provider_request_id(headers: &HeaderMap) -> Option<&HeaderValue> {
    [
        X_REQUEST_ID,
        HeaderName::from_static("request-id"),
        HeaderName::from_static("x-amzn-requestid"),
    ]
    .iter()
    .find_map(|name| headers.get(name))
}

/// A copy in memory of its own: what outlives the request must not hold the connection's read buffer, which the next
/// request could then not use.
pub fn owned(value: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok()
}

/// The session that the client names, and the one that it says this one works for.
pub fn session(headers: &HeaderMap) -> (Option<Arc<str>>, Option<Arc<str>>) {
    let Some((at, own)) =
        SESSION.iter().enumerate().find_map(|(at, name)| Some((at, name_in(headers, name)?)))
    else {
        return (None, None);
    };
    let (own, parent) = match at {
        CLAUDE_CODE => claude_code(headers, own),
        CODEX => codex(headers, own),
        _ => (own, PARENT.iter().find_map(|name| name_in(headers, name))),
    };
    let other = parent.filter(|parent| *parent != own);
    (Some(Arc::from(own)), other.map(Arc::from))
}

/// A session, and the one that it works for.
type Named<'h> = (Cow<'h, str>, Option<Cow<'h, str>>);

/// Sub-agents of Claude Code share the header of the session, and have ids of their own within it.
fn claude_code<'h>(headers: &'h HeaderMap, session: Cow<'h, str>) -> Named<'h> {
    let agent = |name: &str| headers.get(name).and_then(text_of);
    let Some(own) = agent("x-claude-code-agent-id") else { return (session, None) };
    let parent = match agent("x-claude-code-parent-agent-id") {
        Some(parent) => Cow::Owned(format!("{session}/{parent}")),
        None => session.clone(),
    };
    (Cow::Owned(format!("{session}/{own}")), Some(parent))
}

/// Codex's threads share the session of the first one; a thread that another one began is a session of its own here.
fn codex<'h>(headers: &'h HeaderMap, session: Cow<'h, str>) -> Named<'h> {
    let parent = headers.get("x-codex-parent-thread-id").and_then(text_of);
    let is_child = parent.is_some() || headers.contains_key("x-openai-subagent");
    match headers.get("thread-id").and_then(text_of).filter(|_| is_child) {
        Some(thread) => (thread, parent.or(Some(session))),
        None => (session, parent),
    }
}

fn name_in<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Cow<'h, str>> {
    headers.get(name).and_then(text_of)
}

/// The text of a name, within its limit.
fn text_of(value: &HeaderValue) -> Option<Cow<'_, str>> {
    let bytes = value.as_bytes();
    let text = String::from_utf8_lossy(bytes.get(..SESSION_BYTES_MAX).unwrap_or(bytes));
    (!text.is_empty()).then_some(text)
}

/// `x-pinhole-capture: LEVEL`; a word that is no level asks for nothing.
pub fn capture(headers: &HeaderMap) -> Option<Level> {
    Level::parse(headers.get(X_PINHOLE_CAPTURE)?.to_str().ok()?.trim())
}

/// `x-pinhole-tag: team=search`, repeatable; anything without a name and a value is none.
pub fn tags(headers: &HeaderMap) -> Vec<(String, String)> {
    let values = headers.get_all(X_PINHOLE_TAG).iter();
    values
        .filter(|value| value.len() <= TAG_BYTES_MAX)
        .filter_map(|value| value.to_str().ok()?.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .take(TAGS_MAX)
        .collect()
}

/// Takes off what would tell a provider of the caller's trace.
pub fn strip_trace(headers: &mut HeaderMap) {
    remove_all(headers, is_trace);
}

fn is_trace(name: &HeaderName) -> bool {
    [TRACEPARENT, TRACESTATE, BAGGAGE].contains(name)
}

/// The coding of a body, when it has one.
pub fn coding(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_ENCODING)?.to_str().ok()?.trim();
    (!value.is_empty() && !value.eq_ignore_ascii_case("identity")).then(|| value.to_owned())
}

/// What the provider says of its limits, in OpenAI's words or in Anthropic's.
pub fn rate_limit(headers: &HeaderMap) -> RateLimit {
    let mut found = RateLimit::default();
    for (name, value) in headers {
        let name = name.as_str();
        let rest = name.strip_prefix("x-ratelimit-");
        let rest = rest.or_else(|| name.strip_prefix("anthropic-ratelimit-"));
        let slot = match rest.unwrap_or(name) {
            "limit-requests" | "requests-limit" => &mut found.requests_limit,
            "remaining-requests" | "requests-remaining" => &mut found.requests_remaining,
            "limit-tokens" | "tokens-limit" => &mut found.tokens_limit,
            "remaining-tokens" | "tokens-remaining" => &mut found.tokens_remaining,
            "retry-after" => &mut found.retry_after_s,
            _ => continue,
        };
        *slot = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    }
    found
}

/// Server-sent events, by the content type.
pub fn is_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// Whether a body is in a coding, so that its bytes cannot be read as they come.
pub fn is_compressed(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The value of `date`.
pub fn date(wall_us: u64) -> Option<HeaderValue> {
    let now = jiff::Timestamp::from_second(i64::try_from(wall_us / 1_000_000).ok()?).ok()?;
    let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now).ok()?;
    HeaderValue::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    fn names(map: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = map.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn sessions_and_parents_are_named_in_each_clients_way() {
        for (sent, own, parent) in [
            (&[][..], None, None),
            (&[("x-session-id", "")], None, None),
            (&[("x-session-id", "s"), ("session-id", "t")], Some("s"), None),
            (&[("x-session-id", "s"), ("x-parent-session-id", "p")], Some("s"), Some("p")),
            (&[("x-session-id", "s"), ("x-parent-session-id", "s")], Some("s"), None),
            (&[("x-claude-code-session-id", "c")], Some("c"), None),
            (
                &[("x-claude-code-session-id", "c"), ("x-claude-code-agent-id", "a")],
                Some("c/a"),
                Some("c"),
            ),
            (
                &[
                    ("x-claude-code-session-id", "c"),
                    ("x-claude-code-agent-id", "b"),
                    ("x-claude-code-parent-agent-id", "a"),
                ],
                Some("c/b"),
                Some("c/a"),
            ),
            (&[("session-id", "r"), ("thread-id", "r")], Some("r"), None),
            (
                &[
                    ("session-id", "r"),
                    ("thread-id", "t"),
                    ("x-codex-parent-thread-id", "r"),
                    ("x-openai-subagent", "collab_spawn"),
                ],
                Some("t"),
                Some("r"),
            ),
            (
                &[("session-id", "r"), ("thread-id", "t"), ("x-openai-subagent", "review")],
                Some("t"),
                Some("r"),
            ),
            (&[("session_id", "old")], Some("old"), None),
            (&[("x-session-affinity", "o"), ("x-parent-session-id", "p")], Some("o"), Some("p")),
            (&[("x-client-request-id", "never")], None, None),
        ] {
            let (found, found_parent) = session(&headers(sent));
            assert_eq!((found.as_deref(), found_parent.as_deref()), (own, parent), "{sent:?}");
        }
        let mut long = HeaderMap::new();
        long.insert("x-session-id", HeaderValue::from_bytes(&[0xff; 2_000]).unwrap());
        let found = session(&long).0.unwrap();
        assert_eq!(found.chars().count(), SESSION_BYTES_MAX, "what is no text is replaced");
    }

    #[test]
    fn requests_lose_hops_cookies_and_the_gateways_own() {
        let mut map = headers(&[
            ("host", "127.0.0.1:8000"),
            ("connection", "keep-alive, x-secret-hop"),
            ("x-secret-hop", "1"),
            ("cookie", "__cf_bm=1"),
            ("x-pinhole-tag", "team=a"),
            ("x-aperture-fallback", "m"),
            ("anthropic-beta", "a"),
            ("user-agent", "ua"),
            ("x-stainless-lang", "python"),
            ("authorization", "Bearer pk"),
        ]);
        let caller = Caller::Known {
            label: "k".into(),
            place: Place::Header(header::AUTHORIZATION),
            own_credential: false,
        };
        strip_request(&mut map, &caller, |_| false);
        assert_eq!(names(&map), ["anthropic-beta", "user-agent", "x-stainless-lang"]);
    }

    #[test]
    fn responses_keep_limits_and_ids() {
        let mut map = headers(&[
            ("set-cookie", "a=b"),
            ("connection", "close"),
            ("retry-after", "3"),
            ("request-id", "req_1"),
            ("x-ratelimit-remaining-tokens", "9"),
            ("anthropic-ratelimit-requests-limit", "50"),
            ("openai-processing-ms", "12"),
            ("x-pinhole-id", "forged"),
            ("alt-svc", "h3=\":443\""),
        ]);
        strip_response(&mut map);
        assert_eq!(
            names(&map),
            [
                "anthropic-ratelimit-requests-limit",
                "openai-processing-ms",
                "request-id",
                "retry-after",
                "x-ratelimit-remaining-tokens"
            ]
        );
    }
}
