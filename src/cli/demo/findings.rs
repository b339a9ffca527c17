//! What `captures diagnose` says of the calls that the script made fail: held against what the script did.

use std::path::Path;

use crate::report::around;
use crate::report::diagnose::class::Class;
use crate::report::diagnose::{Diagnosis, diagnose};
use crate::store::reader::Reader;

use super::audit::{Audit, Row};
use super::traffic::Story;

/// One failing call, diagnosed from the store alone.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) class: Class,
    pub(crate) verdict: String,
}

impl Story {
    /// What a call of this story has to be diagnosed as; `None`: it is no failure.
    pub(crate) fn diagnosis(self) -> Option<Class> {
        match self {
            Self::Fine | Self::SlowFirst | Self::NoUsage => None,
            Self::RetryAfter => Some(Class::RateLimit),
            Self::HtmlError => Some(Class::InvalidAnswer),
            Self::Cut => Some(Class::CutStream),
            Self::Stall => Some(Class::IdleTimeout),
            Self::HangUp => Some(Class::ClientCancelled),
            Self::UnknownModel | Self::WrongKey => Some(Class::GatewayRefusal),
        }
    }
}

/// Diagnoses every call that was to fail, as the command would.
pub(crate) fn of(data_dir: &Path, rows: &[Row<'_>]) -> Result<Vec<Found>, String> {
    let reader = Reader::open(data_dir).map_err(|error| error.to_string())?;
    let failing = rows.iter().filter(|row| row.call.story.diagnosis().is_some());
    let ids = failing.filter_map(|row| row.call.id.as_deref());
    ids.map(|id| found(&reader, id).map_err(|error| format!("{id} can't be diagnosed: {error}")))
        .collect()
}

fn found(reader: &Reader, id: &str) -> Result<Found, String> {
    let row = reader.find(id).map_err(|error| error.to_string())?;
    let context = around::context(reader, &row).map_err(|error| error.to_string())?;
    let stored = reader.exchange(row).map_err(|error| error.to_string())?;
    let Diagnosis { id, verdict, finding, .. } = diagnose(&stored, &context);
    Ok(Found { id, class: finding.class, verdict })
}

impl Audit {
    /// Each failing call is explained by what the script did to it.
    pub(crate) fn findings(&mut self, rows: &[Row<'_>], found: Result<Vec<Found>, String>) {
        let found = match found {
            Ok(found) => found,
            Err(error) => return self.differences.push(error),
        };
        for row in rows {
            let Some(wanted) = row.call.story.diagnosis() else { continue };
            let own = row.call.id.as_deref();
            match found.iter().find(|found| Some(found.id.as_str()) == own) {
                Some(found) if found.class == wanted => self.explained += 1,
                Some(found) => self.differences.push(format!(
                    "{} was diagnosed as {}, not {}: {}",
                    found.id,
                    found.class.label(),
                    wanted.label(),
                    found.verdict
                )),
                None => self.differences.push("a failing call was not diagnosed".to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::audit::join;
    use crate::cli::demo::drive::Call;

    #[test]
    fn diagnoses_are_held_against_the_script() {
        let calls = [Call { story: Story::Cut, ..Call::sample() }, Call::sample()];
        let rows = join(&calls, &[]);
        let of = |class| Found { id: "id-1".to_owned(), class, verdict: "so it is".to_owned() };
        for (found, explained, words) in [
            (Ok(vec![of(Class::CutStream)]), 1, ""),
            (Ok(vec![of(Class::Stall)]), 0, "diagnosed as stall, not cut_stream: so it is"),
            (Ok(Vec::new()), 0, "was not diagnosed"),
            (Err("no store".to_owned()), 0, "no store"),
        ] {
            let mut audit = Audit::default();
            audit.findings(&rows, found);
            let said = audit.differences.join("; ");
            assert_eq!(audit.explained, explained, "{said}");
            assert!(said.contains(words) && said.is_empty() == words.is_empty(), "{said}");
        }
    }
}
