//! From a reason to a failure with words: what the client reads when the gateway says no.

use std::fmt::Write as _;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, header};
use http_body::Body;

use crate::base::coding;
use crate::exchange::outcome::Outcome;
use crate::neutral::failure::{Code, Failure, Source};
use crate::observe::recorder::Recorder;
use crate::policy::identity::Unknown;
use crate::proxy::endpoint::{Endpoint, Refusal};
use crate::route::table::{Entry, Refusal as RouteRefusal};
use crate::upstream::client::AnswerBody;
use crate::upstream::provider::Provider;

/// Limit: how much of a provider's error body is quoted when it is wrapped.
const QUOTE_MAX: usize = 64 * 1024;
/// Limit: bytes of a provider's error that are read for the record.
const READ_MAX: usize = 1024 * 1024;
/// Limit: how long that body may take.
const QUOTE_WAIT: Duration = Duration::from_secs(5);

/// A path that leads nowhere.
pub fn of_path(refusal: Refusal, path: &str) -> Failure {
    let shown: String = path.chars().take(120).collect();
    match refusal {
        Refusal::Unknown => Failure::new(
            Code::PathNotFound,
            format!("no endpoint at {shown}; GET /targets lists the base URLs"),
        ),
        Refusal::Method(allowed) => {
            let mut failure = Failure::new(
                Code::MethodNotAllowed,
                format!("{shown} does not take this method; use {allowed}"),
            );
            failure.allow = Some(allowed);
            failure
        }
        Refusal::Malformed(reason) => Failure::new(Code::InvalidRequest, reason),
        Refusal::Websocket => Failure::new(
            Code::WebsocketUnsupported,
            "websocket transport is not offered; use HTTP: POST the same path with \"stream\": true",
        ),
        Refusal::Realtime => Failure::new(
            Code::RealtimeUnsupported,
            "the realtime API is not offered; call the provider directly for realtime sessions",
        ),
        Refusal::Mcp => Failure::new(
            Code::McpUnsupported,
            "MCP aggregation is not offered; connect the client to the MCP server itself",
        ),
    }
}

/// A model or endpoint that no provider serves.
pub fn of_route(refusal: &RouteRefusal, endpoint: &Endpoint<'_>) -> Failure {
    match refusal {
        RouteRefusal::NoProvider => Failure::new(
            Code::NoProvider,
            "no provider is configured; set a key such as OPENAI_API_KEY, or write a configuration file",
        ),
        RouteRefusal::UnknownModel { asked, near } => {
            let shown: String = asked.chars().take(120).collect();
            let mut message = format!("no configured provider serves the model {shown}");
            if near.is_empty() {
                message.push_str("; GET /v1/models lists what is served");
            } else {
                let _ = write!(message, "; did you mean {}?", near.join(", "));
            }
            message.push_str(" (an unknown model goes to default_backend when that is set)");
            Failure::new(Code::ModelNotFound, message).param("model")
        }
        RouteRefusal::FlagMissing { provider, model, flag } => Failure::new(
            Code::EndpointNotEnabled,
            format!(
                "provider {provider} serves {model} but not at this endpoint; set providers.{provider}.compatibility.{} \
                 = true if it does",
                flag.key()
            ),
        ),
        RouteRefusal::NoModel => {
            let at = endpoint.flag.map_or("this endpoint", |flag| flag.endpoint());
            Failure::new(
                Code::MissingModel,
                format!("the request names no model and no default provider offers {at}; send model, or set default_backend"),
            )
            .param("model")
        }
        RouteRefusal::BadParam(bad) => {
            Failure::new(Code::InvalidParameter, format!("{bad}; correct or remove it"))
                .param("model")
        }
    }
}

/// A caller without one of the gateway's keys.
pub fn of_caller(unknown: Unknown) -> Failure {
    match unknown {
        Unknown::Missing => Failure::new(
            Code::MissingApiKey,
            "this gateway wants a key and the request carries none; send it as authorization: Bearer",
        ),
        Unknown::Wrong => Failure::new(
            Code::InvalidApiKey,
            "the key is not one of this gateway's; use PINHOLE_API_KEY or one of [[keys]]",
        ),
    }
}

/// `/providers/{name}` with a name nobody has.
pub fn unknown_provider(name: &str, entries: &[Entry]) -> Failure {
    let known: Vec<&str> =
        entries.iter().filter(|entry| !entry.disabled).map(|entry| &*entry.id).collect();
    let shown: String = name.chars().take(80).collect();
    Failure::new(
        Code::ProviderNotFound,
        format!("no provider is called {shown}; configured: {}", known.join(", ")),
    )
}

/// The provider's error in the gateway's envelope (`errors.wrap_502`).
pub async fn wrapped(
    provider: &Provider,
    answer: Response<AnswerBody>,
    recorder: &mut Recorder,
) -> Failure {
    let (parts, mut body) = answer.into_parts();
    let mut quoted = Vec::new();
    let mut read = 0;
    let reading = async {
        while let Some(Ok(frame)) =
            std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
        {
            if let Some(data) = frame.data_ref() {
                quoted.extend_from_slice(&data[..data.len().min(QUOTE_MAX - quoted.len())]);
                read += data.len();
                if let Some(exchange) = recorder.exchange() {
                    exchange.note_frame(exchange.offset_us(), data);
                }
            }
            if read >= READ_MAX {
                return;
            }
        }
    };
    let _in_time = tokio::time::timeout(QUOTE_WAIT, reading).await;
    let status = parts.status.as_u16();
    let mut quoted = Bytes::from(quoted);
    let coding = parts.headers.get(header::CONTENT_ENCODING);
    if let Some(coding) = coding.and_then(|coding| coding.to_str().ok())
        && let Ok(clear) = coding::decode(coding, &quoted, QUOTE_MAX)
    {
        quoted = clear;
    }
    let mut failure = Failure::new(
        Code::UpstreamError,
        format!("provider {} answered {status}: {}", provider.id, String::from_utf8_lossy(&quoted)),
    );
    failure.upstream_status = Some(status);
    failure.retry_after = parts
        .headers
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    failure
}

/// The outcome of an exchange that ends with the gateway's own answer.
pub fn outcome(failure: &Failure) -> Outcome {
    match (failure.code, failure.code.source()) {
        (
            Code::UpstreamConnectTimeout
            | Code::UpstreamFirstByteTimeout
            | Code::UpstreamIdleTimeout
            | Code::UpstreamTotalTimeout
            | Code::BodyTimeout,
            _,
        ) => Outcome::Timeout,
        (Code::UpstreamError, _) => Outcome::UpstreamError,
        (Code::InternalError, _) => Outcome::GatewayError,
        (_, Source::Upstream) => Outcome::UpstreamReset,
        (_, Source::Client | Source::Gateway) => Outcome::Rejected,
    }
}
