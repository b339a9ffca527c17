//! `pinhole prices diff` and `update`: what another list would change, and putting it into the data directory.

use std::io::{self, Write as _};
use std::path::Path;

use super::{Place, refused};
use crate::base::private;
use crate::cli::Exit;
use crate::cli::terminal::{say, tell};
use crate::config::prices::{INSTALLED, Layers, parse, read_text};
use crate::price::diff::diff;
use crate::price::lists::Lists;

/// What was compared.
pub(super) struct Compared {
    /// The list's text, as it was read and found good.
    text: String,
    /// The lists as they would be.
    after: Lists,
}

/// Prints what `file`, installed, would change.
pub(super) fn compared(place: &Place, file: &Path) -> Result<Compared, Exit> {
    let text = read_text(file).map_err(|fault| refused(&fault))?;
    let list = parse(file, &text).map_err(|fault| refused(&fault))?;
    let named = |fault: String| refused(&format!("{}: {fault}", file.display()));
    let layers = Layers { installed: Some(list), own: place.layers.own.clone() };
    let after = layers.lists().map_err(named)?;
    let changes = diff(&place.lists, &after);
    for change in &changes {
        say(&change.to_string());
    }
    let count = |label: &str| changes.iter().filter(|change| change.what.label() == label).count();
    let counts = ["added", "removed", "dearer", "cheaper", "terms"];
    let told: Vec<String> =
        counts.iter().map(|label| format!("{} {label}", count(label))).collect();
    tell(&told.join(", "));
    Ok(Compared { text, after })
}

pub(super) fn update(place: &Place, file: &Path) -> Result<Exit, Exit> {
    let Compared { text, after } = compared(place, file)?;
    let target = place.data_dir.join(INSTALLED);
    if let Err(error) = install(&text, &place.data_dir, &target) {
        tell(&format!(
            "error: {} cannot be written: {error}; choose another --data-dir",
            target.display()
        ));
        return Err(Exit::Environment);
    }
    tell(&format!(
        "installed as {}; prices are now {}; a running gateway takes them at SIGHUP",
        target.display(),
        after.version()
    ));
    if place.layers.own.is_some() {
        tell("the configuration's prices.file lies over it");
    }
    Ok(Exit::Done)
}

/// A reader sees the old list or the new one, whole.
fn install(text: &str, folder: &Path, target: &Path) -> io::Result<()> {
    private::folder(folder)?;
    let fresh = folder.join(format!("{INSTALLED}.{}", std::process::id()));
    let written = private::create(&fresh)
        .and_then(|mut new| new.write_all(text.as_bytes()).and_then(|()| new.sync_all()))
        .and_then(|()| std::fs::rename(&fresh, target));
    if written.is_err() {
        // What is half written would only be in the way.
        let _removed = std::fs::remove_file(&fresh);
    }
    written
}
