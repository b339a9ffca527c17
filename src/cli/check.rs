//! `pinhole check`: every finding, then what the configuration resolves to; with `--live`, one real call per key.

use serde_json::{Value, json};

use crate::base::clock;
use crate::cli::Exit;
use crate::cli::args::CheckArgs;
use crate::cli::serve::tell_findings;
use crate::cli::terminal::{say, tell};
use crate::config::env::Environment;
use crate::config::load::load;
use crate::config::prices;
use crate::config::print;
use crate::config::settings::Settings;
use crate::price::date::Day;
use crate::upstream::control::{self, Verdict};

pub fn run(args: &CheckArgs) -> Exit {
    let environment = Environment::of_process();
    let overrides = args.config.overrides();
    let settings = match load(args.config.config.as_deref(), &overrides, &environment) {
        Ok(settings) => settings,
        Err(findings) => {
            tell_findings(&findings);
            if args.json {
                let errors: Vec<String> = findings.iter().map(ToString::to_string).collect();
                say(&format!("{:#}", json!({ "errors": errors })));
            }
            return Exit::Failed;
        }
    };
    tell_findings(&settings.warnings);
    if let Some(stale) = prices::stale(&settings, Day::of_us(clock::wall_us())) {
        // Told, but no fault of the file: a check that passed yesterday passes today.
        tell(&stale.to_string());
    }
    let live = if args.json {
        let mut document = print::json(&settings);
        let mut rows = Vec::new();
        let fine = !args.live || check_live(&settings, |row| rows.push(row.json()));
        if args.live {
            document["live"] = Value::Array(rows);
        }
        say(&format!("{document:#}"));
        fine
    } else {
        say(print::text(&settings).trim_end());
        !args.live || check_live(&settings, |row| say(&row.text()))
    };
    let warnings = settings.warnings.iter().count();
    if warnings > 0 {
        tell(&format!("{warnings} of the above to mend: a warning fails this check"));
    }
    if warnings == 0 && live { Exit::Done } else { Exit::Failed }
}

/// What came of one real call.
struct Row<'a> {
    provider: &'a str,
    /// The label of the key; `None`: the provider has none.
    key: Option<&'a str>,
    verdict: Verdict,
}

impl Row<'_> {
    fn text(&self) -> String {
        let key = self.key.unwrap_or("no key");
        format!("live {} ({key}): {}", self.provider, words(&self.verdict))
    }

    fn json(&self) -> Value {
        json!({
            "provider": self.provider,
            "key": self.key,
            "fine": matches!(self.verdict, Verdict::Fine { .. }),
            "verdict": words(&self.verdict),
        })
    }
}

/// Tries every key of every provider and tells of each; true when all are fine.
fn check_live(settings: &Settings, mut told: impl FnMut(&Row<'_>)) -> bool {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(&format!("error: no runtime: {error}"));
            return false;
        }
    };
    let mut fine = true;
    for provider in settings.providers.iter().filter(|provider| !provider.disabled) {
        for at in 0..provider.keys.len().max(1) {
            let row = Row {
                provider: &provider.id,
                key: provider.keys.get(at).map(|key| &*key.label),
                verdict: runtime.block_on(control::check(provider, at)),
            };
            fine &= matches!(row.verdict, Verdict::Fine { .. });
            told(&row);
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
