//! What the list asks the gateway for, and what it does with the answers.

use serde_json::Value;

use crate::report::exchange_json::read;
use crate::report::words;
use crate::store::query::Query;
use crate::store::query::page::By;
use crate::store::stored::Listed;
use crate::tui::ask::{Answer, Lane, Part, Result, Want, escaped};
use crate::tui::common::Common;
use crate::tui::parts::window::{PAGE, Window};
use crate::tui::screens::Screen;
use crate::tui::screens::exchanges::Exchanges;

const fn lane(name: &'static str) -> Lane {
    Lane { screen: Screen::Exchanges, name }
}

pub(super) const LIST: Lane = lane("list");
const MORE: Lane = lane("more");
const NEWS: Lane = lane("news");
const END: Lane = lane("end");
const JUMP: Lane = lane("jump");
const FAILURE: Lane = lane("failure");
const COUNT: Lane = lane("count");
const LIVE: Lane = lane("live");

/// How often news are asked for.
const NEWS_MS: u64 = 1_000;
/// Rows of a list that is sorted by something else than time.
const SORTED: usize = 1_000;
/// What a failure is: a client that leaves is none.
const FAILED: &str = "-outcome:complete -outcome:client_cancelled";

/// How many the query finds, as far as they are counted.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub number: usize,
    pub whole: bool,
    /// The query for which it is.
    filter: Option<String>,
}

impl Exchanges {
    /// Reads from the newest on, or what is greatest in what it is sorted by.
    pub(super) fn read(&mut self, common: &mut Common) {
        for lane in [MORE, NEWS, END, JUMP, FAILURE] {
            common.forget(lane);
        }
        self.asked_ms = common.now_ms;
        match self.sort {
            None => self.ask(LIST, Part::Newest, common),
            Some(by) => {
                let path = format!("exchanges?limit={SORTED}&sort={}", by.label());
                common.ask(LIST, Want::Get { path: self.within(path) });
            }
        }
        if self.counted.filter.as_ref() != Some(&self.filter) {
            self.count(common);
        }
    }

    /// What is on the screen, read again where it stands.
    pub(super) fn refresh(&mut self, common: &mut Common) {
        self.counted.filter = None;
        let top = self.window.rows().get(self.window.top()).map(|row| row.seq);
        match top.filter(|_| !self.window.following && self.sort.is_none()) {
            Some(seq) => {
                self.count(common);
                self.ask(JUMP, Part::Before(seq.saturating_add(1)), common);
            }
            None => self.read(common),
        }
    }

    fn ask(&self, lane: Lane, part: Part, common: &mut Common) {
        common.ask(lane, Want::Exchanges { filter: self.filter.clone(), part, limit: PAGE });
    }

    fn within(&self, path: String) -> String {
        match self.filter.trim() {
            "" => path,
            filter => {
                let sign = if path.contains('?') { '&' } else { '?' };
                format!("{path}{sign}where={}", escaped(filter))
            }
        }
    }

    /// Counts from the beginning; a search in texts would be read twice for it, so it is not counted.
    fn count(&mut self, common: &mut Common) {
        common.forget(COUNT);
        self.counted = Counted { filter: Some(self.filter.clone()), ..Counted::default() };
        let query = Query::parse(&self.filter, common.wall_us);
        if query.is_ok_and(|query| query.texts().is_empty()) {
            let path = self.within("exchanges/count".to_owned());
            common.ask(COUNT, Want::Get { path });
        }
    }

    fn counted(&mut self, told: &Value, common: &mut Common) {
        let count = told.get("count").and_then(Value::as_u64).unwrap_or(0);
        self.counted.number += usize::try_from(count).unwrap_or(0);
        match told.get("next").and_then(Value::as_i64) {
            Some(next) => {
                let path = self.within(format!("exchanges/count?before={next}"));
                common.ask(COUNT, Want::Get { path });
            }
            None => self.counted.whole = true,
        }
    }

    /// Asks for what scrolling needs next.
    pub(super) fn reach(&mut self, common: &mut Common) {
        self.window.fit(self.list_height(common));
        if self.sort.is_some() || common.is_waiting(MORE) {
            return;
        }
        if let Some(part) = self.window.wanted() {
            self.more = Some(part);
            self.ask(MORE, part, common);
        }
    }

    /// To the oldest there is.
    pub(super) fn bottom(&mut self, common: &mut Common) {
        if self.sort.is_none() && self.window.has_older() {
            self.ask(END, Part::After(0), common);
        } else {
            self.window.go(usize::MAX);
        }
    }

    /// To the newest there is.
    pub(super) fn top(&mut self, common: &mut Common) {
        if self.sort.is_none() && self.window.news().is_none() {
            self.window.following = true;
            self.read(common);
        } else {
            self.window.go(0);
        }
    }

    /// To the next exchange that failed, downwards or upwards; those that are not held are asked for.
    pub(super) fn failure(&mut self, down: bool, common: &mut Common) {
        let failed = |row: &&Listed| !matches!(&*row.outcome, "complete" | "client_cancelled");
        let rows = self.window.rows();
        let at = self.window.cursor();
        let next = if down {
            rows.iter().skip(at + 1).find(failed)
        } else {
            rows.iter().take(at).rev().find(failed)
        };
        if let Some(id) = next.map(|row| row.id.clone()) {
            self.running.selected = None;
            self.window.select(&id);
            return;
        }
        let (first, last) = (rows.first(), rows.last());
        let part = match (down, first, last) {
            (true, _, Some(last)) if self.sort.is_none() && self.window.has_older() => {
                Part::Before(last.seq)
            }
            (false, Some(first), _) if self.sort.is_none() && self.window.news().is_none() => {
                Part::After(first.seq)
            }
            _ => return self.none(down, common),
        };
        let filter = match self.filter.trim() {
            "" => FAILED.to_owned(),
            filter => format!("({filter}) {FAILED}"),
        };
        self.downwards = down;
        common.ask(FAILURE, Want::Exchanges { filter, part, limit: 1 });
    }

    fn none(&self, down: bool, common: &mut Common) {
        let words = if down { "no failure below" } else { "no failure above" };
        common.say(crate::report::look::Tone::Dim, words);
    }

    /// While it is seen: news, and what runs.
    pub(super) fn poll(&mut self, common: &mut Common) {
        if common.now_ms < self.asked_ms + NEWS_MS || self.sort.is_some() {
            return;
        }
        self.asked_ms = common.now_ms;
        if !common.is_waiting(LIST)
            && let Some(part) = self.window.news()
        {
            let filter = self.filter.clone();
            common.poll(NEWS, Want::Exchanges { filter, part, limit: PAGE });
        }
        if self.shows_running() {
            common.poll(LIVE, Want::Get { path: "live".to_owned() });
        }
    }

    /// What runs cannot be asked by a query: it is shown where there is none.
    pub(super) fn shows_running(&self) -> bool {
        self.window.following && self.filter.is_empty() && self.sort.is_none()
    }

    pub(super) fn take(&mut self, lane: Lane, answer: Result<Answer>, common: &mut Common) {
        match (lane.name, answer) {
            ("live", Ok(Answer::Json(told))) => {
                self.running.set(told, common.now_ms);
                self.running.ended(self.window.rows());
            }
            ("count", Ok(Answer::Json(told))) => self.counted(&told, common),
            // The list itself says what is wrong.
            ("live" | "count", _) => {}
            ("list", Ok(Answer::Json(told))) => self.sorted(told),
            (_, Ok(Answer::Exchanges { rows, next })) => {
                self.error = None;
                self.rows(lane, rows, next.is_some(), common);
            }
            (_, Ok(_)) => {}
            (_, Err(trouble)) => self.error = Some(trouble.words().to_owned()),
        }
        self.reach(common);
    }

    fn sorted(&mut self, mut told: Value) {
        let among = told.get("among").and_then(Value::as_u64).unwrap_or(0);
        let rows = told.get_mut("exchanges").map(Value::take).unwrap_or_default();
        match read::listed(rows) {
            Ok(rows) => {
                self.error = None;
                self.among = usize::try_from(among).ok();
                self.window.following = false;
                self.window.replace(rows, false);
            }
            Err(error) => {
                self.error = Some(format!("the gateway's answer cannot be read: {error}"))
            }
        }
    }

    fn rows(&mut self, lane: Lane, rows: Vec<Listed>, more: bool, common: &mut Common) {
        let whole = rows.len() == PAGE;
        match lane.name {
            "list" => self.window.replace(rows, more),
            "end" => self.window.replace_by_oldest(rows, whole),
            "jump" => {
                self.window.jump(rows, more);
                if let Some(id) = self.wanted.take() {
                    self.window.select(&id);
                }
            }
            "failure" => self.found(rows.into_iter().next(), common),
            "news" if whole && self.window.following => self.read(common),
            "news" => self.counted.number += self.window.prepend(rows, whole),
            _ => match self.more.take() {
                Some(Part::Before(_)) => self.window.append(rows, more),
                Some(Part::After(_)) => drop(self.window.prepend(rows, whole)),
                _ => {}
            },
        }
        self.running.ended(self.window.rows());
    }

    /// A failure that is not held: the list goes there.
    fn found(&mut self, row: Option<Listed>, common: &mut Common) {
        let Some(row) = row else { return self.none(self.downwards, common) };
        if self.window.select(&row.id) {
            return;
        }
        self.wanted = Some(row.id);
        self.ask(JUMP, Part::Before(row.seq.saturating_add(1)), common);
    }

    /// Another query, or another order: nothing of what is held counts any more, and it stands until the answer comes.
    pub(super) fn anew(&mut self, filter: &str, sort: Option<By>, common: &mut Common) {
        filter.clone_into(&mut self.filter);
        self.sort = sort;
        self.among = None;
        self.window.following = sort.is_none();
        self.running.clear();
        self.read(common);
    }

    pub(super) fn anew_and_empty(&mut self, filter: &str, common: &mut Common) {
        self.window = Window::default();
        self.anew(filter, None, common);
    }

    /// How many there are, as far as it is known.
    pub(super) fn count_words(&self) -> Option<String> {
        let counted = &self.counted;
        if counted.number == 0 && !counted.whole {
            return None;
        }
        let number = words::whole(i64::try_from(counted.number).unwrap_or(i64::MAX));
        Some(if counted.whole { number } else { format!("{number} and counting") })
    }
}
