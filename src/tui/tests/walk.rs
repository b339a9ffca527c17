//! Walks through the screens by their keys.

use proptest::prelude::*;

use super::{SIZES, Stage, event, fake::Fake, golden, picture};
use crate::tui::common::Effect;
use crate::tui::keys::KEYS;
use crate::tui::state::Msg;
use crate::tui::theme::Theme;

#[test]
fn every_screen_looks_as_it_did_at_three_sizes() {
    for size in SIZES {
        for (name, keys) in [("exchanges", "3"), ("exchange", "3 enter"), ("filter", "3 / 'mod'")] {
            let mut stage = Stage::new(size);
            stage.keys(keys);
            golden::check(name, &stage.picture());
        }
    }
}

#[test]
fn pictures_of_the_documentation_are_current() {
    for (name, keys) in [("exchanges", "3"), ("exchange", "3 j j j j enter")] {
        let mut stage = Stage::new((120, 30));
        stage.keys(keys);
        golden::same(&format!("docs/img/tui-{name}.svg"), &picture::svg(&stage.picture()));
    }
}

#[test]
fn q_goes_up_one_level_and_quits_on_the_overview() {
    let mut stage = Stage::new((80, 24));
    stage.keys("3 enter q");
    assert!(stage.text().contains("3 exchanges"));
    stage.keys("q");
    assert!(stage.text().contains("1 overview"));
    assert!(stage.effects.is_empty());
    stage.keys("q");
    assert_eq!(stage.effects, [Effect::Quit]);
}

#[test]
fn a_gateway_that_goes_is_said_and_looked_for_until_it_is_back() {
    let mut stage = Stage::new((100, 24));
    stage.keys("3");
    stage.fake.gone = true;
    stage.wait(2_000);
    assert!(stage.text().contains("no gateway answers"), "{}", stage.text());
    stage.fake.gone = false;
    stage.wait(2_000);
    assert!(stage.text().contains("the gateway is back"), "{}", stage.text());
}

#[test]
fn ascii_is_ascii_and_no_colour_is_none() {
    let theme = Theme { colour: false, light: false, ascii: true };
    let mut stage = Stage::with((120, 40), theme, Fake::default());
    for keys in ["1", "2", "3", "enter", "tab", "5", "6", "7", "8", ":"] {
        stage.keys(keys);
        let picture = stage.picture();
        for cell in &picture.content {
            assert!(cell.symbol().is_ascii(), "{keys}: {}", cell.symbol());
            let plain = ratatui::style::Color::Reset;
            assert_eq!((cell.fg, cell.bg), (plain, plain), "{keys}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_keys_panic_and_every_picture_can_be_drawn(
        keys in proptest::collection::vec(0usize..90, 1..80),
        size in (20u16..160, 5u16..50),
    ) {
        let mut names: Vec<&str> = KEYS.iter().flat_map(|one| one.keys).copied().collect();
        names.extend(["a", "5", "y", "backspace", "left", "right", "x", ".", "é", "enter", "enter", "down"]);
        let mut stage = Stage::new((80, 24));
        for (at, key) in keys.into_iter().enumerate() {
            let name = names[key % names.len()];
            if name == "ctrl-z" {
                continue;
            }
            stage.send(Msg::Key(event(name)));
            if at % 9 == 0 {
                stage.send(Msg::Size(size.0, size.1));
                stage.wait(500);
            }
            stage.picture();
        }
    }
}
