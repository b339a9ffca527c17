//! Answers the gateway makes itself, and the one body type that leaves it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};

use crate::base::id::ExchangeId;
use crate::dialect;
use crate::neutral::failure::Failure;
use crate::neutral::kind::Dialect;
use crate::proxy::gather::Gathered;
use crate::proxy::headers::X_PINHOLE_UPSTREAM_STATUS;
use crate::proxy::relay::{Broken, Relay};

/// The body of a response: made here, or handed on from a provider.
pub enum ReplyBody {
    Made(Option<Bytes>),
    Relayed(Box<Relay>),
    Gathered(Box<Gathered>),
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Made(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Relayed(relay) => relay.poll_frame(cx),
            Self::Gathered(gathered) => gathered.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Made(bytes) => bytes.is_none(),
            Self::Relayed(relay) => relay.is_end_stream(),
            Self::Gathered(gathered) => gathered.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Made(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Relayed(relay) => relay.size_hint(),
            Self::Gathered(gathered) => gathered.size_hint(),
        }
    }
}

/// The value of a header made from an exchange id.
pub fn id_value(id: ExchangeId) -> HeaderValue {
    let mut buffer = [0; 36];
    HeaderValue::from_str(id.encode(&mut buffer)).unwrap_or_else(|_| HeaderValue::from_static("-"))
}

/// A JSON answer.
pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<ReplyBody> {
    with_type(status, "application/json", body.into())
}

/// An answer of one content type.
pub fn with_type(status: StatusCode, kind: &'static str, body: Bytes) -> Response<ReplyBody> {
    let body = (!body.is_empty()).then_some(body);
    let mut response = Response::new(ReplyBody::Made(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A refusal or failure in the caller's own envelope.
pub fn failure(dialect: Dialect, failure: &Failure, id: ExchangeId) -> Response<ReplyBody> {
    let status = StatusCode::from_u16(failure.code.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut buffer = [0; 36];
    let body = dialect::render(dialect, failure, status.as_u16(), id.encode(&mut buffer));
    let mut response = json(status, body);
    let headers = response.headers_mut();
    if let Some(wait) = failure.retry_after {
        // Whole seconds, rounded up: a client that waits exactly as told must not come too early.
        headers.insert(
            header::RETRY_AFTER,
            HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
        );
    }
    if let Some(methods) = failure.allow {
        headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    }
    if let Some(status) = failure.upstream_status {
        headers.insert(X_PINHOLE_UPSTREAM_STATUS, HeaderValue::from(status));
    }
    if status == StatusCode::UPGRADE_REQUIRED {
        headers.insert(header::UPGRADE, HeaderValue::from_static("HTTP/1.1"));
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    }
    response
}
