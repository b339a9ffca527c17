//! Where a command finds its configuration and its data.

use std::path::PathBuf;

/// Where configuration and data are.
#[derive(Debug, clap::Args)]
pub struct PlaceArgs {
    /// Configuration file; absent: looked for as `serve` does.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the store and the installed price list live.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}
