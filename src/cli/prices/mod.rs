//! `pinhole prices show · diff · update`: the price lists on the command line.

mod show;
mod update;

use std::path::{Path, PathBuf};

use crate::cli::Exit;
use crate::cli::args::PricesCommand;
use crate::cli::place_args::PlaceArgs;
use crate::cli::serve::tell_findings;
use crate::cli::terminal::tell;
use crate::config::env::Environment;
use crate::config::load::{find, load};
use crate::config::prices::Layers;
use crate::config::settings::Overrides;
use crate::price::lists::Lists;

pub fn run(command: &PricesCommand) -> Exit {
    let done = match command {
        PricesCommand::Show { models, basis, json, place } => place_of(place)
            .and_then(|place| show::show(&place.lists, models, basis.as_deref(), *json)),
        PricesCommand::Diff { file, place } => {
            place_of(place).and_then(|place| update::compared(&place, file).map(|_| Exit::Done))
        }
        PricesCommand::Update { file, place } => {
            place_of(place).and_then(|place| update::update(&place, file))
        }
    };
    done.unwrap_or_else(|exit| exit)
}

/// The lists in force, and where one is installed.
struct Place {
    data_dir: PathBuf,
    layers: Layers,
    lists: Lists,
}

/// Follows the configuration; without any, the shipped list and the data directory still stand.
fn place_of(args: &PlaceArgs) -> Result<Place, Exit> {
    let environment = Environment::of_process();
    let overrides = Overrides { data_dir: args.data_dir.clone(), ..Overrides::default() };
    let (data_dir, file) = match load(args.config.as_deref(), &overrides, &environment) {
        Ok(settings) => (settings.server.data_dir, settings.prices.file),
        Err(findings) if find(args.config.as_deref(), &environment).is_some() => {
            tell_findings(&findings);
            return Err(Exit::Usage);
        }
        Err(_) => {
            let named = args.data_dir.as_ref().map(|named| environment.flag_path(named));
            (named.unwrap_or_else(|| environment.default_data_dir()), None)
        }
    };
    let layers = Layers::of(&data_dir, file.as_deref()).or_else(|fault| {
        // The installed list may be what is to be replaced.
        tell(&format!("warning: not used: {fault}"));
        Layers::of(Path::new(""), file.as_deref())
    });
    let layers = layers.map_err(|fault| refused(&fault))?;
    let lists = layers.lists().map_err(|fault| refused(&fault))?;
    Ok(Place { data_dir, layers, lists })
}

fn refused(fault: &str) -> Exit {
    tell(&format!("error: {fault}"));
    Exit::Usage
}
