//! From an exchange to its spans, as plain data: nothing here knows an SDK, a clock or a queue.
//!
//! ```text
//!  SERVER  POST /v1/chat/completions    the exchange            http.*, pinhole.*
//!  └ CLIENT  chat gpt-5                 all attempts            gen_ai.*        only for model operations
//!    ├ CLIENT  POST                     one attempt             http.*, server.address; the provider was told this id
//!    └ CLIENT  POST                     the next one            http.request.resend_count = 1
//! ```

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::base::trace::SpanId;
use crate::exchange::Exchange;
use crate::exchange::attempt::Attempt;
use crate::exchange::outcome::Outcome;
use crate::neutral::kind::{Dialect, Operation};
use crate::telemetry::call;
use crate::telemetry::model::{
    Attributes, Mapping, Origin, SpanKind, SpanModel, Subject, Value, attempt_error, blamed,
    origin_attributes, seconds, status,
};
use crate::telemetry::semconv as names;
use crate::telemetry::semconv::Profile;
use crate::telemetry::variables::{HONOURED, REFUSED};

/// Limit: tags on one span; their names are the client's.
const TAGS_MAX: usize = 16;

/// The spans of an exchange, parents first.
pub fn spans<'o>(
    exchange: &Exchange,
    mapping: &Mapping,
    origin: impl Fn(&str) -> Option<&'o Origin>,
) -> Vec<SpanModel> {
    let subject = Subject::of(exchange, mapping);
    let mut spans = Vec::with_capacity(exchange.attempts.len() + 2);
    spans.push(server(&subject));
    let last_origin = exchange.last_attempt().and_then(|attempt| origin(&attempt.provider));
    let call = call::span(&subject, last_origin);
    let parent = call.as_ref().map_or(exchange.trace.server, |call| call.id);
    spans.extend(call);
    for (index, attempt) in exchange.attempts.iter().enumerate() {
        spans.push(attempt_span(&subject, index, attempt, parent, origin(&attempt.provider)));
    }
    spans
}

fn server(subject: &Subject<'_>) -> SpanModel {
    let exchange = subject.exchange;
    let mut attributes = Attributes::with_capacity(24);
    let (method, route) = (subject.method(), route(exchange));
    attributes.set(names::HTTP_REQUEST_METHOD, method.clone());
    attributes.set_some(names::HTTP_ROUTE, route);
    attributes.set(names::URL_PATH, exchange.path.clone());
    attributes.set(names::URL_SCHEME, if subject.mapping.https { "https" } else { "http" });
    attributes.set_some(names::HTTP_STATUS, exchange.status.map(status));
    let error = server_error(exchange);
    let failed = error.is_some();
    attributes.set_some(names::ERROR_TYPE, error);
    attributes.set(names::EXCHANGE_ID, &subject.id);
    attributes.set(names::OUTCOME, exchange.outcome.label());
    attributes
        .set_some(names::ERROR_SOURCE, exchange.failure.as_ref().map(|blame| blame.source.label()));
    attributes.set_some(names::KEY_LABEL, exchange.key_label.as_ref());
    attributes.set_some(names::SESSION_ID, subject.session.as_ref());
    attributes.set(names::ATTEMPTS, exchange.attempts.len() as u64);
    attributes.set(names::OVERHEAD, seconds(exchange.summary.times.overhead_us));
    if exchange.queued_us > 0 {
        attributes.set(names::QUEUED, seconds(exchange.queued_us));
    }
    attributes.set(names::REQUEST_BYTES, exchange.request_bytes);
    attributes.set(names::RESPONSE_BYTES, exchange.response_bytes);
    if !exchange.summary.agent.is_empty() {
        attributes.set(names::AGENT, exchange.summary.agent);
    }
    if let Some(client) = exchange.client {
        attributes.set(names::CLIENT_ADDRESS, client.ip().to_string());
        attributes.set(names::CLIENT_PORT, u64::from(client.port()));
    }
    let agent = exchange.user_agent.as_ref().and_then(|agent| agent.to_str().ok());
    attributes.set_some(names::USER_AGENT, agent.map(str::to_owned));
    if !exchange.tags.is_empty() {
        let tags = exchange.tags.iter().take(TAGS_MAX);
        let tags = tags.map(|(name, value)| format!("{name}={value}")).collect();
        attributes.set(names::TAGS, Value::Texts(tags));
    }
    let trace = &exchange.trace;
    SpanModel {
        name: match route {
            Some(route) => Cow::Owned([&*method, route].join(" ")),
            None => method,
        },
        kind: SpanKind::Server,
        trace: trace.id,
        id: trace.server,
        parent: trace.parent,
        remote_parent: trace.parent.is_some(),
        link: trace.linked,
        start_us: exchange.wall_us,
        end_us: exchange.wall_us + exchange.ended_us,
        attributes: attributes.0,
        events: Vec::new(),
        error: failed,
    }
}

/// An answer of 400 to 499 is the client's affair, and a client that left is no failure of ours: neither is an error of
/// the server span. An answer that began well and broke is one.
pub(crate) fn server_error(exchange: &Exchange) -> Option<Value> {
    if let Some(code) = exchange.status.filter(http::StatusCode::is_server_error) {
        return Some(code.as_u16().to_string().into());
    }
    let broke = matches!(
        exchange.outcome,
        Outcome::UpstreamReset | Outcome::Timeout | Outcome::GatewayError
    );
    broke.then(|| blamed(exchange).into())
}

/// The endpoint in its canonical spelling: few of them, whatever paths clients try.
pub(crate) fn route(exchange: &Exchange) -> Option<&'static str> {
    Some(match (exchange.dialect, exchange.operation) {
        (Dialect::Gemini, Operation::Models) => "/v1beta/models",
        (_, Operation::Models) if exchange.path.ends_with("/models") => "/v1/models",
        (_, Operation::Models) => "/v1/models/{id}",
        (_, Operation::Opaque) => return opaque_route(exchange),
        (Dialect::OpenAiChat, Operation::TextCompletion) => "/v1/completions",
        (Dialect::OpenAiChat, _) => "/v1/chat/completions",
        (Dialect::OpenAiResponses, _) => "/v1/responses",
        (Dialect::OpenAiEmbeddings, _) => "/v1/embeddings",
        (Dialect::Anthropic, Operation::CountTokens) => "/v1/messages/count_tokens",
        (Dialect::Anthropic, _) => "/v1/messages",
        (Dialect::Gemini, _) => match exchange.path.rsplit_once(':').map(|(_, verb)| verb) {
            Some("streamGenerateContent") => "/v1beta/models/{model}:streamGenerateContent",
            Some("countTokens") => "/v1beta/models/{model}:countTokens",
            Some("embedContent") => "/v1beta/models/{model}:embedContent",
            Some("batchEmbedContents") => "/v1beta/models/{model}:batchEmbedContents",
            _ => "/v1beta/models/{model}:generateContent",
        },
    })
}

/// A path that was forwarded unread; one that was refused names no endpoint.
fn opaque_route(exchange: &Exchange) -> Option<&'static str> {
    if exchange.path.starts_with("/providers/") {
        return Some("/providers/{provider}/*");
    }
    (!exchange.attempts.is_empty()).then_some("/v1/*")
}

fn attempt_span(
    subject: &Subject<'_>,
    index: usize,
    attempt: &Attempt,
    parent: SpanId,
    origin: Option<&Origin>,
) -> SpanModel {
    let exchange = subject.exchange;
    let mut attributes = Attributes::with_capacity(20);
    attributes.set(names::HTTP_REQUEST_METHOD, subject.method());
    origin_attributes(&mut attributes, origin);
    attributes.set_some(names::HTTP_STATUS, attempt.status.map(status));
    let error = attempt_error(attempt);
    let failed = error.is_some();
    attributes.set_some(names::ERROR_TYPE, error);
    if index > 0 {
        attributes.set(names::RESEND_COUNT, index as u64);
    }
    attributes.set(names::EXCHANGE_ID, &subject.id);
    attributes.set(names::PROVIDER, &attempt.provider);
    attributes.set(names::BECAUSE, attempt.because);
    attributes.set_some(names::UPSTREAM_REQUEST_ID, attempt.upstream_request_id.clone());
    link(&mut attributes, attempt);
    let times = &exchange.summary.times;
    let is_last = index + 1 == exchange.attempts.len();
    let last = |at: Option<u64>| at.filter(|_| is_last);
    let events = [
        (names::EVENT_HEAD, attempt.head_us),
        (names::EVENT_FIRST_CONTENT, last(times.first_content_us)),
        (names::EVENT_LAST_CONTENT, last(times.last_content_us)),
    ];
    let at = |(name, at): (&'static str, Option<u64>)| Some((name, exchange.wall_us + at?));
    SpanModel {
        name: subject.method(),
        kind: SpanKind::Client,
        trace: exchange.trace.id,
        id: attempt.span,
        parent: Some(parent),
        remote_parent: false,
        link: None,
        start_us: exchange.wall_us + attempt.sent_us,
        end_us: exchange.wall_us + attempt.ended_us.unwrap_or(exchange.ended_us),
        attributes: attributes.0,
        events: events.into_iter().filter_map(at).collect(),
        error: failed,
    }
}

fn link(attributes: &mut Attributes, attempt: &Attempt) {
    let link = &attempt.link;
    if let Some(peer) = link.peer {
        attributes.set(names::PEER_ADDRESS, peer.ip().to_string());
        attributes.set(names::PEER_PORT, u64::from(peer.port()));
    }
    if !link.http.is_empty() {
        attributes.set(names::PROTOCOL_NAME, "http");
        attributes.set(names::PROTOCOL_VERSION, link.http);
    }
    attributes.set_some(names::TLS_PROTOCOL_VERSION, link.tls);
    attributes.set(names::LINK_REUSED, link.reused);
    if !link.reused {
        attributes.set(names::LINK_RESOLVE, seconds(link.resolve_us));
        attributes.set(names::LINK_CONNECT, seconds(link.connect_us));
        if link.tls.is_some() {
            attributes.set(names::LINK_TLS, seconds(link.tls_us));
        }
    }
}

/// The part of `docs/telemetry.md` about spans.
pub fn spans_page() -> String {
    let mut page = String::from(
        "## Spans\n\n\
         A recorded exchange is one span of kind SERVER; under it one of kind CLIENT for the model call, all attempts \
         included, where a model was called; under that one of kind CLIENT for each attempt. Their ids are made when the \
         exchange begins and sent to the provider in `traceparent`; the spans themselves are made when it has ended, off \
         the path of requests. How to send them somewhere is told in [tracing.md](tracing.md).\n\n\
         ```text\n\
         SERVER  POST /v1/chat/completions\n\
         └ CLIENT  chat gpt-5\n\
         \u{20} ├ CLIENT  POST   the first attempt\n\
         \u{20} └ CLIENT  POST   the second\n\
         ```\n\n\
         Status: the server span is an error from 500 on, and when an answer broke; the others from 400 on. A client that \
         left is no error.\n\n\
         Events of an attempt: ",
    );
    let events = [names::EVENT_HEAD, names::EVENT_FIRST_CONTENT, names::EVENT_LAST_CONTENT];
    page.push_str(&events.map(|event| format!("`{event}`")).join(", "));
    page.push_str(".\n\n| attribute | type | span | names | says |\n|---|---|---|---|---|\n");
    for row in names::ATTRIBUTES {
        let on = match row.on {
            names::On::Server => "server",
            names::On::Call => "call",
            names::On::Attempt => "attempt",
            names::On::Every => "all",
        };
        let profile = row.profile.map_or("both", Profile::label);
        let (name, kind, meaning) = (row.name, row.kind.label(), row.meaning);
        let _ = writeln!(page, "| `{name}` | {kind} | {on} | {profile} | {meaning} |");
    }
    page.push_str("\n### Standard variables\n\n| variable | does |\n|---|---|\n");
    for (name, meaning) in HONOURED {
        let _ = writeln!(page, "| `{}` | {meaning} |", name.replace('|', "\\|"));
    }
    page.push_str(
        "\nThese are warned about, at start and by `pinhole check`:\n\n| variable | instead |\n|---|---|\n",
    );
    for (name, remedy) in REFUSED {
        let more = if name.ends_with('_') { "…" } else { "" };
        let _ = writeln!(page, "| `{name}{more}` | {remedy} |");
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::{HeaderValue, StatusCode};

    use super::*;
    use crate::base::money::Nanodollars;
    use crate::base::trace::Sampler;
    use crate::exchange::attempt::Link;
    use crate::exchange::summary::{Cost, Gaps, Tally, Times};
    use crate::exchange::trace::{Incoming, Trace};
    use crate::exchange::{Blame, fixture};
    use crate::neutral::failure::Code;
    use crate::neutral::reading::{Billing, Reading, ToolCalls};
    use crate::neutral::usage::{Usage, UsageSource};
    use crate::telemetry::settings::Content;

    const MAPPING: Mapping = Mapping {
        profile: Profile::V1_41,
        content: Content::Off,
        content_bytes_max: 1_000,
        https: false,
    };

    fn origin() -> Origin {
        Origin { telemetry_name: "openai".into(), host: "api.example".into(), port: 443 }
    }

    fn mapped(exchange: &Exchange, mapping: &Mapping) -> Vec<SpanModel> {
        let origin = origin();
        spans(exchange, mapping, |_| Some(&origin))
    }

    fn answer() -> (Usage, Reading) {
        let usage = Usage {
            input: Some(100),
            output: Some(20),
            cache_read: Some(40),
            cache_write: Some(0),
            reasoning: Some(5),
            image_input: Some(1),
            image_output: Some(2),
            audio_input: Some(3),
            audio_output: Some(4),
            ..Usage::default()
        };
        let reading = Reading {
            response_id: Some("r-1".to_owned()),
            model: Some("gpt-5-2026".to_owned()),
            finish_reasons: vec!["stop".to_owned(), "length".to_owned()],
            tools: vec![ToolCalls { name: "look".to_owned(), calls: 2 }],
            service_tier: Some("default".to_owned()),
            ..Reading::default()
        };
        (usage, reading)
    }

    /// Everything that can be known of an exchange.
    fn full() -> Exchange {
        let mut exchange = fixture::exchange();
        exchange.trace =
            Trace::begin(None, Incoming::Continue, &Sampler { parent: true, ratio: 1.0 });
        exchange.client = Some(([192, 0, 2, 1], 4_000).into());
        exchange.user_agent = Some(HeaderValue::from_static("agent/1"));
        exchange.session = Some("s-1".into());
        exchange.tags = vec![("team".to_owned(), "search".to_owned())];
        exchange.model_requested = Some("fast".to_owned());
        exchange.queued_us = 5;
        exchange.ended_us = 9_000;
        exchange.outcome = Outcome::UpstreamReset;
        exchange.failure = Some(Blame::of(Code::UpstreamReset, None));
        exchange.prompt = Some(bytes::Bytes::from_static(
            br#"{"messages":[{"role":"user","content":"planted words"}],"temperature":0.5,"top_p":0.9,"top_k":40,
            "max_tokens":64,"seed":7,"n":2,"stop":["x"],"frequency_penalty":1,"presence_penalty":1,
            "reasoning_effort":"low","service_tier":"flex","response_format":{"type":"json_object"}}"#,
        ));
        let attempt = &mut exchange.attempts[0];
        attempt.failure = exchange.failure.clone();
        attempt.ended_us = Some(8_000);
        attempt.link = Link {
            reused: false,
            resolve_us: 1,
            connect_us: 2,
            tls_us: 3,
            peer: Some(([192, 0, 2, 2], 443).into()),
            local: None,
            http: "2",
            tls: Some("1.3"),
        };
        let (usage, reading) = answer();
        let cost =
            Cost { amount: Nanodollars(1_500), basis: "openai/gpt-5".into(), version: "v".into() };
        exchange.summary.cost = Some(cost.amount);
        exchange.summary.tallies = vec![Tally {
            reading,
            usage: Some(usage),
            source: Some(UsageSource::Provider),
            partial: true,
            cost: Some(cost),
            ..Tally::default()
        }];
        exchange.summary.times = Times {
            first_content_us: Some(1_300),
            last_content_us: Some(7_000),
            contents: 3,
            gaps: Gaps { p50_us: 1, p99_us: 2, max_us: 3, stalls: 1 },
            overhead_us: 15,
            ..Times::default()
        };
        exchange
    }

    #[test]
    fn every_attribute_is_declared_with_its_type_span_and_profile() {
        for profile in Profile::ALL {
            let mapping = Mapping { profile, content: Content::Span, ..MAPPING };
            let exchange = full();
            let all = mapped(&exchange, &mapping);
            assert_eq!(all.len(), 3);
            for (index, span) in all.iter().enumerate() {
                let mut seen = BTreeSet::new();
                for (name, value) in &span.attributes {
                    assert!(seen.insert(*name), "{name} twice on {}", span.name);
                    let row = names::ATTRIBUTES.iter().find(|row| {
                        row.name == *name && row.profile.is_none_or(|only| only == profile)
                    });
                    let row =
                        row.unwrap_or_else(|| panic!("{name} is not declared in {profile:?}"));
                    assert_eq!(value.kind(), row.kind, "{name}");
                    let fits = match row.on {
                        names::On::Server => index == 0,
                        names::On::Call => index == 1 || name.starts_with("server."),
                        names::On::Attempt => index == 2,
                        names::On::Every => true,
                    };
                    assert!(fits, "{name} on {}", span.name);
                }
            }
        }
    }

    fn value<'a>(span: &'a SpanModel, name: &str) -> Option<&'a Value> {
        span.attributes.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    #[test]
    fn usage_cost_and_times_stand_on_the_call() {
        let all = mapped(&full(), &MAPPING);
        let call = &all[1];
        assert_eq!(call.name, "chat gpt-5");
        for (name, expected) in [
            (names::INPUT_TOKENS, Value::Int(100)),
            (names::OUTPUT_TOKENS, Value::Int(20)),
            (names::CACHE_READ_TOKENS, Value::Int(40)),
            // Zero is data.
            (names::CACHE_CREATION_TOKENS, Value::Int(0)),
            (names::CACHE_WRITE_TOKENS, Value::Int(0)),
            (names::REASONING_TOKENS, Value::Int(5)),
            (names::COST_NANOUSD, Value::Int(1_500)),
            (names::COST_USD, Value::Float(0.000_001_5)),
            (names::TIME_TO_FIRST_CHUNK, Value::Float(0.001_245)),
            (names::TOOL_CALLS, Value::Int(2)),
            (names::MODEL_REQUESTED, Value::from("fast".to_owned())),
            (names::ERROR_TYPE, Value::from("upstream_reset")),
            (names::TEMPERATURE, Value::Float(0.5)),
            (names::TOP_K, Value::Float(40.0)),
            (names::MAX_TOKENS, Value::Int(64)),
            (names::CHOICE_COUNT, Value::Int(2)),
            (names::OUTPUT_TYPE, Value::from("json")),
            (names::OPENAI_REQUEST_TIER, Value::from("flex".to_owned())),
        ] {
            assert_eq!(value(call, name), Some(&expected), "{name}");
        }
        let reasons = Value::Texts(vec!["stop".to_owned(), "length".to_owned()]);
        assert_eq!(value(call, names::FINISH_REASONS), Some(&reasons));
        for words in [names::INPUT_MESSAGES, names::STOP_SEQUENCES] {
            assert!(value(call, words).is_none(), "content is off");
        }
        assert!(all.iter().all(|span| span.error));
        assert_eq!(all[2].events.len(), 3);
    }

    #[test]
    fn content_comes_last_so_that_it_pushes_nothing_out() {
        let mapping = Mapping { content: Content::Span, ..MAPPING };
        let all = mapped(&full(), &mapping);
        let last = all[1].attributes.last().map(|(name, _)| *name);
        assert_eq!(last, Some(names::INPUT_MESSAGES), "no answer was kept");
        assert!(all[1].attributes.len() < 64, "far from the usual limit of 128");
    }

    #[test]
    fn tokens_of_answers_that_are_forwarded_unread_stand_on_a_span() {
        let mut exchange = full();
        exchange.operation = Operation::Opaque;
        for (billing, name) in [(Billing::Now, "generate_content"), (Billing::Fetched, "chat")] {
            exchange.summary.tallies[0].reading.billing = billing;
            let spans = mapped(&exchange, &MAPPING);
            assert_eq!(value(&spans[1], "gen_ai.operation.name"), Some(&name.into()));
            assert!(value(&spans[1], "gen_ai.usage.input_tokens").is_some());
        }
        exchange.summary.tallies[0].usage = None;
        assert_eq!(mapped(&exchange, &MAPPING).len(), exchange.attempts.len() + 1);
    }

    #[test]
    fn a_client_that_left_is_no_error_and_a_4xx_none_of_the_server() {
        let mut exchange = full();
        (exchange.outcome, exchange.failure) = (Outcome::ClientCancelled, None);
        exchange.attempts[0].failure = None;
        assert!(mapped(&exchange, &MAPPING).iter().all(|span| !span.error));
        exchange.outcome = Outcome::UpstreamError;
        exchange.status = Some(StatusCode::TOO_MANY_REQUESTS);
        exchange.attempts[0].status = exchange.status;
        let errors: Vec<bool> = mapped(&exchange, &MAPPING).iter().map(|span| span.error).collect();
        assert_eq!(errors, [false, true, true]);
    }

    #[test]
    fn routes_are_few_whatever_is_asked_for() {
        let mut exchange = full();
        exchange.attempts.clear();
        for (dialect, operation, path, expected) in [
            (Dialect::OpenAiChat, Operation::Opaque, "/wp-login.php", None),
            (
                Dialect::OpenAiChat,
                Operation::Opaque,
                "/providers/a/b/c",
                Some("/providers/{provider}/*"),
            ),
            (Dialect::OpenAiChat, Operation::Models, "/v1/models/a/b", Some("/v1/models/{id}")),
            (
                Dialect::OpenAiChat,
                Operation::Chat,
                "/openai/v1/chat/completions",
                Some("/v1/chat/completions"),
            ),
            (
                Dialect::Gemini,
                Operation::Chat,
                "/v1beta/models/m:anything",
                Some("/v1beta/models/{model}:generateContent"),
            ),
        ] {
            exchange.dialect = dialect;
            exchange.operation = operation;
            path.clone_into(&mut exchange.path);
            assert_eq!(route(&exchange), expected, "{path}");
            let spans = mapped(&exchange, &MAPPING);
            assert_eq!(spans.len(), 1, "no attempt, no call");
        }
    }

    #[test]
    fn the_second_attempt_says_that_it_is_one() {
        let mut exchange = full();
        let mut again = full().attempts;
        exchange.attempts.append(&mut again);
        let all = mapped(&exchange, &MAPPING);
        assert_eq!(value(&all[2], names::RESEND_COUNT), None);
        assert_eq!(value(&all[3], names::RESEND_COUNT), Some(&Value::Int(1)));
        assert!(all[2].events.len() < all[3].events.len(), "contents are of the last attempt");
    }

    #[test]
    fn a_chat_is_named_chat_in_every_dialect() {
        for dialect in Dialect::ALL {
            for (operation, named, said) in [
                (Operation::Chat, "chat gpt-5", None),
                (Operation::TextCompletion, "text_completion gpt-5", Some("text_completion")),
                (Operation::Embeddings, "embeddings gpt-5", Some("embeddings")),
            ] {
                let mut exchange = full();
                (exchange.dialect, exchange.operation) = (dialect, operation);
                let said = said.unwrap_or(match dialect {
                    Dialect::Gemini => "generate_content",
                    _ => "chat",
                });
                let call = &mapped(&exchange, &MAPPING)[1];
                assert_eq!(call.name, named, "{dialect:?}");
                assert_eq!(value(call, names::OPERATION_NAME), Some(&Value::from(said)));
                exchange.attempts[0].model = None;
                exchange.model_requested = None;
                let word = named.split(' ').next().unwrap();
                assert_eq!(mapped(&exchange, &MAPPING)[1].name, word, "no model is known");
            }
        }
    }

    #[test]
    fn names_that_others_chose_are_cut_between_characters() {
        let long = "é".repeat(300);
        let mut exchange = full();
        exchange.attempts[0].model = Some(long.as_str().into());
        exchange.model_requested = Some("m".repeat(300));
        let call = &mapped(&exchange, &MAPPING)[1];
        assert_eq!(call.name, format!("chat {}", "é".repeat(256)));
        let model = value(call, names::REQUEST_MODEL);
        assert_eq!(model, Some(&Value::from("é".repeat(256))));
        let requested = value(call, names::MODEL_REQUESTED);
        assert_eq!(requested, Some(&Value::from("m".repeat(256))));
    }

    #[test]
    fn tokens_of_all_attempts_are_summed_beside_those_of_the_last() {
        let mut exchange = full();
        let one = mapped(&exchange, &MAPPING);
        assert_eq!(value(&one[1], names::ALL_INPUT_TOKENS), None, "one attempt is no sum");
        exchange.attempts.append(&mut full().attempts);
        let first = Usage { input: Some(7), output: None, ..Usage::default() };
        exchange.summary.tallies.insert(0, Tally { usage: Some(first), ..Tally::default() });
        exchange.attempts.append(&mut full().attempts);
        exchange.summary.tallies.insert(0, Tally::default());
        let all = mapped(&exchange, &MAPPING);
        for (name, expected) in [
            (names::INPUT_TOKENS, 100),
            (names::OUTPUT_TOKENS, 20),
            (names::ALL_INPUT_TOKENS, 107),
            (names::ALL_OUTPUT_TOKENS, 20),
        ] {
            assert_eq!(value(&all[1], name), Some(&Value::Int(expected)), "{name}");
        }
    }

    #[test]
    fn the_page_has_every_name() {
        let page = spans_page();
        assert!(names::ATTRIBUTES.iter().all(|row| page.contains(&format!("| `{}` |", row.name))));
        assert!(page.contains("OTEL_SDK_DISABLED") && page.contains("OTEL_BLRP_…"));
    }
}
