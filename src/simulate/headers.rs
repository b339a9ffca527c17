//! Headers of answers, and what the headers of a request say about them.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::endpoint::Family;
use super::pace::Rng;
use super::script::Profile;

/// The headers that providers of this family send with every answer, and the script's.
pub(crate) fn provider(family: Family, profile: &Profile, rng: &mut Rng) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    let mut put = |name: &'static str, value: &'static str| {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    };
    let id = match family {
        Family::OpenAi => {
            put("openai-version", "2020-10-01");
            put("openai-processing-ms", "12");
            put("x-ratelimit-limit-requests", "10000");
            put("x-ratelimit-remaining-requests", "9999");
            "x-request-id"
        }
        Family::Anthropic => {
            put("anthropic-ratelimit-requests-limit", "4000");
            put("anthropic-ratelimit-requests-remaining", "3999");
            "request-id"
        }
        Family::Gemini => {
            put("server-timing", "gfet4t7; dur=12");
            "x-gemini-service-tier"
        }
    };
    if family == Family::Gemini {
        put(id, "standard");
    } else if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(rng.id("req_", 24))) {
        headers.insert(HeaderName::from_static(id), value);
    }
    extend(&mut headers, profile.headers.as_deref().unwrap_or_default());
    headers
}

/// Adds the script's headers. A name the provider sets itself is replaced, one the script gives twice stands twice.
pub(crate) fn extend(headers: &mut HeaderMap, more: &[(String, String)]) {
    for (name, _) in more {
        if let Ok(name) = HeaderName::try_from(name.as_str()) {
            headers.remove(name);
        }
    }
    for (name, value) in more {
        let name_value = HeaderName::try_from(name.as_str()).ok();
        if let Some((name, value)) = name_value.zip(HeaderValue::try_from(value.as_str()).ok()) {
            headers.append(name, value);
        } else {
            tracing::warn!(%name, "this is not a header; the script's value is left out");
        }
    }
}

/// Whether the request carries the key the profile expects.
pub(crate) fn admitted(head: &Parts, profile: &Profile) -> bool {
    let Some(expected) = &profile.expect_key else {
        return true;
    };
    let carries = |name: &str| {
        let value = head.headers.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.strip_prefix("Bearer ").unwrap_or(value) == expected)
    };
    if let Some(name) = &profile.key_header {
        return carries(name);
    }
    let usual = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];
    let query = head.uri.query().unwrap_or_default();
    let mut pairs = query.split('&');
    usual.into_iter().any(carries) || pairs.any(|pair| pair.strip_prefix("key=") == Some(expected))
}

/// Whether the client takes gzip.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::ACCEPT_ENCODING).iter();
    values.any(|value| value.to_str().is_ok_and(|value| value.contains("gzip")))
}
