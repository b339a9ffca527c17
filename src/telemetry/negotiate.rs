//! Which form of the exposition a scraper prefers, by its `accept` and `accept-encoding`. Pure.

use crate::telemetry::openmetrics::Form;

/// OpenMetrics where the scraper names it and prefers no plain text; a wildcard alone gets plain text, which every reader
/// understands.
pub fn form(accept: Option<&str>) -> Form {
    let (mut openmetrics, mut plain) = (0, 0);
    for (kind, parameters) in items(accept.unwrap_or("text/plain")) {
        let quality = quality(parameters);
        match kind {
            "application/openmetrics-text" if version_is_ours(parameters) => {
                openmetrics = quality.max(openmetrics);
            }
            "text/plain" | "text/*" | "*/*" => plain = quality.max(plain),
            _ => {}
        }
    }
    if openmetrics > 0 && openmetrics >= plain { Form::OpenMetrics } else { Form::Text }
}

/// Whether the answer may be compressed with gzip.
pub fn gzip(accept_encoding: Option<&str>) -> bool {
    items(accept_encoding.unwrap_or_default())
        .any(|(coding, parameters)| matches!(coding, "gzip" | "x-gzip") && quality(parameters) > 0)
}

/// The members of a list, each with what follows its first `;`.
fn items(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split(',').map(|item| {
        let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
        (name.trim(), parameters)
    })
}

fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|one| {
        let (key, value) = one.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

/// The scraper may name no version, ours, or the draft that became ours.
fn version_is_ours(parameters: &str) -> bool {
    matches!(parameter(parameters, "version"), None | Some("1.0.0" | "0.0.1"))
}

/// In thousandths; what cannot be read counts as full.
fn quality(parameters: &str) -> u32 {
    let Some(value) = parameter(parameters, "q").and_then(|text| text.parse::<f64>().ok()) else {
        return 1_000;
    };
    #[expect(clippy::cast_sign_loss, reason = "clamped from zero up; NaN becomes zero")]
    let thousandths = (value.clamp(0.0, 1.0) * 1_000.0) as u32;
    thousandths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scrapers_preference_decides() {
        for (accept, expected) in [
            (None, Form::Text),
            (Some("*/*"), Form::Text),
            (Some("text/html,*/*;q=0.8"), Form::Text),
            (Some("application/openmetrics-text"), Form::OpenMetrics),
            // Prometheus 2.42.
            (
                Some(
                    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                     text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ),
                Form::OpenMetrics,
            ),
            // The same with native histograms on: protobuf, which is not offered, comes first.
            (
                Some(
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,\
                     application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,\
                     text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ),
                Form::OpenMetrics,
            ),
            (Some("application/openmetrics-text;q=0.4, text/plain;q=0.5"), Form::Text),
            (Some("application/openmetrics-text;q=0.4, */*;q=0.5"), Form::Text),
            (Some("application/openmetrics-text;version=2.0.0, text/plain;q=0.1"), Form::Text),
            (Some("application/openmetrics-text;q=0"), Form::Text),
            (Some("application/openmetrics-text; version=\"1.0.0\"; q=x"), Form::OpenMetrics),
            (Some(""), Form::Text),
        ] {
            assert_eq!(form(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn gzip_only_where_it_is_accepted() {
        for (accepted, expected) in [
            (None, false),
            (Some(""), false),
            (Some("gzip"), true),
            (Some("br, gzip;q=0.5"), true),
            (Some("gzip;q=0"), false),
            (Some("deflate"), false),
            (Some("*"), false),
        ] {
            assert_eq!(gzip(accepted), expected, "{accepted:?}");
        }
    }
}
