//! Sends on what no recording answers, to a configured provider: its base URL, its key, its TLS.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Response, header};

use crate::exchange::attempt::Link;
use crate::upstream::auth::{self, ClientCredential};
use crate::upstream::client::{AnswerBody, Call, Client, SendError, Unsent};
use crate::upstream::outgoing::Outgoing;
use crate::upstream::provider::Provider;
use crate::upstream::url;

/// Never goes to a provider.
const KEPT_BACK: [&str; 11] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "content-length",
    "cookie",
    "proxy-authorization",
];

/// Why a request could not be sent on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ForwardError {
    #[error("the path does not join to the provider's base URL")]
    Path,
    #[error(transparent)]
    Send(#[from] SendError),
}

/// Headers and body are the caller's, the credential is the provider's own.
pub(super) async fn send(
    provider: &Provider,
    head: &Parts,
    body: Bytes,
) -> Result<Response<AnswerBody>, ForwardError> {
    let (base, query) = (&provider.base_url, head.uri.query());
    let path = url::join_verbatim(base, head.uri.path(), query).ok_or(ForwardError::Path)?;
    let mut headers = head.headers.clone();
    strip(&mut headers);
    for (name, value) in &provider.add_headers {
        headers.insert(name.clone(), value.clone());
    }
    // What a caller of a playback sends as its key is made up as often as not: it goes to no provider.
    let outbound = auth::choose(provider, ClientCredential::Withheld, false, true);
    auth::apply(&mut headers, provider, outbound);
    let call = Call { method: head.method.clone(), path, headers, body: Outgoing::whole(body) };
    // A client of its own each time: there is no pool to go stale, and misses are rare.
    let client = Arc::new(Client::new(provider));
    let line = client.connection(&mut Link::default()).await?;
    match client.send(line, call).await {
        Ok(mut response) => {
            strip(response.headers_mut());
            Ok(response)
        }
        Err(Unsent::Failed(error)) => Err(error.into()),
        Err(Unsent::Untouched(_)) => {
            Err(SendError::from(crate::upstream::connect::ConnectError::Setup(
                "the connection ended before the request was sent".to_owned(),
            ))
            .into())
        }
    }
}

fn strip(headers: &mut HeaderMap) {
    for name in KEPT_BACK {
        headers.remove(name);
    }
    let own: Vec<_> =
        headers.keys().filter(|name| name.as_str().starts_with("x-pinhole-")).cloned().collect();
    for name in own {
        headers.remove(name);
    }
    headers.remove(header::SET_COOKIE);
}
