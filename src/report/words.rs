//! Quantities and findings in words for people.

use crate::base::money::Nanodollars;
use crate::exchange::signal::Signal;
use crate::neutral::failure::Code;
use crate::store::capture::Absent;
use crate::store::stored::Listed;

/// `512 B`, `34.1 KiB`, `5.70 MiB`.
pub fn bytes(number: u64) -> String {
    let scaled = |unit: f64| three(number as f64 / unit);
    match number {
        0..=1_023 => format!("{number} B"),
        1_024..=1_048_063 => format!("{} KiB", scaled(1_024.0)),
        1_048_064..=1_073_217_535 => format!("{} MiB", scaled(1_048_576.0)),
        _ => format!("{} GiB", scaled(1_073_741_824.0)),
    }
}

/// As [`bytes()`], of what the store counts.
pub fn bytes_of(number: i64) -> String {
    bytes(u64::try_from(number).unwrap_or(0))
}

/// `840 µs`, `12.3 ms`, `4.21 s`, `2m05s`, `3h10m`.
pub fn time(us: i64) -> String {
    let ms = us as f64 / 1e3;
    match us {
        ..1_000 => format!("{us} µs"),
        1_000..999_500 => format!("{} ms", three(ms)),
        999_500..120_000_000 => format!("{} s", three(ms / 1e3)),
        120_000_000..7_200_000_000 => {
            format!("{}m{:02}s", us / 60_000_000, us / 1_000_000 % 60)
        }
        _ => format!("{}h{:02}m", us / 3_600_000_000, us / 60_000_000 % 60),
    }
}

/// `12 345`: whole numbers, in groups.
pub fn whole(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    if number < 0 { format!("-{grouped}") } else { grouped }
}

/// Four figures are enough to compare: `9999`, `12.3k`, `4.56M`.
pub fn count(number: i64) -> String {
    let magnitude = number.unsigned_abs() as f64;
    let (scale, unit) = match number.unsigned_abs() {
        0..=9_999 => return number.to_string(),
        10_000..=999_499 => (1e3, "k"),
        999_500..=999_499_999 => (1e6, "M"),
        _ => (1e9, "G"),
    };
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}{unit}", three(magnitude / scale))
}

/// Cents, or the first figures of less.
pub fn dollars(nano: i64) -> String {
    let usd = Nanodollars(nano).usd();
    if nano == 0 {
        "$0".to_owned()
    } else if usd.abs() >= 1.0 {
        format!("${usd:.2}")
    } else if usd.abs() >= 0.001 {
        format!("${usd:.4}")
    } else {
        format!("${usd:.6}")
    }
}

/// One and many of a thing.
pub fn things(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

pub(super) fn three(number: f64) -> String {
    if number < 9.995 {
        format!("{number:.2}")
    } else if number < 99.95 {
        format!("{number:.1}")
    } else {
        format!("{number:.0}")
    }
}

/// `2026-11-20 14:27:03.412 UTC`.
pub fn moment(at_us: i64) -> String {
    let at = jiff::Timestamp::from_microsecond(at_us).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

/// How it ended, for a table: nothing where all is well.
pub fn outcome_short(outcome: &str) -> &str {
    match outcome {
        "complete" => "",
        "client_cancelled" => "cancelled",
        "upstream_error" => "error",
        "upstream_reset" => "reset",
        "gateway_error" => "gateway",
        other => other,
    }
}

/// How it ended, in a sentence.
pub fn outcome(row: &Listed) -> String {
    let provider = row.provider.as_deref().unwrap_or("the provider");
    let status = row.upstream_status.or(row.status);
    let answered = status.map_or_else(String::new, |status| format!(" {status}"));
    let got = bytes_of(row.response_bytes);
    let after = time(row.duration_us);
    match row.outcome.as_str() {
        "complete" => match row.finish_reason.as_deref() {
            Some("length" | "max_tokens" | "MAX_TOKENS" | "max_output_tokens") => {
                "the whole answer came through; the model stopped at its token limit".to_owned()
            }
            _ => "the whole answer came through".to_owned(),
        },
        "client_cancelled" if row.response_bytes == 0 => {
            format!("the client left after {after}, before any of the answer")
        }
        "client_cancelled" => format!("the client left after {after}, having got {got}"),
        "upstream_error" if row.status.is_some_and(|status| status < 400) => {
            format!("{provider} failed inside its answer, after {got}")
        }
        "upstream_error" => format!("{provider} answered{answered}"),
        "upstream_reset" if row.response_bytes == 0 => {
            format!("the connection to {provider} failed before an answer")
        }
        "upstream_reset" => format!("the connection to {provider} broke after {got}"),
        "timeout" => format!("a wait ran out after {after}"),
        "rejected" => "the gateway refused".to_owned(),
        "gateway_error" if row.error_kind.as_deref() == Some("interrupted") => {
            "the gateway was ended in the middle of it".to_owned()
        }
        "gateway_error" => "the gateway failed".to_owned(),
        other => other.to_owned(),
    }
}

/// What the gateway's own error codes say of themselves: what happened, what to do.
pub fn code(kind: &str) -> Option<(&'static str, &'static str)> {
    let code = Code::ALL.iter().find(|code| code.label() == kind)?;
    Some((code.meaning(), code.remedy()))
}

/// What a signal says.
pub fn signal(label: &str) -> &'static str {
    let Some(signal) = Signal::ALL.into_iter().find(|signal| signal.label() == label) else {
        return "";
    };
    match signal {
        Signal::EmptyReply => "the answer has neither text nor tool calls",
        Signal::InvalidToolArguments => {
            "a tool was called with arguments that are not JSON or do not fit its schema"
        }
        Signal::FailedToolResult => "a tool failed, and the request brings its result",
        Signal::RepeatedCall => {
            "the same tool call gave the same result earlier in the conversation"
        }
        Signal::DuplicateOf => "the same request was sent shortly before",
        Signal::PrefixChanged => {
            "the prompt begins otherwise than in the session's last turn, so the provider's cache misses"
        }
        Signal::Truncated => "the answer ended at a limit of tokens, or was cut",
        Signal::Refusal => "the model or the provider refused",
        Signal::Stall => "the stream paused far beyond its own pace",
    }
}

/// Why a body is not there, for an exchange that was kept at `level`.
pub fn absent(why: Absent, level: &str) -> String {
    match why {
        Absent::NotKept => format!(
            "not kept: the capture level was `{level}`; `pinhole serve --capture full` or capture.level = \"full\" keeps bodies"
        ),
        Absent::ShedMemory => {
            "not kept: there was no memory for it while the exchange ran".to_owned()
        }
        Absent::ShedQueue => "not kept: the store's queue was full".to_owned(),
        Absent::ShedDisk => "not kept: the disk was full".to_owned(),
        Absent::Removed => "removed later, by retention or by `captures prune`".to_owned(),
        Absent::Nothing => "not there: it was never read, or there was none".to_owned(),
        Absent::Damaged => {
            "damaged and cannot be read back; `captures restore` brings a backup back".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_humane() {
        for (number, text) in [
            (0, "0 B"),
            (1_023, "1023 B"),
            (1_024, "1.00 KiB"),
            (34_900, "34.1 KiB"),
            (1_048_064, "1.00 MiB"),
            (5_976_883, "5.70 MiB"),
            (3 << 30, "3.00 GiB"),
        ] {
            assert_eq!(bytes(number), text);
        }
        for (us, text) in [
            (999, "999 µs"),
            (1_500, "1.50 ms"),
            (999_499, "999 ms"),
            (999_500, "1.00 s"),
            (61_000_000, "61.0 s"),
            (125_000_000, "2m05s"),
            (11_400_000_000, "3h10m"),
        ] {
            assert_eq!(time(us), text);
        }
        assert_eq!(whole(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!((whole(-999), whole(1_000)), ("-999".to_owned(), "1\u{202f}000".to_owned()));
        assert_eq!(moment(1_795_184_823_412_000), "2026-11-20 14:27:03.412 UTC");
    }

    #[test]
    fn every_signal_and_every_reason_has_its_words() {
        for one in Signal::ALL {
            assert!(signal(one.label()).len() > 10, "{}", one.label());
        }
        assert_eq!(signal("nonsense"), "");
        assert!(absent(Absent::NotKept, "meta").contains("--capture full"));
        assert!(code("upstream_idle_timeout").is_some_and(|(_, remedy)| remedy.contains("idle")));
    }
}
