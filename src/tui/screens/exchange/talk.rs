//! The conversation as lines that fold: every message by itself, earlier ones folded, reasoning and tool calls too.

use crate::neutral::message::{Message, Part};
use crate::report::exchange::body;
use crate::report::look::{Look, Tone, clean, clean_line, clip, wrap};
use crate::report::words;
use crate::store::stored::{Body, Stored, Whole};
use crate::tui::parts::pager::doc::Doc;
use crate::tui::parts::pager::json;
use crate::tui::screens::exchange::bodies;

/// Messages before the answer that are unfolded, the last ones.
const UNFOLDED: usize = 4;
/// Columns by which a message stands in.
const INDENT: usize = 2;
/// Limit: bytes of one text that are laid out; the request and the response have the rest.
const PART_MAX: usize = 128 * 1024;
/// Limit: bytes of a body that is understood; a longer one is shown as it is.
const BODY_MAX: usize = 32 * 1024 * 1024;
/// Columns of a preview.
const PREVIEW: usize = 200;

/// The lines. Of an exchange in flight, nothing is said of what only the store has; `in_flight` says why nothing of its answer
/// is there, as long as that is so.
pub(super) fn doc(stored: &Stored, in_flight: Option<&str>, look: Look) -> Doc {
    let mut page = Page { doc: Doc::default(), look, width: look.width.unwrap_or(100) };
    page.asked(stored, in_flight.is_some());
    page.answered(stored, in_flight);
    page.doc.done()
}

struct Page {
    doc: Doc,
    look: Look,
    width: usize,
}

impl Page {
    fn asked(&mut self, stored: &Stored, in_flight: bool) {
        let Some(whole) = stored.client_request() else {
            if !in_flight {
                self.missing("request", &stored.request.body, stored);
            }
            return;
        };
        let clear = body::clear(whole);
        let understood = (clear.len() <= BODY_MAX).then(|| body::asked(stored, &clear)).flatten();
        let Some(conversation) = understood else {
            return self.unread("request", Tone::User, &note(whole), stored, &clear);
        };
        let mut all = conversation.messages;
        let mut system = conversation.system;
        // Instructions that open the messages are as good as those that stand apart.
        let opening = all.iter().take_while(|message| message.role == "system").count();
        system.extend(all.drain(..opening).flat_map(|message| message.parts));
        if !system.is_empty() {
            self.message("system", Tone::System, &size(&system), &system, true);
        }
        let folded = all.len().saturating_sub(UNFOLDED);
        for (at, message) in all.iter().enumerate() {
            let told = format!("#{}  {}", at + 1, size(&message.parts));
            let role = clean_line(&message.role);
            self.message(&role, tone(&message.role), &told, &message.parts, at < folded);
        }
        self.cut(whole);
    }

    fn answered(&mut self, stored: &Stored, in_flight: Option<&str>) {
        let row = &stored.row;
        let Some(whole) = body::best_answer(stored) else {
            if let Some(why) = in_flight {
                self.text(why, Tone::Dim, "");
            } else if stored.request.body.whole().is_some() {
                self.missing("answer", &stored.response.body, stored);
            }
            return;
        };
        let clear = body::clear(whole);
        let status = row.status.map(|status| format!("{status}, ")).unwrap_or_default();
        let messages = (clear.len() <= BODY_MAX).then(|| body::answered(stored, &clear)).flatten();
        let is_live = in_flight.is_some();
        if let Some(messages) = messages {
            self.answers(&messages, &format!("{status}{}", note(whole)), is_live);
        } else {
            let tone = if row.outcome == "complete" { Tone::Assistant } else { Tone::Bad };
            self.unread("answer", tone, &format!("{status}{}", note(whole)), stored, &clear);
        }
        self.cut(whole);
        let broke = row.outcome != "complete"
            && row.response_bytes > 0
            && row.status.is_some_and(|status| status < 400);
        if broke && !is_live {
            let told = format!("✂ it ends here: {}", words::outcome(row));
            let complaint = body::complaint(&clear).map(|words| format!(": {words}"));
            self.text(&format!("{told}{}", complaint.unwrap_or_default()), Tone::Bad, "");
        }
    }

    fn answers(&mut self, messages: &[Message], told: &str, in_flight: bool) {
        for (at, message) in messages.iter().enumerate() {
            let number = if messages.len() > 1 { format!(" {}", at + 1) } else { String::new() };
            let end = if in_flight { "coming" } else { "no end" };
            let finish = message.finish.as_deref().unwrap_or(end);
            let told = format!("{} · {told}", clean_line(finish));
            let role = format!("answer{number}");
            self.message(&role, Tone::Assistant, &told, &message.parts, false);
        }
    }

    /// A message below its heading; a folded one shows how it begins.
    fn message(&mut self, role: &str, tone: Tone, told: &str, parts: &[Part], folded: bool) {
        let head = format!("{}  {}", self.look.paint(tone, role), self.look.paint(Tone::Dim, told));
        self.doc.push(&head);
        let fold = self.doc.open(folded);
        for part in parts {
            self.part(part);
        }
        self.doc.push("");
        let taken = role.chars().count() + told.chars().count() + 4;
        let preview = parts.iter().find_map(preview).unwrap_or_default();
        self.doc.close(fold, self.clipped(&preview, taken));
    }

    fn part(&mut self, part: &Part) {
        match part {
            Part::Text(text) => self.text(text, Tone::Plain, ""),
            Part::Reasoning(text) => {
                let told = format!("┊ reasoning  {}", words::bytes(text.len() as u64));
                let fold = self.head(Tone::Dim, &told, "");
                self.text(text, Tone::Dim, "┊ ");
                self.doc.close(fold, self.clipped(&begin(text), told.chars().count() + 3));
            }
            Part::ToolCall { id, name, arguments } => {
                let name = format!("→ {}", clean_line(name));
                let fold = self.head(Tone::Tool, &name, id.as_deref().unwrap_or_default());
                self.json_or_text(arguments);
                let taken = name.chars().count() + id.as_ref().map_or(0, String::len) + 5;
                self.doc.close(fold, self.clipped(&begin(arguments), taken));
            }
            Part::ToolResponse { id, response } => {
                let size = words::bytes(response.len() as u64);
                let head = format!("← result {size}");
                let fold = self.head(Tone::Tool, &head, id.as_deref().unwrap_or_default());
                self.json_or_text(response);
                let taken = head.chars().count() + id.as_ref().map_or(0, String::len) + 5;
                self.doc.close(fold, self.clipped(&begin(response), taken));
            }
            Part::Media { modality, mime, bytes } => {
                let mime = mime.as_deref().map(|mime| format!(" {mime}")).unwrap_or_default();
                let told = format!("[{modality}{mime}, {}]", words::bytes(*bytes as u64));
                self.line(Tone::Tool, &told);
            }
            Part::Uri { modality, uri } => {
                self.text(&format!("[{modality} at {uri}]"), Tone::Tool, "");
            }
            Part::Other(kind) => self.line(Tone::Dim, &format!("[{kind}]")),
        }
    }

    /// The line that a folded part is shown by.
    fn head(&mut self, tone: Tone, told: &str, beside: &str) -> usize {
        let beside = match clean_line(beside) {
            id if id.is_empty() => id,
            id => format!("  {}", self.look.paint(Tone::Dim, &id)),
        };
        self.doc.push(&format!("{}{}{beside}", " ".repeat(INDENT), self.look.paint(tone, told)));
        self.doc.open(true)
    }

    fn json_or_text(&mut self, text: &str) {
        let looks = text.trim_start().starts_with(['{', '[']);
        if looks && text.len() <= PART_MAX && json::is_json(text) {
            json::push(&mut self.doc, text, INDENT * 2, self.width);
        } else {
            self.text(text, Tone::Plain, "  ");
        }
    }

    fn text(&mut self, text: &str, tone: Tone, mark: &str) {
        let end = text.floor_char_boundary(PART_MAX.min(text.len()));
        let (shown, rest) = text.split_at(end);
        let width = self.look.text_width().saturating_sub(INDENT + mark.chars().count());
        for line in wrap(clean(shown).trim_end(), width) {
            let line = self.look.paint(tone, format!("{mark}{line}").trim_end());
            self.doc.push(format!("{}{line}", " ".repeat(INDENT)).trim_end());
        }
        if !rest.is_empty() {
            let more = words::bytes(rest.len() as u64);
            self.line(Tone::Odd, &format!("… {more} more: see request and response"));
        }
    }

    fn line(&mut self, tone: Tone, text: &str) {
        let text = clip(&clean_line(text), self.width.saturating_sub(INDENT));
        self.doc.push(&format!("{}{}", " ".repeat(INDENT), self.look.paint(tone, &text)));
    }

    fn clipped(&self, text: &str, taken: usize) -> String {
        let room = self.width.saturating_sub(taken + 2);
        if text.is_empty() || room < 4 { String::new() } else { format!("  {}", clip(text, room)) }
    }

    /// A body whose words are not understood, as what it is.
    fn unread(&mut self, what: &str, tone: Tone, told: &str, stored: &Stored, clear: &[u8]) {
        let head = format!("{}  {}", self.look.paint(tone, what), self.look.paint(Tone::Dim, told));
        self.doc.push(&head);
        bodies::push(&mut self.doc, clear, body::dialect(stored), self.look, self.width);
        self.doc.push("");
    }

    fn cut(&mut self, whole: &Whole) {
        if whole.cut_bytes > 0 {
            let more = words::bytes(whole.cut_bytes);
            self.line(Tone::Odd, &format!("✂ {more} more were not kept"));
        }
    }

    fn missing(&mut self, what: &str, leg: &Body, stored: &Stored) {
        let Body::Absent(why) = leg else { return };
        self.doc.push(&self.look.paint(Tone::Strong, what));
        self.text(&words::absent(*why, &stored.row.capture_level), Tone::Odd, "");
        self.doc.push("");
    }
}

/// How a text begins, on one line.
fn begin(text: &str) -> String {
    let end = text.floor_char_boundary(PREVIEW.min(text.len()));
    let begin = text.get(..end).unwrap_or_default();
    let begin = begin.split_whitespace().collect::<Vec<_>>().join(" ");
    clean_line(&begin)
}

fn preview(part: &Part) -> Option<String> {
    match part {
        Part::Text(text) if !text.trim().is_empty() => Some(begin(text)),
        Part::ToolCall { name, arguments, .. } => {
            Some(format!("→ {} {}", clean_line(name), begin(arguments)))
        }
        Part::ToolResponse { response, .. } => Some(format!("← {}", begin(response))),
        Part::Media { modality, .. } | Part::Uri { modality, .. } => Some(format!("[{modality}]")),
        _ => None,
    }
}

fn size(parts: &[Part]) -> String {
    let bytes = |part: &Part| match part {
        Part::Text(text) | Part::Reasoning(text) => text.len(),
        Part::ToolCall { name, arguments, .. } => name.len() + arguments.len(),
        Part::ToolResponse { response, .. } => response.len(),
        Part::Media { bytes, .. } => *bytes,
        Part::Uri { uri, .. } => uri.len(),
        Part::Other(_) => 0,
    };
    words::bytes(parts.iter().map(bytes).sum::<usize>() as u64)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::stored::{Leg, Listed};

    /// Two hundred messages of an agent's session: texts, calls of tools, and their results.
    fn long() -> Stored {
        let mut messages = Vec::new();
        for turn in 0..50 {
            let words = format!("Look at part {turn} of it. ").repeat(20);
            let arguments =
                format!("{{\\\"path\\\":\\\"src/part_{turn}.rs\\\",\\\"limit\\\":200}}");
            let result = format!("{turn}: fn part() {{ let x = {turn}; }}\\n").repeat(120);
            messages.push(format!(r#"{{"role":"user","content":"{words}"}}"#));
            messages.push(format!(
                r#"{{"role":"assistant","content":"I read it.","tool_calls":[{{"id":"call_{turn}","type":"function","function":{{"name":"read_file","arguments":"{arguments}"}}}}]}}"#
            ));
            messages.push(format!(
                r#"{{"role":"tool","tool_call_id":"call_{turn}","content":"{result}"}}"#
            ));
            messages.push(format!(r#"{{"role":"assistant","content":"{words}"}}"#));
        }
        let body = format!(r#"{{"model":"gpt-5","messages":[{}]}}"#, messages.join(","));
        let whole = Whole { bytes: body.into_bytes(), ..Whole::default() };
        let row = Listed { dialect: "openai_chat".to_owned(), ..Listed::default() };
        let request = Leg { body: Body::Whole(whole), ..Leg::default() };
        Stored { row, request, ..Stored::default() }
    }

    #[test]
    fn two_hundred_messages_open_within_a_frame() {
        let stored = long();
        let look = Look { width: Some(118), colour: true, full: false };
        let began = crate::base::clock::now();
        let doc = doc(&stored, None, look);
        let took = began.elapsed();
        let messages = doc.folds.iter().filter(|fold| fold.depth == 0).count();
        assert_eq!(messages, 200);
        assert_eq!(doc.folds.iter().filter(|fold| fold.depth == 1 && fold.folded).count(), 100);
        // Twenty milliseconds are promised of the program as it is shipped.
        let most = if cfg!(debug_assertions) { 400 } else { 20 };
        assert!(took.as_millis() < most, "{took:?}");
    }
}
