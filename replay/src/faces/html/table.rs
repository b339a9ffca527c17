//! Tables of a page. All that stands in a cell is escaped here, once.

use crate::faces::put;
use crate::faces::words::escaped;

#[derive(Default)]
pub(super) struct Table {
    head: Vec<(String, bool)>,
    rows: Vec<Vec<Cell>>,
}

pub(super) struct Cell {
    text: String,
    /// What it is sorted by, where that is not its text.
    key: Option<f64>,
    class: &'static str,
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), key: None, class: "" }
    }

    pub(super) fn number(text: impl Into<String>, key: f64) -> Self {
        Self { text: text.into(), key: Some(key).filter(|key| key.is_finite()), class: "" }
    }

    pub(super) fn class(self, class: &'static str) -> Self {
        Self { class, ..self }
    }
}

impl Table {
    /// Columns that begin with `#` hold numbers and stand to the right.
    pub(super) fn new(columns: &[&str]) -> Self {
        let head = columns.iter().map(|name| match name.strip_prefix('#') {
            Some(name) => (name.to_owned(), true),
            None => ((*name).to_owned(), false),
        });
        Self { head: head.collect(), rows: Vec::new() }
    }

    /// A column that foreign text names.
    pub(super) fn number_column(&mut self, name: &str) {
        self.head.push((name.to_owned(), true));
    }

    pub(super) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// `title`: what the table is, for who cannot see where it stands.
    pub(super) fn draw(&self, out: &mut String, title: &str) {
        put!(
            out,
            "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table class=\"sortable\"><caption>{0}</caption><thead><tr>",
            escaped(title)
        );
        for (name, numeric) in &self.head {
            let class = if *numeric { " class=\"n\"" } else { "" };
            put!(out, "<th scope=\"col\"{class}>{}</th>", escaped(name));
        }
        out.push_str("</tr></thead><tbody>");
        for row in &self.rows {
            out.push_str("<tr>");
            for (place, cell) in row.iter().enumerate() {
                self.cell(out, place, cell);
            }
            out.push_str("</tr>");
        }
        out.push_str("</tbody></table></div>");
    }

    fn cell(&self, out: &mut String, place: usize, cell: &Cell) {
        let numeric = self.head.get(place).is_some_and(|(_, numeric)| *numeric);
        let class = match (numeric, cell.class) {
            (false, "") => String::new(),
            (true, "") => " class=\"n\"".to_owned(),
            (false, class) => format!(" class=\"{class}\""),
            (true, class) => format!(" class=\"n {class}\""),
        };
        let key = cell.key.map(|key| format!(" data-key=\"{key}\"")).unwrap_or_default();
        let tag = if place == 0 { "th scope=\"row\"" } else { "td" };
        let end = if place == 0 { "th" } else { "td" };
        put!(out, "<{tag}{class}{key}><bdi>{}</bdi></{end}>", escaped(&cell.text));
    }
}
