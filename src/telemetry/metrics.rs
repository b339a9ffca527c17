//! Every metric, declared once: registration, the exposition's metadata and `docs/telemetry.md` are made from this table.
//!
//! Invariant: a label's values come from the configuration or from a closed set, never from a client. What each label
//! can hold is told by [`LABELS`].

use crate::telemetry::buckets;

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only rises; a restart begins anew.
    Counter,
    /// A counter of US dollars, kept as whole nanodollars so that sums are exact.
    Money,
    /// A value of the moment, a whole number.
    Gauge,
    /// A distribution over these upper bounds, in seconds.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word after `# TYPE`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter | Self::Money => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }

    /// How many time series one set of label values takes.
    pub fn width(self) -> usize {
        match self {
            Self::Counter | Self::Money | Self::Gauge => 1,
            // The bounds, infinity, sum and count.
            Self::Histogram(bounds) => bounds.len() + 3,
        }
    }
}

/// Who brings the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Finished exchanges, on the observing thread.
    Exchanges,
    /// Counted by the part it belongs to, and read from there at each scrape.
    Watched,
    /// Set by whoever knows it, when it changes.
    Set,
    /// Answers to runs of replays, as each comes to its end.
    Runs,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Declaration {
    pub metric: Metric,
    pub name: &'static str,
    pub kind: Kind,
    pub origin: Origin,
    pub labels: &'static [&'static str],
    /// Limit: sets of label values. Past it, values collapse to `other`.
    pub sets_max: usize,
    /// What it means: one sentence, without a line break.
    pub help: &'static str,
}

impl Declaration {
    /// The unit that the name ends with, if it has one.
    pub fn unit(&self) -> Option<&'static str> {
        unit(self.name)
    }
}

/// The base unit in a metric's name.
pub fn unit(name: &str) -> Option<&'static str> {
    let family = name.strip_suffix("_total").unwrap_or(name);
    ["seconds", "bytes", "usd", "tokens"].into_iter().find(|unit| family.ends_with(unit))
}

/// Declares [`Metric`] and [`TABLE`] from one list, so that a metric without a row does not compile.
macro_rules! metrics {
    ($( $variant:ident $name:literal $kind:expr, $origin:ident [$($label:literal)*] max $max:literal $help:literal; )*) => {
        /// Names a metric in the code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Metric { $( $variant, )* }

        /// All metrics, in the order of the documentation; a metric's row is at its own number.
        pub const TABLE: &[Declaration] = &[ $( Declaration {
            metric: Metric::$variant,
            name: $name,
            kind: $kind,
            origin: Origin::$origin,
            labels: &[ $( $label, )* ],
            sets_max: $max,
            help: $help,
        }, )* ];
    };
}

metrics! {
    Requests "pinhole_requests_total" Kind::Counter, Exchanges ["dialect" "operation" "provider" "model" "status" "outcome"] max 4_000
        "Exchanges, each counted once, at its end.";
    Tokens "pinhole_tokens_total" Kind::Counter, Exchanges ["provider" "model" "type" "source"] max 4_000
        "Tokens, summed over all attempts; cache_read and cache_write are parts of input, reasoning is a part of output.";
    Cost "pinhole_cost_usd_total" Kind::Money, Exchanges ["provider" "model"] max 1_000
        "Cost in US dollars by the price list, summed over all attempts.";
    Duration "pinhole_request_duration_seconds" Kind::Histogram(buckets::CALL), Exchanges ["dialect" "provider" "model" "stream"] max 1_000
        "From the request's head read to the last byte of the answer handed on, or the break.";
    FirstToken "pinhole_time_to_first_token_seconds" Kind::Histogram(buckets::CALL), Exchanges ["provider" "model"] max 1_000
        "Streams: from the attempt sent to its first content of any kind (text, reasoning, tool arguments).";
    FirstAnswerToken "pinhole_time_to_first_answer_token_seconds" Kind::Histogram(buckets::CALL), Exchanges ["provider" "model"] max 1_000
        "Streams: from the attempt sent to its first content that is not reasoning.";
    PerOutputToken "pinhole_time_per_output_token_seconds" Kind::Histogram(buckets::TOKEN), Exchanges ["provider" "model"] max 1_000
        "Streams of two output tokens and more: from first to last content, divided by the tokens after the first.";
    GapMax "pinhole_stream_gap_max_seconds" Kind::Histogram(buckets::GAP), Exchanges ["provider" "model"] max 1_000
        "Streams: the longest wait between two neighbouring contents of each stream.";
    Stalls "pinhole_stream_stalls_total" Kind::Counter, Exchanges ["provider" "model"] max 1_000
        "Waits between contents that were over ten times the stream's median and over 250 ms.";
    Overhead "pinhole_overhead_seconds" Kind::Histogram(buckets::OVERHEAD), Exchanges ["dialect"] max 10
        "The gateway's own time in a forwarded exchange: its duration less the time in which it waited for the client's body or a provider.";
    InFlight "pinhole_requests_in_flight" Kind::Gauge, Set ["provider"] max 500
        "Requests between the choice of their provider and their end.";
    Attempts "pinhole_upstream_attempts_total" Kind::Counter, Exchanges ["provider" "model" "result"] max 3_000
        "Tries at a provider, by how each ended.";
    Phases "pinhole_attempt_phase_seconds" Kind::Histogram(buckets::PHASE), Exchanges ["provider" "phase"] max 500
        "Parts of an attempt's time; resolve, connect and tls only where a connection was opened.";
    Opened "pinhole_connections_opened_total" Kind::Counter, Exchanges ["provider" "http"] max 500
        "Attempts that opened a connection, by its version of HTTP.";
    Reused "pinhole_connections_reused_total" Kind::Counter, Exchanges ["provider"] max 500
        "Attempts that took a connection from the pool.";
    Errors "pinhole_errors_total" Kind::Counter, Exchanges ["provider" "model" "source" "kind"] max 3_000
        "Exchanges that failed or were refused, by whom to blame and why.";
    Rejections "pinhole_limit_rejections_total" Kind::Counter, Exchanges ["reason"] max 50
        "Requests refused because a limit of the gateway was reached.";
    UsageMissing "pinhole_usage_missing_total" Kind::Counter, Exchanges ["provider" "model"] max 1_000
        "Answers that should have told their usage and did not.";
    UsagePartial "pinhole_usage_partial_total" Kind::Counter, Exchanges ["provider" "model"] max 1_000
        "Answers that ended before the provider had told its final usage; what was told is counted.";
    UsageMalformed "pinhole_usage_malformed_total" Kind::Counter, Exchanges ["provider" "kind"] max 500
        "Answers with a bad number in their usage; such a number counts as absent.";
    Unpriced "pinhole_unpriced_total" Kind::Counter, Exchanges ["provider" "model"] max 1_000
        "Answers with usage for which the price list has no entry; they have no cost.";
    WebSearches "pinhole_web_searches_total" Kind::Counter, Exchanges ["provider" "model"] max 1_000
        "Searches that providers bill apart from tokens.";
    ToolCalls "pinhole_tool_calls_total" Kind::Counter, Exchanges ["provider" "model"] max 1_000
        "Tools that models called; their names are in the store.";
    Signals "pinhole_signals_total" Kind::Counter, Exchanges ["provider" "model" "signal"] max 3_000
        "Exchanges with something odd about them, by what it is; see signals.md.";
    ProviderUp "pinhole_provider_up" Kind::Gauge, Exchanges ["provider"] max 500
        "1 until an attempt fails to connect, times out, breaks or is answered 5xx; 1 again with the next answer below 500.";
    KeyUp "pinhole_key_up" Kind::Gauge, Exchanges ["provider" "key"] max 1_000
        "1 until a provider answers 401 or 403 to this key; 1 again when it is accepted.";
    RateLimit "pinhole_provider_rate_limit" Kind::Gauge, Exchanges ["provider" "kind"] max 500
        "The limit that the provider last named in its headers.";
    RateLimitRemaining "pinhole_provider_rate_limit_remaining" Kind::Gauge, Exchanges ["provider" "kind"] max 500
        "What the provider last said is left of its limit.";
    CaptureExchanges "pinhole_capture_exchanges_total" Kind::Counter, Watched ["result"] max 10
        "Exchanges on their way into the store, by what became of them.";
    CaptureBytes "pinhole_capture_bytes_total" Kind::Counter, Watched ["kind"] max 10
        "Bytes of captured exchanges: as they came, and as they were stored.";
    CaptureQueueExchanges "pinhole_capture_queue_exchanges" Kind::Gauge, Watched [] max 1
        "Exchanges waiting for the store's writer.";
    CaptureQueueBytes "pinhole_capture_queue_bytes" Kind::Gauge, Watched [] max 1
        "Bytes kept of exchanges that run or wait for the store's writer.";
    ObservationsLost "pinhole_observations_lost_total" Kind::Counter, Watched ["what" "reason"] max 50
        "What should have been observed and was not.";
    OtlpExports "pinhole_otlp_exports_total" Kind::Counter, Watched ["signal" "result"] max 20
        "Batches sent to the OTLP endpoint.";
    LogLinesDropped "pinhole_log_lines_dropped_total" Kind::Counter, Watched [] max 1
        "Log lines that standard error did not take in time.";
    PriceListTimestamp "pinhole_price_list_timestamp_seconds" Kind::Gauge, Watched [] max 1
        "The date of the price list in force, as seconds since 1970.";
    ReplayRunning "pinhole_replay_running" Kind::Gauge, Set [] max 1
        "Runs of replays that this gateway is sending.";
    ReplayRequests "pinhole_replay_requests_total" Kind::Counter, Runs ["target" "result"] max 200
        "Requests of runs of replays, which are in no other metric, by how each ended.";
    ReplayCost "pinhole_replay_cost_usd_total" Kind::Money, Runs ["target"] max 32
        "What runs of replays cost in US dollars by the price list, warm-ups and a judge's questions included.";
    ReplayFirstToken "pinhole_replay_time_to_first_token_seconds" Kind::Histogram(buckets::CALL), Runs ["target"] max 32
        "Streams of runs: from the instant at which the schedule wanted the request sent to the first content.";
    ReplayDuration "pinhole_replay_request_duration_seconds" Kind::Histogram(buckets::CALL), Runs ["target"] max 32
        "Good answers to runs: from the instant at which the schedule wanted the request sent to the answer's end.";
    ReplayLag "pinhole_replay_lag_seconds" Kind::Histogram(buckets::OVERHEAD), Runs ["target"] max 32
        "How late a run's requests were sent, against its schedule.";
    SeriesCollapsed "pinhole_series_collapsed_total" Kind::Counter, Exchanges [] max 1
        "Exchanges counted under `other`: their model was not known, or the budget of series was spent.";
    Series "pinhole_series" Kind::Gauge, Set [] max 1
        "Time series in this exposition.";
    StartTime "pinhole_start_time_seconds" Kind::Gauge, Set [] max 1
        "When the gateway was started, as seconds since 1970.";
    BuildInfo "pinhole_build_info" Kind::Gauge, Set ["version"] max 1
        "Always 1; the label says which version runs.";
}

impl Metric {
    /// The metric's row. Declared in the same order by the same macro, so the index is always there.
    #[expect(clippy::indexing_slicing, reason = "enum and table come from one list")]
    pub fn declaration(self) -> &'static Declaration {
        &TABLE[self as usize]
    }
}

/// Series that exist from the start, at zero, so that a first loss is a rise and not a new series.
pub const FROM_START: &[(Metric, &[&str])] = &[
    (Metric::CaptureExchanges, &["stored"]),
    (Metric::CaptureExchanges, &["shed"]),
    (Metric::CaptureExchanges, &["failed"]),
    (Metric::CaptureBytes, &["raw"]),
    (Metric::CaptureBytes, &["stored"]),
    (Metric::CaptureQueueExchanges, &[]),
    (Metric::CaptureQueueBytes, &[]),
    (Metric::ObservationsLost, &["exchange", "queue_full"]),
    (Metric::ObservationsLost, &["exchange", "unread"]),
    (Metric::ObservationsLost, &["prompt", "memory"]),
    (Metric::ObservationsLost, &["value", "implausible"]),
    (Metric::LogLinesDropped, &[]),
    (Metric::ReplayRunning, &[]),
    (Metric::SeriesCollapsed, &[]),
    (Metric::Rejections, &["overloaded"]),
    (Metric::Rejections, &["provider_overloaded"]),
    (Metric::Rejections, &["body_too_large"]),
    (Metric::Rejections, &["body_timeout"]),
];

/// The process's own metrics, as the library reads them from `/proc`: name, kind, meaning. Linux only.
pub const PROCESS: &[(&str, Kind, &str)] = &[
    ("process_cpu_seconds_total", Kind::Counter, "CPU time used, in seconds."),
    ("process_max_fds", Kind::Gauge, "File descriptors the process may open."),
    ("process_open_fds", Kind::Gauge, "File descriptors that are open."),
    ("process_resident_memory_bytes", Kind::Gauge, "Memory held in RAM."),
    ("process_start_time_seconds", Kind::Gauge, "When the process began, as seconds since 1970."),
    ("process_threads", Kind::Gauge, "Threads of the process."),
    ("process_virtual_memory_bytes", Kind::Gauge, "Address space in use."),
];

/// What each label can hold, for the reference page.
pub const LABELS: &[(&str, &str)] = &[
    ("dialect", "`openai_chat` `openai_responses` `openai_embeddings` `anthropic` `gemini`"),
    ("operation", "`chat` `text_completion` `embeddings` `count_tokens` `models` `opaque`"),
    (
        "provider",
        "a provider's id in the configuration; `none` before one is chosen; `other` past the budget",
    ),
    (
        "model",
        "a configured or discovered model; the glob that admitted it; else `other`. Never the client's words",
    ),
    (
        "status",
        "the number, where it is a registered one; else `other`; `none`: the client left before an answer",
    ),
    (
        "outcome",
        "`complete` `client_cancelled` `upstream_error` `upstream_reset` `timeout` `rejected` `gateway_error`",
    ),
    ("type", "`input` `output` `cache_read` `cache_write` `reasoning`"),
    (
        "source",
        "of tokens: `provider` (it said so) or `estimated` (the gateway counted); of errors: `client` `gateway` `upstream`",
    ),
    ("stream", "`true` `false`: what the client asked for"),
    (
        "result",
        "of attempts: `ok` `client_error` `rate_limited` `server_error` `unreachable` `timeout` `reset` `invalid` `cancelled`; \
         of captures: `stored` `shed` `failed`; of exports: `ok` `failed`; of runs: `ok` `rate_limited` (429, 529) `client_error` \
         `server_error` `broken` (no whole answer)",
    ),
    (
        "target",
        "of runs: a target as its plan writes it; `judge` for the questions to a judge; `other` past the budget",
    ),
    ("phase", "`queue` `resolve` `connect` `tls` `first_byte`"),
    ("http", "`1.1` `2`"),
    (
        "kind",
        "of errors: a code of [errors.md](errors.md), or `upstream_` and the family of the provider's status; of malformed \
         usage: `negative` `not_a_number` `fraction` `too_large` `part_over_whole` `not_an_object`; of rate limits: \
         `requests` `tokens`; of captured bytes: `raw` `stored`",
    ),
    ("reason", "of rejections: a code of [errors.md](errors.md); of losses: why"),
    ("key", "a provider's key: the name of its variable, or `key-1`, `key-2` …"),
    ("what", "`exchange` `row` `span` `log_line` `prompt` `value`"),
    (
        "signal",
        "of exchanges: `empty_reply` `invalid_tool_arguments` `failed_tool_result` `repeated_call` `duplicate_of` \
         `prefix_changed` `truncated` `refusal` `stall`; of exports: `traces` `metrics`",
    ),
    ("version", "the program's version"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let mut names = BTreeSet::new();
        for declaration in TABLE {
            let Declaration { name, kind, help, labels, .. } = *declaration;
            assert!(names.insert(name), "{name} twice");
            assert!(name.starts_with("pinhole_"), "{name}");
            assert_eq!(
                matches!(kind, Kind::Counter | Kind::Money),
                name.ends_with("_total"),
                "{name}"
            );
            if let Kind::Histogram(_) = kind {
                assert_eq!(declaration.unit(), Some("seconds"), "{name}");
            }
            assert!(help.ends_with('.') && !help.contains('\n'), "{name}: {help}");
            for label in labels {
                assert!(LABELS.iter().any(|(known, _)| known == label), "{name}: {label}");
                assert!(*label != "le" && *label != "quantile", "{name}: {label} is reserved");
            }
        }
        for (metric, values) in FROM_START {
            assert_eq!(metric.declaration().labels.len(), values.len(), "{metric:?}");
        }
    }

    #[test]
    fn a_metrics_row_is_its_own() {
        for declaration in TABLE {
            assert_eq!(declaration.metric.declaration().name, declaration.name);
        }
    }
}
