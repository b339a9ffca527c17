//! Sending again: past runs; a form of targets, pace and cost before; progress meanwhile; the comparison after.
//!
//! ```text
//!  runs ──enter──► one run: progress, then comparison and pairs ──enter──► the screen `diff`
//!   │                ▲
//!   └─r─► form ──S, y┘      exchanges, sessions ──r──► form
//! ```

mod form;
mod form_view;
mod pairs;
mod runs;
mod told;
mod watch;

use ratatui::Frame;
use ratatui::layout::Rect;
use serde_json::Value;

use crate::report::look::{Tone, clean_line};
use crate::tui::ask::{Answer, Lane, Result, Trouble};
use crate::tui::common::{Common, Effect, Go, Scene};
use crate::tui::keys::{Action, Scope};
use crate::tui::screens::Screen;
use form::Form;
use runs::Runs;
use watch::Watch;

/// What of it is seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Runs,
    Form,
    Watch,
}

/// Its state.
#[derive(Debug, Default)]
pub struct Replay {
    part: Part,
    /// Another screen led here, and back leads there.
    is_visited: bool,
    /// What is seen was just asked for and has asked its questions.
    is_fresh: bool,
    runs: Runs,
    form: Form,
    watch: Watch,
}

impl Replay {
    /// Chooses targets for what the query finds.
    pub fn prepare(&mut self, from: &str, count: Option<usize>, common: &mut Common) {
        (self.part, self.is_visited, self.is_fresh) = (Part::Form, true, true);
        self.form.prepare(from, count, common);
    }

    /// Shows a run.
    pub fn show(&mut self, id: &str, common: &mut Common) {
        (self.part, self.is_visited, self.is_fresh) = (Part::Watch, true, true);
        self.watch.open(id, common);
    }

    fn to_runs(&mut self, common: &mut Common) {
        (self.part, self.is_visited) = (Part::Runs, false);
        self.form.editor = None;
        self.runs.read(common);
    }

    fn back(&mut self, common: &mut Common) {
        if std::mem::take(&mut self.is_visited) {
            common.go.push(Go::Back);
            self.part = Part::Runs;
        } else {
            self.to_runs(common);
        }
    }

    /// A new plan, over the recordings of what is seen.
    fn anew(&mut self, common: &mut Common) {
        let from = match self.part {
            Part::Runs => self.runs.selected().map(|run| run.from.clone()),
            Part::Watch => self.watch.from().map(str::to_owned),
            Part::Form => return,
        };
        self.part = Part::Form;
        self.form.prepare(&from.unwrap_or_default(), None, common);
    }

    fn in_runs(&mut self, action: Action, common: &mut Common) -> bool {
        match action {
            Action::Open | Action::Right => {
                if let Some(id) = self.runs.selected().map(|run| run.run_id.clone()) {
                    self.part = Part::Watch;
                    self.watch.open(&id, common);
                }
            }
            Action::Stop => match self.runs.selected().filter(|run| run.is_sent()) {
                Some(run) => {
                    let id = run.run_id.clone();
                    self.part = Part::Watch;
                    self.watch.open(&id, common);
                    self.watch.act(Action::Stop, common);
                }
                None => common.say(Tone::Odd, "this gateway is not sending that run"),
            },
            Action::Replay => self.anew(common),
            _ => return self.runs.act(action, common),
        }
        true
    }

    fn json(&mut self, lane: Lane, answer: Value, common: &mut Common) {
        match lane {
            runs::LIST => self.runs.told(answer, common),
            form::OFFERS => self.form.offered(answer),
            form::DRY => self.form.worked_out(answer),
            form::SEND => {
                self.form.is_sending = false;
                let id = answer.get("run_id").and_then(Value::as_str).map(str::to_owned);
                if let Some(id) = id {
                    common.say(Tone::Good, "the run has begun");
                    self.part = Part::Watch;
                    self.watch.open(&id, common);
                }
            }
            watch::ONE => self.watch.told(answer, common),
            watch::PAIRS => self.watch.told_pairs(answer, common),
            watch::STOP => {
                common.say(Tone::Good, "it is being stopped; what came back is reported");
                self.watch.read(common);
            }
            _ => {}
        }
    }

    fn refused(&mut self, lane: Lane, trouble: &Trouble, common: &mut Common) {
        let words = clean_line(trouble.words());
        match lane {
            runs::LIST => self.runs.refused(&words),
            form::OFFERS | form::DRY => self.form.trouble = Some(words),
            form::SEND => {
                self.form.is_sending = false;
                self.form.trouble = Some(words);
            }
            watch::ONE => self.watch.refused(&words),
            watch::PAIRS => self.watch.refused_pairs(&words),
            _ => common.say(Tone::Bad, words),
        }
    }
}

impl Scene for Replay {
    fn entered(&mut self, common: &mut Common) {
        if std::mem::take(&mut self.is_fresh) {
            return;
        }
        match self.part {
            Part::Runs => self.runs.read(common),
            Part::Form => self.form.read(common),
            Part::Watch => self.watch.read(common),
        }
    }

    fn scopes(&self) -> Vec<Scope> {
        match self.part {
            Part::Runs => vec![Scope::Runs, Scope::List],
            Part::Form => vec![Scope::Form],
            Part::Watch => self.watch.scopes(),
        }
    }

    fn is_typing(&self) -> bool {
        match self.part {
            Part::Runs => false,
            Part::Form => self.form.editor.is_some(),
            Part::Watch => self.watch.editor.is_some(),
        }
    }

    fn typed(&mut self, key: &str, character: Option<char>, common: &mut Common) {
        match self.part {
            Part::Runs => {}
            Part::Form => self.form.typed(key, character),
            Part::Watch => self.watch.typed(key, character, common),
        }
    }

    fn pasted(&mut self, text: &str, _common: &mut Common) {
        match self.part {
            Part::Runs => {}
            Part::Form => self.form.pasted(text),
            Part::Watch => {
                if let Some(editor) = &mut self.watch.editor {
                    editor.insert(text);
                }
            }
        }
    }

    fn act(&mut self, action: Action, common: &mut Common) -> bool {
        if action == Action::Screen(Screen::Replay) {
            self.to_runs(common);
            return true;
        }
        let done = match self.part {
            Part::Runs => return self.in_runs(action, common),
            Part::Form => self.form.act(action, common),
            Part::Watch if action == Action::Replay => {
                self.anew(common);
                true
            }
            Part::Watch => self.watch.act(action, common),
        };
        match action {
            _ if done => true,
            Action::Back | Action::Quit | Action::Left => {
                self.back(common);
                true
            }
            _ => false,
        }
    }

    fn chosen(&mut self, choice: &str, common: &mut Common) {
        let _known = match self.part {
            Part::Runs => false,
            Part::Form => self.form.chosen(choice, common),
            Part::Watch => self.watch.chosen(choice, common),
        };
    }

    fn answered(&mut self, lane: Lane, answer: Result<Answer>, common: &mut Common) {
        match answer {
            Ok(Answer::Json(answer)) => self.json(lane, answer, common),
            Ok(Answer::Text(text)) => {
                let effect = Effect::Write { name: self.watch.file(), bytes: text.into_bytes() };
                common.effects.push(effect);
            }
            Ok(_) => {}
            Err(trouble) => self.refused(lane, &trouble, common),
        }
    }

    fn tick(&mut self, common: &mut Common) -> bool {
        match self.part {
            Part::Runs => self.runs.tick(common),
            Part::Form => return self.form.tick(common),
            Part::Watch => self.watch.tick(common),
        }
        false
    }

    fn resized(&mut self, common: &mut Common) {
        self.runs.resized(common);
        self.watch.render(common);
    }

    fn chips(&self, _common: &Common) -> Vec<(Tone, String)> {
        let words = match self.part {
            Part::Runs => "runs",
            Part::Form => "choose targets",
            Part::Watch if self.watch.is_over() => "comparison",
            Part::Watch => "on its way",
        };
        vec![(Tone::Strong, words.to_owned())]
    }

    fn view(&self, frame: &mut Frame<'_>, area: Rect, common: &Common) {
        match self.part {
            Part::Runs => self.runs.view(frame, area, common),
            Part::Form => self.form.view(frame, area, common),
            Part::Watch => self.watch.view(frame, area, common),
        }
    }
}
