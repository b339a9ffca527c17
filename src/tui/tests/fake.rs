//! A gateway made up: a few sessions, failures among them, answers to every question of the screens.

use serde_json::{Value, json};

use super::fake_replay;
use crate::report::exchange::fixture;
use crate::report::exchange_json::{document, read};
use crate::store::query::sessions::Session;
use crate::store::stored::{Listed, Stored};
use crate::tui::ask::{Answer, Part, Result, Trouble, Want};

/// 2026-11-20 12:00:00 UTC.
pub(super) const NOW_US: i64 = 1_795_176_000_000_000;

/// What it has, and what it was asked.
pub(in crate::tui) struct Fake {
    pub(super) rows: Vec<Listed>,
    pub(super) stored: Vec<Stored>,
    /// What is asked of a single exchange.
    pub(super) exchange: super::fake_exchange::Own,
    pub(super) asked: Vec<Want>,
    /// What `/api/live` answers.
    pub(super) live: Value,
    /// Nobody answers.
    pub(super) gone: bool,
}

impl Default for Fake {
    fn default() -> Self {
        let stored: Vec<Stored> = fixture::all().into_iter().map(|(_, stored)| stored).collect();
        let mut rows = Vec::new();
        for at in 0..400i64 {
            let mut row = stored[usize::try_from(at).unwrap() % stored.len()].row.clone();
            row.seq = at + 1;
            row.started_at_us = NOW_US - (400 - at) * 1_700_000;
            if at >= i64::try_from(stored.len()).unwrap() {
                row.id = format!("019aa1c2-{at:04x}-7c3e-9a40-3f0b6c1d2e5f");
            }
            row.session_id = Some(format!("session-{}", at % 7));
            rows.push(row);
        }
        // The ones that can be opened are the newest.
        rows.rotate_left(stored.len());
        for (at, row) in rows.iter_mut().enumerate() {
            row.seq = i64::try_from(at).unwrap() + 1;
            row.started_at_us = NOW_US - (400 - row.seq) * 1_700_000;
        }
        let exchange = super::fake_exchange::Own::default();
        let live = json!({ "exchanges": [] });
        Self { rows, stored, exchange, asked: Vec::new(), live, gone: false }
    }
}

impl Fake {
    pub(super) fn answer(&mut self, want: &Want) -> Result<Answer> {
        self.asked.push(want.clone());
        if self.gone {
            return Err(Trouble::Gone(
                "no gateway answers at http://127.0.0.1:9464: refused".to_owned(),
            ));
        }
        match want {
            Want::Exchanges { filter, part, limit } => self.exchanges(filter, *part, *limit),
            Want::Sessions { .. } => Ok(Answer::Sessions { rows: sessions(), next: None }),
            Want::Exchange { id } => {
                if self.exchange.runs(id) {
                    let detail = format!("no exchange has the id `{id}`");
                    return Err(Trouble::Refused { status: 404, detail });
                }
                let found = self.stored.iter().find(|stored| stored.row.id == *id);
                let stored = found.or(self.stored.first()).map(document);
                match stored.map(read::stored) {
                    Some(Ok(stored)) => Ok(Answer::Exchange(Box::new(stored))),
                    _ => Err(Trouble::Refused { status: 404, detail: "there is none".to_owned() }),
                }
            }
            Want::Get { path } if path == "live" => Ok(Answer::Json(self.live.clone())),
            Want::Get { path } if path.starts_with("exchanges/count") => {
                Ok(Answer::Json(json!({ "count": self.rows.len(), "next": null })))
            }
            Want::Get { path } if path.starts_with("exchanges?") => {
                let rows: Vec<Value> =
                    self.rows.iter().map(crate::report::exchange::list::json).collect();
                Ok(Answer::Json(json!({ "exchanges": rows, "next": null, "among": rows.len() })))
            }
            Want::Get { path } => match self.exchange.get(path) {
                Some(answer) => answer.map(Answer::Json),
                None => get(path).map(Answer::Json),
            },
            Want::Text { path } => Ok(Answer::Text(format!("the text of {path}"))),
            Want::Do { path, body, .. } => fake_replay::done(path, body.as_ref()),
            Want::Health => Ok(Answer::Json(json!({ "status": "ok" }))),
        }
    }

    /// Filters know words alone: those that the model or the outcome has.
    fn exchanges(&self, filter: &str, part: Part, limit: usize) -> Result<Answer> {
        if filter.contains("modle") {
            let detail = "where: there is no field `modle`; the nearest is `model`".to_owned();
            return Err(Trouble::Refused { status: 400, detail });
        }
        let has = |row: &&Listed| {
            let model = row.model.clone().unwrap_or_default();
            filter.is_empty()
                || model.contains(filter)
                || row.outcome.contains(filter)
                || (filter.contains(':') && super::fake_lists::matches(filter, row))
        };
        let found: Vec<Listed> = self.rows.iter().filter(has).cloned().collect();
        let (rows, next) = match part {
            Part::Newest => page(found.into_iter().rev(), limit),
            Part::Before(seq) => page(found.into_iter().rev().filter(|row| row.seq < seq), limit),
            Part::After(seq) => {
                (found.into_iter().filter(|row| row.seq > seq).take(limit).collect(), None)
            }
        };
        Ok(Answer::Exchanges { rows, next })
    }
}

fn page(rows: impl Iterator<Item = Listed>, limit: usize) -> (Vec<Listed>, Option<i64>) {
    let rows: Vec<Listed> = rows.take(limit).collect();
    let next = rows.last().filter(|_| rows.len() == limit).map(|row| row.seq);
    (rows, next)
}

fn sessions() -> Vec<Session> {
    let one = |id: &str, parent: Option<&str>, exchanges: i64, errors: i64| Session {
        id: id.to_owned(),
        parent: parent.map(str::to_owned),
        first_us: NOW_US - exchanges * 60_000_000,
        last_us: NOW_US - exchanges * 1_000_000,
        exchanges,
        errors,
        input_tokens: exchanges * 1_200,
        output_tokens: exchanges * 90,
        cache_read_tokens: exchanges * 700,
        cost_nanousd: exchanges * 1_500_000,
        models: vec!["claude-opus-4-1".to_owned()],
        agents: vec!["claude-code".to_owned()],
        turns: exchanges - 1,
        users: vec!["ada".to_owned()],
        clients: vec!["127.0.0.1".to_owned()],
        signals: [("prefix_changed".to_owned(), errors)]
            .into_iter()
            .filter(|one| one.1 > 0)
            .collect(),
        seq: 400 - exchanges,
        ..Session::default()
    };
    vec![
        one("fix-login-test", None, 12, 1),
        one("fix-login-test/search", Some("fix-login-test"), 5, 0),
        one("port-to-async", None, 31, 0),
        one("日本語の会話", None, 40, 3),
    ]
}

/// What the operations API answers to everything else. Screens add what they ask for.
fn get(path: &str) -> Result<Value> {
    match path.split('?').next().unwrap_or_default() {
        "live" => Ok(super::fake_overview::live()),
        "overview" => Ok(super::fake_overview::overview(path)),
        first if first.starts_with("runs") || first == "targets" => fake_replay::get(path),
        "capture" => Ok(
            json!({ "level": "full", "most": "full", "configured": "full", "switched": false, "until_us": null, "store": true }),
        ),
        _ => Err(Trouble::Refused { status: 404, detail: format!("there is no /api/{path}") }),
    }
}
