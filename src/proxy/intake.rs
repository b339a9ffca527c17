//! Reads a request body within its bounds of size, time and shared memory, and finds the facts that routing needs.

use std::borrow::Cow;
use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body::Body;
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::base::{coding, multipart};
use crate::dialect;
use crate::neutral::facts::{Facts, Found};
use crate::neutral::failure::{Code, Failure};
use crate::neutral::kind::Operation;
use crate::proxy::endpoint::{Endpoint, ModelPlace, percent_decode};

/// Limit: the longest model name, selector parameters included.
const MODEL_BYTES_MAX: usize = 1_024;

/// What bounds the reading of one body.
pub struct Bounds {
    pub bytes_max: u64,
    pub time_max: Duration,
    pub buffered_kib: Arc<Semaphore>,
    /// How long a body may wait for its share of the buffer.
    pub wait: Duration,
}

/// Why a body was not read whole.
pub enum Unread {
    Refused(Failure),
    /// The client left in the middle of it.
    ClientGone(Failure),
}

impl From<Failure> for Unread {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

/// Reads the whole body. The permit stands for its share of the buffer.
pub async fn read_body(
    body: Incoming,
    bounds: &Bounds,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Unread> {
    if body.is_end_stream() {
        return Ok((Bytes::new(), None));
    }
    let declared = body.size_hint().exact();
    if let Some(length) = declared
        && length > bounds.bytes_max
    {
        return Err(too_large(bounds.bytes_max, Some(length)).into());
    }
    let mut share = None;
    if let Some(length) = declared {
        share = reserve(bounds, length).await?;
    }
    let reading = collect(body, declared, bounds, &mut share);
    match tokio::time::timeout(bounds.time_max, reading).await {
        Ok(bytes) => Ok((bytes?, share)),
        Err(_elapsed) => Err(Failure::new(
            Code::BodyTimeout,
            format!(
                "the request body did not arrive within {:?}; check the connection, or raise timeouts.request_body",
                bounds.time_max
            ),
        )
        .into()),
    }
}

async fn collect(
    mut body: Incoming,
    declared: Option<u64>,
    bounds: &Bounds,
    share: &mut Option<OwnedSemaphorePermit>,
) -> Result<Bytes, Unread> {
    let mut whole = BytesMut::new();
    let mut first: Option<Bytes> = None;
    let mut read = 0;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| broken(&error))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        read += data.len() as u64;
        if read > bounds.bytes_max {
            return Err(too_large(bounds.bytes_max, None).into());
        }
        if declared.is_none()
            && let Some(more) = reserve(bounds, data.len() as u64).await?
        {
            match share {
                Some(share) => share.merge(more),
                None => *share = Some(more),
            }
        }
        // A body that came in one piece, as most do, is not copied.
        if first.is_none() && whole.is_empty() {
            first = Some(data);
            continue;
        }
        if let Some(first) = first.take() {
            let expected = declared.unwrap_or(read * 2).min(bounds.bytes_max);
            whole.reserve(usize::try_from(expected).unwrap_or(0));
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&data);
    }
    Ok(first.unwrap_or_else(|| whole.freeze()))
}

/// A body whose framing is wrong is the client's mistake; any other break is its leaving.
fn broken(error: &hyper::Error) -> Unread {
    let failure = Failure::new(
        Code::InvalidRequest,
        format!("the request body broke off: {error}; send it whole"),
    );
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    match cause.map(io::Error::kind) {
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => Unread::Refused(failure),
        _ => Unread::ClientGone(failure),
    }
}

async fn reserve(bounds: &Bounds, bytes: u64) -> Result<Option<OwnedSemaphorePermit>, Failure> {
    let Ok(kib) = u32::try_from(bytes.div_ceil(1024)) else {
        return Err(too_large(bounds.bytes_max, Some(bytes)));
    };
    if let Ok(permit) = Arc::clone(&bounds.buffered_kib).try_acquire_many_owned(kib) {
        return Ok(Some(permit));
    }
    let waiting = Arc::clone(&bounds.buffered_kib).acquire_many_owned(kib);
    match tokio::time::timeout(bounds.wait, waiting).await {
        Ok(permit) => Ok(permit.ok()),
        Err(_elapsed) => Err(Failure::new(
            Code::Overloaded,
            format!(
                "request bodies in flight fill limits.buffered and none ended within {:?}; retry later, or raise \
                 limits.buffered",
                bounds.wait
            ),
        )
        .retry_after(Duration::from_secs(1))),
    }
}

fn too_large(max: u64, length: Option<u64>) -> Failure {
    let mib = max as f64 / (1024.0 * 1024.0);
    let text = match length {
        Some(length) => format!(
            "the request body of {length} bytes is over the limit of {mib} MiB; send less, or raise limits.body"
        ),
        None => format!(
            "the request body is over the limit of {mib} MiB; send less, or raise limits.body"
        ),
    };
    Failure::new(Code::BodyTooLarge, text)
}

/// A request as far as it was understood.
#[derive(Debug, Default)]
pub struct Understood {
    pub facts: Facts,
    /// The body without its coding, when it had one; edits apply to this.
    pub decoded: Option<Bytes>,
    /// The model stands in a form, not in JSON.
    pub form: bool,
}

/// Finds the facts of a request: from its JSON body, its form, or its path.
pub fn understand(
    endpoint: &Endpoint<'_>,
    headers: &HeaderMap,
    body: &Bytes,
    decoded: Option<Bytes>,
) -> Result<Understood, Failure> {
    let content_type = text(headers, header::CONTENT_TYPE);
    let mut understood = Understood { decoded, ..Understood::default() };
    let readable = understood.decoded.clone().unwrap_or_else(|| body.clone());
    match endpoint.model {
        ModelPlace::Path(model) => {
            understood.facts.model = Some(Found { text: percent_decode(model), span: 0..0 });
            understood.facts.stream = endpoint.stream;
            if matches!(endpoint.operation, Operation::Chat) {
                require_json(content_type.as_deref())?;
                let facts = peek(endpoint, &readable)?;
                understood.facts.insert_at = facts.insert_at;
                understood.facts.empty_object = facts.empty_object;
            }
        }
        ModelPlace::Body => {
            require_json(content_type.as_deref())?;
            understood.facts = peek(endpoint, &readable)?;
        }
        ModelPlace::Perhaps if !body.is_empty() => {
            perhaps(endpoint, content_type.as_deref(), &readable, &mut understood);
        }
        ModelPlace::Perhaps => {}
    }
    bound_name(&understood.facts)?;
    Ok(understood)
}

/// A name goes into headers, log lines and messages, so it has an end.
fn bound_name(facts: &Facts) -> Result<(), Failure> {
    match facts.model.as_ref().map(|model| model.text.len()) {
        Some(bytes) if bytes > MODEL_BYTES_MAX => {
            let text = format!(
                "the model name of {bytes} bytes is over the limit of {MODEL_BYTES_MAX}; send the name of a model"
            );
            Err(Failure::new(Code::InvalidRequest, text).param("model"))
        }
        _ => Ok(()),
    }
}

/// An opaque body: its model if it is JSON or a form that names one; anything else is nobody's business.
fn perhaps(
    endpoint: &Endpoint<'_>,
    content_type: Option<&str>,
    readable: &Bytes,
    understood: &mut Understood,
) {
    let Some(content_type) = content_type else {
        return;
    };
    if is_json(content_type) {
        if let Ok(facts) = dialect::peek(endpoint.dialect, readable) {
            understood.facts = facts;
        }
    } else if content_type.starts_with("multipart/form-data")
        && let Some(span) = multipart::find_value(content_type, readable, "model")
    {
        let text = String::from_utf8_lossy(&readable[span.clone()]).into_owned();
        understood.facts.model = Some(Found { text, span });
        understood.form = true;
    }
}

fn peek(endpoint: &Endpoint<'_>, body: &Bytes) -> Result<Facts, Failure> {
    if body.is_empty() {
        return Err(Failure::new(
            Code::InvalidJson,
            "the request body is empty; send a JSON object",
        ));
    }
    dialect::peek(endpoint.dialect, body).map_err(|error| error.failure())
}

/// Undoes the body's coding where routing has to look inside, off this thread: a small body may unpack to a large one.
/// The permit is the decoded copy's share of the buffer.
pub async fn decoded(
    endpoint: &Endpoint<'_>,
    headers: &HeaderMap,
    body: &Bytes,
    bounds: &Bounds,
) -> Result<(Option<Bytes>, Option<OwnedSemaphorePermit>), Failure> {
    let Some(coding) = text(headers, header::CONTENT_ENCODING).map(Cow::into_owned) else {
        return Ok((None, None));
    };
    if !is_looked_into(endpoint, text(headers, header::CONTENT_TYPE).as_deref()) {
        return Ok((None, None));
    }
    let max = usize::try_from(bounds.bytes_max).unwrap_or(usize::MAX);
    let packed = body.clone();
    let decoding = tokio::task::spawn_blocking(move || coding::decode(&coding, &packed, max));
    let Ok(result) = decoding.await else {
        return Err(Failure::new(
            Code::InternalError,
            "decoding the request body panicked; report this",
        ));
    };
    match result {
        Ok(decoded) => {
            let share = reserve(bounds, decoded.len() as u64).await?;
            Ok((Some(decoded), share))
        }
        // What nobody has to understand is forwarded as it is.
        Err(_) if endpoint.model == ModelPlace::Perhaps => Ok((None, None)),
        Err(error) => Err(undecodable(&error)),
    }
}

/// Whether routing reads the body: JSON always, a form where it may name the model.
fn is_looked_into(endpoint: &Endpoint<'_>, content_type: Option<&str>) -> bool {
    let json = content_type.is_none_or(is_json);
    match endpoint.model {
        ModelPlace::Body => json,
        ModelPlace::Path(_) => json && endpoint.operation == Operation::Chat,
        ModelPlace::Perhaps => content_type
            .is_some_and(|kind| is_json(kind) || kind.starts_with("multipart/form-data")),
    }
}

fn undecodable(error: &coding::CodingError) -> Failure {
    let code = match error {
        coding::CodingError::Unsupported { .. } => Code::UnsupportedEncoding,
        coding::CodingError::TooLarge { .. } => Code::BodyTooLarge,
        _ => Code::InvalidEncoding,
    };
    Failure::new(code, error.to_string())
}

fn require_json(content_type: Option<&str>) -> Result<(), Failure> {
    match content_type {
        None => Ok(()),
        Some(content_type) if is_json(content_type) => Ok(()),
        Some(content_type) => {
            let shown: String = content_type.chars().take(80).collect();
            Err(Failure::new(
                Code::UnsupportedContentType,
                format!(
                    "this endpoint takes JSON, not {shown}; send content-type: application/json"
                ),
            ))
        }
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence.eq_ignore_ascii_case("text/json")
        || essence.to_ascii_lowercase().ends_with("+json")
}

fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<Cow<'_, str>> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
}
