//! Which values of headers are kept: those on a list. Of any other header the name is kept, and a placeholder.
//!
//! This runs on the request path, so a value that is kept is never copied and a name is looked up in one step.

use std::sync::LazyLock;

use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::mark::{Kind, OPENING};
use super::{Rules, context};

/// What may stand in the value of a header that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// Words of the protocol; nobody writes a secret here.
    Plain,
    /// Anything: looked through for secrets.
    Free,
}

/// Headers whose values are words of a protocol.
const PLAIN: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "alt-svc",
    "anthropic-beta",
    "anthropic-dangerous-direct-browser-access",
    "anthropic-version",
    "cache-control",
    "cf-cache-status",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "dnt",
    "etag",
    "expect",
    "expires",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "last-modified",
    "max-forwards",
    "openai-beta",
    "openai-processing-ms",
    "openai-version",
    "pragma",
    "priority",
    "proxy-connection",
    "range",
    "retry-after",
    "retry-after-ms",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "server",
    "server-timing",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "vary",
    "via",
    "x-accel-buffering",
    "x-app",
    "x-cache",
    "x-content-type-options",
    "x-dns-prefetch-control",
    "x-download-options",
    "x-frame-options",
    "x-powered-by",
    "x-robots-tag",
    "x-should-retry",
    "x-xss-protection",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "access-control-request-headers",
    "access-control-request-method",
];

/// Headers whose values are kept after a look through them.
const FREE: &[&str] = &[
    "anthropic-organization-id",
    "apim-request-id",
    "baggage",
    "cf-ray",
    "client-request-id",
    "forwarded",
    "from",
    "http-referer",
    "location",
    "openai-model",
    "openai-organization",
    "openai-project",
    "origin",
    "originator",
    "referer",
    "request-id",
    "session-id",
    "session_id",
    "conversation_id",
    "thread-id",
    "traceparent",
    "tracestate",
    "user-agent",
    "www-authenticate",
    "x-amz-request-id",
    "x-amzn-requestid",
    "x-amzn-errortype",
    "x-amzn-trace-id",
    "x-b3-traceid",
    "x-claude-code-session-id",
    "x-client-request-id",
    "x-codex-turn-metadata",
    "x-codex-beta-features",
    "x-correlation-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-github-request-id",
    "x-goog-api-client",
    "x-goog-request-id",
    "x-goog-request-params",
    "x-goog-user-project",
    "x-groq-region",
    "x-initiator",
    "x-interaction-id",
    "x-interaction-type",
    "x-model",
    "x-ms-client-request-id",
    "x-ms-error-code",
    "x-ms-region",
    "x-ms-request-id",
    "x-opencode-client",
    "x-opencode-project",
    "x-opencode-request",
    "x-opencode-session",
    "x-parent-session-id",
    "x-real-ip",
    "x-request-id",
    "x-served-by",
    "x-session-affinity",
    "x-session-id",
    "x-thread-id",
    "x-title",
    "x-trace-id",
    "x-aperture-fallback",
    "x-aperture-upstream",
    "x-aperture-region",
    "x-vercel-id",
    "x-model-provider-id",
];

/// Beginnings of such names, longest known families of them.
const FAMILIES: &[(&str, Value)] = &[
    ("x-ratelimit-", Value::Plain),
    ("ratelimit-", Value::Plain),
    ("anthropic-ratelimit-", Value::Plain),
    ("anthropic-priority-", Value::Plain),
    ("x-stainless-", Value::Plain),
    ("sec-ch-", Value::Plain),
    ("sec-websocket-", Value::Free),
    ("x-envoy-", Value::Free),
    ("x-pinhole-", Value::Free),
    ("x-kong-", Value::Free),
    ("x-served-", Value::Free),
    ("x-inference-", Value::Free),
    ("x-compute-", Value::Free),
    ("x-litellm-", Value::Free),
    ("openai-", Value::Free),
];

/// Headers whose values are credentials, whatever else is allowed.
const CREDENTIALS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "cookie2",
    "set-cookie",
    "x-api-key",
    "x-goog-api-key",
    "api-key",
    "apikey",
    "x-pinhole-key",
    "cf-aig-authorization",
    "x-amz-security-token",
    "x-goog-iam-authorization-token",
    "sec-websocket-key",
    "ocp-apim-subscription-key",
    "x-auth-token",
    "x-access-token",
    "x-litellm-api-key",
    "x-litellm-key",
    "x-csrf-token",
    "x-xsrf-token",
    "helicone-auth",
    "x-functions-key",
    "x-vault-token",
    "private-token",
    "x-portkey-api-key",
    "openai-api-key",
    "anthropic-api-key",
    "proxy-authenticate",
    "proxy-authentication-info",
    "authentication-info",
    "sec-websocket-accept",
    "x-forwarded-client-cert",
];

/// Slots of the table of names; a power of two, more than twice the names.
const SLOTS: usize = 512;

type Entry = (&'static str, Option<Value>);

/// Names to what may stand in their values; `None`: credentials. Open addressing, filled once.
static NAMES: LazyLock<Vec<Option<Entry>>> = LazyLock::new(|| {
    let mut slots: Vec<Option<Entry>> = vec![None; SLOTS];
    let credentials = CREDENTIALS.iter().map(|name| (*name, None));
    let plain = PLAIN.iter().map(|name| (*name, Some(Value::Plain)));
    let free = FREE.iter().map(|name| (*name, Some(Value::Free)));
    for entry in credentials.chain(plain).chain(free) {
        let mut at = slot(entry.0);
        while slots.get(at).is_some_and(Option::is_some) {
            at = (at + 1) % SLOTS;
        }
        if let Some(free) = slots.get_mut(at) {
            *free = Some(entry);
        }
    }
    slots
});

/// A few letters tell names apart well enough.
fn slot(name: &str) -> usize {
    let bytes = name.as_bytes();
    let letter = |at: usize| bytes.get(at).copied().unwrap_or(0) as usize;
    let length = bytes.len();
    let mixed = length
        .wrapping_mul(31)
        .wrapping_add(letter(0).wrapping_mul(7))
        .wrapping_add(letter(length / 2).wrapping_mul(61))
        .wrapping_add(letter(length * 3 / 4).wrapping_mul(17))
        .wrapping_add(letter(length.wrapping_sub(1)).wrapping_mul(113));
    mixed % SLOTS
}

#[expect(clippy::option_option, reason = "not listed, listed as a credential, listed as kept")]
fn known(name: &str) -> Option<Option<Value>> {
    let mut at = slot(name);
    while let Some(Some((own, value))) = NAMES.get(at) {
        if *own == name {
            return Some(*value);
        }
        at = (at + 1) % SLOTS;
    }
    None
}

/// Names that the configuration adds.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    names: Vec<String>,
    beginnings: Vec<String>,
}

impl Allowed {
    pub(super) fn new(written: &[String]) -> Self {
        let mut allowed = Self::default();
        for name in written {
            let name = name.trim().to_ascii_lowercase();
            match name.strip_suffix('*') {
                Some(beginning) => allowed.beginnings.push(beginning.to_owned()),
                None => allowed.names.push(name),
            }
        }
        allowed
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
            || self.beginnings.iter().any(|own| name.starts_with(own.as_str()))
    }

    pub(super) fn describe(&self, out: &mut blake3::Hasher) {
        for name in PLAIN.iter().chain(FREE).chain(CREDENTIALS) {
            out.update(name.as_bytes()).update(&[0]);
        }
        for name in self.names.iter().chain(&self.beginnings) {
            out.update(name.as_bytes()).update(&[1]);
        }
    }
}

/// What may stand in the header's value; `None`: it is not kept.
fn allowed(rules: &Rules, name: &str) -> Option<Value> {
    if let Some(value) = known(name) {
        return value;
    }
    let family = FAMILIES.iter().find(|(beginning, _)| name.starts_with(beginning));
    if let Some((_, value)) = family {
        return Some(*value);
    }
    rules.headers.has(name).then_some(Value::Free)
}

impl Rules {
    /// The headers in order, with a placeholder in the place of each value that is not kept.
    pub fn masked(&self, headers: &HeaderMap) -> HeaderMap {
        let mut kept = headers.clone();
        for (name, value) in &mut kept {
            if let Some(clean) = self.masked_value(name, value) {
                *value = clean;
            }
        }
        kept
    }

    /// What is kept instead of a value; `None`: the value itself.
    pub fn masked_value(&self, name: &HeaderName, value: &HeaderValue) -> Option<HeaderValue> {
        /// No secret is shorter, with the words that tell it.
        const FREE_MIN: usize = 12;
        let text = value.as_bytes();
        let allowed = if value.is_sensitive() { None } else { allowed(self, name.as_str()) };
        match allowed {
            Some(Value::Plain) => None,
            Some(Value::Free) if text.len() < FREE_MIN => None,
            Some(Value::Free) => HeaderValue::from_bytes(&self.clean(text)?).ok(),
            None if text.is_empty() || is_masked(text) => None,
            None => Some(self.placeholder_value(name, text)),
        }
    }

    fn placeholder_value(&self, name: &HeaderName, text: &[u8]) -> HeaderValue {
        // The scheme is kept: whether it was `Bearer` is half of what one asks when a key is refused.
        let has_scheme = *name == AUTHORIZATION || *name == PROXY_AUTHORIZATION;
        let skipped = if has_scheme { context::scheme(text) } else { 0 };
        let (scheme, secret) = text.split_at_checked(skipped).unwrap_or((&[], text));
        let mut masked = scheme.to_vec();
        masked.extend_from_slice(self.marker.placeholder(&Kind::Header, secret).as_bytes());
        HeaderValue::from_bytes(&masked).unwrap_or_else(|_| HeaderValue::from_static("[redacted]"))
    }
}

/// Whether a value was not kept.
pub fn is_masked(value: &[u8]) -> bool {
    // A placeholder beside something else hides nothing of that.
    let secret = value.get(context::scheme(value)..).unwrap_or(value);
    let inner = secret.strip_prefix(OPENING.as_bytes()).and_then(|rest| rest.strip_suffix(b"]"));
    inner.is_some_and(|inner| {
        inner.iter().all(|byte| byte.is_ascii_graphic() && !b"[];,".contains(byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules::new([7; 32], Vec::new(), &["X-Team".to_owned(), "x-acme-*".to_owned()])
    }

    fn kept(name: &'static str, value: &'static str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        let masked = rules().masked(&headers);
        masked[name].to_str().unwrap().to_owned()
    }

    #[test]
    fn each_name_is_listed_once_and_found() {
        let all: Vec<&str> = PLAIN.iter().chain(FREE).chain(CREDENTIALS).copied().collect();
        for (index, name) in all.iter().enumerate() {
            assert!(!all[..index].contains(name), "{name} twice");
            assert!(known(name).is_some(), "{name}");
            assert_eq!(name.to_ascii_lowercase(), **name);
        }
        assert!(all.len() * 2 < SLOTS);
        assert_eq!(known("x-nobody"), None);
    }

    #[test]
    fn values_are_kept_by_the_list_and_looked_through() {
        for (name, value) in [
            ("user-agent", "claude-cli/2.0 (external)"),
            ("x-request-id", "018f2c1e-7b1a-7c3e-9d2f-0a1b2c3d4e5f"),
            ("x-stainless-lang", "js"),
            ("anthropic-ratelimit-tokens-remaining", "12"),
            ("x-team", "search"),
            ("x-acme-stage", "blue"),
            ("x-pinhole-tag", "team=search"),
        ] {
            assert_eq!(kept(name, value), value);
        }
        for (name, value) in [
            ("x-nobody", "whatever"),
            ("x-api-key", "sk-ant-1"),
            ("cookie", "a=1"),
            ("x-pinhole-key", "pk-1"),
            ("openai-api-key", "abc"),
        ] {
            let kept = kept(name, value);
            assert!(kept.starts_with("[redacted:header:") && kept.len() == 26, "{kept}");
        }
        let agent = kept("user-agent", "tool/1 sk-proj-a8F3kQ92mZx71Lp0");
        assert!(agent.starts_with("tool/1 [redacted:api_key:"), "{agent}");
    }

    #[test]
    fn a_key_looks_the_same_wherever_it_stands() {
        let digest = |text: &str| text.split(':').next_back().unwrap().to_owned();
        let key = "sk-proj-a8F3kQ92mZx71Lp0";
        let header = kept("x-api-key", key);
        let bearer = kept("authorization", "Bearer sk-proj-a8F3kQ92mZx71Lp0");
        let body = rules().clean_text(key).unwrap();
        assert!(bearer.starts_with("Bearer [redacted:header:"), "{bearer}");
        assert_eq!(digest(&header), digest(&bearer));
        assert_eq!(digest(&header), digest(&body));
        assert_ne!(digest(&header), digest(&kept("x-api-key", "other")));
    }

    #[test]
    fn what_was_marked_as_sensitive_is_never_kept() {
        let mut headers = HeaderMap::new();
        let mut own = HeaderValue::from_static("team-key");
        own.set_sensitive(true);
        headers.insert("x-team", own);
        let masked = rules().masked(&headers);
        assert!(is_masked(masked["x-team"].as_bytes()));
        assert_eq!(masked, rules().masked(&masked), "twice is as once");
    }

    #[test]
    fn a_placeholder_beside_a_secret_hides_nothing_of_it() {
        let rules = rules();
        for (name, value) in [
            ("cookie", "a=[redacted:header:01234567]; session=Re4lS3ss10n"),
            ("authorization", "Bearer [redacted:header:01234567] sk-live-Re4l"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            let kept = format!("{:?}", rules.masked(&headers));
            assert!(!kept.contains("Re4l"), "{kept}");
        }
        assert!(
            is_masked(b"Bearer [redacted:header:01234567]")
                && is_masked(b"[redacted:header:01234567]")
        );
    }
}
