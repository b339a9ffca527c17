//! Routing rules of the file and the command line: defaults, forced models, aliases, and the shipped names.

use regex::Regex;

use super::preset::{CODEX, CODEX_MESSAGE, CODEX_REMEDY};
use super::provider::{Defaults, from_preset};
use super::{Context, by_id, keys};
use crate::base::near::nearest;
use crate::config::file::ModelAliases;
use crate::route::rules::{Alias, Rules, Shipped, Target};
use crate::upstream::catalog;
use crate::upstream::provider::Provider;

/// What the file says.
pub(super) struct Written {
    pub(super) default_backend: Option<String>,
    pub(super) force_model: Option<String>,
    pub(super) static_route: Option<String>,
    pub(super) aliases: Option<ModelAliases>,
}

/// Where a rule was written, for its findings.
#[derive(Clone, Copy)]
enum Origin {
    Flag(&'static str),
    Key(&'static str),
}

/// Builds the rules. A preset that a rule names and no block configures becomes a provider by itself.
pub(super) fn rules(
    written: Written,
    providers: &mut Vec<Provider>,
    defaults: &Defaults,
    context: &mut Context<'_, '_>,
) -> Rules {
    let overrides = context.inputs.overrides;
    let default_backend = pick(
        overrides.default_backend.clone(),
        written.default_backend,
        ("--default-backend", "default_backend"),
    );
    let static_route = pick(
        overrides.static_route.clone(),
        written.static_route,
        ("--static-route", "static_route"),
    );
    let force_model =
        pick(overrides.force_model.clone(), written.force_model, ("--force-model", "force_model"));
    let mut names = Names { providers, defaults, context };
    let default_backend = default_backend.and_then(|(text, origin)| names.target(&text, origin));
    let static_route = static_route.filter(|(text, origin)| names.route(text, *origin));
    let aliases = aliases(written.aliases, context);
    Rules {
        default_backend,
        force_model: force_model.map(|(text, _)| text),
        static_route: static_route.map(|(text, _)| text),
        aliases,
        shipped: shipped(providers),
    }
}

/// The flag, else the key; blank counts as absent.
fn pick(
    flag: Option<String>,
    key: Option<String>,
    names: (&'static str, &'static str),
) -> Option<(String, Origin)> {
    let from = |text: Option<String>, origin| {
        text.map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
            .map(|text| (text, origin))
    };
    from(flag, Origin::Flag(names.0)).or_else(|| from(key, Origin::Key(names.1)))
}

/// Looks providers up, and makes those that only a preset names.
struct Names<'a, 'i, 'f> {
    providers: &'a mut Vec<Provider>,
    defaults: &'a Defaults,
    context: &'a mut Context<'i, 'f>,
}

impl Names<'_, '_, '_> {
    /// `provider`, `provider:model` or a preset.
    fn target(&mut self, text: &str, origin: Origin) -> Option<Target> {
        let text = text.split_once('?').map_or(text, |(before, _)| before);
        let (name, model) = match text.split_once(':') {
            Some((name, model)) if by_id(self.providers, text).is_none() => (name, Some(model)),
            _ => (text, None),
        };
        let provider = self.provider(name, origin)?;
        let model = model.map(str::to_owned).filter(|model| !model.is_empty());
        Some(Target { provider, model })
    }

    /// A static route names both, with `:` or `/` between.
    fn route(&mut self, text: &str, origin: Origin) -> bool {
        let before_params = text.split_once('?').map_or(text, |(before, _)| before);
        let name = before_params.split_once(':').or_else(|| before_params.split_once('/'));
        match name {
            Some((name, model)) if !model.is_empty() => self.provider(name, origin).is_some(),
            _ => {
                fault(self.context, origin, "not a route", "write provider:model");
                false
            }
        }
    }

    /// The id of the provider that `name` stands for.
    fn provider(&mut self, name: &str, origin: Origin) -> Option<String> {
        if name == CODEX {
            fault(self.context, origin, CODEX_MESSAGE, CODEX_REMEDY);
            return None;
        }
        let follows = |provider: &&Provider| provider.preset.as_deref() == Some(name);
        let known = by_id(self.providers, name).or_else(|| self.providers.iter().find(follows));
        if let Some(provider) = known {
            let (id, is_disabled) = (provider.id.to_string(), provider.disabled);
            if is_disabled {
                let message = format!("{id} is disabled");
                fault(self.context, origin, &message, "enable it, or name another provider");
            }
            return Some(id);
        }
        // A block that is faulty has its finding; that its name is then missing is not another fault.
        if self.context.node(&["providers", name]).is_some() {
            return None;
        }
        let Some(preset) = catalog::preset(name) else {
            self.unknown(name, origin);
            return None;
        };
        let keys = keys::preset_keys(preset, self.context);
        let is_keyless = keys.is_empty() && preset.key_required;
        let Some(provider) = from_preset(preset, keys, self.defaults, self.context) else {
            let message = format!("the preset {name} cannot stand alone: its address is not known");
            let remedy = format!("write a [providers.{name}] block with a baseurl");
            fault(self.context, origin, &message, &remedy);
            return None;
        };
        if let Some(variable) = preset.env.first().filter(|_| is_keyless) {
            let message = format!("{name} has no key: clients' own credentials pass through");
            self.context.variable_warning(variable, &message, "set it, or write a block");
        }
        self.providers.push(provider);
        Some(name.to_owned())
    }

    fn unknown(&mut self, name: &str, origin: Origin) {
        let configured = self.providers.iter().map(|provider| &*provider.id);
        let presets = catalog::all().iter().map(|preset| preset.name.as_str());
        let near = nearest(name, configured.clone().chain(presets));
        let remedy = if near.is_empty() {
            format!("configured: {}", configured.collect::<Vec<_>>().join(", "))
        } else {
            format!("did you mean {}?", near.join(" or "))
        };
        let message = format!("`{name}` is neither a configured provider nor a preset");
        fault(self.context, origin, &message, &remedy);
    }
}

fn fault(context: &mut Context<'_, '_>, origin: Origin, message: &str, remedy: &str) {
    match origin {
        Origin::Flag(flag) => context.flag_error(flag, message, remedy),
        Origin::Key(key) => context.error(&[key], message, remedy),
    }
}

/// The command line's before the file's.
fn aliases(written: Option<ModelAliases>, context: &mut Context<'_, '_>) -> Vec<Alias> {
    let mut aliases = Vec::new();
    for text in &context.inputs.overrides.model_aliases {
        let flag = Origin::Flag("--model-alias");
        let Some((pattern, replacement)) = text.split_once('=') else {
            fault(context, flag, "no `=` in it", "write PATTERN=REPLACEMENT");
            continue;
        };
        match alias(pattern, replacement) {
            Ok(alias) => aliases.push(alias),
            Err((message, remedy)) => fault(context, flag, &message, remedy),
        }
    }
    let rows: Vec<(String, String, String)> = match written {
        None => Vec::new(),
        Some(ModelAliases::List(rows)) => rows
            .into_iter()
            .enumerate()
            .map(|(index, row)| (index.to_string(), row.pattern, row.replacement))
            .collect(),
        Some(ModelAliases::Table(rows)) => {
            rows.into_iter().map(|(pattern, text)| (pattern.clone(), pattern, text)).collect()
        }
    };
    for (step, pattern, replacement) in rows {
        match alias(&pattern, &replacement) {
            Ok(alias) => aliases.push(alias),
            Err((message, remedy)) => context.error(&["model_aliases", &step], &message, remedy),
        }
    }
    aliases
}

fn alias(pattern: &str, replacement: &str) -> Result<Alias, (String, &'static str)> {
    if pattern.is_empty() {
        return Err(("an empty pattern matches every name".into(), "write `.*` if that is meant"));
    }
    if replacement.trim().is_empty() {
        return Err(("an empty replacement".into(), "write the model's new name"));
    }
    let regex = Regex::new(pattern).map_err(|error| {
        // The last line says what is wrong; those before it draw the pattern.
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ");
        (format!("not a regular expression: {reason}"), "see https://docs.rs/regex#syntax")
    })?;
    let replacement = groups(replacement);
    Ok(Alias { pattern: regex, replacement })
}

/// `\1` and `$1` become `${1}`, so that letters after them are not taken for part of a group's name.
fn groups(replacement: &str) -> String {
    let mut braced = String::with_capacity(replacement.len() + 4);
    let mut letters = replacement.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_group =
            matches!(letter, '\\' | '$') && letters.peek().is_some_and(char::is_ascii_digit);
        if !is_group {
            braced.push(letter);
            continue;
        }
        braced.push_str("${");
        while let Some(digit) = letters.next_if(char::is_ascii_digit) {
            braced.push(digit);
        }
        braced.push('}');
    }
    braced
}

/// The well-known names on the providers that are there to take them, in the order of the catalogue.
fn shipped(providers: &[Provider]) -> Vec<Shipped> {
    let named = |preset: &str| {
        providers
            .iter()
            .filter(|provider| !provider.disabled && provider.preset.as_deref() == Some(preset))
            .map(|provider| provider.id.to_string())
            .collect::<Vec<_>>()
    };
    catalog::known_models()
        .iter()
        .map(|model| Shipped {
            name: model.id.clone(),
            targets: model
                .on
                .iter()
                .flat_map(|offer| {
                    named(&offer.preset)
                        .into_iter()
                        .map(|provider| Target { provider, model: Some(offer.model.clone()) })
                })
                .collect(),
        })
        .filter(|shipped| !shipped.targets.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_written_either_way() {
        for (written, braced) in [
            (r"openrouter:openai/gpt-\1", "openrouter:openai/gpt-${1}"),
            ("$1-mini", "${1}-mini"),
            (r"\12x", "${12}x"),
            ("${1}x", "${1}x"),
            ("plain", "plain"),
            (r"a\b", r"a\b"),
        ] {
            assert_eq!(groups(written), braced, "{written}");
        }
        let alias = alias(r"^gpt-(\d)$", r"claude-\1x").unwrap();
        let rewritten = alias.pattern.replace("gpt-4", alias.replacement.as_str());
        assert_eq!(rewritten, "claude-4x");
    }

    #[test]
    fn bad_patterns_say_why() {
        assert!(alias("(", "x").unwrap_err().0.contains("unclosed group"));
        assert!(alias("", "x").is_err());
        assert!(alias("x", " ").is_err());
    }
}
