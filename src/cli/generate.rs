//! What is made from the program itself: completions, the man page, and the generated pages under `docs/`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Exit;
use crate::cli::args::Args;
use crate::cli::terminal::{say, tell};
use crate::config;
use crate::neutral::failure::Code;
use crate::telemetry;

pub fn completions(shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "pinhole", &mut script);
    say(String::from_utf8_lossy(&script).trim_end());
    Exit::Done
}

pub fn man() -> Exit {
    match man_page() {
        Ok(page) => {
            say(String::from_utf8_lossy(&page).trim_end());
            Exit::Done
        }
        Err(error) => {
            tell(&format!("error: the man page cannot be made: {error}"));
            Exit::Environment
        }
    }
}

/// One page for all: a list of commands would point at pages that nobody installs, so each has a section here.
fn man_page() -> io::Result<Vec<u8>> {
    let mut command = Args::command();
    command.build();
    let top = clap_mangen::Man::new(command.clone());
    let mut page = Vec::new();
    top.render_title(&mut page)?;
    top.render_name_section(&mut page)?;
    top.render_synopsis_section(&mut page)?;
    top.render_options_section(&mut page)?;
    each_below(&mut command, "pinhole", &mut |name, help| {
        let heading = name.to_uppercase();
        writeln!(page, ".SH \"{heading}\"\n.nf")?;
        for line in help.trim().lines() {
            // A point or quote at the start of a line, and every backslash, mean something to the reader's program.
            writeln!(page, "\\&{}", line.trim_end().replace('\\', "\\\\").replace('-', "\\-"))?;
        }
        writeln!(page, ".fi")
    })?;
    top.render_extra_section(&mut page)?;
    top.render_version_section(&mut page)?;
    Ok(page)
}

/// Writes the generated pages, or with `check` says which of them are stale.
pub fn docs(check: bool) -> Exit {
    if !Path::new("docs").is_dir() {
        tell("error: no docs folder here; run this at the root of the repository");
        return Exit::Usage;
    }
    let mut exit = Exit::Done;
    for (path, content) in pages() {
        let current = std::fs::read_to_string(path).unwrap_or_default();
        if current == content {
            continue;
        }
        if check {
            tell(&format!("{path} is stale; run `pinhole docs` and commit it"));
            exit = Exit::Failed;
        } else if let Err(error) = std::fs::write(path, content) {
            tell(&format!("error: {path} cannot be written: {error}"));
            return Exit::Environment;
        } else {
            tell(&format!("{path} written"));
        }
    }
    exit
}

fn pages() -> Vec<(&'static str, String)> {
    vec![
        ("docs/errors.md", errors()),
        ("docs/cli.md", cli()),
        ("docs/config.md", config::docs::reference_markdown()),
        ("docs/telemetry.md", telemetry::docs::page()),
        ("docs/pinhole.schema.json", config::docs::schema_json()),
    ]
}

fn errors() -> String {
    let mut page = String::from(
        "# Error codes\n\nGenerated from the program; do not edit. Every error the gateway makes itself carries one of these codes, in the\n\
         envelope of the caller's dialect:\n\n\
         | dialect | envelope |\n|---|---|\n\
         | OpenAI | `{\"error\": {\"message\", \"type\", \"param\", \"code\", \"source\"}}` |\n\
         | Anthropic | `{\"type\": \"error\", \"error\": {\"type\", \"message\", \"code\", \"source\"}, \"request_id\"}` |\n\
         | Gemini | `{\"error\": {\"code\", \"message\", \"status\", \"details\": [{\"reason\", \"metadata\": {\"source\"}}]}}` |\n\n\
         Errors of a provider keep their status and body. `x-pinhole-upstream-status` says what it answered; the exchange id is\n\
         in `x-pinhole-id` of every answer. With `errors.wrap_502 = true` a provider's error is answered as `upstream_error`.\n\n\
         | code | status | source | what happened | what to do |\n|---|---|---|---|---|\n",
    );
    for code in Code::ALL {
        let row = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            code.label(),
            code.status(),
            code.source().label(),
            code.meaning(),
            code.remedy()
        );
        debug_assert!(row.is_ok(), "writing to a String cannot fail");
    }
    page
}

fn cli() -> String {
    let mut page =
        String::from("# Command line\n\nGenerated from the command definitions; do not edit.\n");
    let mut command = Args::command().term_width(100);
    command.build();
    let top = command.render_long_help().to_string();
    push_help(&mut page, "pinhole", &top);
    let written = each_below(&mut command, "pinhole", &mut |name, help| {
        push_help(&mut page, name, help);
        Ok(())
    });
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
    page
}

/// Gives the help of every command below `command`, with its whole name, parents before their own.
fn each_below(
    command: &mut clap::Command,
    name: &str,
    give: &mut impl FnMut(&str, &str) -> io::Result<()>,
) -> io::Result<()> {
    for sub in command.get_subcommands_mut() {
        if sub.is_hide_set() || sub.get_name() == "help" {
            continue;
        }
        let name = format!("{name} {}", sub.get_name());
        give(&name, &sub.render_long_help().to_string())?;
        each_below(sub, &name, give)?;
    }
    Ok(())
}

fn push_help(page: &mut String, name: &str, help: &str) {
    let help: Vec<&str> = help.trim().lines().map(str::trim_end).collect();
    let row = write!(page, "\n## `{name}`\n\n```text\n{}\n```\n", help.join("\n"));
    debug_assert!(row.is_ok(), "writing to a String cannot fail");
}
