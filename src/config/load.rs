//! Entry: find the file, read it, resolve it.

use std::path::Path;

use crate::config::diagnostic::Findings;
use crate::config::env::Environment;
use crate::config::settings::{Overrides, Settings};

/// Finds and reads the configuration.
///
/// `config` is the `--config` flag. `Ok` may carry warnings (`settings.warnings`); `Err` carries every finding,
/// warnings included, and at least one error.
pub fn load(
    config: Option<&Path>,
    overrides: &Overrides,
    environment: &Environment,
) -> Result<Settings, Findings> {
    let _ = (config, overrides, environment);
    Err(Findings::default())
}
