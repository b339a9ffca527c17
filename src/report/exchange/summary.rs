//! One exchange at a glance: who asked whom for what, how it went and how long, what it cost, what was changed, and what
//! of it is kept.

use crate::report::exchange::body;
use crate::report::look::{Look, Tone, clean_line, clip, columns, pad_left, wrap};
use crate::report::words;
use crate::store::capture::Absent;
use crate::store::stored::{Attempt, Body, LabelOn, Listed, Stored};

/// Columns of the names at the left.
const NAMES: usize = 11;
/// Columns of a picture of the time.
const BAR_MAX: usize = 60;
/// A stream that is shorter has no pace worth telling.
const RATE_MIN_US: i64 = 50_000;

/// The page, without a line feed at its end.
pub fn text(stored: &Stored, look: Look) -> String {
    let mut page = Page { lines: Vec::new(), look };
    let row = &stored.row;
    page.heading(row);
    page.verdict(stored);
    page.blank();
    page.field("from", &client(row));
    page.field("session", &session(row));
    page.field("model", &model(row));
    page.field("tokens", &tokens(row));
    page.field("cost", &cost(row));
    page.field("time", &times(row));
    page.attempts(stored);
    page.changed(stored);
    page.signals(row);
    page.kept(stored);
    page.field("tags", &pairs(&row.tags));
    page.field("headers", &pairs(&row.headers));
    page.labels(stored);
    page.field("replay of", row.replay_of.as_deref().unwrap_or_default());
    page.field("run", row.run_id.as_deref().unwrap_or_default());
    page.field("trace", row.trace_id.as_deref().unwrap_or_default());
    page.field("request id", &request_ids(row));
    page.lines.join("\n")
}

struct Page {
    lines: Vec<String>,
    look: Look,
}

impl Page {
    fn blank(&mut self) {
        self.lines.push(String::new());
    }

    fn heading(&mut self, row: &Listed) {
        let when = words::moment(row.started_at_us);
        let width = self.look.text_width();
        let gap = width.saturating_sub(columns(&row.id) + columns(&when)).max(2);
        let id = self.look.paint(Tone::Strong, &row.id);
        self.lines.push(format!("{id}{}{}", " ".repeat(gap), self.look.paint(Tone::Dim, &when)));
        let stream = if row.stream { ", streamed" } else { "" };
        let what =
            format!("{} {} · {} {}{stream}", row.method, row.path, row.dialect, row.operation);
        self.lines.push(clip(&clean_line(&what), width));
        self.blank();
    }

    /// How it ended, in words and in the words of whoever failed.
    fn verdict(&mut self, stored: &Stored) {
        let row = &stored.row;
        let (sign, tone) = match row.outcome.as_str() {
            "complete" => ("✓", Tone::Good),
            "client_cancelled" => ("◌", Tone::Odd),
            _ => ("✗", Tone::Bad),
        };
        let status = row.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        let head = format!("{sign} {status} {}", row.outcome);
        let told = words::outcome(row);
        let first = format!("{}  {told}", self.look.paint(tone, &head));
        if columns(&head) + 2 + columns(&told) <= self.look.text_width() {
            self.lines.push(first);
        } else {
            self.lines.push(self.look.paint(tone, &head));
            self.indented(&told, Tone::Plain);
        }
        let (source, kind) = (row.error_source.as_deref(), row.error_kind.as_deref());
        // Most kinds begin with their source.
        let source = source.filter(|source| !kind.is_some_and(|kind| kind.starts_with(source)));
        let blame: Vec<&str> = source.into_iter().chain(kind).collect();
        if !blame.is_empty() {
            let told = || body::complaint(&body::clear(body::best_answer(stored)?));
            let detail = row.error_detail.clone().or_else(told);
            let detail = detail.as_deref().map(clean_line).unwrap_or_default();
            let colon = if detail.is_empty() { "" } else { ": " };
            self.indented(&format!("{}{colon}{detail}", blame.join(" ")), Tone::Bad);
        }
        // What a provider calls its errors are its own words.
        let kind = row.error_kind.as_deref().filter(|_| row.outcome != "upstream_error");
        if let Some((meaning, remedy)) = kind.and_then(words::code) {
            // The gateway's own errors say what they mean; once is enough.
            let said = row.error_detail.as_deref().unwrap_or_default();
            let told = match (said.contains(meaning), said.contains("; ")) {
                (true, true) => return,
                (true, false) => remedy.to_owned(),
                (false, _) => format!("{meaning}; {remedy}"),
            };
            self.indented(&told, Tone::Dim);
        }
    }

    fn indented(&mut self, text: &str, tone: Tone) {
        for line in wrap(text, self.look.text_width().saturating_sub(2)) {
            self.lines.push(format!("  {}", self.look.paint(tone, &line)));
        }
    }

    /// A name and what there is to say, wrapped beside it; nothing where there is nothing.
    fn field(&mut self, name: &str, text: &str) {
        self.field_in(name, text, Tone::Plain);
    }

    fn field_in(&mut self, name: &str, text: &str, tone: Tone) {
        let room = self.look.text_width().saturating_sub(NAMES);
        for (at, line) in wrap(&clean_line(text), room).into_iter().enumerate() {
            let name = self.look.cell(Tone::Dim, if at == 0 { name } else { "" }, NAMES);
            self.lines.push(format!("{name}{}", self.look.paint(tone, &line)));
        }
    }

    /// Each try with a bar on one scale of time: waiting for the head, then the answer's coming.
    fn attempts(&mut self, stored: &Stored) {
        let whole = stored.row.duration_us.max(1);
        let bar_width = BAR_MAX.min(self.look.text_width().saturating_sub(NAMES));
        for (at, attempt) in stored.attempts.iter().enumerate() {
            let name = if at == 0 { "attempts" } else { "" };
            let name = self.look.cell(Tone::Dim, name, NAMES);
            let (tone, how) = fate(attempt);
            let model = attempt.model.as_deref().map(|model| format!(" {model}"));
            let target = format!("{} {}{}", at + 1, attempt.provider, model.unwrap_or_default());
            let room = self.look.text_width().saturating_sub(NAMES + columns(&how) + 2);
            let target = clip(&clean_line(&target), room);
            self.lines.push(format!("{name}{target}  {}", self.look.paint(tone, &how)));
            let bar = bar(attempt, whole, bar_width);
            let blank = " ".repeat(NAMES);
            self.lines.push(format!("{blank}{}", self.look.paint(tone_of_bar(tone), &bar)));
            let told = connection(attempt);
            if !told.is_empty() {
                self.field_in("", &told, Tone::Dim);
            }
        }
        if let [_, ..] = stored.attempts.as_slice() {
            let (end, zero) = (words::time(whole), "0");
            let room = bar_width.saturating_sub(zero.len());
            let scale = format!("{zero}{}", pad_left(&end, room));
            self.lines.push(format!("{}{}", " ".repeat(NAMES), self.look.paint(Tone::Dim, &scale)));
        }
    }

    fn changed(&mut self, stored: &Stored) {
        let Some(last) = stored.attempts.last() else { return };
        let told = match (&last.request.body, last.edits.as_slice()) {
            (Body::Same, _) => {
                "nothing: the provider got the client's body byte for byte".to_owned()
            }
            (Body::Whole(_), []) => "the body, see `--raw upstream-request`".to_owned(),
            (_, []) => return,
            (_, edits) => format!("in the body: {}", edits.join(", ")),
        };
        self.field("changed", &told);
    }

    fn signals(&mut self, row: &Listed) {
        for (at, signal) in row.signals.iter().enumerate() {
            let name = if at == 0 { "signals" } else { "" };
            self.field_in(name, &format!("{signal}: {}", words::signal(signal)), Tone::Odd);
        }
    }

    fn kept(&mut self, stored: &Stored) {
        let row = &stored.row;
        let level = row.capture_level.as_str();
        let mut kept: Vec<String> = Vec::new();
        let mut missing: Vec<(Absent, &str)> = Vec::new();
        let mut note = |what: &'static str, leg: &Body| match leg {
            Body::Whole(whole) => kept.push(format!("{what} {}", size(whole))),
            Body::Same => {}
            Body::Absent(why) => missing.push((*why, what)),
        };
        note("request", &stored.request.body);
        if let Some(last) = stored.attempts.last() {
            note("provider's request", &last.request.body);
            note("provider's answer", &last.response.body);
        }
        note("answer", &stored.response.body);
        if matches!(stored.response.body, Body::Same) {
            kept.push("the client got the provider's bytes".to_owned());
        }
        if kept.is_empty() {
            kept.push(
                if stored.request.headers.is_some() { "headers" } else { "numbers" }.to_owned(),
            );
        }
        if row.redacted {
            kept.push("secrets replaced by placeholders".to_owned());
        }
        if row.pinned {
            kept.push("pinned".to_owned());
        }
        let replay = if row.replayable { "; can be replayed" } else { "" };
        self.field("kept", &format!("{} (level {level}){replay}", kept.join(", ")));
        missing.dedup_by_key(|(why, _)| *why);
        for (why, what) in missing {
            if why != Absent::NotKept || level != "full" {
                let what = if why == Absent::NotKept { "bodies" } else { what };
                self.field_in("", &format!("{what} {}", words::absent(why, level)), Tone::Odd);
            }
        }
    }

    fn labels(&mut self, stored: &Stored) {
        for (at, label) in stored.labels.iter().enumerate() {
            let name = if at == 0 { "labels" } else { "" };
            let score = label.score.map(|score| format!("={score}")).unwrap_or_default();
            let note = label.note.as_ref().map(|note| format!("  “{note}”")).unwrap_or_default();
            let author = label.author.as_ref().map(|who| format!(", {who}")).unwrap_or_default();
            let when = words::moment(label.at_us);
            let of = match label.on {
                LabelOn::Exchange => "",
                LabelOn::Session => "of the session, ",
            };
            self.field(name, &format!("{}{score}{note}  ({of}{when}{author})", label.name));
        }
    }
}

fn size(whole: &crate::store::stored::Whole) -> String {
    let mut told = words::bytes(whole.bytes.len() as u64);
    if let Some(coding) = &whole.coding {
        let clear = body::clear(whole).len() as u64;
        told = format!("{told} in {coding}, {} clear", words::bytes(clear));
    }
    if whole.cut_bytes > 0 {
        let more = words::bytes(whole.cut_bytes);
        told =
            format!("{told} and {more} more that were not kept (of a body the first 64 MiB are)");
    }
    told
}

fn client(row: &Listed) -> String {
    let mut told = vec![row.agent.clone()];
    told.extend(row.key_label.as_ref().map(|key| format!("key {key}")));
    told.extend(row.user_label.as_ref().map(|user| format!("user {user}")));
    told.extend(row.client_addr.clone());
    told.retain(|word| !word.is_empty());
    told.join(", ")
}

fn session(row: &Listed) -> String {
    let Some(session) = &row.session_id else { return String::new() };
    let inferred = if row.session_inferred { " (found by its messages)" } else { "" };
    let parent = row.parent_session_id.as_ref().map(|parent| format!(", child of {parent}"));
    format!("{session}{inferred}{}", parent.unwrap_or_default())
}

fn model(row: &Listed) -> String {
    let to = row.provider.as_ref().map(|provider| format!(" at {provider}")).unwrap_or_default();
    match (&row.model_requested, &row.model) {
        (Some(asked), Some(sent)) if asked != sent => format!("asked for {asked}, sent {sent}{to}"),
        (_, Some(model)) | (Some(model), None) => format!("{model}{to}"),
        (None, None) => to.trim_start_matches(" at ").to_owned(),
    }
}

fn tokens(row: &Listed) -> String {
    let mut told = Vec::new();
    if let Some(input) = row.input_tokens {
        let part = |name: &str, tokens: Option<i64>| match tokens {
            Some(tokens @ 1..) if input > 0 => Some(format!(
                "{} {name}, {} %",
                words::whole(tokens),
                tokens.saturating_mul(100) / input
            )),
            _ => None,
        };
        let read = part("from the cache", row.cache_read_tokens);
        let parts: Vec<String> =
            read.into_iter().chain(part("written to it", row.cache_write_tokens)).collect();
        let parts =
            if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("; ")) };
        told.push(format!("{} in{parts}", words::whole(input)));
    }
    if let Some(output) = row.output_tokens {
        let reasoning = row.reasoning_tokens.filter(|tokens| *tokens > 0);
        let reasoning = reasoning.map(|tokens| format!(" ({} of reasoning)", words::whole(tokens)));
        told.push(format!("{} out{}", words::whole(output), reasoning.unwrap_or_default()));
    }
    if row.usage_source.as_deref() == Some("estimated") {
        told.push("estimated: the provider told none".to_owned());
    }
    told.join(", ")
}

fn cost(row: &Listed) -> String {
    row.cost_nanousd.map(words::dollars).unwrap_or_default()
}

fn times(row: &Listed) -> String {
    let mut told = Vec::new();
    if let Some(ttft) = row.ttft_us {
        told.push(format!("first token after {}", words::time(ttft)));
    }
    if let Some(ttfo) = row.ttfo_us
        && row.ttft_us != Some(ttfo)
    {
        told.push(format!("first of the answer after {}", words::time(ttfo)));
    }
    told.push(format!("{} in all", words::time(row.duration_us)));
    if let (Some(ttft), Some(tokens @ 2..)) = (row.ttft_us, row.output_tokens)
        && row.stream
        && row.duration_us > ttft + RATE_MIN_US
    {
        let rate = tokens as f64 * 1e6 / (row.duration_us - ttft) as f64;
        told.push(format!("{rate:.0} tokens/s"));
    }
    if let Some(gap) = row.gap_max_us {
        told.push(format!("longest pause {}", words::time(gap)));
    }
    if row.queued_us > 1_000 {
        told.push(format!("{} waiting for a place", words::time(row.queued_us)));
    }
    told.push(format!("gateway {}", words::time(row.overhead_us)));
    told.join(", ")
}

fn pairs(pairs: &[(String, String)]) -> String {
    let pairs = pairs.iter().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join(" ")
}

fn request_ids(row: &Listed) -> String {
    let client = row.client_request_id.as_ref().map(|id| format!("client {id}"));
    let provider = row.upstream_request_id.as_ref().map(|id| format!("provider {id}"));
    client.into_iter().chain(provider).collect::<Vec<_>>().join(", ")
}

fn fate(attempt: &Attempt) -> (Tone, String) {
    let took = attempt.ended_us.or(attempt.head_us).map(|end| words::time(end - attempt.sent_us));
    let took = took.map(|took| format!(" in {took}")).unwrap_or_default();
    let status = attempt.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    match &attempt.error_kind {
        Some(kind) => (Tone::Bad, format!("{status} {kind}{took}")),
        None => (Tone::Good, format!("{status}{took}")),
    }
}

fn tone_of_bar(tone: Tone) -> Tone {
    if tone == Tone::Bad { Tone::Bad } else { Tone::Plain }
}

/// `    ····░░░░████████    `: before it was sent, waiting for the head, the answer's coming.
fn bar(attempt: &Attempt, whole_us: i64, width: usize) -> String {
    let place = |us: i64| {
        let width = i128::try_from(width).unwrap_or(0);
        let whole = i128::from(whole_us.max(1));
        let at = (i128::from(us.clamp(0, whole_us)) * width + whole / 2) / whole;
        usize::try_from(at).unwrap_or(0)
    };
    let sent = place(attempt.sent_us);
    let end = place(attempt.ended_us.unwrap_or(whole_us)).max(sent);
    let head = attempt.head_us.map_or(end, place).clamp(sent, end);
    let coming = if head == end && attempt.head_us.is_some() { 1 } else { end - head };
    format!("{}{}{}", " ".repeat(sent), "░".repeat(head - sent), "█".repeat(coming))
}

fn connection(attempt: &Attempt) -> String {
    let mut told: Vec<String> =
        Some(attempt.because.clone()).into_iter().filter(|because| !because.is_empty()).collect();
    match attempt.link_us {
        Some([resolve, connect, tls]) => {
            let parts = [("name", resolve), ("connect", connect), ("TLS", tls)];
            let parts = parts.into_iter().filter(|(_, us)| *us > 0);
            told.extend(parts.map(|(name, us)| format!("{name} {}", words::time(us))));
        }
        None if attempt.peer.is_some() => told.push("kept connection".to_owned()),
        None => {}
    }
    if let Some(head) = attempt.head_us {
        told.push(format!("head after {}", words::time(head - attempt.sent_us)));
    }
    let peer = attempt.peer.as_ref().map(|peer| format!("to {peer}"));
    let http = attempt.http.as_ref().map(|http| format!("HTTP/{http}"));
    let tls = attempt.tls.as_ref().map(|tls| format!("TLS {tls}"));
    told.extend([peer, http, tls].into_iter().flatten());
    told.join(", ")
}
