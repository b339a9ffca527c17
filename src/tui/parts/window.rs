//! A window on a list of any length, newest first: the rows around what is seen, read as the cursor comes near their ends.
//! What is selected is held by its place in the store, not by its line: rows that arrive do not move it.

use crate::tui::ask::Part;

/// Limit: rows held; beyond it, those farthest from the cursor go.
pub const HELD_MAX: usize = 2_000;
/// Rows asked for at once.
pub const PAGE: usize = 200;
/// Rows between the cursor and an end of the window from which on more are asked for.
const NEAR: usize = 100;

/// A row with a place.
pub trait Placed {
    /// Its place in the store; newest is greatest.
    fn seq(&self) -> i64;
    fn id(&self) -> &str;
}

/// The window.
#[derive(Debug, Clone)]
pub struct Window<T> {
    rows: Vec<T>,
    cursor: usize,
    top: usize,
    /// There are rows below the last.
    older: bool,
    /// There may be rows above the first.
    newer: bool,
    pub following: bool,
    /// Nothing has been read yet.
    pub fresh: bool,
}

impl<T> Default for Window<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            cursor: 0,
            top: 0,
            older: false,
            newer: false,
            following: true,
            fresh: true,
        }
    }
}

impl<T: Placed> Window<T> {
    pub fn rows(&self) -> &[T] {
        &self.rows
    }

    pub fn selected(&self) -> Option<&T> {
        self.rows.get(self.cursor)
    }

    pub fn cursor(&self) -> usize {
        self.cursor
    }

    pub fn top(&self) -> usize {
        self.top
    }

    /// Whether the list goes on below.
    pub fn has_older(&self) -> bool {
        self.older
    }

    /// All that is there from the newest on: a new query, or back to the beginning.
    pub fn replace(&mut self, rows: Vec<T>, older: bool) {
        let kept = self.selected().map(|row| row.id().to_owned());
        self.rows = rows;
        self.older = older;
        self.newer = false;
        self.fresh = false;
        let place = kept.and_then(|id| self.rows.iter().position(|row| row.id() == id));
        self.cursor = if self.following { 0 } else { place.unwrap_or(0) };
        self.top = self.top.min(self.cursor);
    }

    /// The oldest there are: the end of the list. `rows` come oldest first.
    pub fn replace_by_oldest(&mut self, mut rows: Vec<T>, newer: bool) {
        rows.reverse();
        self.rows = rows;
        (self.older, self.newer, self.following, self.fresh) = (false, newer, false, false);
        self.cursor = self.rows.len().saturating_sub(1);
        self.top = self.cursor;
    }

    /// A page from somewhere in the middle: what is selected stays so if it is on it.
    pub fn jump(&mut self, rows: Vec<T>, older: bool) {
        let kept = self.selected().map(|row| row.id().to_owned());
        self.rows = rows;
        (self.older, self.newer, self.following, self.fresh) = (older, true, false, false);
        let place = kept.and_then(|id| self.rows.iter().position(|row| row.id() == id));
        self.cursor = place.unwrap_or(0);
        self.top = self.top.min(self.cursor);
    }

    /// A page below the last row.
    pub fn append(&mut self, rows: Vec<T>, older: bool) {
        let last = self.rows.last().map(Placed::seq);
        self.rows.extend(rows.into_iter().filter(|row| last.is_none_or(|last| row.seq() < last)));
        self.older = older;
        if self.rows.len() > HELD_MAX && self.cursor > HELD_MAX / 2 {
            let gone = (self.rows.len() - HELD_MAX).min(self.cursor);
            self.rows.drain(..gone);
            self.cursor -= gone;
            self.top = self.top.saturating_sub(gone);
            self.newer = true;
        }
    }

    /// What came after the first row, oldest first. `more`: and that was not all.
    pub fn prepend(&mut self, rows: Vec<T>, more: bool) -> usize {
        let first = self.rows.first().map(Placed::seq);
        let mut new: Vec<T> =
            rows.into_iter().filter(|row| first.is_none_or(|first| row.seq() > first)).collect();
        new.reverse();
        let count = new.len();
        self.newer = more;
        self.fresh = false;
        self.rows.splice(..0, new);
        if self.following {
            (self.cursor, self.top) = (0, 0);
        } else if self.rows.len() > count {
            self.cursor += count;
            self.top += count;
        }
        if self.rows.len() > HELD_MAX && self.cursor <= HELD_MAX / 2 {
            self.rows.truncate(HELD_MAX);
            self.older = true;
        }
        count
    }

    /// Moves the cursor; away from the newest lets go of following, back at it takes it up again.
    pub fn step(&mut self, by: isize) {
        let last = self.rows.len().saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(by).min(last);
        self.following = self.cursor == 0 && !self.newer && by <= 0;
    }

    pub fn go(&mut self, to: usize) {
        self.cursor = to.min(self.rows.len().saturating_sub(1));
        self.following = self.cursor == 0 && !self.newer;
    }

    /// Selects the row with this id, if it is held.
    pub fn select(&mut self, id: &str) -> bool {
        let place = self.rows.iter().position(|row| row.id() == id);
        if let Some(place) = place {
            self.cursor = place;
            self.following = false;
        }
        place.is_some()
    }

    /// Brings the cursor into the `height` rows that are seen.
    pub fn fit(&mut self, height: usize) {
        if self.cursor < self.top {
            self.top = self.cursor;
        } else if height > 0 && self.cursor >= self.top + height {
            self.top = self.cursor + 1 - height;
        }
        self.top = self.top.min(self.rows.len().saturating_sub(height.max(1)));
    }

    /// What has to be read next so that scrolling does not stop.
    pub fn wanted(&self) -> Option<Part> {
        let left = self.rows.len() - self.cursor.min(self.rows.len());
        match (self.rows.first(), self.rows.last()) {
            (_, Some(last)) if self.older && left < NEAR => Some(Part::Before(last.seq())),
            (Some(first), _) if self.newer && self.cursor < NEAR => Some(Part::After(first.seq())),
            _ => None,
        }
    }

    /// What asks for rows that have come since. The newest page where there are none yet.
    pub fn news(&self) -> Option<Part> {
        if self.newer {
            return None;
        }
        Some(self.rows.first().map_or(Part::Newest, |first| Part::After(first.seq())))
    }

    pub fn rows_mut(&mut self) -> &mut [T] {
        &mut self.rows
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Row(i64, String);

    impl Placed for Row {
        fn seq(&self) -> i64 {
            self.0
        }
        fn id(&self) -> &str {
            &self.1
        }
    }

    fn row(seq: i64) -> Row {
        Row(seq, format!("id{seq}"))
    }

    /// A store of `1..=newest`, asked as the gateway would be.
    fn read(window: &mut Window<Row>, part: Part, newest: i64) {
        let page = i64::try_from(PAGE).unwrap();
        match part {
            Part::Newest => {
                let rows: Vec<Row> = (1..=newest).rev().take(PAGE).map(row).collect();
                let older = newest > page;
                window.replace(rows, older);
            }
            Part::Before(seq) => {
                let rows: Vec<Row> = (1..seq).rev().take(PAGE).map(row).collect();
                window.append(rows, seq - 1 > page);
            }
            Part::After(seq) => {
                let rows: Vec<Row> = (seq + 1..=newest).take(PAGE).map(row).collect();
                window.prepend(rows, newest - seq > page);
            }
        }
    }

    #[test]
    fn arriving_rows_leave_the_selection_where_it_is_unless_it_follows() {
        let mut window = Window::default();
        read(&mut window, Part::Newest, 10);
        assert_eq!(window.selected().unwrap().seq(), 10);
        read(&mut window, Part::After(10), 12);
        assert_eq!(window.selected().unwrap().seq(), 12, "it follows");
        window.step(3);
        assert!(!window.following);
        let before = window.selected().unwrap().clone();
        let news = window.news().unwrap();
        read(&mut window, news, 300);
        assert_eq!(*window.selected().unwrap(), before);
        window.go(0);
        assert!(!window.following, "there is more above");
        while let Some(part) = window.wanted() {
            read(&mut window, part, 300);
            window.go(0);
        }
        assert!(window.following);
        assert_eq!(window.selected().unwrap().seq(), 300);
    }

    proptest! {
        #[test]
        fn whatever_is_done_the_rows_are_a_stretch_of_the_store(
            steps in proptest::collection::vec((0u8..7, -300isize..300), 1..60),
        ) {
            let mut newest = 9_000;
            let mut window = Window::default();
            read(&mut window, Part::Newest, newest);
            for (what, by) in steps {
                match what {
                    0..=2 => window.step(by),
                    3 => window.go(by.unsigned_abs() * 10),
                    4 => {
                        newest += i64::try_from(by.unsigned_abs()).unwrap();
                        if let Some(part) = window.news() {
                            read(&mut window, part, newest);
                        }
                    }
                    5 => {
                        let below = newest - i64::try_from(by.unsigned_abs()).unwrap() * 7;
                        let rows: Vec<Row> = (1..below).rev().take(PAGE).map(row).collect();
                        let older = below - 1 > i64::try_from(PAGE).unwrap();
                        window.jump(rows, older);
                    }
                    _ => {
                        let oldest: Vec<Row> = (1..=newest).take(PAGE).map(row).collect();
                        window.replace_by_oldest(oldest, true);
                    }
                }
                let mut asked = 0;
                while let Some(part) = window.wanted() {
                    read(&mut window, part, newest);
                    asked += 1;
                    prop_assert!(asked < 40, "it asks for ever");
                }
                window.fit(20);
                let seqs: Vec<i64> = window.rows().iter().map(Placed::seq).collect();
                prop_assert!(seqs.windows(2).all(|pair| pair[0] == pair[1] + 1), "a hole");
                prop_assert!(window.rows().len() <= HELD_MAX + 2 * PAGE);
                prop_assert!(window.selected().is_some());
                let (cursor, top) = (window.cursor(), window.top());
                prop_assert!(top <= cursor && cursor < top + 20);
            }
        }
    }
}
