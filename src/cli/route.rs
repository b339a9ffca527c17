//! `pinhole route MODEL`: where a name goes at each endpoint, step by step.

use serde_json::{Value, json};

use crate::cli::Exit;
use crate::cli::args::RouteArgs;
use crate::cli::serve::tell_findings;
use crate::cli::terminal::{say, tell};
use crate::config::env::Environment;
use crate::config::load::load;
use crate::neutral::kind::Flag;
use crate::proxy::explain::explain;
use crate::proxy::state::{self, LearnedModels};

pub fn run(args: &RouteArgs) -> Exit {
    let environment = Environment::of_process();
    let settings = match load(args.config.config.as_deref(), &args.config.overrides(), &environment)
    {
        Ok(settings) => settings,
        Err(findings) => {
            tell_findings(&findings);
            return Exit::Usage;
        }
    };
    tell_findings(&settings.warnings);
    let table = state::table(&settings, &LearnedModels::default());
    let answers: Vec<Value> = Flag::ALL
        .into_iter()
        .filter(|flag| settings.providers.iter().any(|provider| provider.flags.has(*flag)))
        .map(|flag| explain(&table, &settings.providers, &args.model, Some(flag)))
        .collect();
    let routed = answers.iter().any(|answer| answer["provider"].is_string());
    if args.json {
        say(&format!("{:#}", json!({ "model": args.model, "endpoints": answers })));
    } else {
        for answer in &answers {
            print(answer);
        }
    }
    if !routed {
        tell(&format!("no endpoint of any provider serves {}", args.model));
        return Exit::Failed;
    }
    Exit::Done
}

fn print(answer: &Value) {
    let text = |key: &str| answer[key].as_str().unwrap_or("-").to_owned();
    say(&text("endpoint"));
    for step in answer["steps"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        say(&format!("  {step}"));
    }
    match answer["provider"].as_str() {
        Some(provider) => {
            say(&format!("  -> {provider}, model {}, {}", text("model"), text("url")));
            for (name, value) in answer["parameters"].as_object().into_iter().flatten() {
                say(&format!(
                    "     {name} = {} (from {})",
                    value["value"],
                    text_of(&value["source"])
                ));
            }
        }
        None => say(&format!("  -> refused: {}", text("refused"))),
    }
}

fn text_of(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}
