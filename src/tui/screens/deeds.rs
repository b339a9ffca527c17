//! What can be done with one exchange wherever it is seen: copy it, write it to a file, pin it, label it. A screen opens the
//! menus, and does what was chosen once it has the whole exchange.

use serde_json::{Value, json};

use crate::neutral::message::{Message, Part};
use crate::report::exchange::raw::{self, Leg};
use crate::report::exchange::{body, curl, markdown};
use crate::report::exchange_json;
use crate::report::formats::export::{Exporter, Format};
use crate::report::look::{Tone, clean_line};
use crate::store::stored::{LabelOn, Stored};
use crate::tui::ask::{Lane, Method, Want, escaped};
use crate::tui::common::{Common, Effect};
use crate::tui::parts::popup::{self, Popup};

/// What the label's prompt tells a screen it was; its text follows a colon.
const LABEL: &str = "label";

/// Something to be done with a whole exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Copy(What),
    Export(What),
}

/// What of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Id,
    Curl,
    Json,
    Har,
    Markdown,
    Answer,
    Request,
    Response,
}

const COPIES: [(&str, &str, &str, What); 6] = [
    ("c", "as curl", "copy curl", What::Curl),
    ("i", "the id", "copy id", What::Id),
    ("j", "everything as JSON", "copy json", What::Json),
    ("t", "the text of the answer", "copy text", What::Answer),
    ("b", "the request's body", "copy request", What::Request),
    ("r", "the response's body", "copy response", What::Response),
];

const EXPORTS: [(&str, &str, &str, What); 6] = [
    ("j", "everything as JSON", "export json", What::Json),
    ("h", "HAR 1.2, for browsers and proxies", "export har", What::Har),
    ("m", "Markdown, to paste into an issue", "export markdown", What::Markdown),
    ("c", "a curl command", "export curl", What::Curl),
    ("b", "the request's body, its bytes", "export request", What::Request),
    ("r", "the response's body, its bytes", "export response", What::Response),
];

/// What to copy.
pub fn copy_menu() -> Popup {
    popup::menu("copy", &COPIES.map(|(key, words, choice, _)| (key, words, choice)))
}

/// What to write, and as what.
pub fn export_menu() -> Popup {
    popup::menu("write to a file", &EXPORTS.map(|(key, words, choice, _)| (key, words, choice)))
}

/// What a choice of one of the menus means.
pub fn deed(choice: &str) -> Option<Deed> {
    let of = |menu: &[(&str, &str, &str, What)]| {
        menu.iter().find(|(_, _, one, _)| *one == choice).map(|(_, _, _, what)| *what)
    };
    of(&COPIES).map(Deed::Copy).or_else(|| of(&EXPORTS).map(Deed::Export))
}

impl Deed {
    /// Whether the id is not enough.
    pub fn needs_whole(self) -> bool {
        self != Self::Copy(What::Id)
    }

    /// Does it with the client's legs, or those of an attempt from 0; what cannot be done is said.
    pub fn perform(self, stored: &Stored, attempt: Option<usize>, common: &mut Common) {
        let done = match self {
            Self::Copy(what) => copy(what, stored, attempt, common),
            Self::Export(what) => export(what, stored, attempt, common),
        };
        if let Err(why) = done {
            common.say(Tone::Bad, clean_line(&why));
        }
    }
}

fn copy(
    what: What,
    stored: &Stored,
    attempt: Option<usize>,
    common: &mut Common,
) -> Result<(), String> {
    let words = match what {
        What::Id => "the id",
        What::Curl => "the curl command",
        What::Json => "the exchange as JSON",
        What::Har => "the exchange as HAR",
        What::Markdown => "the exchange as Markdown",
        What::Answer => "the text of the answer",
        What::Request => "the request's body",
        What::Response => "the response's body",
    };
    let bytes = made(what, stored, attempt, common.wall_us, true)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| format!("{words} is no text; write it to a file with e"))?;
    common.copy(words, text);
    Ok(())
}

fn export(
    what: What,
    stored: &Stored,
    attempt: Option<usize>,
    common: &mut Common,
) -> Result<(), String> {
    let bytes = made(what, stored, attempt, common.wall_us, false)?;
    let form = |bytes: &[u8]| match body::form(bytes) {
        body::Form::Json(_) => "json",
        body::Form::Events => "sse",
        body::Form::Text(_) | body::Form::Empty => "txt",
        body::Form::Binary => "bin",
    };
    let end = match what {
        What::Id | What::Answer => "txt".to_owned(),
        What::Json => "json".to_owned(),
        What::Har => "har".to_owned(),
        What::Markdown => "md".to_owned(),
        What::Curl => "sh".to_owned(),
        What::Request => format!("request.{}", form(&bytes)),
        What::Response => format!("response.{}", form(&bytes)),
    };
    let number = attempt.map(|at| format!(".attempt-{}", at + 1)).unwrap_or_default();
    let name = format!("{}{number}.{end}", name(&stored.row.id));
    common.effects.push(Effect::Write { name, bytes });
    Ok(())
}

/// An id as the name of a file: whatever a gateway says its ids are, it leads out of no folder.
fn name(id: &str) -> String {
    let tame = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    id.chars().take(64).map(tame).collect()
}

fn made(
    what: What,
    stored: &Stored,
    attempt: Option<usize>,
    now_us: i64,
    decoded: bool,
) -> Result<Vec<u8>, String> {
    let leg = |leg: Leg| raw::bytes(stored, leg, decoded).map(|found| found.bytes.into_owned());
    match what {
        What::Id => Ok(stored.row.id.clone().into_bytes()),
        What::Curl => {
            let side = attempt.map_or(curl::Side::Client, curl::Side::Upstream);
            curl::text(stored, side).map(|text| format!("{}\n", text.trim_end()).into_bytes())
        }
        What::Json => serde_json::to_vec_pretty(&exchange_json::document(stored))
            .map_err(|error| error.to_string()),
        What::Har => {
            let write = || {
                let mut exporter = Exporter::begin(Vec::new(), Format::Har, now_us)?;
                exporter.push(stored.clone())?;
                exporter.finish().map(|(_, bytes)| bytes)
            };
            write().map_err(|error: std::io::Error| error.to_string())
        }
        What::Markdown => Ok(markdown::text(stored).into_bytes()),
        What::Answer => answer(stored).map(String::into_bytes),
        What::Request => leg(match attempt {
            None => Leg::Request,
            one => Leg::UpstreamRequest(one),
        }),
        What::Response => leg(match attempt {
            None => Leg::Response,
            one => Leg::UpstreamResponse(one),
        }),
    }
}

/// What the model said, without reasoning; its tool calls where it said nothing.
fn answer(stored: &Stored) -> Result<String, String> {
    let whole = body::best_answer(stored).ok_or("there is no answer, or it was not kept")?;
    let clear = body::clear(whole);
    let messages = body::answered(stored, &clear).unwrap_or_default();
    let text = said(&messages, |part| match part {
        Part::Text(text) => Some(text.clone()),
        _ => None,
    });
    let calls = said(&messages, |part| match part {
        Part::ToolCall { name, arguments, .. } => Some(format!("{name} {arguments}")),
        _ => None,
    });
    match (text.is_empty(), calls.is_empty(), std::str::from_utf8(&clear)) {
        (false, ..) => Ok(text),
        (true, false, _) => Ok(calls),
        (true, true, Ok(text)) => Ok(text.to_owned()),
        (true, true, Err(_)) => Err("the answer has no text".to_owned()),
    }
}

fn said(messages: &[Message], of: impl Fn(&Part) -> Option<String>) -> String {
    let parts = messages.iter().flat_map(|message| &message.parts);
    parts.filter_map(of).collect::<Vec<_>>().join("\n\n")
}

/// Pins it, or lets retention have it again. The lane is told when it is done.
pub fn pin(id: &str, pinned: bool, lane: Lane, common: &mut Common) {
    let method = if pinned { Method::Put } else { Method::Delete };
    common.ask(lane, Want::Do { method, path: format!("exchanges/{id}/pin"), body: None });
    let words = if pinned { "pinned: retention leaves it alone" } else { "no longer pinned" };
    common.say(Tone::Good, words);
}

/// Asks for a label; [`label`] understands what is typed.
pub fn label_prompt() -> Popup {
    popup::prompt("label", "name, name=0.9 or name and a note; -name takes it off", "", LABEL)
}

/// Does what was typed into the label's prompt; false: the choice is of something else. The lane is told when it is done.
pub fn label(id: &str, choice: &str, lane: Lane, common: &mut Common) -> bool {
    let Some(typed) = choice.strip_prefix(LABEL).and_then(|rest| rest.strip_prefix(':')) else {
        return false;
    };
    let typed = typed.trim();
    if let Some(name) = typed.strip_prefix('-').map(str::trim).filter(|name| !name.is_empty()) {
        let path = format!("exchanges/{id}/labels/{}", escaped(name));
        common.ask(lane, Want::Do { method: Method::Delete, path, body: None });
        return true;
    }
    let (word, note) = typed.split_once(char::is_whitespace).unwrap_or((typed, ""));
    let (name, score) = match word.split_once('=') {
        Some((name, score)) => (name, Some(score)),
        None => (word, None),
    };
    let score = match score.map(str::parse::<f64>) {
        None => None,
        Some(Ok(score)) => Some(score),
        Some(Err(_)) => {
            common.say(Tone::Bad, "the score behind = is no number; write name=0.9");
            return true;
        }
    };
    if name.is_empty() {
        return true;
    }
    let mut body = json!({ "name": name });
    if let Some(score) = score {
        body["score"] = json!(score);
    }
    if !note.trim().is_empty() {
        body["note"] = Value::from(note.trim());
    }
    let path = format!("exchanges/{id}/labels");
    common.ask(lane, Want::Do { method: Method::Post, path, body: Some(body) });
    true
}

/// The labels of an exchange in a few words.
pub fn labels(stored: &Stored) -> String {
    let told = stored.labels.iter().map(|label| {
        let score = label.score.map(|score| format!("={score}")).unwrap_or_default();
        let of = if label.on == LabelOn::Session { " (session)" } else { "" };
        format!("{}{score}{of}", label.name)
    });
    clean_line(&told.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::exchange::fixture;
    use crate::tui::common::Prefs;
    use crate::tui::screens::Screen;
    use crate::tui::theme::Theme;

    const DONE: Lane = Lane { screen: Screen::Exchange, name: "done" };

    fn common() -> Common {
        Common::new((80, 24), Theme::default(), String::new(), Prefs::default())
    }

    #[test]
    fn every_choice_of_the_menus_is_a_deed_that_ends_in_an_effect_or_a_reason() {
        for (_, stored) in fixture::all() {
            for (_, _, choice, _) in COPIES.iter().chain(&EXPORTS) {
                let mut common = common();
                deed(choice).unwrap().perform(&stored, None, &mut common);
                match common.effects.as_slice() {
                    [Effect::Copy(text)] => assert!(!text.is_empty(), "{choice}"),
                    [Effect::Write { name, bytes }] => {
                        assert!(name.starts_with(&stored.row.id) && !bytes.is_empty(), "{choice}");
                    }
                    [] => assert_eq!(common.notice.unwrap().tone, Tone::Bad, "{choice}"),
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(deed("something else"), None);
    }

    #[test]
    fn files_are_named_by_the_id_and_what_they_are() {
        let stored = fixture::all().into_iter().next().unwrap().1;
        let mut names = Vec::new();
        for (_, _, choice, _) in EXPORTS {
            let mut common = common();
            deed(choice).unwrap().perform(&stored, Some(1), &mut common);
            if let Some(Effect::Write { name, .. }) = common.effects.pop() {
                names.push(name.replace(&stored.row.id, "ID"));
            }
        }
        assert_eq!(
            names.join(" "),
            "ID.attempt-2.json ID.attempt-2.har ID.attempt-2.md ID.attempt-2.sh \
             ID.attempt-2.request.json ID.attempt-2.response.sse"
        );
        assert_eq!(name("../../etc/passwd"), "______etc_passwd");
    }

    #[test]
    fn labels_are_typed_in_one_line() {
        let asked = |typed: &str| {
            let mut common = common();
            assert!(label("ID", &format!("label:{typed}"), DONE, &mut common));
            match common.effects.pop() {
                Some(Effect::Ask { want: Want::Do { method, path, body }, .. }) => {
                    format!("{method:?} {path} {}", body.unwrap_or_default())
                }
                _ => common.notice.map(|notice| notice.words).unwrap_or_default(),
            }
        };
        for (typed, expected) in [
            ("good", r#"Post exchanges/ID/labels {"name":"good"}"#),
            (
                "good=0.5 found it",
                r#"Post exchanges/ID/labels {"name":"good","score":0.5,"note":"found it"}"#,
            ),
            ("-a/b", "Delete exchanges/ID/labels/a%2Fb null"),
            ("good=x", "the score behind = is no number; write name=0.9"),
            ("", ""),
        ] {
            assert_eq!(asked(typed), expected);
        }
        assert!(!label("ID", "copy id", DONE, &mut common()));
    }
}
