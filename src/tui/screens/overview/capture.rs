//! How much is captured, chosen from a menu: the overview and the screen of providers have it.

use serde_json::{Value, json};

use crate::report::look::Tone;
use crate::tui::ask::{Lane, Method, Result, Want};
use crate::tui::common::Common;
use crate::tui::parts::popup;

/// What a choice of this menu begins with.
const CHOICE: &str = "capture ";

/// Opens it.
pub fn menu(common: &mut Common) {
    common.popup = Some(popup::menu(
        "capture from now on",
        &[
            ("f", "full: bodies, headers, timing", "capture full"),
            ("1", "full for 10 minutes", "capture full 10m"),
            ("2", "full for an hour", "capture full 1h"),
            ("h", "headers, and no bodies", "capture headers"),
            ("m", "meta: one record an exchange", "capture meta"),
            ("o", "off: nothing", "capture off"),
            ("5", "off for 10 minutes", "capture off 10m"),
            ("c", "as the configuration has it", "capture configured"),
        ],
    ));
}

/// Whether that was a choice of it; asks in `lane` for what was chosen.
pub fn chosen(choice: &str, lane: Lane, common: &mut Common) -> bool {
    let Some(choice) = choice.strip_prefix(CHOICE) else { return false };
    let mut words = choice.split(' ');
    let (level, duration) = (words.next().unwrap_or_default(), words.next());
    if level == "off" && duration != Some("yes") && !choice.ends_with(" yes") {
        let length = match duration {
            Some(duration) => format!("for {duration}"),
            None => "until it is switched again, or the gateway restarts".to_owned(),
        };
        let question = [
            "capture nothing?".to_owned(),
            format!("Exchanges leave no record {length}."),
            "They are counted in metrics all the same.".to_owned(),
        ];
        let lines: Vec<&str> = question.iter().map(String::as_str).collect();
        common.popup = Some(popup::confirm(&lines, &format!("{CHOICE}{choice} yes")));
        return true;
    }
    let level = if level == "configured" { Value::Null } else { level.into() };
    let mut body = json!({ "level": level });
    if let Some(duration) = duration.filter(|duration| *duration != "yes") {
        body["for"] = duration.into();
    }
    let path = "capture".to_owned();
    common.ask(lane, Want::Do { method: Method::Put, path, body: Some(body) });
    true
}

/// Says what came of it.
pub fn switched<T>(answer: &Result<T>, common: &mut Common) {
    match answer {
        Ok(_) => common.say(Tone::Good, "the capture level is switched"),
        Err(trouble) => {
            let words = trouble.words().to_owned();
            common.say(Tone::Bad, words);
        }
    }
}
