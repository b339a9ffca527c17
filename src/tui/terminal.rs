//! The terminal taken and given back: raw mode, the other screen, the clipboard. It comes back whole on every way out.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{execute, queue};

/// Limit: bytes of one copy; terminals take no more than some hundred thousand.
pub const COPY_MAX: usize = 100_000;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal, ours until dropped.
pub struct Screen {
    pub terminal: Terminal<CrosstermBackend<io::Stdout>>,
    /// What is on it now.
    shown: Option<Buffer>,
}

impl Screen {
    /// Takes it; a panic gives it back before it is told.
    pub fn take() -> io::Result<Self> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        let screen = Self { terminal, shown: None };
        claim()?;
        Ok(screen)
    }

    /// Draws one picture, shown at once or not at all. One that is there already costs the terminal nothing.
    pub fn draw(&mut self, view: impl FnOnce(&mut ratatui::Frame<'_>)) -> io::Result<()> {
        self.terminal.autoresize()?;
        view(&mut self.terminal.get_frame());
        let picture = self.terminal.current_buffer_mut();
        if self.shown.as_ref() == Some(&*picture) {
            picture.reset();
            return Ok(());
        }
        self.shown = Some(picture.clone());
        queue!(io::stdout(), BeginSynchronizedUpdate)?;
        self.terminal.flush()?;
        self.terminal.swap_buffers();
        execute!(io::stdout(), EndSynchronizedUpdate)
    }

    /// Takes it again after a suspension, and draws everything anew.
    pub fn retake(&mut self) -> io::Result<()> {
        claim()?;
        self.shown = None;
        self.terminal.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn claim() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide)
}

/// As it was before, if it is ours. Nothing can be done where that fails.
pub fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let _left = execute!(io::stdout(), DisableBracketedPaste, LeaveAlternateScreen, Show);
        let _cooked = disable_raw_mode();
    }
}

/// Whether it is ours: a panic in any thread gives it back.
pub fn is_taken() -> bool {
    TAKEN.load(Ordering::SeqCst)
}

/// Text into the clipboard of the terminal's own side, also over ssh: OSC 52.
pub fn copy(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    write!(out, "\u{1b}]52;c;{}\u{7}", BASE64_STANDARD.encode(text))?;
    out.flush()
}
