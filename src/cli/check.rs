//! `pinhole check`: every finding, then what the configuration resolves to; with `--live`, one real call per key.

use crate::cli::Exit;
use crate::cli::args::CheckArgs;
use crate::cli::serve::tell_findings;
use crate::cli::terminal::{say, tell};
use crate::config::env::Environment;
use crate::config::load::load;
use crate::config::print;
use crate::config::settings::Settings;
use crate::upstream::control::{self, Verdict};

pub fn run(args: &CheckArgs) -> Exit {
    let environment = Environment::of_process();
    let overrides = args.config.overrides();
    let settings = match load(args.config.config.as_deref(), &overrides, &environment) {
        Ok(settings) => settings,
        Err(findings) => {
            tell_findings(&findings);
            return Exit::Failed;
        }
    };
    tell_findings(&settings.warnings);
    if args.json {
        say(&format!("{:#}", print::json(&settings)));
    } else {
        say(print::text(&settings).trim_end());
    }
    let live = !args.live || check_live(&settings);
    if settings.warnings.is_empty() && live {
        Exit::Done
    } else {
        Exit::Failed
    }
}

/// Tries every key of every provider; true when all are fine.
fn check_live(settings: &Settings) -> bool {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(&format!("error: no runtime: {error}"));
            return false;
        }
    };
    let mut fine = true;
    for provider in settings
        .providers
        .iter()
        .filter(|provider| !provider.disabled)
    {
        for at in 0..provider.keys.len().max(1) {
            let verdict = runtime.block_on(control::check(provider, at));
            let key = provider.keys.get(at).map_or("no key", |key| &*key.label);
            fine &= matches!(verdict, Verdict::Fine { .. });
            say(&format!(
                "live {} ({key}): {}",
                provider.id,
                words(&verdict)
            ));
        }
    }
    fine
}

fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Fine { models } => format!("fine, {models} models"),
        Verdict::Refused { status, quote } if quote.to_lowercase().contains("expired") => {
            format!("expired: the provider answered {status}: {quote}")
        }
        Verdict::Refused { status, quote } => {
            format!("bad key: the provider answered {status}: {quote}")
        }
        Verdict::Unreachable(reason) => format!("unreachable: {reason}"),
        Verdict::Unclear(reason) => format!("unclear: {reason}"),
    }
}
