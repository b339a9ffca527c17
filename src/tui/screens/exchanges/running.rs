//! The exchanges that run now, above the list while it follows.

use serde::Deserialize;
use serde_json::Value;

use crate::tui::parts::window::Placed;

/// One of them, as `/api/live` tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Run {
    pub id: String,
    pub started_at_us: i64,
    pub age_us: i64,
    pub phase: String,
    pub path: String,
    pub model_requested: Option<String>,
    pub provider: Option<String>,
    pub model: Option<String>,
    pub agent: String,
    pub session_id: Option<String>,
    pub client_addr: Option<String>,
    pub response_bytes: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    exchanges: Vec<Run>,
}

/// All of them, newest first, as they were when last asked.
#[derive(Debug, Default)]
pub struct Running {
    runs: Vec<Run>,
    asked_ms: u64,
    /// The one under the cursor, if the cursor is here.
    pub selected: Option<String>,
}

impl Running {
    /// True: something is another now.
    pub fn set(&mut self, told: Value, now_ms: u64) -> bool {
        let told: Told = serde_json::from_value(told).unwrap_or_default();
        let changed = !told.exchanges.is_empty() || !self.runs.is_empty();
        self.runs = told.exchanges;
        self.runs.reverse();
        self.asked_ms = now_ms;
        let kept = self.selected.as_ref().is_some_and(|id| self.place(id).is_some());
        if !kept {
            self.selected = None;
        }
        changed
    }

    pub fn clear(&mut self) {
        self.runs.clear();
        self.selected = None;
    }

    /// Takes those out that are in the list by now.
    pub fn ended(&mut self, rows: &[impl Placed]) {
        self.runs.retain(|run| !rows.iter().take(50).any(|row| row.id() == run.id));
        if self.selected.as_ref().is_some_and(|id| self.place(id).is_none()) {
            self.selected = None;
        }
    }

    pub fn count(&self) -> usize {
        self.runs.len()
    }

    /// Those for which there is room: the newest, nearest to the list.
    pub fn shown(&self, height: usize) -> &[Run] {
        self.runs.get(..self.runs.len().min(height / 3)).unwrap_or_default()
    }

    pub fn age_us(&self, run: &Run, now_ms: u64) -> i64 {
        let since = now_ms.saturating_sub(self.asked_ms).saturating_mul(1_000);
        run.age_us.saturating_add(i64::try_from(since).unwrap_or(0))
    }

    fn place(&self, id: &str) -> Option<usize> {
        self.runs.iter().position(|run| run.id == id)
    }

    /// Moves the cursor among them; false: it is not here, or leaves by the lower end.
    pub fn step(&mut self, by: isize, height: usize) -> bool {
        let shown = self.shown(height).len();
        if shown == 0 {
            self.selected = None;
            return false;
        }
        let at = self.selected.as_ref().and_then(|id| self.place(id)).map(|at| at.min(shown - 1));
        let next = match at {
            None if by < 0 => shown - 1,
            None => return false,
            Some(at) if by < 0 => at.saturating_sub(by.unsigned_abs()),
            Some(at) => at + by.unsigned_abs(),
        };
        self.selected = self.runs.get(next).filter(|_| next < shown).map(|run| run.id.clone());
        self.selected.is_some()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_cursor_goes_up_into_them_and_down_out_of_them() {
        let mut running = Running::default();
        let told = json!({ "exchanges": [
            { "id": "a", "age_us": 9_000_000, "new_member": 1 }, { "id": "b" }, { "id": "c" },
        ]});
        assert!(running.set(told, 1_000));
        assert_eq!(running.age_us(&running.shown(30)[2], 1_500), 9_500_000);
        assert!(running.step(-1, 30));
        assert_eq!(running.selected.as_deref(), Some("a"));
        assert!(running.step(-5, 30));
        assert_eq!(running.selected.as_deref(), Some("c"));
        assert!(running.step(1, 30) && running.step(1, 30) && !running.step(1, 30));
        assert_eq!(running.selected, None);
        assert!(!running.step(1, 30), "from the list down it is none of theirs");
        assert_eq!(running.shown(3).len(), 1);
        assert!(!running.step(-1, 2), "there is no room");
    }
}
