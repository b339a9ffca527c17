//! Walks through the replay screen: runs, form, progress, comparison.

use super::fake_replay::{GOING, WHOLE};
use super::{SIZES, Stage, golden};
use crate::tui::ask::{Method, Want};
use crate::tui::common::Effect;
use serde_json::{Value, json};

/// To the form with two targets chosen and the cost worked out.
const CHOSEN: &str = "6 r enter ctrl-u 'since:1d' enter tab / 'gpt' enter space j";

fn stage(size: (u16, u16), keys: &str) -> Stage {
    let mut stage = Stage::new(size);
    stage.keys(keys);
    stage.wait(1_000);
    stage
}

/// What was sent to `/api/replays`, dry or not.
fn posted(stage: &Stage) -> Vec<Value> {
    let body = |want: &Want| match want {
        Want::Do { method: Method::Post, path, body: Some(body) } if path == "replays" => {
            Some(body.clone())
        }
        _ => None,
    };
    stage.fake.asked.iter().filter_map(body).collect()
}

#[test]
fn it_looks_as_it_did_at_three_sizes() {
    for size in SIZES {
        for (name, keys) in [
            ("replay_runs", "6"),
            ("replay_form", CHOSEN),
            ("replay_form_refused", "6 r enter 'since:1d' enter a 'p/nobody' enter"),
            ("replay_progress", "6 enter"),
            ("replay_comparison", "6 j enter"),
            ("replay_pairs", "6 j enter tab"),
        ] {
            golden::check(name, &stage(size, keys).picture());
        }
    }
}

#[test]
fn nothing_is_sent_before_its_cost_was_agreed_to() {
    let mut stage = stage((100, 30), CHOSEN);
    let told = stage.text();
    assert!(told.contains("about $0.0123"), "{told}");
    assert!(told.contains("left out: 3 x the request's body was not kept"), "{told}");
    stage.keys("S");
    assert!(stage.text().contains("send 12 requests to 1 target?"), "{}", stage.text());
    assert!(stage.text().contains("no max cost is set"));
    stage.keys("n");
    assert!(posted(&stage).iter().all(|body| body["dry_run"] == true), "{:?}", posted(&stage));
    stage.keys("S y");
    let sent = posted(&stage).pop().unwrap();
    assert_eq!((&sent["yes"], &sent["dry_run"]), (&json!(true), &Value::Null));
    assert_eq!(sent["to"], json!(["openai/gpt-5"]));
    assert_eq!((&sent["from"], &sent["repeat"]), (&json!("since:1d"), &json!(1)));
    assert!(stage.text().contains(GOING) && stage.text().contains("16 of 48 answered"));
}

#[test]
fn marked_exchanges_go_to_the_targets_that_are_chosen_and_back_leads_back() {
    let mut stage = stage((100, 30), "3 m m r");
    assert!(stage.text().contains("2 exchanges chosen"), "{}", stage.text());
    stage.keys("a 'p/m?temperature=0' enter");
    stage.wait(1_000);
    let asked = posted(&stage).pop().unwrap();
    assert_eq!(asked["to"], json!(["p/m?temperature=0"]));
    assert!(asked["from"].as_str().unwrap().contains(" OR id:"), "{asked}");
    stage.keys("esc");
    assert!(stage.text().contains("3 exchanges"), "{}", stage.text());
}

#[test]
fn settings_are_chosen_and_written_and_are_in_the_plan() {
    let mut stage = stage((100, 30), CHOSEN);
    // At most 5, recorded twice as fast, repeated, cold, for no more than a dollar.
    stage.keys(
        "g j enter '5' enter j enter 2 j enter ctrl-u '3' enter j j enter c j j enter '1' enter",
    );
    stage.wait(1_000);
    let asked = posted(&stage).pop().unwrap();
    for (key, value) in [
        ("limit", json!(5)),
        ("pace", json!("recorded 2x")),
        ("repeat", json!(3)),
        ("cache", json!("cold")),
        ("max_cost", json!("1")),
        ("context", json!("verbatim")),
    ] {
        assert_eq!(asked[key], value, "{asked}");
    }
    stage.keys("S");
    assert!(stage.text().contains("before it costs more than $1"), "{}", stage.text());
}

#[test]
fn a_plan_that_cannot_be_sent_says_why_and_is_not_sent() {
    let mut stage = stage((100, 30), "6 r S");
    assert!(stage.text().contains("no recordings are chosen"), "{}", stage.text());
    stage.keys("enter 'since:1d' enter S");
    assert!(stage.text().contains("no target is chosen"), "{}", stage.text());
    stage.keys("a 'p/nobody' enter");
    stage.wait(1_000);
    assert!(stage.text().contains("no provider serves it"), "{}", stage.text());
    stage.keys("S");
    assert!(stage.text().contains("it cannot be sent as it stands"), "{}", stage.text());
    assert!(posted(&stage).iter().all(|body| body["dry_run"] == true));
}

#[test]
fn a_run_on_its_way_is_watched_and_stopped_by_a_yes() {
    let mut stage = stage((100, 30), "6 enter");
    let looks = |stage: &Stage| {
        let path = format!("runs/{GOING}");
        let is_look = |want: &&Want| matches!(want, Want::Get { path: own } if *own == path);
        stage.fake.asked.iter().filter(is_look).count()
    };
    let before = looks(&stage);
    stage.wait(5_000);
    assert!((before + 8..=before + 11).contains(&looks(&stage)), "{}", looks(&stage));
    stage.keys("x n");
    let stops = |stage: &Stage| {
        let is_stop = |want: &&Want| matches!(want, Want::Do { method: Method::Delete, .. });
        stage.fake.asked.iter().filter(is_stop).count()
    };
    assert_eq!(stops(&stage), 0);
    stage.keys("x y");
    assert_eq!(stops(&stage), 1);
    stage.keys("esc");
    assert!(stage.text().contains("running 33%"), "{}", stage.text());
}

#[test]
fn the_comparison_leads_to_any_pair_the_biggest_regressions_first() {
    let mut stage = stage((120, 40), "6 j enter");
    let told = stage.text();
    let place =
        |metric: &str| told.find(&format!("\n{metric} ")).or(told.find(&format!(" {metric} ")));
    assert!(place("ttft") < place("speed"), "{told}");
    for words in ["slower", "1.41x", "undecided", "smallest", "the schedule was kept"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    stage.keys("/ 'normalised' enter");
    assert!(stage.text().contains("normalised"));
    stage.keys("d j enter");
    assert!(stage.text().contains("5 diff"), "{}", stage.text());
    stage.keys("esc");
    assert!(stage.text().contains("biggest regressions of ttft first"), "{}", stage.text());
    assert!(!stage.text().contains('\u{1b}'));
    stage.keys("s enter");
    assert!(stage.text().contains("answers that differ most first"), "{}", stage.text());
}

#[test]
fn the_report_is_written_and_copied() {
    let mut stage = stage((100, 30), "6 j enter e h");
    let written = stage.effects.pop().unwrap();
    let Effect::Write { name, bytes } = written else { panic!("{written:?}") };
    assert_eq!(name, format!("replay-{WHOLE}.html"));
    assert_eq!(bytes, format!("the text of runs/{WHOLE}/report.html").into_bytes());
    stage.keys("y m");
    let copied = stage.effects.pop().unwrap();
    assert!(matches!(&copied, Effect::Copy(text) if text.contains("ttft")), "{copied:?}");
    stage.keys("y i");
    assert_eq!(stage.effects.pop(), Some(Effect::Copy(WHOLE.to_owned())));
}

#[test]
fn a_run_without_a_report_says_so_and_its_recordings_can_be_sent_again() {
    let mut stage = stage((100, 30), "6 G enter");
    assert!(stage.text().contains("broken off and can be resumed"), "{}", stage.text());
    stage.keys("esc k r");
    assert!(stage.text().contains("since:1d model:gpt-5*"), "{}", stage.text());
    stage.keys("esc");
    assert!(stage.text().contains("broken") || stage.text().contains("unfinished"));
}
