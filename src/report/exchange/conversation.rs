//! One exchange as the conversation it was part of: what was asked, and the answer put together of its stream, marked
//! where it was cut. Long texts are shortened unless all is asked for.

use serde_json::Value;

use crate::neutral::message::{Message, Part};
use crate::report::exchange::body::{self, Form};
use crate::report::look::{Look, Tone, clean, clean_line, columns, wrap};
use crate::report::words;
use crate::store::stored::{Body, Stored, Whole};

/// Messages before the answer that are shown, the last ones.
const MESSAGES: usize = 6;
/// Lines of what is shown of a text that is shortened.
const LINES: usize = 12;
const RESULT_LINES: usize = 6;
const SYSTEM_LINES: usize = 4;
const ANSWER_LINES: usize = 80;
/// Columns by which a message stands in.
const INDENT: usize = 2;

/// The page, without a line feed at its end.
pub fn text(stored: &Stored, look: Look) -> String {
    let mut page = Page { lines: Vec::new(), look };
    page.asked(stored);
    page.answered(stored);
    page.lines.join("\n")
}

struct Page {
    lines: Vec<String>,
    look: Look,
}

impl Page {
    fn asked(&mut self, stored: &Stored) {
        let Some(whole) = stored.client_request() else {
            return self.missing("request", &stored.request.body, stored);
        };
        let clear = body::clear(whole);
        let Some(conversation) = body::asked(stored, &clear) else {
            self.heading(Tone::User, "request", &note(whole));
            return self.raw(&clear, LINES * 2);
        };
        let mut all = conversation.messages;
        let mut system = conversation.system;
        // Instructions that open the messages are as good as those that stand apart.
        let opening = all.iter().take_while(|message| message.role == "system").count();
        system.extend(all.drain(..opening).flat_map(|message| message.parts));
        if !system.is_empty() {
            let size = words::bytes(system.iter().map(part_bytes).sum());
            self.heading(Tone::System, "system", &size);
            self.parts(&system, SYSTEM_LINES);
        }
        let hidden = if self.look.full { 0 } else { all.len().saturating_sub(MESSAGES) };
        let (earlier, shown) = all.split_at(hidden);
        self.earlier(earlier);
        for message in shown {
            self.message(message, LINES);
        }
        self.cut(whole);
    }

    /// What is not shown, counted.
    fn earlier(&mut self, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        let mut roles: Vec<(&str, usize)> = Vec::new();
        for message in messages {
            match roles.iter_mut().find(|(role, _)| *role == message.role) {
                Some((_, number)) => *number += 1,
                None => roles.push((&message.role, 1)),
            }
        }
        let roles: Vec<String> =
            roles.iter().map(|(role, number)| format!("{number} {}", clean_line(role))).collect();
        let bytes = messages.iter().flat_map(|message| &message.parts).map(part_bytes).sum();
        let earlier = words::things(messages.len(), "earlier message", "earlier messages");
        let told =
            format!("┄┄ {earlier}: {}; {} (--full) ┄┄", roles.join(", "), words::bytes(bytes));
        self.blank();
        self.lines.push(self.look.paint(Tone::Dim, &told));
    }

    fn answered(&mut self, stored: &Stored) {
        let Some(whole) = body::best_answer(stored) else {
            if stored.request.body.whole().is_some() {
                self.missing("answer", &stored.response.body, stored);
            }
            return;
        };
        let clear = body::clear(whole);
        let row = &stored.row;
        let status = row.status.map(|status| format!("{status}, ")).unwrap_or_default();
        if let Some(messages) = body::answered(stored, &clear) {
            for (at, message) in messages.iter().enumerate() {
                let number =
                    if messages.len() > 1 { format!(" {}", at + 1) } else { String::new() };
                let finish = message.finish.as_deref().unwrap_or("no end");
                let note = format!("{} · {}{}", clean_line(finish), status, note(whole));
                self.heading(Tone::Assistant, &format!("answer{number}"), &note);
                self.parts(&message.parts, ANSWER_LINES);
            }
        } else {
            let tone = if row.outcome == "complete" { Tone::Assistant } else { Tone::Bad };
            self.heading(tone, "answer", &format!("{status}{}", note(whole)));
            self.raw(&clear, ANSWER_LINES);
        }
        self.cut(whole);
        if row.outcome != "complete"
            && row.response_bytes > 0
            && row.status.is_some_and(|s| s < 400)
        {
            let mut told = format!("✂ it ends here: {}", words::outcome(row));
            if let Some(words) = body::complaint(&clear) {
                told = format!("{told}: {words}");
            }
            self.words(&told, Tone::Bad, LINES);
        }
    }

    fn message(&mut self, message: &Message, lines: usize) {
        let tone = tone(&message.role);
        let size = match message.parts.as_slice() {
            // It says its size itself.
            [Part::ToolResponse { .. }] => String::new(),
            parts => words::bytes(parts.iter().map(part_bytes).sum()),
        };
        self.heading(tone, &clean_line(&message.role), &size);
        self.parts(&message.parts, lines);
    }

    fn parts(&mut self, parts: &[Part], lines: usize) {
        for part in parts {
            match part {
                Part::Text(text) => self.words(text, Tone::Plain, lines),
                Part::Reasoning(text) => self.thoughts(text, lines),
                Part::ToolCall { id, name, arguments } => self.call(id.as_deref(), name, arguments),
                Part::ToolResponse { id, response } => self.result(id.as_deref(), response),
                Part::Media { modality, mime, bytes } => {
                    let kind = mime.as_deref().and_then(|mime| mime.split('/').nth(1));
                    let kind = kind.map(|kind| format!(" {kind}")).unwrap_or_default();
                    let told = format!("[{modality}{kind} {}]", words::bytes(*bytes as u64));
                    self.lines.push(self.indented(Tone::Tool, &clean_line(&told)));
                }
                Part::Uri { modality, uri } => {
                    self.words(&format!("[{modality} at {uri}]"), Tone::Tool, 3);
                }
                Part::Other(kind) => {
                    let told = format!("[{}]", clean_line(kind));
                    self.lines.push(self.indented(Tone::Dim, &told));
                }
            }
        }
    }

    /// `→ name  id`, then each argument under its name; a text of several lines as it would be read.
    fn call(&mut self, id: Option<&str>, name: &str, arguments: &str) {
        let id = id.map(|id| format!("  {}", clean_line(id))).unwrap_or_default();
        let head = format!("→ {}", clean_line(name));
        let head = self.look.paint(Tone::Tool, &head);
        self.lines.push(format!("{}{head}{}", " ".repeat(INDENT), self.look.paint(Tone::Dim, &id)));
        match serde_json::from_str::<Value>(arguments) {
            Ok(Value::Object(fields)) => {
                let wide = fields.keys().map(|key| columns(key)).max().unwrap_or(0).min(20);
                for (key, value) in &fields {
                    self.argument(&clean_line(key), value, wide);
                }
            }
            _ if arguments.trim().is_empty() => {}
            Ok(other) => self.words(&other.to_string(), Tone::Plain, LINES),
            Err(_) => {
                self.lines.push(self.indented(Tone::Bad, "  arguments that are no JSON:"));
                self.words(arguments, Tone::Bad, LINES);
            }
        }
    }

    fn argument(&mut self, key: &str, value: &Value, wide: usize) {
        let text = match value {
            Value::String(text) => clean(text).into_owned(),
            Value::Object(_) | Value::Array(_) => {
                let compact = value.to_string();
                let fits = columns(&compact) + wide < self.look.text_width() / 2;
                let pretty = if fits { None } else { serde_json::to_string_pretty(value).ok() };
                clean(&pretty.unwrap_or(compact)).into_owned()
            }
            other => other.to_string(),
        };
        let stands = INDENT * 2 + wide + 2;
        let lines = wrap(&text, self.look.text_width().saturating_sub(stands + 2));
        let block = if lines.len() > 1 { "│ " } else { "" };
        let (shown, hidden) = self.some(&lines, LINES);
        if shown.is_empty() {
            let name = self.look.paint(Tone::Dim, key);
            self.lines.push(format!("{}{name}", " ".repeat(INDENT * 2)));
        }
        for (at, line) in shown.iter().enumerate() {
            let name = self.look.cell(Tone::Dim, if at == 0 { key } else { "" }, wide + 2);
            let block = self.look.paint(Tone::Dim, block);
            self.lines.push(format!("{}{name}{block}{line}", " ".repeat(INDENT * 2)));
        }
        if hidden > 0 {
            self.more(hidden, stands);
        }
    }

    fn result(&mut self, id: Option<&str>, response: &str) {
        let size = words::bytes(response.len() as u64);
        let id = id.map(|id| format!("{}  ", clean_line(id))).unwrap_or_default();
        let head = self.look.paint(Tone::Tool, "←");
        let told = self.look.paint(Tone::Dim, &format!("{id}{size}"));
        self.lines.push(format!("{}{head} {told}", " ".repeat(INDENT)));
        let text = match serde_json::from_str::<Value>(response) {
            Ok(value @ (Value::Object(_) | Value::Array(_))) => {
                serde_json::to_string_pretty(&value).unwrap_or_default()
            }
            _ => response.to_owned(),
        };
        self.words(&text, Tone::Plain, RESULT_LINES);
    }

    fn words(&mut self, text: &str, tone: Tone, lines: usize) {
        self.marked("", text, tone, lines);
    }

    /// Reasoning is told from the answer without colours too.
    fn thoughts(&mut self, text: &str, lines: usize) {
        self.marked("┊ ", text, Tone::Dim, lines);
    }

    fn marked(&mut self, mark: &str, text: &str, tone: Tone, lines: usize) {
        let width = self.look.text_width().saturating_sub(INDENT + columns(mark));
        let wrapped = wrap(clean(text).trim_end(), width);
        let (shown, hidden) = self.some(&wrapped, lines);
        for line in &shown {
            let line = format!("{mark}{line}");
            self.lines.push(self.indented(tone, line.trim_end()).trim_end().to_owned());
        }
        if hidden > 0 {
            self.more(hidden, INDENT + columns(mark));
        }
    }

    /// The first lines, and how many are left; a few more than asked for rather than a note about them.
    fn some(&self, lines: &[String], most: usize) -> (Vec<String>, usize) {
        if self.look.full || lines.len() <= most + 2 {
            return (lines.to_vec(), 0);
        }
        (lines.iter().take(most).cloned().collect(), lines.len() - most)
    }

    fn more(&mut self, hidden: usize, indent: usize) {
        let told = format!("… {} (--full)", words::things(hidden, "more line", "more lines"));
        self.lines.push(format!("{}{}", " ".repeat(indent), self.look.paint(Tone::Dim, &told)));
    }

    /// A body whose words are not understood, as what it is.
    fn raw(&mut self, clear: &[u8], lines: usize) {
        match body::form(clear) {
            Form::Empty => self.lines.push(self.indented(Tone::Dim, "(empty)")),
            Form::Json(value) => {
                let text = serde_json::to_string_pretty(&value).unwrap_or_default();
                self.words(&text, Tone::Plain, lines);
            }
            Form::Text(text) => self.words(&text, Tone::Plain, lines),
            Form::Events => self.words(&String::from_utf8_lossy(clear), Tone::Plain, lines),
            Form::Binary => {
                let told =
                    format!("[binary, {}; --raw writes it]", words::bytes(clear.len() as u64));
                self.lines.push(self.indented(Tone::Tool, &told));
            }
        }
    }

    fn cut(&mut self, whole: &Whole) {
        if whole.cut_bytes > 0 {
            let more = words::bytes(whole.cut_bytes);
            let told = format!("✂ {more} more were not kept: of a body the first 64 MiB are");
            self.lines.push(self.indented(Tone::Odd, &told));
        }
    }

    fn missing(&mut self, what: &str, leg: &Body, stored: &Stored) {
        let Body::Absent(why) = leg else { return };
        self.heading(Tone::Dim, what, "");
        self.words(&words::absent(*why, &stored.row.capture_level), Tone::Odd, LINES);
    }

    fn heading(&mut self, tone: Tone, title: &str, note: &str) {
        self.blank();
        self.lines.push(self.look.rule(tone, title, note));
    }

    fn blank(&mut self) {
        if !self.lines.is_empty() {
            self.lines.push(String::new());
        }
    }

    fn indented(&self, tone: Tone, text: &str) -> String {
        format!("{}{}", " ".repeat(INDENT), self.look.paint(tone, text))
    }
}

fn note(whole: &Whole) -> String {
    let size = words::bytes(whole.bytes.len() as u64);
    match &whole.coding {
        Some(coding) => format!("{size} in {}", clean_line(coding)),
        None => size,
    }
}

fn tone(role: &str) -> Tone {
    match role {
        "system" | "developer" => Tone::System,
        "assistant" | "model" => Tone::Assistant,
        "tool" => Tone::Tool,
        _ => Tone::User,
    }
}

/// About how many bytes a part brings.
pub(super) fn part_bytes(part: &Part) -> u64 {
    let bytes = match part {
        Part::Text(text) | Part::Reasoning(text) => text.len(),
        Part::ToolCall { name, arguments, .. } => name.len() + arguments.len(),
        Part::ToolResponse { response, .. } => response.len(),
        Part::Media { bytes, .. } => *bytes,
        Part::Uri { uri, .. } => uri.len(),
        Part::Other(_) => 0,
    };
    bytes as u64
}
