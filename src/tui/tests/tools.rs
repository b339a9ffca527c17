//! Tools, agents, providers, models and keys by their keys.

use super::{SIZES, Stage, golden, picture};
use crate::tui::ask::Want;
use crate::tui::screens::Screen;

#[test]
fn each_table_looks_as_it_did_at_three_sizes() {
    for size in SIZES {
        let mut stage = Stage::new(size);
        stage.keys("7");
        for name in ["tools", "agents", "providers", "models", "keys"] {
            golden::check(&format!("tools-{name}"), &stage.picture());
            stage.keys("tab");
        }
    }
}

#[test]
fn its_picture_in_the_documentation_is_current() {
    let mut stage = Stage::new((120, 30));
    stage.keys("7");
    golden::same("docs/img/tui-tools.svg", &picture::svg(&stage.picture()));
}

#[test]
fn rows_lead_to_their_exchanges_and_sorting_keeps_the_selection() {
    let filter = |keys: &str| {
        let mut stage = Stage::new((120, 40));
        stage.keys(keys);
        assert_eq!(stage.state.screen(), Screen::Exchanges, "{keys}");
        let of = |want: &Want| match want {
            Want::Exchanges { filter, .. } => Some(filter.clone()),
            _ => None,
        };
        stage.fake.asked.iter().rev().find_map(of).unwrap()
    };
    assert_eq!(filter("7 enter"), "tool:\"Bash\"");
    // By what failed, the patches come second; the cursor stays with the row it was on.
    assert_eq!(filter("7 s g j enter"), "tool:\"apply_patch\"");
    assert_eq!(filter("7 j s s enter"), "tool:\"Read\"");
    assert_eq!(filter("7 tab G enter"), "-agent:*");
    assert_eq!(filter("7 tab tab enter"), "provider:\"anthropic\"");
    assert_eq!(
        filter("7 backtab backtab enter"),
        "model:\"claude-opus-4-1\" provider:\"anthropic\""
    );
    assert_eq!(filter("7 backtab j enter"), "key:\"ci\"");
}

#[test]
fn the_window_is_asked_for_and_only_what_is_seen_is_read() {
    let mut stage = Stage::new((80, 24));
    stage.keys("7 w");
    stage.wait(4_500);
    let asked =
        |stage: &Stage, path: &str| stage.fake.asked.contains(&Want::Get { path: path.to_owned() });
    assert!(asked(&stage, "tools?window=6h&steps=24"));
    assert!(!asked(&stage, "providers"));
    stage.keys("backtab");
    assert!(asked(&stage, "usage?by=key&since=6h"));
    assert!(stage.text().contains("team-search"), "{}", stage.text());
}
