//! From a run's journal to its report, in every form that was asked for, and the gates' word on it.

use std::io::{self, Write};
use std::path::Path;

use pinhole_replay::faces::gate::{Finding, Gate};
use pinhole_replay::faces::{json, terminal};
use pinhole_replay::plan::Plan;

use crate::base::private;
use crate::cli::Exit;
use crate::cli::place::{path, refuse};
use crate::cli::replay::args::ReplayArgs;
use crate::cli::terminal::{look, tell};
use crate::proxy::loopback::account;
use crate::proxy::loopback::forms::{self, FORMS, Made};
use crate::proxy::loopback::run::Ready;
use crate::proxy::state::Shared;
use crate::report::replay::runs::Place;

/// That every file asked for has a form, before anything is sent.
pub(super) fn check(plan: &Plan) -> Result<(), String> {
    for file in &plan.report {
        if !FORMS.contains(&form(file)) {
            return Err(format!(
                "--report: `{file}` ends in none of {}; xml is JUnit's",
                FORMS.map(|form| format!(".{form}")).join(", ")
            ));
        }
        // A run may take hours and money: that its report has a place is known before.
        let folder = path(Path::new(file)).parent().map(Path::to_owned).unwrap_or_default();
        if !folder.as_os_str().is_empty() && !folder.is_dir() {
            return Err(format!(
                "--report: there is no folder `{}`; make it first",
                folder.display()
            ));
        }
    }
    Ok(())
}

fn form(file: &str) -> &str {
    Path::new(file).extension().and_then(|ending| ending.to_str()).unwrap_or_default()
}

/// Makes the report, keeps it, writes it, and says what the gates find.
pub(super) fn deliver(
    args: &ReplayArgs,
    ready: &Ready,
    place: &Place,
    shared: &Shared,
    gates: &[Gate],
) -> Result<Exit, Exit> {
    let (report, journaled) = account::settle(ready, place, gates)
        .map_err(|error| refuse(&error.to_string(), Exit::Environment))?;
    let findings: Vec<Finding> = gates.iter().map(|gate| gate.judge(&report)).collect();
    for file in &ready.plan.report {
        let folder = &shared.snapshot().settings.server.data_dir;
        write(file, (&report, &journaled, &findings), folder).map_err(|error| {
            let told = format!(
                "{file}: the report cannot be written: {error}; it is kept as JSON in {}, and --resume {} with another \
                 --report writes it again",
                place.report().display(),
                ready.id
            );
            refuse(&told, Exit::Environment)
        })?;
    }
    if args.json {
        let told = json::draw(&report).map_err(|error| {
            refuse(&format!("the report cannot be written as JSON: {error}"), Exit::Environment)
        })?;
        print(&told, place)?;
    } else {
        let look = look();
        let how = terminal::How { width: look.width.unwrap_or(100), colour: look.colour };
        print(&terminal::draw(&report, how), place)?;
    }
    for finding in &findings {
        tell(&finding.line());
    }
    let open = findings.iter().all(|finding| finding.outcome.is_open());
    Ok(if open { Exit::Done } else { Exit::Failed })
}

/// Says the report on standard output. A program that has read enough (`| head`) is no error, a full disk is.
fn print(text: &str, place: &Place) -> Result<(), Exit> {
    let mut out = io::stdout();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let kept = place.report();
            let told = format!(
                "standard output cannot be written: {error}; the report is kept as JSON in {}",
                kept.display()
            );
            Err(refuse(&told, Exit::Environment))
        }
        _ => Ok(()),
    }
}

/// Writes the form that the file's ending names; texts of answers come from the store in `folder`.
pub(in crate::cli) fn write(file: &str, made: Made<'_>, folder: &Path) -> io::Result<()> {
    let mut out = private::create(&path(Path::new(file)))?;
    forms::write(form(file), made, folder, &mut out)
}
