//! `docs/telemetry.md`, made from the declarations.

use std::fmt::Write as _;

use crate::telemetry::metrics::{Declaration, FROM_START, Kind, LABELS, Origin, PROCESS, TABLE};

/// The sections of the page, in order. One more part of telemetry is one more row here.
const SECTIONS: &[fn() -> String] =
    &[scraping, metrics, labels, histograms, formulas, tokens, cardinality, losses, spans];

/// The whole page.
pub fn page() -> String {
    let mut page = String::from(
        "# Telemetry\n\nGenerated from the declarations in the program (`pinhole docs`); do not edit.\n",
    );
    for section in SECTIONS {
        let text = section();
        if !text.is_empty() {
            put(&mut page, format_args!("\n{}\n", text.trim_end()));
        }
    }
    page
}

fn scraping() -> String {
    "## Scraping\n\n\
     `GET /metrics` on the operations listener (`server.ops_listen`, by default `127.0.0.1:9464`).\n\n\
     ```yaml\n\
     scrape_configs:\n\
     \x20 - job_name: pinhole\n\
     \x20   static_configs:\n\
     \x20     - targets: [\"127.0.0.1:9464\"]\n\
     ```\n\n\
     Where an admin key is configured, scrapes carry it (`authorization: {credentials: KEY}` in the job), unless\n\
     `ops.metrics_public = true`.\n\n\
     The answer is OpenMetrics 1.0 when the scraper's `accept` prefers it, else the text format 0.0.4; gzip when it accepts\n\
     that. Exemplars stand in OpenMetrics alone: on the buckets of histograms, the newest exchange of a sampled trace, with\n\
     `trace_id`, `span_id` (its server span) and `exchange_id`. Prometheus keeps them with\n\
     `--enable-feature=exemplar-storage`.\n"
        .to_owned()
}

fn metrics() -> String {
    let mut out = String::from(
        "## Metrics\n\nCounters begin at zero with each start. Values are those of finished exchanges, some 10 ms after their end;\n\
         those marked *live* are read at the scrape or change with what they count.\n\n\
         | name | type | labels | meaning |\n|---|---|---|---|\n",
    );
    for declaration in TABLE {
        let Declaration { name, kind, labels, help, origin, .. } = declaration;
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let live = match origin {
            Origin::Exchanges | Origin::Runs => "",
            Origin::Watched | Origin::Set => " *live*",
        };
        let row = (kind.word(), labels.join(", "));
        put(&mut out, format_args!("| `{name}` | {} | {} | {help}{live} |\n", row.0, row.1));
    }
    out.push_str("\nOf the process, on Linux:\n\n| name | type | meaning |\n|---|---|---|\n");
    for (name, kind, help) in PROCESS {
        put(&mut out, format_args!("| `{name}` | {} | {help} |\n", kind.word()));
    }
    out.push_str("\nThese series exist from the start, at zero: ");
    let shown: Vec<String> = FROM_START
        .iter()
        .map(|(metric, values)| {
            let declaration = metric.declaration();
            let pairs = declaration.labels.iter().zip(*values);
            let pairs: Vec<String> =
                pairs.map(|(label, value)| format!("{label}=\"{value}\"")).collect();
            if pairs.is_empty() {
                format!("`{}`", declaration.name)
            } else {
                format!("`{}{{{}}}`", declaration.name, pairs.join(","))
            }
        })
        .collect();
    out.push_str(&shown.join(", "));
    out.push_str(".\n");
    out
}

fn labels() -> String {
    let mut out = String::from(
        "## Labels\n\nA label's values come from the configuration or from a closed set, never from a client.\n\n\
         | label | values |\n|---|---|\n",
    );
    for (label, values) in LABELS {
        put(&mut out, format_args!("| `{label}` | {values} |\n"));
    }
    out
}

fn histograms() -> String {
    let mut out = String::from(
        "## Buckets\n\nUpper bounds in seconds; `le` is written alike in both formats (`1.0`).\n\n| name | bounds |\n|---|---|\n",
    );
    for declaration in TABLE {
        if let Kind::Histogram(bounds) = declaration.kind {
            let bounds: Vec<String> = bounds.iter().map(f64::to_string).collect();
            put(&mut out, format_args!("| `{}` | {} |\n", declaration.name, bounds.join(" ")));
        }
    }
    out
}

fn formulas() -> String {
    "## Formulas\n\n\
     All on the monotonic clock: a wall clock that jumps changes nothing. *Sent* is when the request was handed to the\n\
     provider's connection pool, *content* an event with text, reasoning or tool arguments; an empty string and a role\n\
     alone are none.\n\n\
     | time | formula |\n|---|---|\n\
     | duration | last byte handed to the client's connection, or the break − head of the request read |\n\
     | time to first token | first content − sent, of the last attempt |\n\
     | time to first answer token | first content that is not reasoning − sent, of the last attempt |\n\
     | time per output token | (last content − first content) / (output tokens − 1), from two tokens on |\n\
     | gap | arrival of a content − arrival of the content before it |\n\
     | stall | a gap over ten times the stream's median and over 250 ms |\n\
     | overhead | duration − the union of the times spent waiting for others: the client's body, each attempt |\n\
     | phase `queue` | time spent waiting for a place in the gateway and at the provider |\n\
     | phases `resolve` `connect` `tls` | of attempts that opened a connection; `tls` only over TLS |\n\
     | phase `first_byte` | head of the answer read − sent − the three phases before |\n\n\
     Times of tokens and gaps are told of event streams alone. A document arrives at once: its first token would be its\n\
     end, which `pinhole_request_duration_seconds` tells. Neither are they told of streams with a content coding (what\n\
     arrived when cannot be seen inside it) nor of those whose front was let go for want of memory. Time per output token\n\
     wants the provider's own, final number of tokens; streams with an estimate, and those cut short, have none. Overhead\n\
     is told of exchanges that reached a provider.\n\n\
     A time over seven days, a negative one, more than 10⁹ tokens of one kind or a cost over a million dollars in one\n\
     answer is a defect: it is left out and counted as `pinhole_observations_lost_total{what=\"value\"}`.\n"
        .to_owned()
}

fn tokens() -> String {
    "## Tokens and cost\n\n\
     One meaning in all dialects: `input` is all input, cached or not; `output` is all output, reasoning included;\n\
     `cache_read` and `cache_write` are parts of `input`, `reasoning` is a part of `output`. So the whole is\n\
     `sum(pinhole_tokens_total{type=~\"input|output\"})`, and the share read from caches\n\
     `cache_read / input`. `0` is data, absence is absence: a kind that a provider does not name has no series.\n\n\
     `source=\"provider\"` sums what providers said, over all attempts: it is to agree with their bills. Where a number is\n\
     missing and the gateway counted, it stands under `source=\"estimated\"`, never under both. An answer that is fetched\n\
     again by its id is not counted again.\n\n\
     Cost is kept in whole nanodollars, so that a million small sums add up exactly. Answers without a price have no cost\n\
     and stand in `pinhole_unpriced_total`.\n"
        .to_owned()
}

fn cardinality() -> String {
    let mut out = String::from(
        "## Cardinality\n\n\
         Each metric may have so many sets of label values, and all together so many time series as `telemetry.series_max`\n\
         says (10,000; a histogram takes one for each bound and three more). Past that `model` becomes `other`, and if there\n\
         is no room for that either, `provider`, `status` and `key` do; what is counted stays whole. Gauges of single providers and\n\
         keys are not shown then. `pinhole_series` says how many there are, `pinhole_series_collapsed_total` how many\n\
         exchanges stand under `other`, be it for want of room or because their model or path is not known.\n\n\
         | name | sets of label values |\n|---|---|\n",
    );
    for declaration in TABLE.iter().filter(|declaration| !declaration.labels.is_empty()) {
        put(&mut out, format_args!("| `{}` | {} |\n", declaration.name, declaration.sets_max));
    }
    out
}

fn losses() -> String {
    "## What is not observed\n\n\
     Losing an observation is itself a metric, `pinhole_observations_lost_total`:\n\n\
     | what | reason | meaning |\n|---|---|---|\n\
     | `exchange` | `queue_full` | a finished exchange found the observer's queue full: no line, no record, and of all metrics only its tokens and cost |\n\
     | `exchange` | `unread` | an answer could not be read, by a defect of the gateway: its tokens are not counted |\n\
     | `prompt` | `memory` | parts of a request or answer were not kept, for want of room: usage may be missing or estimated worse |\n\
     | `body` | `too_long` | an exchange with a body over 64 MiB: the first 64 MiB are kept, and its record says how much more there was |\n\
     | `body` | `queue_full` `disk_full` `write_failed` | an exchange whose headers and bodies found no room, or could not be stored: its record was written |\n\
     | `frame` | `table_full` | a piece of an answer after the first 65,536: its bytes are kept, when it came is not |\n\
     | `value` | `implausible` | a number that cannot be true was left out |\n\
     | `row` `span` `log_line` | by the part that lost it | a record, a span or a line was not written |\n\n\
     `pinhole_provider_up` and `pinhole_key_up` know what traffic has shown, nothing more: a provider that nobody calls\n\
     keeps its last state. Exchanges that were refused before a provider was chosen have the provider `none`.\n"
        .to_owned()
}

/// What spans there are and which attributes they have.
fn spans() -> String {
    crate::telemetry::spans::spans_page()
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_metric_and_label() {
        let page = page();
        for declaration in TABLE {
            assert!(page.contains(&format!("| `{}` | ", declaration.name)), "{}", declaration.name);
            for label in declaration.labels {
                assert!(page.contains(&format!("\n| `{label}` | ")), "{label}");
            }
        }
        assert!(page.contains("0.00001 0.000025"), "bounds without an exponent");
    }
}
