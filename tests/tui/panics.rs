//! Takes the terminal as the screens do, and panics: here, or in a thread that asks. Driven by `tests/tui/test_terminal.py`.
#![expect(clippy::panic, clippy::print_stderr, reason = "to panic is what it is for")]

use std::process::ExitCode;
use std::sync::Arc;

use pinhole::tui::ask::{Trouble, Want};
use pinhole::tui::common::Prefs;
use pinhole::tui::run::{self, Start};
use pinhole::tui::terminal::Screen;
use pinhole::tui::theme::Theme;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("here") {
        let _screen = Screen::take();
        panic!("on purpose");
    }
    let start = Start {
        asker: Arc::new(|want| match want {
            Want::Exchanges { .. } => panic!("on purpose"),
            _ => Err(Trouble::Refused { status: 404, detail: "not here".to_owned() }),
        }),
        theme: Theme::default(),
        source: String::new(),
        prefs: Prefs::default(),
        prefs_file: None,
    };
    match run::run(start) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
