//! The GenAI span of an exchange: one model call, all attempts included, in the words of either profile.

use std::borrow::Cow;
use std::sync::Arc;

use crate::dialect::params::{self, Params};
use crate::exchange::Exchange;
use crate::exchange::outcome::Outcome;
use crate::exchange::redact;
use crate::exchange::summary::Tally;
use crate::neutral::kind::{Dialect, Operation};
use crate::neutral::reading::Billing;
use crate::neutral::usage::{Usage, UsageSource};
use crate::telemetry::content;
use crate::telemetry::model::{
    Attributes, Mapping, Origin, SpanKind, SpanModel, Subject, Value, attempt_error, blamed,
    origin_attributes, seconds,
};
use crate::telemetry::semconv as names;
use crate::telemetry::semconv::Profile;
use crate::telemetry::settings::Content;

/// Limit: characters of a text that a provider or client chose: a model, an id.
const NAME_CHARS_MAX: usize = 256;

/// `gen_ai.operation.name`; `None`: no model operation.
pub(crate) fn operation_name(dialect: Dialect, operation: Operation) -> Option<&'static str> {
    match (dialect, operation) {
        (Dialect::Gemini, Operation::Chat) => Some("generate_content"),
        (_, Operation::Chat) => Some("chat"),
        (_, Operation::TextCompletion) => Some("text_completion"),
        (_, Operation::Embeddings) => Some("embeddings"),
        (_, Operation::CountTokens | Operation::Models | Operation::Opaque) => None,
    }
}

/// The operation whose tokens the exchange brought: of a path that is forwarded unread too, where its answer was billed.
/// Pictures and sound are generated content; a response that was begun in the background and is fetched now was a chat.
pub(crate) fn billed_operation(exchange: &Exchange) -> Option<&'static str> {
    let named = operation_name(exchange.dialect, exchange.operation);
    named.or_else(|| {
        let tally = exchange.summary.last().filter(|tally| tally.usage.is_some())?;
        let fetched = tally.reading.billing == Billing::Fetched;
        Some(if fetched { "chat" } else { "generate_content" })
    })
}

/// What the span is named by, besides its model: the same word for a chat in every dialect.
fn span_word(operation: Operation, name: &'static str) -> &'static str {
    if operation == Operation::Chat { "chat" } else { name }
}

/// The span; `None` where no model was called: another operation, or a refusal before any attempt.
pub(crate) fn span(subject: &Subject<'_>, origin: Option<&Origin>) -> Option<SpanModel> {
    let (exchange, mapping) = (subject.exchange, subject.mapping);
    let operation = billed_operation(exchange)?;
    let (first, last) = (exchange.attempts.first()?, exchange.attempts.last()?);
    let requested = exchange.model_requested.as_deref();
    let model = last.model.as_deref().or(requested).map(cut);
    let mut attributes = Attributes::with_capacity(40);
    attributes.set(names::OPERATION_NAME, operation);
    match origin {
        Some(origin) => attributes.set(names::PROVIDER_NAME, &origin.telemetry_name),
        None => attributes.set(names::PROVIDER_NAME, &last.provider),
    }
    match &last.model {
        Some(model) => attributes.set(names::REQUEST_MODEL, short_shared(model)),
        None => attributes.set_some(names::REQUEST_MODEL, requested.map(short)),
    }
    origin_attributes(&mut attributes, origin);
    let error = error(exchange);
    let failed = error.is_some();
    attributes.set_some(names::ERROR_TYPE, error);
    if exchange.stream || last.events {
        attributes.set(names::REQUEST_STREAM, true);
    }
    attributes.set_some(names::CONVERSATION_ID, subject.session.as_ref());
    attributes.set(names::EXCHANGE_ID, &subject.id);
    attributes.set(names::DIALECT, exchange.dialect.label());
    let requested = requested.filter(|requested| last.model.as_deref() != Some(*requested));
    attributes.set_some(names::MODEL_REQUESTED, requested.map(short));
    if let Some(tally) = exchange.summary.last() {
        answer(&mut attributes, exchange, tally, mapping.profile);
        usage_of_all(&mut attributes, &exchange.summary.tallies);
    }
    let asked = exchange.prompt.as_ref().map(|body| params::params(exchange.dialect, body));
    if let Some(asked) = &asked {
        parameters(&mut attributes, asked, mapping);
    }
    openai(&mut attributes, exchange, asked.as_ref(), origin);
    cost(&mut attributes, exchange);
    times(&mut attributes, exchange);
    let signals: Vec<String> =
        exchange.summary.signals.iter().map(|signal| signal.label().to_owned()).collect();
    if !signals.is_empty() {
        attributes.set(names::SIGNALS, Value::Texts(signals));
    }
    if mapping.content == Content::Span {
        // Last, so that a limit on the number of attributes cuts these first.
        content::attributes(&mut attributes, exchange, mapping.content_bytes_max);
    }
    let word = span_word(exchange.operation, operation);
    Some(SpanModel {
        name: match model {
            Some(model) => Cow::Owned([word, model].join(" ")),
            None => Cow::Borrowed(word),
        },
        kind: SpanKind::Client,
        trace: exchange.trace.id,
        id: exchange.trace.call,
        parent: Some(exchange.trace.server),
        remote_parent: false,
        link: None,
        start_us: exchange.wall_us + first.sent_us,
        end_us: exchange.wall_us + last.ended_us.unwrap_or(exchange.ended_us),
        attributes: attributes.0,
        events: Vec::new(),
        error: failed,
    })
}

fn cut(text: &str) -> &str {
    if text.len() <= NAME_CHARS_MAX {
        return text;
    }
    let end = text.char_indices().nth(NAME_CHARS_MAX).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

fn short(text: &str) -> String {
    cut(text).to_owned()
}

fn short_shared(text: &Arc<str>) -> Value {
    if text.len() <= NAME_CHARS_MAX { text.into() } else { short(text).into() }
}

/// Why the call as a whole failed: the last attempt's reason. A client that left is no failure of the call.
pub(crate) fn error(exchange: &Exchange) -> Option<Value> {
    let last = exchange.attempts.last()?;
    match exchange.outcome {
        Outcome::ClientCancelled => None,
        Outcome::Complete => attempt_error(last),
        _ => Some(attempt_error(last).unwrap_or_else(|| blamed(exchange).into())),
    }
}

/// What reading the answer found.
fn answer(attributes: &mut Attributes, exchange: &Exchange, tally: &Tally, profile: Profile) {
    let reading = &tally.reading;
    if let Some(usage) = &tally.usage {
        usage_attributes(attributes, usage, profile);
    }
    attributes.set_some(names::USAGE_SOURCE, tally.source.map(UsageSource::label));
    if tally.partial {
        attributes.set(names::USAGE_PARTIAL, true);
    }
    attributes.set_some(names::RESPONSE_MODEL, reading.model.as_deref().map(short));
    attributes.set_some(names::RESPONSE_ID, reading.response_id.as_deref().map(short));
    let mut reasons = reading.finish_reasons.clone();
    let broke = !reading.ended && exchange.outcome != Outcome::Complete;
    if reasons.is_empty() && broke && profile == Profile::Newest {
        // A reason was due and never came.
        reasons.push("error".to_owned());
    }
    if !reasons.is_empty() {
        attributes.set(names::FINISH_REASONS, Value::Texts(reasons));
    }
    let calls = reading.tool_calls();
    if calls > 0 {
        attributes.set(names::TOOL_CALLS, calls);
    }
}

fn usage_attributes(attributes: &mut Attributes, usage: &Usage, profile: Profile) {
    attributes.set_some(names::INPUT_TOKENS, usage.input);
    attributes.set_some(names::OUTPUT_TOKENS, usage.output);
    attributes.set_some(names::CACHE_READ_TOKENS, usage.cache_read);
    attributes.set_some(names::CACHE_CREATION_TOKENS, usage.cache_write);
    attributes.set_some(names::CACHE_WRITE_TOKENS, usage.cache_write);
    attributes.set_some(names::REASONING_TOKENS, usage.reasoning);
    if profile == Profile::Newest {
        attributes.set_some(names::IMAGE_INPUT_TOKENS, usage.image_input);
        attributes.set_some(names::IMAGE_OUTPUT_TOKENS, usage.image_output);
        attributes.set_some(names::AUDIO_INPUT_TOKENS, usage.audio_input);
        attributes.set_some(names::AUDIO_OUTPUT_TOKENS, usage.audio_output);
    }
}

/// What all attempts used together; the usual names tell of the last one, whose answer the client got.
fn usage_of_all(attributes: &mut Attributes, tallies: &[Tally]) {
    if tallies.len() < 2 {
        return;
    }
    let sum = |tokens: fn(&Usage) -> Option<u64>| {
        let told = tallies.iter().filter_map(|tally| tokens(tally.usage.as_ref()?));
        told.reduce(u64::saturating_add)
    };
    attributes.set_some(names::ALL_INPUT_TOKENS, sum(|usage| usage.input));
    attributes.set_some(names::ALL_OUTPUT_TOKENS, sum(|usage| usage.output));
}

/// What the request asked for besides its words.
fn parameters(attributes: &mut Attributes, asked: &Params, mapping: &Mapping) {
    attributes.set_some(names::MAX_TOKENS, asked.max_tokens);
    attributes.set_some(names::TEMPERATURE, asked.temperature);
    attributes.set_some(names::TOP_P, asked.top_p);
    match mapping.profile {
        Profile::V1_41 => attributes.set_some(names::TOP_K, asked.top_k),
        #[expect(clippy::cast_possible_truncation, reason = "a whole number of tokens")]
        Profile::Newest => {
            attributes.set_some(names::TOP_K_INT, asked.top_k.map(|k| Value::Int(k as i64)));
        }
    }
    attributes.set_some(names::FREQUENCY_PENALTY, asked.frequency_penalty);
    attributes.set_some(names::PRESENCE_PENALTY, asked.presence_penalty);
    attributes.set_some(names::SEED, asked.seed.map(Value::Int));
    attributes.set_some(names::CHOICE_COUNT, asked.choice_count.filter(|count| *count != 1));
    attributes.set_some(names::OUTPUT_TYPE, asked.output_type);
    attributes.set_some(names::DIMENSION_COUNT, asked.dimensions);
    if !asked.encoding_formats.is_empty() {
        let formats = Value::Texts(asked.encoding_formats.clone());
        attributes.set(names::ENCODING_FORMATS, formats);
    }
    if mapping.content == Content::Span && !asked.stop_sequences.is_empty() {
        let words = asked.stop_sequences.iter().map(|words| redact::secrets(words).into_owned());
        attributes.set(names::STOP_SEQUENCES, Value::Texts(words.collect()));
    }
    if mapping.profile == Profile::Newest {
        attributes.set_some(names::REASONING_LEVEL, asked.reasoning_level.clone());
        attributes.set_some(names::PREVIOUS_RESPONSE_ID, asked.previous_response_id.clone());
    }
}

/// OpenAI's own attributes, only where the provider is OpenAI.
fn openai(
    attributes: &mut Attributes,
    exchange: &Exchange,
    asked: Option<&Params>,
    origin: Option<&Origin>,
) {
    if origin.is_none_or(|origin| &*origin.telemetry_name != "openai") {
        return;
    }
    match (exchange.dialect, exchange.operation) {
        (Dialect::OpenAiChat, Operation::Chat) => {
            attributes.set(names::OPENAI_API_TYPE, "chat_completions");
        }
        (Dialect::OpenAiResponses, Operation::Chat) => {
            attributes.set(names::OPENAI_API_TYPE, "responses");
        }
        _ => {}
    }
    let asked_tier = asked.and_then(|asked| asked.service_tier.as_deref());
    let asked_tier = asked_tier.filter(|tier| *tier != "auto");
    attributes.set_some(names::OPENAI_REQUEST_TIER, asked_tier.map(short));
    let tier = exchange.summary.last().and_then(|tally| tally.reading.service_tier.as_deref());
    attributes.set_some(names::OPENAI_RESPONSE_TIER, tier.map(short));
}

fn cost(attributes: &mut Attributes, exchange: &Exchange) {
    let Some(amount) = exchange.summary.cost else { return };
    attributes.set(names::COST_USD, amount.usd());
    attributes.set(names::COST_NANOUSD, Value::Int(amount.0));
    let cost = exchange.summary.tallies.iter().rev().find_map(|tally| tally.cost.as_ref());
    if let Some(cost) = cost {
        attributes.set(names::COST_BASIS, &cost.basis);
        attributes.set(names::COST_VERSION, &cost.version);
    }
}

fn times(attributes: &mut Attributes, exchange: &Exchange) {
    let (Some(last), times) = (exchange.attempts.last(), &exchange.summary.times) else { return };
    if !last.events {
        return;
    }
    if let Some(first) = times.first_content_us {
        let waited = seconds(first.saturating_sub(last.sent_us));
        attributes.set(names::TIME_TO_FIRST_CHUNK, waited);
        attributes.set(names::STREAM_CONTENTS, times.contents);
    }
    if times.contents > 1 {
        attributes.set(names::GAP_P50, seconds(times.gaps.p50_us));
        attributes.set(names::GAP_P99, seconds(times.gaps.p99_us));
        attributes.set(names::GAP_MAX, seconds(times.gaps.max_us));
    }
    if times.gaps.stalls > 0 {
        attributes.set(names::STALLS, u64::from(times.gaps.stalls));
    }
}
