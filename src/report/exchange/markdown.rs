//! One exchange as a page to paste into an issue or a pull request.

use std::fmt::Write as _;

use serde_json::Value;

use crate::neutral::message::Part;
use crate::report::exchange::body::{self, Form};
use crate::report::exchange::summary;
use crate::report::look::{Look, clean};
use crate::report::words;
use crate::store::stored::Stored;

/// The page, with the facts as text and the messages under headings.
pub fn text(stored: &Stored) -> String {
    let row = &stored.row;
    let facts = summary::text(stored, Look { width: Some(100), ..Look::default() });
    let mut page = format!("# Exchange {}\n\n{}\n", row.id, fenced("text", &facts));
    if let Some(whole) = stored.client_request() {
        let clear = body::clear(whole);
        match body::asked(stored, &clear) {
            Some(conversation) => {
                if !conversation.system.is_empty() {
                    push(
                        &mut page,
                        format_args!("\n## system\n\n{}\n", parts(&conversation.system)),
                    );
                }
                for message in &conversation.messages {
                    let role = clean(&message.role).replace('\n', " ");
                    push(&mut page, format_args!("\n## {role}\n\n{}\n", parts(&message.parts)));
                }
            }
            None => push(&mut page, format_args!("\n## request\n\n{}\n", raw(&clear))),
        }
    }
    if let Some(whole) = body::best_answer(stored) {
        let clear = body::clear(whole);
        match body::answered(stored, &clear) {
            Some(messages) => {
                for message in &messages {
                    let finish = message.finish.as_deref().unwrap_or("no end");
                    let words = parts(&message.parts);
                    push(&mut page, format_args!("\n## answer ({})\n\n{words}\n", clean(finish)));
                }
            }
            None => push(&mut page, format_args!("\n## answer\n\n{}\n", raw(&clear))),
        }
        if row.outcome != "complete" {
            push(&mut page, format_args!("\n*{}*\n", words::outcome(row)));
        }
    }
    page.trim_end().to_owned()
}

fn push(page: &mut String, what: std::fmt::Arguments<'_>) {
    let written = page.write_fmt(what);
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

fn parts(parts: &[Part]) -> String {
    parts.iter().map(part).collect::<Vec<_>>().join("\n\n")
}

fn part(part: &Part) -> String {
    match part {
        Part::Text(text) => fenced("text", text),
        Part::Reasoning(text) => {
            format!(
                "<details><summary>reasoning</summary>\n\n{}\n\n</details>",
                fenced("text", text)
            )
        }
        Part::ToolCall { name, arguments, .. } => {
            let pretty = pretty(arguments);
            format!("→ `{}`\n\n{}", clean(name).replace(['`', '\n'], " "), fenced("json", &pretty))
        }
        Part::ToolResponse { response, .. } => fenced("text", &pretty(response)),
        Part::Media { modality, mime, bytes } => {
            let kind = mime.as_deref().unwrap_or("unknown");
            format!("*{modality}, {}, {}*", clean(kind), words::bytes(*bytes as u64))
        }
        Part::Uri { modality, uri } => format!("{modality} at `{}`", clean(uri).replace('`', " ")),
        Part::Other(kind) => format!("*{}*", clean(kind)),
    }
}

fn pretty(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => {
            serde_json::to_string_pretty(&value).unwrap_or_default()
        }
        _ => text.to_owned(),
    }
}

fn raw(clear: &[u8]) -> String {
    match body::form(clear) {
        Form::Empty => "*empty*".to_owned(),
        Form::Json(value) => {
            fenced("json", &serde_json::to_string_pretty(&value).unwrap_or_default())
        }
        Form::Text(text) => fenced("text", &text),
        Form::Events => fenced("text", &String::from_utf8_lossy(clear)),
        Form::Binary => format!("*binary, {}*", words::bytes(clear.len() as u64)),
    }
}

/// Between fences longer than any run of backticks in the text.
fn fenced(language: &str, text: &str) -> String {
    let text = clean(text);
    let mut longest = 2;
    for run in text.split(|c| c != '`') {
        longest = longest.max(run.len());
    }
    let fence = "`".repeat(longest + 1);
    format!("{fence}{language}\n{}\n{fence}", text.trim_end())
}
