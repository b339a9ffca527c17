//! A run's report in the forms that files have: for the command line, which writes them, and for the operations API, which answers
//! with them.

use std::io::{self, Write};
use std::path::Path;

use pinhole_replay::faces::gate::{Finding, Gate};
use pinhole_replay::faces::{csv, html, json, junit, markdown, terminal};
use pinhole_replay::journal::Journaled;
use pinhole_replay::outcome::Answer;
use pinhole_replay::report::Report;

use crate::proxy::loopback::captured;
use crate::report::formats::recording;
use crate::store::reader::Reader;

/// What a report can be written as; a file's ending names it.
pub const FORMS: [&str; 6] = ["html", "md", "json", "csv", "xml", "txt"];
/// Columns of the form for terminals where it goes into a file.
const WIDTH: usize = 100;

/// A report, the rows that it is of, and what the gates found.
pub type Made<'a> = (&'a Report, &'a Journaled, &'a [Finding]);

/// Writes one of [`FORMS`]; texts of answers come from the store in `folder`.
pub fn write(
    form: &str,
    (report, journaled, findings): Made<'_>,
    folder: &Path,
    out: &mut impl Write,
) -> io::Result<()> {
    match form {
        "json" => out.write_all(json::draw(report)?.as_bytes())?,
        "md" => out.write_all(markdown::draw(report).as_bytes())?,
        "csv" => csv::write(report, &journaled.rows, out)?,
        "xml" => out.write_all(junit::draw(report, findings).as_bytes())?,
        "html" => {
            let reader = Reader::open(folder).ok();
            let texts = |id: &str| answer(reader.as_ref()?, id);
            let page = html::Page { report, rows: &journaled.rows, texts: &texts, findings };
            out.write_all(html::draw(&page).as_bytes())?;
        }
        _ => {
            let how = terminal::How { width: WIDTH, colour: false };
            out.write_all(terminal::draw(report, how).as_bytes())?;
        }
    }
    out.flush()
}

/// What the run's conditions found, held against its report once more.
pub fn findings(report: &Report) -> Vec<Finding> {
    let gates = report.gates.iter().filter_map(|gate| Gate::parse(&gate.condition).ok());
    gates.map(|gate| gate.judge(report)).collect()
}

/// The answer of a stored exchange, where it was kept.
fn answer(reader: &Reader, id: &str) -> Option<Answer> {
    let row = reader.find(id).ok()?;
    let recording = recording::of(reader.exchange(row).ok()?);
    Some(captured::outcome(&recording)?.answer)
}
