//! Price lists on disk: reading one, the one that was installed, and when the newest has grown old.

use std::path::Path;

use crate::config::diagnostic::{Finding, Severity};
use crate::config::settings::Settings;
use crate::price::catalog::{BYTES_MAX, Catalog};
use crate::price::date::Day;
use crate::price::lists::Lists;

/// The list that `pinhole prices update` installs, in the data directory.
pub const INSTALLED: &str = "prices.json";

const DAY_SECONDS: u64 = 86_400;

/// The lists that lie over the shipped one.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    pub installed: Option<Catalog>,
    /// The configuration's own.
    pub own: Option<Catalog>,
}

impl Layers {
    /// Those of a data directory and of `prices.file`.
    pub fn of(data_dir: &Path, own: Option<&Path>) -> Result<Self, String> {
        let installed = installed(data_dir).transpose()?;
        Ok(Self { installed, own: own.map(read).transpose()? })
    }

    /// All of them, merged.
    pub fn lists(&self) -> Result<Lists, String> {
        let above = self.installed.iter().chain(&self.own);
        Lists::layered(std::iter::once(Catalog::shipped()).chain(above))
            .map_err(|fault| fault.to_string())
    }
}

/// Reads the list at `path`; the error names place and remedy.
pub fn read(path: &Path) -> Result<Catalog, String> {
    parse(path, &read_text(path)?)
}

/// Reads `text`, which stood at `path`.
pub fn parse(path: &Path, text: &str) -> Result<Catalog, String> {
    Catalog::parse(text).map_err(|fault| format!("{}: {fault}", path.display()))
}

/// The text at `path`, within the limit.
pub fn read_text(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| format!("{shown} cannot be read: {error}");
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if metadata.len() > BYTES_MAX as u64 {
        return Err(format!("{shown} is larger than {BYTES_MAX} bytes"));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// The installed list, if there is one.
pub fn installed(data_dir: &Path) -> Option<Result<Catalog, String>> {
    let path = data_dir.join(INSTALLED);
    path.exists().then(|| read(&path))
}

/// Whether prices have grown old by `today`. No fault of the configuration, so `pinhole check` tells it and passes.
pub fn stale(settings: &Settings, today: Day) -> Option<Finding> {
    let lists = settings.prices.book.lists();
    let limit = settings.prices.stale_after?.as_secs() / DAY_SECONDS;
    let date = lists.date()?;
    let days = date.age_days(today);
    (days > limit).then(|| Finding {
        severity: Severity::Warning,
        place: None,
        key: "prices.stale_after".to_owned(),
        message: format!("the newest price list is of {date}, {days} days old: costs may be wrong"),
        remedy: "install a newer one with `pinhole prices update FILE`, or a newer pinhole"
            .to_owned(),
    })
}
