//! A request as a command that can be run: secrets are variables, a body that a shell cannot hold comes from the store.

use std::fmt::Write as _;

use crate::report::exchange::body;
use crate::report::look;
use crate::store::stored::{Leg, Stored, Whole};

/// Limit: bytes of a body that stands in the command.
const INLINE_MAX: usize = 32 * 1024;

/// Whose request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The client's, to the gateway.
    Client,
    /// What went to the provider of an attempt, from 0.
    Upstream(usize),
}

/// Headers that curl makes itself, or that are of one connection.
const OWN: [&str; 10] = [
    "host",
    "content-length",
    "connection",
    "transfer-encoding",
    "keep-alive",
    "te",
    "upgrade",
    "expect",
    "accept-encoding",
    "proxy-connection",
];

/// The command; `Err` says why there is none.
pub fn text(stored: &Stored, side: Side) -> Result<String, String> {
    let (leg, whole, variable, raw) = match side {
        Side::Client => {
            let raw = format!("--raw request {}", stored.row.id);
            (&stored.request, stored.client_request(), "PINHOLE_API_KEY".to_owned(), raw)
        }
        Side::Upstream(n) => {
            let attempt = stored.attempts.get(n).ok_or_else(|| no_attempt(stored, n))?;
            let raw = format!("--raw upstream-request --attempt {} {}", n + 1, stored.row.id);
            (&attempt.request, stored.upstream_request(n), variable(&attempt.provider), raw)
        }
    };
    let method = method(leg, stored);
    if whole.is_none() && method == "POST" {
        let level = &stored.row.capture_level;
        return Err(format!(
            "the request body was not kept (level {level}), so there is no command to make"
        ));
    }
    let mut command = String::new();
    let pipe = whole.filter(|whole| !is_inline(whole));
    if pipe.is_some() {
        push(&mut command, format_args!("pinhole captures show {raw} |\n"));
    }
    let stream = if stored.row.stream { " -N" } else { "" };
    push(&mut command, format_args!("curl -sS{stream}"));
    if method != "POST" {
        push(&mut command, format_args!(" -X {method}"));
    }
    push(&mut command, format_args!(" {}", url(leg, stored, side, &variable)));
    let left_out = push_headers(&mut command, leg, &variable);
    if let Some(whole) = whole.filter(|whole| !whole.bytes.is_empty()) {
        command.push_str(" \\\n  --data-binary @-");
        if pipe.is_none() {
            let text = String::from_utf8_lossy(&whole.bytes);
            let mark = mark(&text);
            push(&mut command, format_args!(" <<'{mark}'\n{text}\n{mark}"));
        }
    }
    let mut notes = String::new();
    if whole.is_some_and(|whole| whole.redacted) {
        notes.push_str(
            "# placeholders stand where secrets were: this is not the request as it was sent\n",
        );
    }
    if !left_out.is_empty() {
        push(
            &mut notes,
            format_args!(
                "# left out, because their values were not kept: {}\n",
                left_out.join(", ")
            ),
        );
    }
    Ok(format!("{notes}{command}"))
}

fn push(to: &mut String, what: std::fmt::Arguments<'_>) {
    let written = to.write_fmt(what);
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

pub(super) fn no_attempt(stored: &Stored, n: usize) -> String {
    match stored.attempts.len() {
        0 => "nothing was sent to a provider".to_owned(),
        many => format!("there is no attempt {}; the exchange has {many}", n + 1),
    }
}

/// `OPENAI_API_KEY` of `openai`.
fn variable(provider: &str) -> String {
    let name: String = provider
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' })
        .collect();
    format!("{name}_API_KEY")
}

fn method<'a>(leg: &'a Leg, stored: &'a Stored) -> &'a str {
    let line = leg.line.as_deref().and_then(|line| line.split(' ').next());
    let method = line.filter(|method| method.bytes().all(|byte| byte.is_ascii_uppercase()));
    method.unwrap_or(&stored.row.method)
}

/// The target as it was, in quotes that let a variable through where a key stood in it.
fn url(leg: &Leg, stored: &Stored, side: Side, variable: &str) -> String {
    let target = leg.line.as_deref().and_then(|line| line.split(' ').nth(1));
    let target = target.unwrap_or(&stored.row.path);
    let header = |name: &str| {
        let headers = leg.headers.as_deref().unwrap_or_default();
        headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let whole = if target.contains("://") {
        target.to_owned()
    } else {
        let scheme = match side {
            Side::Upstream(n) if stored.attempts.get(n).is_some_and(|one| one.tls.is_some()) => {
                "https"
            }
            _ => "http",
        };
        let host = header("host").cloned().unwrap_or_else(|| match side {
            Side::Client => "127.0.0.1:8000".to_owned(),
            Side::Upstream(_) => "localhost".to_owned(),
        });
        format!("{scheme}://{host}{target}")
    };
    match whole.split_once("key=") {
        Some((before, after)) if before.ends_with(['?', '&']) => {
            let rest =
                after.split_once('&').map(|(_, rest)| format!("&{rest}")).unwrap_or_default();
            format!("{}\"${variable}\"{}", quoted(&format!("{before}key=")), quoted(&rest))
        }
        _ => quoted(&whole),
    }
}

/// The headers, one a line; returns the names of those whose values are not there.
fn push_headers(command: &mut String, leg: &Leg, variable: &str) -> Vec<String> {
    let mut left_out = Vec::new();
    for (name, value) in leg.headers.as_deref().unwrap_or_default() {
        let lower = name.to_ascii_lowercase();
        if OWN.contains(&lower.as_str()) || lower.starts_with("x-pinhole-") {
            continue;
        }
        let line = match lower.as_str() {
            "authorization" => format!("\"{name}: Bearer ${variable}\""),
            "x-api-key" | "api-key" | "x-goog-api-key" => format!("\"{name}: ${variable}\""),
            _ if is_placeholder(value) => {
                left_out.push(lower);
                continue;
            }
            _ => quoted(&format!("{name}: {value}")),
        };
        push(command, format_args!(" \\\n  -H {line}"));
    }
    if leg.headers.is_none() {
        push(
            command,
            format_args!(
                " \\\n  -H 'content-type: application/json' \\\n  -H \"authorization: Bearer ${variable}\""
            ),
        );
    }
    left_out
}

/// What redaction puts where a value stood.
fn is_placeholder(value: &str) -> bool {
    value.contains("[redacted:")
}

fn is_inline(whole: &Whole) -> bool {
    whole.bytes.len() <= INLINE_MAX
        && !body::is_binary(&whole.bytes)
        && std::str::from_utf8(&whole.bytes).is_ok_and(|text| look::clean(text) == text)
}

/// A word that no line of the text is.
fn mark(text: &str) -> String {
    let mut mark = "JSON".to_owned();
    while text.lines().any(|line| line == mark) {
        mark.push('_');
    }
    mark
}

/// For a shell, as one word.
fn quoted(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}
