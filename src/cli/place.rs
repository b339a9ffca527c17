//! Where the store is, for commands that read it without a gateway: as flags and configuration say, and where there is no
//! configuration, the folder that `serve` would take.

use std::path::{Path, PathBuf};

use crate::cli::Exit;
use crate::cli::serve::tell_findings;
use crate::cli::terminal::tell;
use crate::config::env::Environment;
use crate::config::load::{find, load};
use crate::config::settings::{Overrides, Settings};

/// The data directory, and what is configured, if anything is.
pub struct Place {
    pub folder: PathBuf,
    pub settings: Option<Settings>,
}

impl Place {
    /// Reads the configuration; an error in it has been told.
    pub fn of(config: Option<&Path>, data_dir: Option<&Path>) -> Result<Self, Exit> {
        let environment = Environment::of_process();
        let overrides =
            Overrides { data_dir: data_dir.map(Path::to_owned), ..Overrides::default() };
        let settings = match load(config, &overrides, &environment) {
            Ok(settings) => Some(settings),
            Err(findings) if find(config, &environment).is_some() => {
                tell_findings(&findings);
                return Err(Exit::Usage);
            }
            // No configuration, nor a provider key in the environment: a store can be read without.
            Err(_) => None,
        };
        let folder = match &settings {
            Some(settings) => settings.server.data_dir.clone(),
            None => unconfigured(data_dir, &environment),
        };
        Ok(Self { folder, settings })
    }
}

/// Where the store is, without reading a configuration that the flag makes needless.
pub fn folder(config: Option<&Path>, data_dir: Option<&Path>) -> Result<PathBuf, Exit> {
    if config.is_none() && data_dir.is_some() {
        return Ok(unconfigured(data_dir, &Environment::of_process()));
    }
    Place::of(config, data_dir).map(|place| place.folder)
}

fn unconfigured(data_dir: Option<&Path>, environment: &Environment) -> PathBuf {
    let named = data_dir.map(|named| environment.flag_path(named));
    named.unwrap_or_else(|| environment.default_data_dir())
}

/// A path on the command line.
pub fn path(path: &Path) -> PathBuf {
    Environment::of_process().flag_path(path)
}

/// Says why not, and gives the exit.
pub fn refuse(error: &str, exit: Exit) -> Exit {
    tell(&format!("error: {error}"));
    exit
}
