//! Metrics as text: OpenMetrics 1.0 with exemplars, or the older text format 0.0.4. Own encoder: the library's knows the
//! older format alone.
//!
//! Both write `le` alike (`1.0`, not `1`), so that a change of format makes no new series.

use std::fmt::Write as _;

use crate::telemetry::metrics::{Kind, unit};
use crate::telemetry::series::{Distribution, Family, Point, Value};

/// The form of an exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    OpenMetrics,
    Text,
}

impl Form {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The exposition of `families`.
pub fn render(form: Form, families: &[Family]) -> String {
    // A line of a histogram is about this long; one allocation instead of twenty.
    let lines: usize = families.iter().map(|family| family.series() + 3).sum();
    let mut out = String::with_capacity(lines * 140);
    for family in families {
        write_family(&mut out, form, family);
    }
    if form == Form::OpenMetrics {
        out.push_str("# EOF\n");
    }
    out
}

fn write_family(out: &mut String, form: Form, family: &Family) {
    let Family { name, help, kind, points } = family;
    // In OpenMetrics a counter's family goes without the suffix of its sample.
    let called = match form {
        Form::OpenMetrics => name.strip_suffix("_total").unwrap_or(name),
        Form::Text => name,
    };
    put(out, format_args!("# HELP {called} "));
    escape(out, help, form == Form::OpenMetrics);
    put(out, format_args!("\n# TYPE {called} {}\n", kind.word()));
    if form == Form::OpenMetrics
        && let Some(unit) = unit(name)
    {
        put(out, format_args!("# UNIT {called} {unit}\n"));
    }
    let mut labels = String::new();
    for point in points {
        labels.clear();
        write_labels(&mut labels, point);
        match &point.value {
            Value::Number(value) => {
                out.push_str(name);
                braced(out, &labels);
                number(out, *value);
                out.push('\n');
            }
            Value::Distribution(distribution) => {
                debug_assert!(matches!(kind, Kind::Histogram(_)), "{name} is no histogram");
                write_distribution(out, form, (name, &labels), distribution);
            }
        }
    }
}

fn write_distribution(
    out: &mut String,
    form: Form,
    (name, labels): (&str, &str),
    distribution: &Distribution,
) {
    let infinity = (f64::INFINITY, distribution.count);
    let separator = if labels.is_empty() { "" } else { "," };
    for (at, (bound, count)) in distribution.buckets.iter().chain([&infinity]).enumerate() {
        put(out, format_args!("{name}_bucket{{{labels}{separator}le=\""));
        write_bound(out, *bound);
        put(out, format_args!("\"}} {count}"));
        if form == Form::OpenMetrics
            && let Some(Some(exemplar)) = distribution.exemplars.get(at)
        {
            exemplar.write(out);
        }
        out.push('\n');
    }
    put(out, format_args!("{name}_sum"));
    braced(out, labels);
    number(out, distribution.sum);
    put(out, format_args!("\n{name}_count"));
    braced(out, labels);
    put(out, format_args!("{}\n", distribution.count));
}

fn write_labels(out: &mut String, point: &Point) {
    for (at, (name, value)) in point.labels.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(name);
        out.push_str("=\"");
        escape(out, value, true);
        out.push('"');
    }
}

/// The labels in braces, where there are any, and the space before the value.
fn braced(out: &mut String, labels: &str) {
    if !labels.is_empty() {
        put(out, format_args!("{{{labels}}}"));
    }
    out.push(' ');
}

/// Backslashes and line ends everywhere, quotes where the form has them escaped.
fn escape(out: &mut String, text: &str, quotes: bool) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

fn number(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        put(out, format_args!("{value}"));
    }
}

/// A bound is a float also where it is whole.
fn write_bound(out: &mut String, bound: f64) {
    if bound.is_infinite() {
        out.push_str("+Inf");
    } else if bound.fract() == 0.0 {
        put(out, format_args!("{bound:.1}"));
    } else {
        put(out, format_args!("{bound}"));
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::ExchangeId;
    use crate::base::trace::{SpanId, TraceId};
    use crate::telemetry::exemplar::{Exemplar, Origin};

    fn families() -> Vec<Family> {
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let exchange = ExchangeId::new(1_763_625_600_123_456);
        let origin = Origin {
            trace: TraceId([1; 16]),
            span: SpanId([2; 8]),
            exchange,
            wall_us: 1_763_625_600_123_456,
        };
        vec![
            Family {
                name: "x_cost_usd_total",
                help: "Cost \"so far\", a \\ and\na break.",
                kind: Kind::Money,
                points: vec![Point {
                    labels: vec![label("model", "a\"b\\c\nd")],
                    value: Value::Number(0.000_000_001),
                }],
            },
            Family {
                name: "x_wait_seconds",
                help: "Wait.",
                kind: Kind::Histogram(&[0.01, 1.0]),
                points: vec![Point {
                    labels: vec![],
                    value: Value::Distribution(Distribution {
                        buckets: vec![(0.01, 1), (1.0, 2)],
                        sum: 7.5,
                        count: 3,
                        exemplars: vec![None, Some(Exemplar { origin, value: 0.5 })],
                    }),
                }],
            },
        ]
    }

    #[test]
    fn openmetrics_is_written_to_the_letter() {
        let text = render(Form::OpenMetrics, &families());
        let exchange = text.split_once("exchange_id=\"").map(|(_, rest)| &rest[..36]).unwrap();
        let expected = format!(
            "# HELP x_cost_usd Cost \\\"so far\\\", a \\\\ and\\na break.\n# TYPE x_cost_usd counter\n\
             # UNIT x_cost_usd usd\n\
             x_cost_usd_total{{model=\"a\\\"b\\\\c\\nd\"}} 0.000000001\n\
             # HELP x_wait_seconds Wait.\n# TYPE x_wait_seconds histogram\n# UNIT x_wait_seconds seconds\n\
             x_wait_seconds_bucket{{le=\"0.01\"}} 1\n\
             x_wait_seconds_bucket{{le=\"1.0\"}} 2 # {{trace_id=\"{}\",span_id=\"{}\",exchange_id=\"{exchange}\"}} 0.5 1763625600.123\n\
             x_wait_seconds_bucket{{le=\"+Inf\"}} 3\n\
             x_wait_seconds_sum 7.5\nx_wait_seconds_count 3\n# EOF\n",
            "01".repeat(16),
            "02".repeat(8),
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn the_older_format_has_no_exemplars_units_or_end() {
        let text = render(Form::Text, &families());
        assert!(text.starts_with("# HELP x_cost_usd_total Cost \"so far\","), "{text}");
        assert!(text.contains("# TYPE x_cost_usd_total counter\n"), "{text}");
        assert!(text.contains("x_wait_seconds_bucket{le=\"1.0\"} 2\n"), "{text}");
        assert!(!text.contains("trace_id") && !text.contains("# UNIT") && !text.contains("EOF"));
    }

    #[test]
    fn numbers_are_written_as_scrapers_read_them() {
        for (value, text) in [
            (0.0, "0"),
            (7.0, "7"),
            (0.25, "0.25"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let mut out = String::new();
            number(&mut out, value);
            assert_eq!(out, text);
        }
    }
}
