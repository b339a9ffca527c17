//! Faults without a script: model names such as `sim-cut-3` or `sim-slow-first-500ms+gzip`.

use super::pace::{Dist, Millis};
use super::script::{CutKind, Profile, Status, Tools, UsageMode, When};

/// Size of the one line that `sim-huge-line` sends, when the name gives none.
const HUGE_LINE_BYTES: usize = 1 << 20;
/// Size of the text that `sim-huge-body` sends, when the name gives none.
const HUGE_BODY_BYTES: usize = 4 << 20;

/// The profile a model's name asks for; `None` for an ordinary name.
///
/// A provider's prefix (`fake/sim-cut-3`) is passed over. A part that is not known changes nothing, so that a made-up
/// model named `sim-…` still answers.
pub(crate) fn profile(model: &str) -> Option<Profile> {
    let name = model.rsplit('/').next().unwrap_or(model);
    let wishes = name.strip_prefix("sim-")?;
    let mut profile = Profile::default();
    for wish in wishes.split('+') {
        grant(&mut profile, wish);
    }
    Some(profile)
}

/// Applies one wish: a word, and for most an argument behind the last dash.
fn grant(profile: &mut Profile, wish: &str) {
    if simple(profile, wish) {
        return;
    }
    let (word, argument) = match wish.rsplit_once('-') {
        Some((word, argument)) if argument.starts_with(|c: char| c.is_ascii_digit()) => {
            (word, argument)
        }
        _ => (wish, ""),
    };
    let number = argument.parse::<usize>().ok();
    if !fault(profile, word, number) {
        measure(profile, word, argument, number);
    }
}

/// Wishes without an argument.
fn simple(profile: &mut Profile, wish: &str) -> bool {
    match wish {
        "gzip" => profile.gzip = Some(true),
        "error-midstream" => profile.fault.error_after = Some(3),
        "no-terminal" => profile.fault.no_terminal = Some(true),
        "comments" => profile.fault.comments = Some(true),
        "crlf" => profile.fault.crlf = Some(true),
        "unknown-events" => profile.fault.unknown_events = Some(true),
        "no-usage" => profile.usage = Some(UsageMode::Absent),
        "cumulative" => profile.usage = Some(UsageMode::Cumulative),
        "late-usage" => profile.usage = Some(UsageMode::Late),
        "refusal" => profile.refusal = Some(true),
        "reasoning" => profile.reasoning = Some(0.5),
        "cached" => profile.cached = Some(0.5),
        "no-tools" => profile.tools = Some(tools(When::Never, 0)),
        "early-hints" => profile.early_hints = Some(true),
        "wrong-arguments" => {
            profile.tools = Some(Tools { wrong_arguments: 1.0, ..Tools::default() });
        }
        "redirect" => {
            profile.error = Some(Status {
                status: 302,
                headers: vec![("location".into(), "/elsewhere".into())],
                ..Status::default()
            });
        }
        _ => return false,
    }
    true
}

/// Things that go wrong, with the event at which they do.
fn fault(profile: &mut Profile, word: &str, number: Option<usize>) -> bool {
    let at = Some(number.unwrap_or(3));
    match word {
        "cut" => profile.fault.cut_after = at,
        "rst" => {
            profile.fault.cut_after = at;
            profile.fault.cut = Some(CutKind::Rst);
        }
        "cut-bytes" => profile.fault.cut_after_bytes = at,
        "stall" => profile.fault.stall_after = at,
        "malformed" => profile.fault.malformed_after = at,
        "error-midstream" => profile.fault.error_after = at,
        "huge-line" => profile.fault.huge_line = Some(number.unwrap_or(HUGE_LINE_BYTES)),
        "huge-body" => profile.body_bytes = Some(number.unwrap_or(HUGE_BODY_BYTES)),
        "split" => profile.fault.split = Some(number.unwrap_or(1).max(1)),
        "error" | "status" => profile.error = Some(status(number, 500)),
        "html" => {
            profile.error = Some(Status { html: true, ..status(number, 500) });
        }
        _ => return false,
    }
    true
}

/// Amounts and times.
fn measure(profile: &mut Profile, word: &str, argument: &str, number: Option<usize>) {
    let time = |otherwise: f64| {
        let millis = Millis::parse(argument).or(number.map(|number| Millis(number as f64)));
        Some(Dist::Constant(millis.unwrap_or(Millis(otherwise))))
    };
    match word {
        "slow-first" => profile.first_token = time(1_000.0),
        "latency" => profile.latency = time(1_000.0),
        "slow" => profile.cadence = time(100.0),
        "tokens" => profile.output_tokens = Some(Dist::Constant(number.unwrap_or(32) as f64)),
        "parallel" => profile.tools = Some(tools(When::Auto, number.unwrap_or(2))),
        _ => {}
    }
}

fn tools(when: When, calls: usize) -> Tools {
    Tools { when, calls, ..Tools::default() }
}

fn status(number: Option<usize>, otherwise: u16) -> Status {
    let status = number
        .and_then(|number| u16::try_from(number).ok())
        .filter(|status| (200..=599).contains(status))
        .unwrap_or(otherwise);
    Status { status, retry_after: (status == 429).then_some(1), ..Status::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_name_does_something() {
        let page = include_str!("../../docs/simulate.md");
        let names = page.split('`').filter(|word| word.starts_with("sim-"));
        let mut count = 0;
        for name in names {
            let wishes = name.strip_prefix("sim-").expect("filtered");
            for wish in wishes.split('+') {
                let mut profile = Profile::default();
                grant(&mut profile, wish);
                assert_ne!(profile, Profile::default(), "{name}");
            }
            count += 1;
        }
        assert!(count > 30, "the table was found");
    }

    #[test]
    fn names_ask_for_faults() {
        let of = |name| profile(name).expect(name);
        assert_eq!(profile("gpt-5"), None);
        assert_eq!(of("sim-unheard-of"), Profile::default());
        assert_eq!(of("sim-error-429").error.expect("error").retry_after, Some(1));
        assert_eq!(of("fake/sim-cut-3").fault.cut_after, Some(3));
        assert_eq!(of("sim-rst-2").fault.cut, Some(CutKind::Rst));
        assert_eq!(of("sim-stall-2").fault.stall_after, Some(2));
        assert!(of("sim-html-503").error.is_some_and(|error| error.html && error.status == 503));
        assert_eq!(of("sim-slow-first-500ms").first_token, Some(Dist::Constant(Millis(500.0))));
        let both = of("sim-gzip+split-2");
        assert_eq!((both.gzip, both.fault.split), (Some(true), Some(2)));
    }
}
