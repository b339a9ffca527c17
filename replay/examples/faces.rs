//! Writes every face of a made-up run into a folder, to be looked at: `cargo run -p pinhole-replay --example faces -- FOLDER`.

#[path = "../tests/faces/fixture.rs"]
mod fixture;

use std::fs;
use std::path::PathBuf;

use pinhole_replay::faces::gate::{Finding, Gate};
use pinhole_replay::faces::{csv, html, json, junit, markdown, terminal};
use pinhole_replay::report::Report;
use pinhole_replay::row::Row;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("name a folder")?);
    fs::create_dir_all(&folder)?;
    let rows = fixture::rows(120);
    let report = fixture::report(&rows);
    let findings = ["ttft.p95 > 1.1x", "errors > 10%", "cost > 1.1x"]
        .into_iter()
        .map(|condition| Ok(Gate::parse(condition)?.judge(&report)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let how = terminal::How { width: 80, colour: false };
    fs::write(folder.join("report.txt"), terminal::draw(&report, how))?;
    let how = terminal::How { width: 140, colour: true };
    fs::write(folder.join("report.ansi"), terminal::draw(&report, how))?;
    fs::write(folder.join("report.md"), markdown::draw(&report))?;
    fs::write(folder.join("report.json"), json::draw(&report)?)?;
    fs::write(folder.join("report.xml"), junit::draw(&report, &findings))?;
    csv::write(&report, &rows, &mut fs::File::create(folder.join("report.csv"))?)?;
    fs::write(folder.join("report.html"), page(&report, &rows, &findings))?;
    fs::write(folder.join("empty.html"), page(&Report::default(), &[], &[]))?;
    let many = fixture::rows(3_333);
    fs::write(folder.join("many.html"), page(&fixture::report(&many), &many, &[]))?;
    Ok(())
}

fn page(report: &Report, rows: &[Row], findings: &[Finding]) -> String {
    html::draw(&html::Page { report, rows, texts: &fixture::answer, findings })
}
