//! What stands above the tabs: how it went, of which model, what it took and cost, and what is odd about it.

use ratatui::text::{Line, Span};

use crate::report::look::{Tone, clean_line, columns};
use crate::report::words;
use crate::store::stored::Stored;
use crate::tui::parts::clip;
use crate::tui::screens::deeds;
use crate::tui::theme::Theme;

/// Words with their colour.
type Word = (Tone, String);

/// Two lines, and a third where it failed; `in_flight`: what one that runs is doing, and what has come.
pub(super) fn lines(
    stored: &Stored,
    in_flight: Option<[String; 2]>,
    width: u16,
    theme: Theme,
) -> Vec<Line<'static>> {
    let mut all = match in_flight {
        Some([phase, told]) => vec![first(stored, Some(&phase)), vec![(Tone::Plain, told)]],
        None => vec![first(stored, None), second(stored)],
    };
    all.extend(failure(stored).map(|word| vec![word]));
    all.into_iter().map(|words| line(words, usize::from(width), theme)).collect()
}

/// Words apart by dots, as many as fit.
fn line(words: Vec<Word>, width: usize, theme: Theme) -> Line<'static> {
    let mut spans = vec![Span::raw(" ")];
    let mut taken = 1;
    for (tone, text) in words.into_iter().filter(|(_, text)| !text.is_empty()) {
        if taken > 1 {
            spans.push(Span::styled(" · ", theme.tone(Tone::Dim)));
            taken += 3;
        }
        let room = width.saturating_sub(taken);
        if room < 4 {
            spans.pop();
            break;
        }
        let text = clip(&text, room);
        taken += columns(&text);
        spans.push(Span::styled(text, theme.tone(tone)));
    }
    Line::from(spans)
}

fn first(stored: &Stored, in_flight: Option<&str>) -> Vec<Word> {
    let row = &stored.row;
    let status = row.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let how = match (in_flight, row.outcome.as_str()) {
        (Some(phase), _) => (Tone::Odd, format!("◌ {phase}")),
        (None, "complete") => (Tone::Good, format!("✓ {status} complete")),
        (None, "client_cancelled") => (Tone::Odd, format!("◌ {status} client_cancelled")),
        (None, outcome) => (Tone::Bad, format!("✗ {status} {outcome}")),
    };
    let to = row.provider.as_ref().map(|provider| format!(" at {provider}")).unwrap_or_default();
    let model = match (&row.model_requested, &row.model) {
        (Some(asked), Some(sent)) if asked != sent => format!("{asked} → {sent}{to}"),
        (_, Some(model)) | (Some(model), None) => format!("{model}{to}"),
        (None, None) => to.trim_start().to_owned(),
    };
    let pinned = if row.pinned { "pinned" } else { "" };
    let attempts = match row.attempts {
        0 | 1 => String::new(),
        many => format!("{many} attempts"),
    };
    vec![
        how,
        (Tone::Strong, clean_line(&model)),
        (Tone::Odd, attempts),
        (Tone::User, pinned.to_owned()),
        (Tone::Tool, deeds::labels(stored)),
        (Tone::Dim, clean_line(&row.agent)),
        (Tone::Dim, row.session_id.as_deref().map(clean_line).unwrap_or_default()),
        (Tone::Dim, words::moment(row.started_at_us)),
        (Tone::Dim, clean_line(&row.id)),
    ]
}

fn second(stored: &Stored) -> Vec<Word> {
    let row = &stored.row;
    let tokens = match (row.input_tokens, row.output_tokens) {
        (None, None) => String::new(),
        (input, output) => {
            let of = |tokens: Option<i64>| tokens.map_or_else(|| "?".to_owned(), words::count);
            let cached = match (row.cache_read_tokens, input) {
                (Some(read @ 1..), Some(all @ 1..)) => {
                    format!(" ({} % cached)", read.saturating_mul(100) / all)
                }
                _ => String::new(),
            };
            format!("{} in{cached}, {} out", of(input), of(output))
        }
    };
    let ttft = row.ttft_us.map(|us| format!("first token {}", words::time(us)));
    let stalls = row.stalls.filter(|stalls| *stalls > 0);
    let stalls =
        stalls.map(|many| words::things(usize::try_from(many).unwrap_or(0), "stall", "stalls"));
    vec![
        (Tone::Plain, tokens),
        (Tone::Plain, row.cost_nanousd.map(words::dollars).unwrap_or_default()),
        (Tone::Plain, ttft.unwrap_or_default()),
        (Tone::Plain, words::time(row.duration_us)),
        (Tone::Odd, stalls.unwrap_or_default()),
        (Tone::Odd, row.signals.join(" ")),
        (Tone::Dim, row.finish_reason.as_deref().map(clean_line).unwrap_or_default()),
    ]
}

/// Who failed, and in which words.
fn failure(stored: &Stored) -> Option<Word> {
    let row = &stored.row;
    let kind = row.error_kind.as_deref().or(row.error_source.as_deref())?;
    let detail = row.error_detail.as_deref().map(|detail| format!(": {detail}"));
    Some((Tone::Bad, clean_line(&format!("{kind}{}", detail.unwrap_or_default()))))
}
