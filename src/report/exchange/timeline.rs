//! When each piece of an answer came: a strip of the whole, and a table of pieces with the pauses before them drawn, what
//! each brought, and the stalls marked. Long answers are shortened around their longest pauses.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::base::sse::Splitter;
use crate::dialect::messages;
use crate::neutral::kind::Dialect;
use crate::neutral::message::Part;
use crate::report::exchange::body;
use crate::report::look::{Look, Tone, clean_line, clip, columns, pad_left};
use crate::report::words;
use crate::store::stored::{Attempt, Stored, Whole};

/// Pieces of a table that is not shortened.
const ROWS_MAX: usize = 24;
/// Pieces at either end of one that is.
const ENDS: usize = 4;
/// Longest pauses that are shown.
const PAUSES: usize = 6;
/// Columns of a pause that is drawn.
const BAR: usize = 16;
/// As the digest counts them: a pause is a stall when it is over this many times the median and over [`STALL_MIN_US`].
const STALL_TIMES: u64 = 10;
const STALL_MIN_US: u64 = 250_000;
/// Limit: bytes of one event.
const EVENT_BYTES_MAX: usize = 32 * 1024 * 1024;
const STRIP: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The page, without a line feed at its end; `only`: the attempt from 0, else all.
pub fn text(stored: &Stored, only: Option<usize>, look: Look) -> String {
    if stored.attempts.is_empty() {
        return look.paint(Tone::Dim, "nothing was sent to a provider, so nothing came");
    }
    let attempts = stored.attempts.iter().enumerate();
    let pages = attempts
        .filter(|(at, _)| only.is_none_or(|only| only == *at))
        .map(|(at, attempt)| one(stored, at, attempt, look));
    pages.collect::<Vec<_>>().join("\n\n")
}

fn one(stored: &Stored, at: usize, attempt: &Attempt, look: Look) -> String {
    let model = attempt.model.as_deref().unwrap_or_default();
    let number = if stored.attempts.len() > 1 { format!("{} ", at + 1) } else { String::new() };
    let title = clean_line(&format!("{number}{} {model}", attempt.provider));
    let pieces = words::things(attempt.frames.len(), "piece", "pieces");
    let bytes: u64 = attempt.frames.iter().map(|(_, length)| u64::from(*length)).sum();
    let mut lines =
        vec![look.rule(Tone::Strong, title.trim(), &format!("{pieces}, {}", words::bytes(bytes)))];
    if attempt.frames.is_empty() {
        let why = match stored.row.capture_level.as_str() {
            "full" => "no piece of an answer came".to_owned(),
            level => format!("arrivals were not kept (level {level}); `--capture full` keeps them"),
        };
        lines.push(format!("  {}", look.paint(Tone::Dim, &why)));
        return lines.join("\n");
    }
    lines.extend(strip(stored, attempt, look));
    lines.push(String::new());
    lines.extend(table(stored, at, attempt, look));
    lines.join("\n")
}

/// How much came when: one sign a slice of time, higher for more.
fn strip(stored: &Stored, attempt: &Attempt, look: Look) -> [String; 2] {
    let width = look.text_width().saturating_sub(2).min(100);
    let last = attempt.frames.last().map_or(0, |(at, _)| *at);
    let whole = u64::try_from(stored.row.duration_us).unwrap_or(0).max(last).max(1);
    let mut slices = vec![0_u64; width];
    let place = |at: u64| (u128::from(at) * width as u128 / (u128::from(whole) + 1)) as usize;
    for (at, length) in &attempt.frames {
        if let Some(slice) = slices.get_mut(place(*at)) {
            *slice += u64::from(*length);
        }
    }
    let most = slices.iter().copied().max().unwrap_or(1).max(1);
    let sent = place(u64::try_from(attempt.sent_us).unwrap_or(0));
    let end = place(attempt.ended_us.and_then(|us| u64::try_from(us).ok()).unwrap_or(last));
    let signs: String = slices
        .iter()
        .enumerate()
        .map(|(at, bytes)| match bytes {
            0 if at < sent || at > end => ' ',
            0 => '·',
            // By the root of the share, so that little is still seen.
            bytes => {
                let eighth = (bytes * 64).div_ceil(most).isqrt().saturating_sub(1);
                usize::try_from(eighth).ok().and_then(|at| STRIP.get(at)).copied().unwrap_or('█')
            }
        })
        .collect();
    let end = words::time(i64::try_from(whole).unwrap_or(i64::MAX));
    let scale = format!("  0{}", pad_left(&end, width.saturating_sub(1)));
    [format!("  {signs}").trim_end().to_owned(), look.paint(Tone::Dim, &scale)]
}

fn table(stored: &Stored, at: usize, attempt: &Attempt, look: Look) -> Vec<String> {
    let frames = &attempt.frames;
    let gaps = gaps(attempt);
    let longest = gaps.iter().copied().max().unwrap_or(0).max(1);
    let stall = stall_us(&gaps);
    let shown = chosen(&gaps, look.full, stall);
    let told = Told::of(stored, at, &shown);
    let mut lines =
        vec![look.paint(Tone::Dim, "       at      pause                      bytes  what came")];
    let mut next = 0;
    for index in &shown {
        if *index > next {
            lines.push(look.paint(Tone::Dim, &left_out(frames, &gaps, next..*index)));
        }
        next = index + 1;
        let (Some((offset, length)), Some(gap)) = (frames.get(*index), gaps.get(*index)) else {
            continue;
        };
        let is_stall = *index > 0 && *gap >= stall;
        let bar = bar(*gap, longest);
        let tone = if is_stall { Tone::Bad } else { Tone::Plain };
        let pause = match (*index, *gap) {
            (0, _) => "first".to_owned(),
            // It came with the one before.
            (_, 0) => String::new(),
            (_, gap) => words::time(signed(gap)),
        };
        let begin = format!("{}  {}  ", pad_left(&seconds(*offset), 9), pad_left(&pause, 9));
        let bar = look.cell(tone, if *index == 0 { "" } else { &bar }, BAR);
        let stall_mark = if is_stall { look.paint(Tone::Bad, " stall") } else { String::new() };
        let room = look.text_width().saturating_sub(columns(&begin) + BAR + 2 + 7 + 6);
        let what = clip(told.what(*index), room);
        lines.push(
            format!("{begin}{bar} {}  {what}{stall_mark}", pad_left(&length.to_string(), 7))
                .trim_end()
                .to_owned(),
        );
    }
    if next < frames.len() {
        lines.push(look.paint(Tone::Dim, &left_out(frames, &gaps, next..frames.len())));
    }
    lines.extend(told.note.map(|note| look.paint(Tone::Dim, &format!("  {note}"))));
    if attempt.untabled > 0 {
        let more = format!("  {} more came that the table had no row for", attempt.untabled);
        lines.push(look.paint(Tone::Dim, &more));
    }
    lines
}

/// Before each piece; before the first, since it was sent.
fn gaps(attempt: &Attempt) -> Vec<u64> {
    let mut before = u64::try_from(attempt.sent_us).unwrap_or(0);
    let frames = attempt.frames.iter();
    frames
        .map(|(at, _)| {
            let gap = at.saturating_sub(before);
            before = *at;
            gap
        })
        .collect()
}

/// From how long on a pause is a stall of this answer.
fn stall_us(gaps: &[u64]) -> u64 {
    let mut between: Vec<u64> = gaps.iter().skip(1).copied().collect();
    between.sort_unstable();
    let median = between.get(between.len() / 2).copied().unwrap_or(0);
    median.saturating_mul(STALL_TIMES).max(STALL_MIN_US)
}

/// Which pieces are shown: all of a short answer; of a long one both ends and those around its longest pauses.
fn chosen(gaps: &[u64], full: bool, stall: u64) -> BTreeSet<usize> {
    if full || gaps.len() <= ROWS_MAX {
        return (0..gaps.len()).collect();
    }
    let ends = (0..ENDS).chain(gaps.len() - ENDS..gaps.len());
    let mut by_length: Vec<usize> = (1..gaps.len()).collect();
    by_length.sort_by_key(|at| std::cmp::Reverse(gaps.get(*at).copied()));
    let stalls =
        by_length.iter().filter(|at| gaps.get(**at).is_some_and(|gap| *gap >= stall)).count();
    let pauses = by_length.into_iter().take(PAUSES.max(stalls.min(ROWS_MAX)));
    ends.chain(pauses.flat_map(|at| [at - 1, at])).collect()
}

fn left_out(frames: &[(u64, u32)], gaps: &[u64], range: Range<usize>) -> String {
    let bytes: u64 =
        frames.get(range.clone()).unwrap_or_default().iter().map(|(_, n)| u64::from(*n)).sum();
    let longest = gaps.get(range.clone()).unwrap_or_default().iter().max().copied().unwrap_or(0);
    let pieces = words::things(range.len(), "piece", "pieces");
    let pauses = match longest {
        0 => String::new(),
        longest => format!(", pauses up to {}", words::time(signed(longest))),
    };
    format!("           … {pieces}, {}{pauses}", words::bytes(bytes))
}

/// Drawn in eighths of a column, so that short ones are seen too.
fn bar(gap: u64, longest: u64) -> String {
    let columns = u128::from(gap) * BAR as u128 * 8 / u128::from(longest.max(1));
    let eighths = usize::try_from(columns).unwrap_or(0);
    let rest = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'].get(eighths % 8).copied().unwrap_or(' ');
    format!("{}{rest}", "█".repeat(eighths / 8)).trim_end().chars().take(BAR).collect()
}

fn seconds(us: u64) -> String {
    format!("{:.4}", us as f64 / 1e6)
}

fn signed(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

/// What the pieces shown have brought.
struct Told {
    whats: Vec<(usize, String)>,
    /// Why there is nothing to tell.
    note: Option<String>,
}

impl Told {
    fn of(stored: &Stored, at: usize, shown: &BTreeSet<usize>) -> Self {
        let none = |note: &str| Self { whats: Vec::new(), note: Some(note.to_owned()) };
        let (Some(whole), Some(attempt)) = (stored.upstream_response(at), stored.attempts.get(at))
        else {
            return none("the answer itself was not kept, so what came is not known");
        };
        let tabled: u64 = attempt.frames.iter().map(|(_, length)| u64::from(*length)).sum();
        if let Some(coding) = &whole.coding {
            return none(&format!(
                "the answer came in {coding}: pieces are no events by themselves"
            ));
        }
        if whole.redacted {
            return none(
                "a secret was replaced in the answer, so its bytes are not those of the pieces",
            );
        }
        if tabled < whole.bytes.len() as u64 && attempt.untabled == 0 {
            return none("the pieces do not add up to the answer, so what came is not told");
        }
        let Some(dialect) = body::dialect(stored) else { return none("") };
        Self { whats: read(dialect, whole, attempt, shown), note: None }
    }

    fn what(&self, index: usize) -> &str {
        let found = self.whats.binary_search_by_key(&index, |(at, _)| *at);
        found.ok().and_then(|at| self.whats.get(at)).map_or("", |(_, what)| what.as_str())
    }
}

/// Reads the stream once, and describes the events that end within the pieces shown.
fn read(
    dialect: Dialect,
    whole: &Whole,
    attempt: &Attempt,
    shown: &BTreeSet<usize>,
) -> Vec<(usize, String)> {
    let is_stream = matches!(body::form(&whole.bytes), body::Form::Events);
    let mut splitter = Splitter::new(EVENT_BYTES_MAX);
    let (mut start, mut whats) = (0_usize, Vec::new());
    for (index, (_, length)) in attempt.frames.iter().enumerate() {
        let end = start.saturating_add(*length as usize).min(whole.bytes.len());
        let piece = whole.bytes.get(start..end).unwrap_or_default();
        start = end;
        let wanted = shown.contains(&index);
        let mut events = Vec::new();
        if is_stream {
            splitter.feed_borrowed(piece, |event| {
                if wanted {
                    events.push(event_words(dialect, event.event, event.data));
                }
            });
        }
        if wanted {
            let what = match events.as_slice() {
                _ if piece.is_empty() => "(not kept)".to_owned(),
                [] if is_stream && piece.starts_with(b":") => "comment".to_owned(),
                [] if is_stream => "part of an event".to_owned(),
                [] if body::is_binary(piece) => "binary".to_owned(),
                [] => snippet(&String::from_utf8_lossy(piece)),
                [one] => one.clone(),
                [first, .., last] => format!("{} events: {first} … {last}", events.len()),
            };
            whats.push((index, what));
        }
    }
    whats
}

/// What one event brought, in a few words; its name where these are not known.
pub fn event_words(dialect: Dialect, name: Option<&[u8]>, data: &[u8]) -> String {
    if data.trim_ascii() == b"[DONE]" {
        return "end [DONE]".to_owned();
    }
    let mut told = Vec::new();
    for message in messages::event(dialect, data) {
        told.extend(message.parts.iter().filter_map(part_words));
        told.extend(message.finish.map(|finish| format!("finish {}", clean_line(&finish))));
    }
    if has_usage(data) {
        told.push("usage".to_owned());
    }
    if told.is_empty() {
        let name = name.map(|name| clean_line(&String::from_utf8_lossy(name)));
        return name.unwrap_or_else(|| "event".to_owned());
    }
    told.join(", ")
}

fn part_words(part: &Part) -> Option<String> {
    match part {
        Part::Text(text) if text.is_empty() => None,
        Part::Reasoning(text) if text.is_empty() => None,
        Part::Text(text) => Some(format!("text {}", snippet(text))),
        Part::Reasoning(text) => Some(format!("reasoning {}", snippet(text))),
        Part::ToolCall { name, arguments, .. } if arguments.is_empty() => {
            Some(format!("tool {}", clean_line(name)))
        }
        Part::ToolCall { name, arguments, .. } if name.is_empty() => {
            Some(format!("arguments {}", snippet(arguments)))
        }
        Part::ToolCall { name, arguments, .. } => {
            Some(format!("tool {} {}", clean_line(name), snippet(arguments)))
        }
        Part::ToolResponse { response, .. } => Some(format!("tool result {}", snippet(response))),
        Part::Media { modality, .. } | Part::Uri { modality, .. } => Some((*modality).to_owned()),
        Part::Other(kind) => Some(clean_line(kind)),
    }
}

/// Usage that is not null.
fn has_usage(data: &[u8]) -> bool {
    ["\"usage\"", "\"usageMetadata\""].iter().any(|name| {
        let after = memchr::memmem::find(data, name.as_bytes()).map(|at| at + name.len());
        let value = after.and_then(|at| data.get(at..)).map(<[u8]>::trim_ascii_start);
        value
            .and_then(|rest| rest.strip_prefix(b":"))
            .is_some_and(|rest| rest.trim_ascii_start().starts_with(b"{"))
    })
}

fn snippet(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    format!("“{}”", clip(&clean_line(&short), 48))
}
