//! Colours: the sixteen of the terminal, so that its own scheme decides how they look; or none at all.

use ratatui::style::{Color, Modifier, Style};

use crate::report::look::Tone;

/// What the terminal takes and the user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    pub colour: bool,
    /// The background is light: yellow cannot be read on it.
    pub light: bool,
    /// Nothing but ASCII is drawn.
    pub ascii: bool,
}

impl Default for Theme {
    fn default() -> Self {
        Self { colour: true, light: false, ascii: false }
    }
}

impl Theme {
    /// What `NO_COLOR`, `TERM` and `COLORFGBG` say of the terminal.
    pub fn of(no_color: bool, term: &str, colorfgbg: Option<&str>, ascii: bool) -> Self {
        let background = colorfgbg.and_then(|told| told.rsplit(';').next()?.parse::<u8>().ok());
        Self {
            colour: !no_color && term != "dumb",
            // 7 and the bright ones but for bright black are light grounds.
            light: background.is_some_and(|ground| ground == 7 || (9..=15).contains(&ground)),
            ascii,
        }
    }

    fn fg(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn yellow(self) -> Color {
        if self.light { Color::Magenta } else { Color::Yellow }
    }

    pub fn tone(self, tone: Tone) -> Style {
        let bold = Modifier::BOLD;
        match tone {
            Tone::Plain => Style::new(),
            Tone::Strong => Style::new().add_modifier(bold),
            Tone::Dim => Style::new().add_modifier(Modifier::DIM),
            Tone::Good => self.fg(Color::Green),
            Tone::Odd => self.fg(self.yellow()),
            Tone::Bad => self.fg(Color::Red).add_modifier(bold),
            Tone::User => self.fg(Color::Cyan).add_modifier(bold),
            Tone::Assistant => self.fg(Color::Green).add_modifier(bold),
            Tone::System => self.fg(Color::Magenta).add_modifier(bold),
            Tone::Tool => self.fg(self.yellow()).add_modifier(bold),
        }
    }

    /// What an SGR number of the reports' texts looks like here.
    pub fn sgr(self, style: Style, code: u8) -> Style {
        match code {
            0 => Style::new(),
            1 => style.add_modifier(Modifier::BOLD),
            2 => style.add_modifier(Modifier::DIM),
            4 => style.add_modifier(Modifier::UNDERLINED),
            7 => style.add_modifier(Modifier::REVERSED),
            31 => style.patch(self.fg(Color::Red)),
            32 => style.patch(self.fg(Color::Green)),
            33 => style.patch(self.fg(self.yellow())),
            34 => style.patch(self.fg(Color::Blue)),
            35 => style.patch(self.fg(Color::Magenta)),
            36 => style.patch(self.fg(Color::Cyan)),
            _ => style,
        }
    }

    /// The line under the cursor.
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// A hit of a search.
    pub fn hit(self) -> Style {
        if self.colour {
            Style::new().fg(Color::Black).bg(Color::Yellow)
        } else {
            Style::new().add_modifier(Modifier::REVERSED | Modifier::UNDERLINED)
        }
    }

    /// A key in the footer and in menus.
    pub fn key(self) -> Style {
        self.fg(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// Lines and frames.
    pub fn line(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// The name of the screen.
    pub fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }

    /// Series of a chart.
    pub fn series(self, at: usize) -> Style {
        let colours = [Color::Cyan, Color::Green, self.yellow(), Color::Blue, Color::Red];
        self.fg(colours.get(at % colours.len()).copied().unwrap_or(Color::Cyan))
    }
}
