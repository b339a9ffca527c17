//! The screen of one exchange, by its keys.

use super::fake_exchange::RUNNING;
use super::{SIZES, Stage, golden};
use crate::tui::ask::{Method, Want};
use crate::tui::common::{Effect, Go};
use crate::tui::screens::Screen;

const PIECES: [&str; 3] = [
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"It grows \"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"as it \"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"comes.\"}}]}\n\n",
];

/// The one that was tried twice, with tools, reasoning and an image, is open.
fn open(size: (u16, u16)) -> Stage {
    open_nth(size, 0)
}

fn open_nth(size: (u16, u16), at: usize) -> Stage {
    let mut stage = Stage::new(size);
    let id = stage.fake.stored[at].row.id.clone();
    go(&mut stage, &id);
    stage
}

fn go(stage: &mut Stage, id: &str) {
    stage.state.common.go.push(Go::Exchange { id: id.to_owned(), tab: None });
    stage.wait(250);
}

#[test]
fn every_tab_looks_as_it_did() {
    let tabs = [
        ("conversation", ""),
        ("conversation_open", "z z"),
        ("request", "tab"),
        ("response", "tab tab ] ] j enter"),
        ("headers", "right right right"),
        ("timeline", "tab tab tab tab"),
        ("raw", "backtab backtab backtab"),
        ("diagnosis", "D"),
        ("summary", "backtab"),
        ("search", "/ 'store'"),
        ("copy", "y"),
    ];
    for size in SIZES {
        for (name, keys) in tabs {
            let mut stage = open(size);
            stage.keys(keys);
            golden::check(&format!("exchange_{name}"), &stage.picture());
        }
    }
    let mut stage = open_nth((80, 24), 4);
    stage.keys("tab tab");
    golden::check("exchange_binary", &stage.picture());
}

#[test]
fn a_search_goes_through_what_is_folded() {
    let mut stage = open((80, 24));
    stage.keys("z / 'case'");
    assert!(stage.text().contains("/case"), "{}", stage.text());
    stage.keys("enter");
    assert!(stage.text().contains("/case 1 of "), "{}", stage.text());
    stage.keys("n");
    assert!(stage.text().contains("/case 2 of "), "{}", stage.text());
    stage.keys("esc");
    assert!(!stage.text().contains("/case"));
    stage.keys("/ 'nowhere' enter");
    assert!(stage.text().contains("nowhere is not here"), "{}", stage.text());
}

#[test]
fn what_can_be_done_with_it_is_one_key_away() {
    let mut stage = open((120, 40));
    let id = stage.fake.stored[0].row.id.clone();
    stage.keys("y i");
    assert_eq!(stage.effects.pop(), Some(Effect::Copy(id.clone())));
    stage.keys("e m");
    let Some(Effect::Write { name, .. }) = stage.effects.pop() else { panic!("no file") };
    assert_eq!(name, format!("{id}.md"));
    stage.fake.asked.clear();
    stage.keys("p");
    let pin = Want::Do { method: Method::Put, path: format!("exchanges/{id}/pin"), body: None };
    assert_eq!(stage.fake.asked, [pin, Want::Exchange { id: id.clone() }], "and read again");
    stage.fake.asked.clear();
    stage.keys("l 'bad' enter");
    let told = serde_json::json!({ "name": "bad" });
    let path = format!("exchanges/{id}/labels");
    let label = Want::Do { method: Method::Post, path, body: Some(told) };
    assert_eq!(stage.fake.asked.first(), Some(&label));
    stage.keys("d");
    assert_eq!(stage.state.screen(), Screen::Diff);
    stage.keys("q r");
    assert_eq!(stage.state.screen(), Screen::Replay);
}

#[test]
fn attempts_are_chosen_and_their_legs_shown() {
    let mut stage = open((120, 40));
    stage.keys("tab ]");
    assert!(stage.text().contains("attempt 1 of 2"), "{}", stage.text());
    stage.keys("] ]");
    assert!(!stage.text().contains(" of 2"), "round to the client: {}", stage.text());
    stage.keys("[");
    assert!(stage.text().contains("attempt 2 of 2"), "{}", stage.text());
}

#[test]
fn one_that_runs_grows_and_turns_into_the_stored_one() {
    let mut stage = Stage::new((80, 24));
    stage.fake.exchange.pieces = Some(PIECES[..1].to_vec());
    go(&mut stage, RUNNING);
    assert!(stage.text().contains("It grows"), "{}", stage.text());
    assert!(stage.text().contains("for 3.10 s: 1 piece, the last"), "{}", stage.text());
    stage.fake.exchange.pieces = Some(PIECES.to_vec());
    stage.wait(500);
    assert!(stage.text().contains("It grows as it comes."), "{}", stage.text());
    golden::check("exchange_live", &stage.picture());
    stage.keys("p");
    assert!(stage.text().contains("it runs still"), "{}", stage.text());
    // It ends; what is stored is what the store answers from then on.
    stage.fake.exchange.pieces = None;
    stage.wait(1_000);
    assert!(!stage.text().contains("answering"), "{}", stage.text());
    stage.fake.asked.clear();
    stage.wait(2_000);
    assert!(stage.fake.asked.is_empty(), "nothing is asked of one that is stored");
}

#[test]
fn the_newest_that_runs_is_one_key_away() {
    let mut stage = Stage::new((80, 24));
    stage.fake.live = Some(serde_json::json!({ "exchanges": [] }));
    stage.keys("4 f");
    assert!(stage.text().contains("nothing runs now"), "{}", stage.text());
    stage.fake.exchange.pieces = Some(PIECES.to_vec());
    stage.fake.live = Some(serde_json::json!({ "exchanges": [{ "id": RUNNING }] }));
    stage.keys("f");
    assert!(stage.text().contains("It grows as it comes."), "{}", stage.text());
    stage.keys("f");
    assert!(!stage.text().contains("following"), "{}", stage.text());
}

#[test]
fn one_that_is_nowhere_is_said_in_the_words_of_the_gateway() {
    let mut stage = Stage::new((80, 24));
    stage.fake.stored.clear();
    go(&mut stage, "0badcafe");
    assert!(stage.text().contains("there is none"), "{}", stage.text());
}
