//! Walks through sessions, exchanges, comparisons and help.

use serde_json::json;

use super::fake::{Fake, NOW_US};
use super::{SIZES, Stage, golden};
use crate::tui::common::Effect;
use crate::tui::theme::Theme;

fn stage(size: (u16, u16)) -> Stage {
    Stage::with(size, Theme::default(), Fake::with_turns())
}

fn keys(size: (u16, u16), keys: &str) -> Stage {
    let mut stage = stage(size);
    stage.keys(keys);
    stage
}

#[test]
fn the_lists_and_their_menus_look_as_they_did() {
    for size in SIZES {
        for (name, walk) in [
            ("sessions", "2"),
            ("help", "3 ?"),
            ("lists", "3"),
            ("query", "3 / 's' 'ignal:pre' tab"),
            ("query_wrong", "3 / 'modle:x'"),
            ("views", "3 v"),
            ("columns", "3 c"),
            ("diff_turns", "3 j d"),
            ("diff_answers", "3 m j j m d tab"),
            ("diff_times", "3 m j j m d tab tab"),
            ("diff_all", "3 m j j m d"),
        ] {
            golden::check(name, &keys(size, walk).picture());
        }
    }
}

#[test]
fn the_failing_call_is_found_in_three_keys() {
    let mut stage = keys((100, 24), "3 v f");
    let text = stage.text();
    assert!(text.contains("/-outcome:complete"), "{text}");
    let rows: Vec<&str> = text.lines().skip(2).filter(|line| line.contains(':')).collect();
    assert!(rows.len() > 10 && rows.iter().all(|row| !row.contains(" 200  ")), "{text}");
    stage.keys("enter");
    assert!(stage.text().contains("4 exchange"));
    stage.keys("q esc");
    assert!(!stage.text().contains("/-outcome"), "esc shows everything again");
}

#[test]
fn what_broke_the_cache_is_found_in_four_keys() {
    let stage = keys((100, 30), "3 v c d");
    let text = stage.text();
    assert!(text.contains("The prompt's beginning changed"), "{text}");
    assert!(text.contains("2026-11-19") && text.contains("2026-11-20"), "{text}");
}

#[test]
fn turns_are_walked_along_and_differences_are_gone_through() {
    let mut stage = keys((100, 14), "3 j d");
    stage.keys("[");
    let text = stage.text();
    assert!(text.contains("019aa1d0-0001-7c3e") && text.contains("019aa1d0-0002-7c3e"), "{text}");
    stage.keys("]");
    assert!(stage.text().contains("019aa1d0-0003-7c3e"));
    let before = stage.text();
    stage.keys("n");
    assert_ne!(before, stage.text());
    stage.keys("[ [");
    assert!(stage.text().contains("first turn of its session"), "{}", stage.text());
    stage.keys("q");
    assert!(stage.text().contains("3 exchanges"));
}

#[test]
fn a_query_that_is_wrong_says_the_nearest_name_and_is_not_asked() {
    let mut stage = keys((100, 24), "3 / 'modle:gpt'");
    assert!(stage.text().contains("did you mean `model`?"), "{}", stage.text());
    let asked = stage.fake.asked.len();
    stage.keys("enter");
    assert_eq!(stage.fake.asked.len(), asked);
    stage.keys("esc");
    assert!(!stage.text().contains("modle"));
}

#[test]
fn a_query_is_kept_under_a_name_and_removed_when_it_is_confirmed() {
    let mut stage = keys((100, 30), "3 / 'model:gpt-5' enter v w 'mine' enter v");
    assert!(stage.text().contains("mine "), "{}", stage.text());
    let kept = stage.effects.iter().rev().find_map(|effect| match effect {
        Effect::Keep(prefs) => Some(prefs.clone()),
        _ => None,
    });
    let kept = kept.unwrap();
    assert_eq!(kept.views, [("mine".to_owned(), "model:gpt-5".to_owned())]);
    assert_eq!(kept.history, ["model:gpt-5"]);
    stage.keys("esc esc v 1");
    assert!(stage.text().contains("/model:gpt-5"), "{}", stage.text());
    stage.keys("v x enter n v");
    assert!(stage.text().contains("mine "), "a no is a no");
    stage.keys("x enter y v");
    assert!(!stage.text().contains("mine "), "{}", stage.text());
}

#[test]
fn columns_are_chosen_and_kept() {
    let mut stage = keys((140, 40), "3 c");
    stage.keys("j enter");
    assert!(stage.text().contains("✓ id"), "{}", stage.text());
    stage.keys("esc");
    assert!(stage.text().lines().nth(1).unwrap().contains("started  id"), "{}", stage.text());
    assert!(stage.state.common.prefs.columns.contains(&"id".to_owned()));
}

#[test]
fn what_runs_stands_above_the_list_while_it_follows() {
    let mut stage = stage((100, 24));
    stage.fake.live = json!({ "exchanges": [
        { "id": "run-1", "started_at_us": NOW_US - 61_000_000, "age_us": 61_000_000, "phase": "streaming", "model": "slow-1" },
        { "id": "run-2", "started_at_us": NOW_US - 1_000_000, "age_us": 1_000_000, "phase": "waiting", "model": "fast-1" },
    ]});
    stage.keys("3");
    stage.wait(1_500);
    let text = stage.text();
    let line = |name: &str| text.lines().position(|line| line.contains(name));
    assert_eq!((line("fast-1"), line("slow-1")), (Some(2), Some(3)), "{text}");
    assert!(text.contains("2 running"));
    stage.wait(250);
    assert_ne!(text, stage.text(), "their age grows");
    stage.keys("k enter");
    assert!(stage.fake.asked.iter().any(|want| format!("{want:?}").contains("run-1")));
    stage.keys("q j j");
    assert!(!stage.text().contains("slow-1"), "it does not follow any more");
    assert!(!stage.text().contains("following"));
    stage.keys("g");
    stage.wait(1_500);
    assert!(stage.text().contains("following") && stage.text().contains("slow-1"));
}

#[test]
fn failures_are_gone_to_beyond_what_is_held() {
    let mut fake = Fake::with_turns();
    for row in &mut fake.rows {
        row.outcome = "complete".to_owned();
    }
    fake.rows[20].outcome = "timeout".to_owned();
    let id = fake.rows[20].id.clone();
    let mut stage = Stage::with((160, 24), Theme::default(), fake);
    stage.keys("3 n");
    stage.keys("y i");
    assert!(stage.effects.contains(&Effect::Copy(id)), "{:?}", stage.effects);
    stage.keys("n");
    assert!(stage.text().contains("no failure below"));
    stage.keys("G N y i");
    assert_eq!(stage.effects.len(), 2);
}

#[test]
fn sorting_asks_for_what_is_greatest_and_says_of_what() {
    let mut stage = keys((120, 24), "3 s c");
    let text = stage.text();
    assert!(text.contains("by cost, of the newest 404") && !text.contains("following"), "{text}");
    stage.keys("esc");
    assert!(stage.text().contains("following"));
}

#[test]
fn sessions_fold_and_open_their_exchanges() {
    let mut stage = keys((120, 24), "2");
    let text = stage.text();
    assert!(text.contains("▾ fix-login-test") && text.contains("└ /search"), "{text}");
    stage.keys("left");
    assert!(stage.text().contains("▸ fix-login-test (+1)"), "{}", stage.text());
    assert!(!stage.text().contains("└ /search"));
    stage.keys("right");
    assert!(stage.text().contains("└ /search"));
    stage.keys("enter");
    let text = stage.text();
    assert!(text.contains("3 exchanges") && text.contains("/session:fix-login-test"), "{text}");
    stage.keys("esc");
    assert!(stage.text().contains("2 sessions"), "back where it came from");
    stage.keys("s e");
    assert!(stage.text().contains("by errors, of the 4"), "{}", stage.text());
}

#[test]
fn help_begins_with_the_keys_of_where_it_was_asked_for_and_is_searched() {
    let mut stage = keys((80, 24), "3 ?");
    assert!(stage.text().lines().nth(1).unwrap().contains("On 3 exchanges"), "{}", stage.text());
    stage.keys("/ 'prefix' esc / 'reasoning' enter");
    assert!(stage.text().contains("tokens.reasoning"), "{}", stage.text());
    stage.keys("?");
    assert!(stage.text().contains("3 exchanges"));
}
