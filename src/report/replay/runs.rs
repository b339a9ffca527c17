//! The runs of a data directory: a journal and, once a run has ended, its report, both in the folder `runs`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use pinhole_replay::faces::json;
use pinhole_replay::journal::Header;
use pinhole_replay::report::Report;
use serde_json::Value;

use crate::base::id::ExchangeId;
use crate::base::private;

/// The folder, in the data directory.
pub const FOLDER: &str = "runs";
const JOURNAL: &str = "ndjson";
const REPORT: &str = "json";
/// Limit: bytes of a journal's first line.
const HEADER_MAX: u64 = 1 << 20;

/// Where a run's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    folder: PathBuf,
    id: String,
}

impl Place {
    /// `id` is a run's; anything else might lead out of the folder.
    pub fn of(data_dir: &Path, id: &str) -> Option<Self> {
        let id = ExchangeId::parse(id)?.to_string();
        Some(Self { folder: data_dir.join(FOLDER), id })
    }

    pub fn journal(&self) -> PathBuf {
        self.folder.join(&self.id).with_extension(JOURNAL)
    }

    pub fn report(&self) -> PathBuf {
        self.folder.join(&self.id).with_extension(REPORT)
    }

    /// Makes the folder, for its owner alone.
    pub fn prepare(&self) -> io::Result<()> {
        private::folder(&self.folder)
    }

    /// Keeps the report beside the journal.
    pub fn keep(&self, report: &Report) -> io::Result<()> {
        let part = self.report().with_extension("part");
        // As it is given to programs: what is no number could not be read again.
        private::create(&part)?.write_all(json::draw(report)?.as_bytes())?;
        std::fs::rename(part, self.report())
    }

    /// `None`: there is none yet.
    pub fn read(&self) -> io::Result<Option<Report>> {
        let file = match File::open(self.report()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        Ok(Some(serde_json::from_reader(BufReader::new(file))?))
    }
}

/// A line for each run, the newest first. Files that are none of ours are passed over.
pub fn list(data_dir: &Path) -> io::Result<Vec<Value>> {
    let entries = match std::fs::read_dir(data_dir.join(FOLDER)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut ids: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|kind| kind == JOURNAL))
        .filter_map(|entry| entry.path().file_stem()?.to_str().map(str::to_owned))
        .filter(|id| ExchangeId::parse(id).is_some())
        .collect();
    // Ids begin with their time.
    ids.sort_unstable_by(|one, other| other.cmp(one));
    Ok(ids.iter().filter_map(|id| line(&Place::of(data_dir, id)?)).collect())
}

fn line(place: &Place) -> Option<Value> {
    if let Ok(Some(report)) = place.read() {
        let targets = report.targets.iter().map(|target| {
            let verdicts = target.comparisons.iter();
            let verdicts: serde_json::Map<String, Value> =
                verdicts.map(|one| (one.metric.clone(), serde_json::json!(one.verdict))).collect();
            serde_json::json!({
                "target": target.target, "n": target.n, "errors": target.errors,
                "cost_usd": target.cost_usd, "verdicts": verdicts,
            })
        });
        return Some(serde_json::json!({
            "run_id": report.run_id, "state": report.ended, "started_at_us": report.started_at_us,
            "duration_us": report.duration_us, "from": report.plan.from, "pace": report.plan.pace,
            "recordings": report.recordings, "baseline": report.baseline,
            "targets": targets.collect::<Vec<_>>(),
        }));
    }
    let header = header(&place.journal())?;
    Some(serde_json::json!({
        "run_id": header.run_id, "state": "unfinished", "recordings": header.recordings,
        "targets": header.targets,
    }))
}

fn header(path: &Path) -> Option<Header> {
    let mut line = String::new();
    let file = File::open(path).ok()?;
    BufReader::new(file.take(HEADER_MAX)).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

#[cfg(test)]
mod tests {
    use pinhole_replay::journal::Journal;

    use super::*;

    #[test]
    fn runs_are_listed_the_newest_first_and_names_lead_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(list(folder.path()).unwrap(), Vec::<Value>::new());
        for out in ["../../etc/passwd", "", "a/b", "..", "no id"] {
            assert_eq!(Place::of(folder.path(), out), None, "{out}");
        }
        let ids = [1, 2].map(|at| ExchangeId::new(at * 1_000_000).to_string());
        for id in &ids {
            let place = Place::of(folder.path(), id).unwrap();
            place.prepare().unwrap();
            drop(Journal::create(&place.journal(), &Header::of(id, ["a", "b"])).unwrap());
            assert_eq!(place.read().unwrap(), None);
        }
        let report = Report { run_id: ids[0].clone(), ended: "whole".into(), ..Report::default() };
        let place = Place::of(folder.path(), &ids[0]).unwrap();
        place.keep(&report).unwrap();
        assert_eq!(place.read().unwrap(), Some(report));
        let endless =
            pinhole_replay::report::Target { cost_usd: Some(f64::NAN), ..Default::default() };
        let odd = Report { targets: vec![endless], ..place.read().unwrap().unwrap() };
        place.keep(&odd).unwrap();
        assert_eq!(
            place.read().unwrap().unwrap().targets[0].cost_usd,
            None,
            "it can be read again"
        );
        std::fs::write(folder.path().join(FOLDER).join("notes.ndjson"), "x").unwrap();
        let listed = list(folder.path()).unwrap();
        let told: Vec<(&str, &str)> = listed
            .iter()
            .map(|run| (run["run_id"].as_str().unwrap(), run["state"].as_str().unwrap()))
            .collect();
        assert_eq!(told, [(ids[1].as_str(), "unfinished"), (ids[0].as_str(), "whole")]);
        assert_eq!(listed[0]["recordings"], 2);
    }
}
