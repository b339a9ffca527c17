//! `pinhole captures backup` and `restore`: a copy of the store, and the way back.

use serde_json::json;

use crate::cli::Exit;
use crate::cli::captures::args::{BackupArgs, RestoreArgs};
use crate::cli::place::{self, refuse};
use crate::cli::terminal::{say, tell};
use crate::report::words;
use crate::store::backup::{self, BackupError};

pub(super) fn backup(args: &BackupArgs) -> Result<Exit, Exit> {
    let folder = place::folder(args.place.config.as_deref(), args.place.data_dir.as_deref())?;
    let file = place::path(&args.file);
    let bytes = backup::backup(&folder, &file).map_err(|error| refused(&error))?;
    if args.json {
        say(&json!({ "file": file, "bytes": bytes }).to_string());
    } else {
        tell(&format!("{} written to {}", words::bytes(bytes), file.display()));
        tell(&format!(
            "back with: pinhole captures restore {} --data-dir {}",
            file.display(),
            folder.display()
        ));
    }
    Ok(Exit::Done)
}

pub(super) fn restore(args: &RestoreArgs) -> Result<Exit, Exit> {
    let folder = place::folder(args.place.config.as_deref(), args.place.data_dir.as_deref())?;
    let file = place::path(&args.file);
    let restored = backup::restore(&folder, &file).map_err(|error| refused(&error))?;
    if args.json {
        let aside = restored.aside;
        let mode = restored.open_folder.map(|mode| format!("{mode:03o}"));
        let told = json!({
            "folder": folder, "bytes": restored.bytes, "aside": aside, "open_folder": mode,
        });
        say(&told.to_string());
    } else {
        tell(&format!("{} restored to {}", words::bytes(restored.bytes), folder.display()));
        if let Some(mode) = restored.open_folder {
            tell(&format!(
                "warning: others can look into the folder {} (mode {mode:03o}); the store's files are closed to them, \
                 `chmod 700 {}` closes the folder too",
                folder.display(),
                folder.display()
            ));
        }
        if let Some(aside) = &restored.aside {
            tell(&format!("the store that was there is kept as {}", aside.display()));
        }
    }
    Ok(Exit::Done)
}

/// What the user names wrongly is usage; the rest is what the machine lets happen.
fn refused(error: &BackupError) -> Exit {
    let exit = match error {
        BackupError::Exists { .. } => Exit::Usage,
        BackupError::Damaged { .. } => Exit::Failed,
        _ => Exit::Environment,
    };
    refuse(&error.to_string(), exit)
}
