//! The log line of an exchange, text or JSON: one line, no prompt text, no secret.

use std::fmt::Write as _;
use std::io::Write;

use crate::base::money::Nanodollars;
use crate::exchange::Exchange;
use crate::neutral::usage::UsageSource;
use crate::observe::sink::Sink;

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogForm {
    #[default]
    Text,
    Json,
}

/// Writes one line per exchange, a batch at a time.
pub struct LineSink<W> {
    form: LogForm,
    to: W,
    /// Filled and emptied per batch.
    buffer: String,
    stamp: Stamp,
    /// Exchanges reported as dropped so far.
    dropped_told: u64,
}

impl<W: Write + Send> LineSink<W> {
    pub fn new(form: LogForm, to: W) -> Self {
        Self { form, to, buffer: String::new(), stamp: Stamp::default(), dropped_told: 0 }
    }
}

impl<W: Write + Send> Sink for LineSink<W> {
    fn take(&mut self, batch: &[Box<Exchange>], dropped: u64) {
        self.buffer.clear();
        for exchange in batch {
            match self.form {
                LogForm::Text => text_line(&mut self.buffer, &mut self.stamp, exchange),
                LogForm::Json => json_line(&mut self.buffer, &mut self.stamp, exchange),
            }
        }
        if dropped > self.dropped_told {
            let lost = dropped - self.dropped_told;
            self.dropped_told = dropped;
            drop_notice(&mut self.buffer, self.form, lost);
        }
        // A log that cannot be written must not stop the traffic; there is nowhere left to say so.
        let _written = self.to.write_all(self.buffer.as_bytes());
    }

    fn flush(&mut self) {
        let _flushed = self.to.flush();
    }
}

fn drop_notice(out: &mut String, form: LogForm, lost: u64) {
    let written = match form {
        LogForm::Text => writeln!(out, "warn {lost} exchanges not logged: the queue was full"),
        LogForm::Json => writeln!(
            out,
            r#"{{"level":"warn","message":"exchanges not logged: the queue was full","count":{lost}}}"#
        ),
    };
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

/// One field of the line, named once for both forms.
enum Value<'a> {
    Text(&'a str),
    Number(u64),
    Millis(u64),
    Usd(Nanodollars),
    Flag(bool),
}

/// Calls `field` for each field the exchange has, in the order of the line.
fn fields(exchange: &Exchange, mut field: impl FnMut(&'static str, Value<'_>)) {
    let attempt = exchange.last_attempt();
    let mut id = [0; 36];
    field("id", Value::Text(exchange.id.encode(&mut id)));
    let mut trace = [0; 32];
    field("trace_id", Value::Text(exchange.trace.id.encode(&mut trace)));
    field("method", Value::Text(exchange.method.as_str()));
    field("path", Value::Text(&exchange.path));
    field("dialect", Value::Text(exchange.dialect.label()));
    field("operation", Value::Text(exchange.operation.label()));
    if let Some(status) = exchange.status {
        field("status", Value::Number(u64::from(status.as_u16())));
    }
    field("outcome", Value::Text(exchange.outcome.label()));
    if let Some(attempt) = attempt {
        field("provider", Value::Text(&attempt.provider));
    }
    if let Some(model) = attempt.and_then(|attempt| attempt.model.as_deref()) {
        field("model", Value::Text(model));
    }
    if let Some(requested) = exchange.model_requested.as_deref()
        && attempt.and_then(|attempt| attempt.model.as_deref()) != Some(requested)
    {
        field("model_requested", Value::Text(requested));
    }
    field("stream", Value::Flag(exchange.stream));
    field("attempts", Value::Number(exchange.attempts.len() as u64));
    field("request_bytes", Value::Number(exchange.request_bytes));
    field("response_bytes", Value::Number(exchange.response_bytes));
    if let Some(first) = attempt.and_then(|attempt| attempt.head_us) {
        field("first_byte_ms", Value::Millis(first));
    }
    let times = &exchange.summary.times;
    if let (true, Some(first), Some(attempt)) = (exchange.stream, times.first_content_us, attempt) {
        field("ttft_ms", Value::Millis(first.saturating_sub(attempt.sent_us)));
    }
    field("duration_ms", Value::Millis(exchange.ended_us));
    field("overhead_ms", Value::Millis(times.overhead_us));
    tokens(exchange, &mut field);
    if let Some(label) = exchange.key_label.as_deref() {
        field("key", Value::Text(label));
    }
    if let Some(failure) = &exchange.failure {
        field("error_source", Value::Text(failure.source.label()));
        field("error_kind", Value::Text(failure.kind));
        if let Some(detail) = failure.detail.as_deref() {
            field("error", Value::Text(detail));
        }
    }
    if let Some(status) = attempt.and_then(|attempt| attempt.status)
        && exchange.status != Some(status)
    {
        field("upstream_status", Value::Number(u64::from(status.as_u16())));
    }
    if let Some(id) = attempt.and_then(|attempt| attempt.upstream_request_id.as_deref()) {
        field("upstream_request_id", Value::Text(id));
    }
}

/// Tokens as the client was told them, and the cost of all attempts.
fn tokens(exchange: &Exchange, field: &mut impl FnMut(&'static str, Value<'_>)) {
    if let Some(tally) = exchange.summary.last()
        && let Some(usage) = &tally.usage
    {
        let counts = [
            ("input_tokens", usage.input),
            ("output_tokens", usage.output),
            ("cache_read_tokens", usage.cache_read),
            ("cache_write_tokens", usage.cache_write),
            ("reasoning_tokens", usage.reasoning),
        ];
        for (name, count) in counts {
            if let Some(count) = count {
                field(name, Value::Number(count));
            }
        }
        if let Some(source) = tally.source.filter(|source| *source != UsageSource::Provider) {
            field("usage_source", Value::Text(source.label()));
        }
        if tally.partial {
            field("usage_partial", Value::Flag(true));
        }
    }
    if let Some(cost) = exchange.summary.cost {
        field("cost_usd", Value::Usd(cost));
    }
}

fn text_line(out: &mut String, stamp: &mut Stamp, exchange: &Exchange) {
    stamp.push(out, exchange.wall_us);
    out.push_str(" info exchange");
    fields(exchange, |name, value| {
        out.push(' ');
        out.push_str(name);
        out.push('=');
        match value {
            Value::Text(text) => quoted_if_needed(out, text),
            Value::Number(number) => push_number(out, number),
            Value::Millis(us) => push_millis(out, us),
            Value::Usd(cost) => push_usd(out, cost),
            Value::Flag(flag) => out.push_str(if flag { "true" } else { "false" }),
        }
    });
    out.push('\n');
}

fn json_line(out: &mut String, stamp: &mut Stamp, exchange: &Exchange) {
    out.push_str("{\"time\":\"");
    stamp.push(out, exchange.wall_us);
    out.push_str("\",\"level\":\"info\",\"event\":\"exchange\"");
    fields(exchange, |name, value| {
        out.push_str(",\"");
        out.push_str(name);
        out.push_str("\":");
        match value {
            Value::Text(text) => quoted(out, text),
            Value::Number(number) => push_number(out, number),
            Value::Millis(us) => push_millis(out, us),
            Value::Usd(cost) => push_usd(out, cost),
            Value::Flag(flag) => out.push_str(if flag { "true" } else { "false" }),
        }
    });
    out.push_str("}\n");
}

/// Decimal digits, without the cost of the formatting machinery: a line has ten numbers.
fn push_number(out: &mut String, number: u64) {
    push_padded(out, number, 1);
}

/// As [`push_number`], with leading zeros up to `width`.
fn push_padded(out: &mut String, number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    let mut rest = number;
    while rest > 0 || at > digits.len() - width {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend(digits[at..].iter().map(|digit| *digit as char));
}

fn push_usd(out: &mut String, cost: Nanodollars) {
    if cost.0 < 0 {
        out.push('-');
    }
    let nano = cost.0.unsigned_abs();
    push_number(out, nano / 1_000_000_000);
    out.push('.');
    push_padded(out, nano % 1_000_000_000, 9);
    // As `Nanodollars` shows itself: at least two places.
    let least = out.len() - 7;
    while out.len() > least && out.ends_with('0') {
        out.pop();
    }
}

fn push_millis(out: &mut String, us: u64) {
    push_number(out, us / 1_000);
    out.push('.');
    push_padded(out, us % 1_000, 3);
}

/// RFC 3339 with milliseconds. The part up to the second is made once a second.
#[derive(Default)]
struct Stamp {
    second: u64,
    text: String,
}

impl Stamp {
    fn push(&mut self, out: &mut String, wall_us: u64) {
        let second = wall_us / 1_000_000;
        if second != self.second || self.text.is_empty() {
            let at = jiff::Timestamp::from_second(i64::try_from(second).unwrap_or(0))
                .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            self.second = second;
            self.text = at.to_string();
            self.text.pop();
        }
        out.push_str(&self.text);
        out.push('.');
        push_padded(out, wall_us / 1_000 % 1_000, 3);
        out.push('Z');
    }
}

/// Client-made text stays on one line and within its quotes.
fn quoted_if_needed(out: &mut String, text: &str) {
    let plain = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'=');
    if plain {
        out.push_str(text);
    } else {
        quoted(out, text);
    }
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Control characters could drive a terminal; the line separators end a line for some readers.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let written = write!(out, "\\u{:04x}", c as u32);
                debug_assert!(written.is_ok(), "writing to a String cannot fail");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
