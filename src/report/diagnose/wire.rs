//! No answer, or half of one: connections that did not come about or broke, waits that ran out, clients that left, and a
//! gateway that ended.

use crate::report::diagnose::case::{Case, Finding};
use crate::report::diagnose::class::{Class, Confidence, Place};
use crate::report::prose::{self, capital};
use crate::report::words;
use crate::store::stored::Attempt;

/// Seconds that people set as the timeouts of clients.
const ROUND_SECONDS: &[u64] = &[
    1, 2, 3, 5, 10, 15, 20, 30, 45, 60, 90, 100, 120, 180, 240, 300, 600, 900, 1_200, 1_800, 3_600,
];

/// What is found by how the exchange ended.
pub(super) fn find(case: &Case<'_>) -> Option<Finding> {
    let kind = case.row.error_kind.as_deref().unwrap_or_default();
    let finding = match kind {
        "interrupted" => interrupted(case),
        "upstream_connect_timeout" => connect_timeout(case),
        "upstream_unreachable" => unreachable(case),
        "upstream_first_byte_timeout" => first_byte(case),
        "upstream_idle_timeout" => idle(case),
        "upstream_total_timeout" => total(case),
        "upstream_reset" => reset(case),
        "upstream_invalid" => garbage(case),
        _ if case.row.outcome == "client_cancelled" => cancelled(case),
        _ if case.row.outcome == "upstream_reset" => reset(case),
        _ => return None,
    };
    let said = case.row.error_detail.clone();
    Some(if kind == "interrupted" {
        finding
    } else {
        finding.seen_perhaps("gateway's words", said)
    })
}

/// The same of an attempt that was not the last: what made the gateway try again.
pub(super) fn find_in(attempt: &Attempt) -> Option<(Class, Place)> {
    Some(match attempt.error_kind.as_deref()? {
        "upstream_connect_timeout" => (Class::ConnectTimeout, Place::Network),
        "upstream_unreachable" => (Class::ConnectFailure, Place::Network),
        "upstream_first_byte_timeout" => (Class::FirstByteTimeout, Place::Provider),
        "upstream_idle_timeout" => (Class::IdleTimeout, Place::Provider),
        "upstream_total_timeout" => (Class::TotalTimeout, Place::Provider),
        "upstream_reset" if attempt.head_us.is_some() => (Class::CutStream, Place::Provider),
        "upstream_reset" => (Class::Reset, Place::Provider),
        "upstream_invalid" => (Class::InvalidAnswer, Place::Provider),
        _ => return None,
    })
}

fn link(attempt: &Attempt) -> String {
    let peer = attempt.peer.as_deref().map(|peer| format!(" to {peer}")).unwrap_or_default();
    match attempt.link_us {
        None => format!("a connection{peer} that was there already"),
        Some([resolve, connect, tls]) => {
            let us = |us: i64| prose::time(us.unsigned_abs());
            let tls = if tls > 0 { format!(", TLS {}", us(tls)) } else { String::new() };
            format!("a new connection{peer}: name {}, connect {}{tls}", us(resolve), us(connect))
        }
    }
}

fn on_link(finding: Finding, case: &Case<'_>) -> Finding {
    let line = case.last().filter(|attempt| attempt.peer.is_some() || attempt.link_us.is_some());
    finding.seen_perhaps("connection", line.map(link))
}

/// How far the answer came, in a sentence's end and as evidence.
fn how_far(case: &Case<'_>) -> String {
    let answer = &case.answer;
    let received = case.last().map_or(0, |attempt| attempt.bytes.unsigned_abs());
    let received = received.max(answer.bytes as u64);
    match (&answer.last, received) {
        (Some(last), _) => {
            let half = if answer.half_event { " and half of the next" } else { "" };
            format!(
                "after {}{half} ({})",
                prose::counted(answer.event_count as u64, "event"),
                last_event(last.name.as_str())
            )
        }
        (None, 0) => "before its first byte of body".to_owned(),
        (None, bytes) => format!("after {}", words::bytes(bytes)),
    }
}

fn last_event(name: &str) -> String {
    format!("the last one `{name}`")
}

fn seen_so_far(mut finding: Finding, case: &Case<'_>) -> Finding {
    let Some(attempt) = case.last() else { return finding };
    let answer = &case.answer;
    if let Some(head) = attempt.head_us {
        let status = attempt.status.map(|status| format!(" {status}")).unwrap_or_default();
        let after = head.saturating_sub(attempt.sent_us).unsigned_abs();
        finding = finding.seen(
            "head",
            format!("answer{status} began {} after the request was sent", prose::time(after)),
        );
    }
    let received = attempt.bytes.unsigned_abs().max(answer.bytes as u64);
    if received > 0 {
        finding = finding.seen("cut at", format!("byte {} of the answer", prose::number(received)));
    }
    if let Some(last) = &answer.last {
        let at = last.at_us.map(|at| format!(", at {}", prose::time(at))).unwrap_or_default();
        finding = finding.seen("last event", format!("{} (event {}{at})", last.name, last.number));
    }
    if let (Some(last), Some(ended)) = (answer.last_byte_us, attempt.ended_us) {
        let quiet = ended.unsigned_abs().saturating_sub(last);
        finding = finding.seen("silence", format!("{} before the end", prose::time(quiet)));
    }
    match (attempt.usage_source.as_deref(), attempt.output_tokens) {
        (_, Some(tokens)) if usage_is_told(case) => finding.seen(
            "usage",
            format!("told by the provider: {} output tokens", prose::number(tokens.unsigned_abs())),
        ),
        (Some("provider"), Some(tokens)) => finding.seen(
            "usage",
            format!(
                "told so far: {} output tokens; the provider may bill more",
                prose::number(tokens.unsigned_abs())
            ),
        ),
        (Some(_), Some(tokens)) => finding.seen(
            "usage",
            format!(
                "not told; estimated: {} output tokens, which the provider may bill",
                prose::number(tokens.unsigned_abs())
            ),
        ),
        _ => finding,
    }
}

fn interrupted(case: &Case<'_>) -> Finding {
    let far = if case.stored.attempts.is_empty() {
        "before a provider was called"
    } else {
        "while the provider was answering"
    };
    Finding::new(
        Class::Interrupted,
        Place::Gateway,
        Confidence::Certain,
        format!("The gateway ended in the middle of this exchange, {far}: it was killed, crashed, or the machine went down"),
    )
    .seen("outcome", "closed as `interrupted` when the gateway started again; what is shown is what was on disk by then")
    .advise("look at the end of the gateway's log and at the system's (out of memory, `kill -9`, power) for the time of the exchange")
    .advise("stop the gateway with SIGTERM: it drains what is in flight")
    .advise("the provider may have billed the answer; the client has to send the request again")
    .read_on("docs/lifecycle.md")
}

fn connect_timeout(case: &Case<'_>) -> Finding {
    let key = case.provider_key();
    Finding::new(
        Class::ConnectTimeout,
        Place::Network,
        Confidence::Certain,
        format!("{} could not be reached in time: no connection within `timeouts.connect`", capital(&case.provider())),
    )
    .act_at(Place::Network)
    .advise("packets are dropped on the way: check routes, firewall and proxy (`HTTPS_PROXY`) of the gateway's machine")
    .advise(format!("`pinhole check --live` repeats the connection; raise `providers.{key}.timeouts.connect` only if it is slow, not silent"))
    .read_on("docs/troubleshooting.md#502-the-provider-cant-be-reached")
}

fn unreachable(case: &Case<'_>) -> Finding {
    let key = case.provider_key();
    let said = case.row.error_detail.as_deref().unwrap_or_default();
    let provider = capital(&case.provider());
    let new = |class, says: String| {
        Finding::new(class, Place::Network, Confidence::Certain, says).act_at(Place::Gateway)
    };
    let finding = if said.contains("does not resolve") {
        let host = said
            .split("the name ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .unwrap_or("its host");
        new(
            Class::DnsFailure,
            format!("{provider} was not reached: the name {host} has no address"),
        )
        .advise(format!("check the host in `providers.{key}.baseurl` for a typing error"))
        .advise("check the name server of the gateway's machine (`getent hosts NAME`)")
    } else if said.contains("TLS with") {
        new(Class::TlsFailure, format!("{provider} was reached, but the connection could not be made safe (TLS)"))
            .advise("the certificate's authority is not known here, the name differs, or it has expired: the words above say which")
            .advise(format!("a company's own authority goes into `providers.{key}.ca_file`; a plain server wants `http://` in `baseurl`"))
    } else if said.contains("the proxy") && said.contains("answered") {
        new(
            Class::ConnectFailure,
            format!("{provider} was not reached: the proxy refused to connect to it"),
        )
        .detail("proxy")
        .advise("correct `HTTPS_PROXY`, or add the host to `NO_PROXY`")
    } else {
        let refused = said.contains("refused");
        let what = if refused {
            "its machine refuses the connection: nobody listens there"
        } else {
            "no connection came about"
        };
        new(Class::ConnectFailure, format!("{provider} was not reached: {what}"))
            .detail(if refused { "refused" } else { "" })
            .advise(format!("check host and port in `providers.{key}.baseurl`; a local server (Ollama, vLLM) may not be running"))
    };
    on_link(finding, case)
        .advise("`pinhole check --live` tries each provider and names the step that fails")
        .read_on("docs/troubleshooting.md#502-the-provider-cant-be-reached")
}

/// How long the last attempt waited, from its sending.
fn waited(case: &Case<'_>) -> String {
    let waited = case.last().and_then(|attempt| {
        let until = attempt.ended_us.unwrap_or(case.row.duration_us);
        Some(until.checked_sub(attempt.sent_us)?.unsigned_abs())
    });
    waited.map_or_else(|| "the time allowed".to_owned(), prose::time)
}

fn first_byte(case: &Case<'_>) -> Finding {
    let key = case.provider_key();
    let finding = Finding::new(
        Class::FirstByteTimeout,
        Place::Provider,
        Confidence::Certain,
        format!(
            "{} took the request and sent nothing for {}: `timeouts.first_byte` ran out",
            capital(&case.provider()),
            waited(case)
        ),
    )
    .seen(
        "request",
        format!(
            "{} sent, {}",
            words::bytes(case.row.request_bytes.unsigned_abs()),
            if case.row.stream { "as a stream" } else { "not as a stream" }
        ),
    );
    let finding = on_link(finding, case);
    let finding = if case.row.stream {
        finding
    } else {
        finding.advise("stream: without it the first byte comes with the last word")
    };
    finding
        .advise(format!("raise `providers.{key}.timeouts.first_byte` if this model needs longer (large prompts, deep reasoning, a cold local model)"))
        .advise("ask for less: a shorter prompt, less output, less reasoning effort")
        .read_on("docs/troubleshooting.md#504-or-answers-that-take-long")
}

fn idle(case: &Case<'_>) -> Finding {
    let key = case.provider_key();
    let quiet = match (case.answer.last_byte_us, case.last().and_then(|attempt| attempt.ended_us)) {
        (Some(last), Some(ended)) => prose::time(ended.unsigned_abs().saturating_sub(last)),
        _ => "the time allowed".to_owned(),
    };
    let finding = Finding::new(
        Class::IdleTimeout,
        Place::Provider,
        Confidence::Certain,
        format!(
            "{} stopped in the middle of its answer, {}, and stayed silent for {quiet}: `timeouts.idle` ran out",
            capital(&case.provider()),
            how_far(case)
        ),
    );
    seen_so_far(on_link(finding, case), case)
        .advise("try again: the connection was open and nothing came")
        .advise(format!("raise `providers.{key}.timeouts.idle` if the model pauses this long while it thinks or calls its own tools"))
        .read_on("docs/troubleshooting.md#504-or-answers-that-take-long")
}

fn total(case: &Case<'_>) -> Finding {
    let key = case.provider_key();
    let finding = Finding::new(
        Class::TotalTimeout,
        Place::Gateway,
        Confidence::Certain,
        format!(
            "The call took longer than `timeouts.total` ({}): it was ended {}",
            prose::time(case.row.duration_us.unsigned_abs()),
            how_far(case)
        ),
    );
    seen_so_far(on_link(finding, case), case)
        .advise(format!("raise `providers.{key}.timeouts.total`, or set it to \"off\": the other waits catch what is dead"))
        .advise("or ask for less output")
        .read_on("docs/config.md#timeouts")
}

fn reset(case: &Case<'_>) -> Finding {
    let began = case.last().is_some_and(|attempt| attempt.head_us.is_some());
    let said = case.row.error_detail.as_deref().unwrap_or_default().to_lowercase();
    // A reset comes from whoever holds state of the connection; an orderly end comes from the server.
    let by_network = said.contains("reset by peer") || said.contains("broken pipe");
    let (place, who) = if by_network {
        (Place::Network, "the connection was reset")
    } else {
        (Place::Provider, "the connection was closed")
    };
    let provider = case.provider();
    if !began {
        let finding = Finding::new(
            Class::Reset,
            place,
            Confidence::Likely,
            format!(
                "{} never answered: {who} after the request was sent, {}",
                capital(&provider),
                after(case)
            ),
        );
        return on_link(finding, case)
            .advise("try again; this happens when a provider restarts or closes an old connection")
            .advise("if it always takes the same time, something on the way (load balancer, NAT) ends quiet connections")
            .read_on("docs/troubleshooting.md#502-the-provider-closed-the-connection");
    }
    let told = usage_is_told(case);
    let finding = Finding::new(
        Class::CutStream,
        place,
        Confidence::Likely,
        format!("The answer of {provider} was cut off {}: {who} before the end", how_far(case)),
    )
    .detail(if told { "with_usage" } else { "without_usage" });
    seen_so_far(on_link(finding, case), case)
        .advise("try again; what the client has is half an answer, and it was told so by an abnormal end")
        .advise("if it always breaks after the same time or size, a proxy or load balancer on the way limits it")
        .read_on("docs/troubleshooting.md#502-the-provider-closed-the-connection")
}

/// Whether the provider had told the final usage before the end: it comes with, or after, the reason of the end.
fn usage_is_told(case: &Case<'_>) -> bool {
    let by_provider =
        case.last().is_some_and(|attempt| attempt.usage_source.as_deref() == Some("provider"));
    by_provider && (!case.answer.kept || !case.answer.reading.finish_reasons.is_empty())
}

fn after(case: &Case<'_>) -> String {
    format!("{} later", waited(case))
}

fn garbage(case: &Case<'_>) -> Finding {
    let key = case.provider_key();
    let finding = Finding::new(
        Class::InvalidAnswer,
        Place::Provider,
        Confidence::Certain,
        format!("What answered at the address of {} does not speak HTTP", case.provider()),
    )
    .act_at(Place::Gateway)
    .detail("not_http");
    on_link(finding, case)
        .advise(format!("check scheme and port of `providers.{key}.baseurl`: `http://` to a TLS port, or another service's port"))
        .read_on("docs/troubleshooting.md#502-the-provider-cant-be-reached")
}

fn cancelled(case: &Case<'_>) -> Finding {
    let took = case.row.duration_us.unsigned_abs();
    let client = capital(case.client());
    let far = match case.last() {
        None => "before the request went to a provider".to_owned(),
        Some(attempt) if attempt.head_us.is_none() => {
            format!("while it waited for the answer of {} to begin", case.provider())
        }
        Some(_)
            if case.answer.bytes == 0 && case.last().is_some_and(|attempt| attempt.bytes == 0) =>
        {
            "after the head of the answer, before its first word".to_owned()
        }
        Some(_) => how_far(case),
    };
    let mut finding = Finding::new(
        Class::ClientCancelled,
        Place::Client,
        Confidence::Certain,
        format!("{client} left after {}, {far}", prose::time(took)),
    );
    finding = seen_so_far(finding, case);
    if let Some(seconds) = round_seconds(took) {
        finding = finding
            .detail("timeout_suspected")
            .seen(
                "timing",
                format!(
                    "{} is close to {seconds} s: a timeout of the client is likely",
                    prose::time(took)
                ),
            )
            .advise(timeout_setting(case, seconds));
        finding.says = format!("{}; a client timeout of {seconds} s is likely", finding.says);
    } else {
        finding = finding.advise("nothing has to be done if a person or program stopped it; the call to the provider was ended at once");
    }
    if case.answer.bytes == 0 && !case.row.stream {
        finding = finding.advise("stream, so that the client sees progress before it gives up");
    } else if case.answer.pause.is_some_and(|pause| pause.us > 20_000_000) || case.answer.bytes == 0
    {
        finding = finding.advise("`streams.keep_alive = \"15s\"` keeps clients and load balancers from giving up on a quiet stream");
    }
    finding
}

/// A duration that somebody has set: within a quarter of a second, or one per cent, of a round number.
fn round_seconds(us: u64) -> Option<u64> {
    ROUND_SECONDS.iter().copied().find(|seconds| {
        let round = seconds * 1_000_000;
        // The client's clock starts before the gateway's: a little less is as good.
        let slack = (round / 100).clamp(60_000, 1_500_000);
        us + slack >= round && us <= round + slack
    })
}

fn timeout_setting(case: &Case<'_>, seconds: u64) -> String {
    match case.row.agent.as_str() {
        "claude-code" => format!(
            "raise Claude Code's timeout of {seconds} s: `API_TIMEOUT_MS` in its environment"
        ),
        "codex" => format!(
            "raise Codex's timeout of {seconds} s: `stream_idle_timeout_ms` of its model provider"
        ),
        "openai-python" | "anthropic-python" => {
            format!("raise the SDK's timeout of {seconds} s: `timeout=` of the client or the call")
        }
        "openai-node" | "anthropic-node" => format!(
            "raise the SDK's timeout of {seconds} s: `timeout` (in ms) of the client or the call"
        ),
        "curl" => format!("raise curl's `--max-time` of {seconds} s"),
        _ => format!(
            "raise the client's timeout of {seconds} s, or that of a load balancer before the gateway"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_seconds_are_suspected_and_others_are_not() {
        for (us, seconds) in [
            (60_012_000, Some(60)),
            (59_700_000, Some(60)),
            (30_000_000, Some(30)),
            (1_030_000, Some(1)),
            (600_900_000, Some(600)),
            (1_200_000, None),
            (61_500_000, None),
            (7_000_000, None),
            (350_000, None),
        ] {
            assert_eq!(round_seconds(us), seconds, "{us}");
        }
    }
}
