//! The overview by its keys.

use serde_json::json;

use super::fake_overview::FAILED;
use super::{SIZES, Stage, golden, picture};
use crate::tui::ask::{Method, Want};
use crate::tui::screens::Screen;

fn asked(stage: &Stage, words: &str) -> usize {
    let is = |want: &&Want| matches!(want, Want::Get { path } if path.contains(words));
    stage.fake.asked.iter().filter(is).count()
}

fn filters(stage: &Stage) -> Vec<String> {
    let of = |want: &Want| match want {
        Want::Exchanges { filter, .. } => Some(filter.clone()),
        _ => None,
    };
    stage.fake.asked.iter().filter_map(of).collect()
}

#[test]
fn it_looks_as_it_did_at_three_sizes() {
    for size in SIZES {
        for (name, keys) in
            [("overview", ""), ("overview-capture", "C"), ("overview-running", "backtab j")]
        {
            let mut stage = Stage::new(size);
            stage.keys(keys);
            golden::check(name, &stage.picture());
        }
    }
}

#[test]
fn its_picture_in_the_documentation_is_current() {
    let stage = Stage::new((120, 30));
    golden::same("docs/img/tui-overview.svg", &picture::svg(&stage.picture()));
}

#[test]
fn one_key_leads_to_the_newest_failure_at_its_diagnosis() {
    let mut stage = Stage::new((80, 24));
    stage.keys("enter");
    assert_eq!(stage.state.screen(), Screen::Exchange);
    let id = format!("{}1", &FAILED[..FAILED.len() - 1]);
    assert!(stage.fake.asked.contains(&Want::Exchange { id }));
}

#[test]
fn signals_models_and_providers_lead_to_their_exchanges() {
    for (keys, filter) in [
        ("tab j enter", "signal:prefix_changed"),
        ("tab tab enter", "model:\"claude-opus-4-1\""),
        ("tab tab G enter", "-model:*"),
        ("tab tab tab j right", "provider:\"openai\""),
    ] {
        let mut stage = Stage::new((80, 24));
        stage.keys(keys);
        assert_eq!(stage.state.screen(), Screen::Exchanges, "{keys}");
        assert_eq!(filters(&stage).last().map(String::as_str), Some(filter), "{keys}");
    }
    let mut stage = Stage::new((80, 24));
    stage.keys("backtab j enter");
    let id = "019aa1c2-0e02-7c3e-9a40-3f0b6c1d2e5f".to_owned();
    assert!(stage.fake.asked.contains(&Want::Exchange { id }), "the one that runs");
}

#[test]
fn it_asks_again_and_again_and_cheaply() {
    let mut stage = Stage::new((80, 24));
    let whole = asked(&stage, "overview?window=1h");
    assert_eq!((whole, asked(&stage, "seq=400")), (1, 0));
    stage.wait(10_000);
    assert_eq!(asked(&stage, "overview?window=1h"), 1 + 10);
    assert_eq!(asked(&stage, "seq=400"), 10);
    stage.wait(10_000);
    assert_eq!(asked(&stage, "overview") - asked(&stage, "seq=400"), 2, "and now and then whole");
    stage.keys("w");
    assert_eq!(asked(&stage, "overview?window=6h"), 1);
    assert!(stage.text().contains("last 6 hours"));
}

#[test]
fn capture_is_switched_from_a_menu_and_off_wants_a_yes() {
    let switched = |stage: &Stage| -> Vec<serde_json::Value> {
        let of = |want: &Want| match want {
            Want::Do { method: Method::Put, path, body } if path == "capture" => body.clone(),
            _ => None,
        };
        stage.fake.asked.iter().filter_map(of).collect()
    };
    let mut stage = Stage::new((80, 24));
    stage.keys("C 1");
    assert_eq!(switched(&stage), [json!({ "level": "full", "for": "10m" })]);
    assert!(stage.text().contains("the capture level is switched"));
    stage.keys("C c C o");
    assert!(stage.text().contains("capture nothing?"), "{}", stage.text());
    stage.keys("n C 5 y C o y");
    let expected = [
        json!({ "level": null }),
        json!({ "level": "off", "for": "10m" }),
        json!({ "level": "off" }),
    ];
    assert_eq!(switched(&stage)[1..], expected);
}

#[test]
fn what_is_lost_is_said_first() {
    let stage = Stage::new((80, 24));
    let text = stage.text();
    assert!(text.contains("31 bodies shed"), "{text}");
    assert!(!text.contains("nothing lost"), "{text}");
    assert!(text.contains("slowest"), "{text}");
}
