//! Who is calling: the gateway key a request carries, and what is left of its credentials for the provider.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::base::secret::Secret;

/// One key that opens the gateway.
#[derive(Debug, Clone)]
pub struct GatewayKey {
    pub label: Arc<str>,
    pub secret: Secret,
}

pub const X_PINHOLE_KEY: HeaderName = HeaderName::from_static("x-pinhole-key");

/// Where a credential was found, so that it can be taken off what goes upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Header(HeaderName),
    /// `?key=`.
    Query,
}

/// The caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The gateway has no keys: anyone on loopback. Their credentials, if any, are their own.
    Loopback,
    /// A key of the gateway's, found at `place`; `own_credential` says that another credential came along with it.
    Known { label: Arc<str>, place: Place, own_credential: bool },
}

/// Why a caller is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// No credential at all.
    Missing,
    /// A credential, but none of ours.
    Wrong,
}

/// The header a credential may stand in, in the order they are looked at.
const PLACES: [HeaderName; 5] = [
    X_PINHOLE_KEY,
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("api-key"),
];

/// Decides who is calling. Every configured key is compared in constant time.
pub fn identify(
    keys: &[GatewayKey],
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Caller, Unknown> {
    if keys.is_empty() {
        return Ok(Caller::Loopback);
    }
    let mut found = None;
    let mut others = 0;
    for (place, candidate) in candidates(headers, query) {
        match keys.iter().find(|key| key.secret.matches(candidate)) {
            Some(key) if found.is_none() => found = Some((Arc::clone(&key.label), place)),
            Some(_) => {}
            None => others += 1,
        }
    }
    match found {
        Some((label, place)) => Ok(Caller::Known { label, place, own_credential: others > 0 }),
        None if others > 0 => Err(Unknown::Wrong),
        None => Err(Unknown::Missing),
    }
}

fn candidates<'a>(
    headers: &'a HeaderMap,
    query: Option<&'a str>,
) -> impl Iterator<Item = (Place, &'a str)> {
    let from_headers = PLACES.into_iter().filter_map(|name| {
        let text = headers.get(&name).and_then(credential)?;
        Some((Place::Header(name), text))
    });
    let from_query = query.and_then(query_key).map(|text| (Place::Query, text));
    from_headers.chain(from_query)
}

/// The text of a credential header, without a `Bearer` in front.
fn credential(value: &HeaderValue) -> Option<&str> {
    let text = value.to_str().ok()?.trim();
    let bare = match text.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
        _ => text,
    };
    (!bare.is_empty()).then_some(bare)
}

/// The first value of `key` in a query that is not empty.
pub fn query_key(query: &str) -> Option<&str> {
    query.split('&').filter_map(|pair| pair.strip_prefix("key=")).find(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<GatewayKey> {
        vec![
            GatewayKey { label: "ci".into(), secret: Secret::new("pk-ci") },
            GatewayKey { label: "me".into(), secret: Secret::new("pk-me") },
        ]
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn label(result: Result<Caller, Unknown>) -> Option<String> {
        match result {
            Ok(Caller::Known { label, .. }) => Some(label.to_string()),
            _ => None,
        }
    }

    #[test]
    fn a_gateway_without_keys_knows_nobody_and_takes_anyone() {
        assert_eq!(identify(&[], &HeaderMap::new(), None), Ok(Caller::Loopback));
        let dummy = headers(&[("authorization", "Bearer not-needed")]);
        assert_eq!(identify(&[], &dummy, None), Ok(Caller::Loopback));
    }

    #[test]
    fn keys_are_found_in_every_place() {
        for (name, value) in [
            ("authorization", "Bearer pk-me"),
            ("authorization", "bearer  pk-me "),
            ("x-api-key", "pk-me"),
            ("x-goog-api-key", "pk-me"),
            ("api-key", "pk-me"),
            ("x-pinhole-key", "pk-me"),
        ] {
            let result = identify(&keys(), &headers(&[(name, value)]), None);
            assert_eq!(label(result).as_deref(), Some("me"), "{name}: {value}");
        }
        assert_eq!(
            label(identify(&keys(), &HeaderMap::new(), Some("alt=sse&key=pk-ci"))).as_deref(),
            Some("ci")
        );
    }

    #[test]
    fn missing_and_wrong_are_told_apart() {
        assert_eq!(identify(&keys(), &HeaderMap::new(), None), Err(Unknown::Missing));
        let wrong = headers(&[("x-api-key", "pk-mee")]);
        assert_eq!(identify(&keys(), &wrong, None), Err(Unknown::Wrong));
    }

    #[test]
    fn a_second_credential_beside_the_gateway_key_is_noticed() {
        let both = headers(&[("x-pinhole-key", "pk-me"), ("authorization", "Bearer sk-own")]);
        assert_eq!(
            identify(&keys(), &both, None),
            Ok(Caller::Known {
                label: "me".into(),
                place: Place::Header(X_PINHOLE_KEY),
                own_credential: true
            })
        );
    }
}
