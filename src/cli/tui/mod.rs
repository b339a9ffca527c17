//! `pinhole tui`: finds a gateway to browse, or serves the data directory to itself, and hands over to the screens.

mod own;

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use crate::cli::args::TuiArgs;
use crate::cli::place::{Place, refuse};
use crate::cli::{Exit, terminal};
use crate::config::env::Environment;
use crate::store::lock;
use crate::tui::ask::{Answer, Result as Told, Trouble, Want};
use crate::tui::client::Client;
use crate::tui::common::Prefs;
use crate::tui::run::{self, Asker, Start};
use crate::tui::theme::Theme;
use own::Own;

/// Where views and columns are kept, in the user's folder.
const PREFS: &str = "tui.json";

pub fn run(args: &TuiArgs) -> Exit {
    browse(args).unwrap_or_else(|exit| exit)
}

fn browse(args: &TuiArgs) -> Result<Exit, Exit> {
    if !has_terminal() {
        let told = "the screens need a terminal; `pinhole captures` and `pinhole usage` print the same for programs";
        return Err(refuse(told, Exit::Usage));
    }
    show(reach(args)?, args.ascii)
}

/// Whether there is a terminal for the screens.
pub fn has_terminal() -> bool {
    std::io::stdin().is_terminal() && terminal::is_watched()
}

/// The screens on a data directory that nobody serves, whatever configuration lies around, until the user quits.
pub fn on(data_dir: &Path) -> Exit {
    let place = Place { folder: data_dir.to_owned(), settings: None };
    let ascii = !terminal::is_utf8(&Environment::of_process());
    alone(place, None).and_then(|reached| show(reached, ascii)).unwrap_or_else(|exit| exit)
}

fn show(reached: Reached, ascii: bool) -> Result<Exit, Exit> {
    let environment = Environment::of_process();
    let prefs_file = environment.config_home().map(|home| home.join("pinhole").join(PREFS));
    let prefs = prefs_file.as_deref().map(prefs).unwrap_or_default();
    let theme = Theme::of(
        environment.get("NO_COLOR").is_some_and(|set| !set.is_empty()),
        environment.get("TERM").unwrap_or_default(),
        environment.get("COLORFGBG"),
        ascii,
    );
    let Reached { asker, source, own } = reached;
    let ran = run::run(Start { asker, theme, source, prefs, prefs_file });
    if let Some(own) = own {
        own.end();
    }
    ran.map_err(|error| refuse(&format!("the terminal: {error}"), Exit::Environment))?;
    Ok(Exit::Done)
}

/// A gateway, and how to ask it.
struct Reached {
    asker: Asker,
    source: String,
    /// One of our own, for a data directory that nobody serves.
    own: Option<Arc<Own>>,
}

fn reach(args: &TuiArgs) -> Result<Reached, Exit> {
    let key = args.key.clone().filter(|key| !key.is_empty());
    if let Some(url) = &args.url {
        let client = Client::new(url, key).map_err(|error| refuse(&error, Exit::Usage))?;
        // Better told now than on an empty screen. What a key would open is asked, not /health.
        match client.ask(&Want::Get { path: "capture".to_owned() }) {
            Ok(_) => {}
            Err(Trouble::Refused { status: 401, detail }) => {
                let told = format!("{detail}; give it with --key or PINHOLE_ADMIN_KEY");
                return Err(refuse(&told, Exit::Usage));
            }
            Err(trouble) => return Err(refuse(trouble.words(), Exit::Environment)),
        }
        let asker: Asker = Arc::new(move |want: &Want| client.ask(want));
        return Ok(Reached { asker, source: url.clone(), own: None });
    }
    let place = Place::of(args.place.config.as_deref(), args.place.data_dir.as_deref())?;
    if !args.offline
        && let Some((client, source)) = running(&place.folder, key)
    {
        let asker: Asker = Arc::new(move |want: &Want| client.ask(want));
        return Ok(Reached { asker, source, own: None });
    }
    alone(place, args.place.config.as_deref())
}

/// The data directory by an operations API of our own.
fn alone(place: Place, config: Option<&Path>) -> Result<Reached, Exit> {
    let source = place.folder.display().to_string();
    let own = Arc::new(Own::start(place, config)?);
    let asked = Arc::clone(&own);
    let asker: Asker = Arc::new(move |want: &Want| -> Told<Answer> { asked.ask(want) });
    Ok(Reached { asker, source, own: Some(own) })
}

/// The gateway that serves this directory, if one does and lets us in.
fn running(folder: &Path, key: Option<String>) -> Option<(Client, String)> {
    let (pid, url) = lock::told(folder)?;
    let client = Client::new(&url, key).ok()?;
    let Ok(Answer::Json(health)) = client.ask(&Want::Health) else { return None };
    // Another gateway may have the port by now.
    if health.get("pid").and_then(serde_json::Value::as_u64) != Some(u64::from(pid)) {
        return None;
    }
    client.ask(&Want::Get { path: "capture".to_owned() }).ok()?;
    Some((client, format!("{} by {url}", folder.display())))
}

/// What was kept; a file that cannot be read is as if it were not there, and written anew.
fn prefs(file: &Path) -> Prefs {
    let text = std::fs::read_to_string(file).ok();
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}
