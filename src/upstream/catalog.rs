//! Providers as data: the presets of `catalog.toml` and the well-known models of `models.toml`, parsed once.

use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::neutral::kind::{Flag, Flags};
use crate::upstream::provider::AuthScheme;

/// What is known of a kind of provider before anything is configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The word for `type`.
    pub name: String,
    /// For people.
    pub title: String,
    /// May hold `{NAME}` or `{NAME|OTHER}`, filled from the environment. `None`: the block must say it.
    pub baseurl: Option<String>,
    /// In the words of the configuration; see [`Preset::auth`].
    pub authorization: String,
    #[serde(rename = "flags")]
    flag_keys: Vec<String>,
    /// Variables that hold its key; the first that is set wins.
    #[serde(default)]
    pub env: Vec<String>,
    /// Made by itself when its variable is set and no provider is configured.
    #[serde(default = "yes")]
    pub automatic: bool,
    /// A block without a key is worth a warning.
    #[serde(default = "yes")]
    pub key_required: bool,
    /// Where its list of models is, as a client would ask for it; `None`: not to be had.
    pub models_path: Option<String>,
    /// Its paths have no version segment.
    #[serde(default)]
    pub versionless: bool,
    /// `gen_ai.provider.name`.
    pub telemetry_name: String,
    /// The price list its bills follow; `none`: it does not bill by tokens, or they are not known. Absent: its flags tell.
    pub cost_basis: Option<String>,
    /// The provider's documentation.
    pub docs: String,
    /// What to know before using it.
    pub note: Option<String>,
}

impl Preset {
    /// The endpoints it offers.
    pub fn flags(&self) -> Flags {
        self.flag_keys.iter().filter_map(|key| flag(key)).collect()
    }

    /// Where its key goes.
    pub fn auth(&self) -> AuthScheme {
        AuthScheme::parse(&self.authorization).unwrap_or(AuthScheme::Bearer)
    }
}

/// The flag with this key in a `compatibility` block.
pub fn flag(key: &str) -> Option<Flag> {
    Flag::ALL.into_iter().find(|flag| flag.key() == key)
}

/// The preset called `name`.
pub fn preset(name: &str) -> Option<&'static Preset> {
    all().iter().find(|preset| preset.name == name)
}

/// All presets, in the order of the catalogue.
pub fn all() -> &'static [Preset] {
    static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
        let catalog: Option<Catalog> = parse(include_str!("catalog.toml"));
        catalog.map(|catalog| catalog.preset).unwrap_or_default()
    });
    &PRESETS
}

/// One well-known model name.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownModel {
    /// What clients ask for: `anthropic/claude-sonnet-4.6`.
    pub id: String,
    /// How each preset that has the model names it, in order of preference.
    pub on: Vec<Offer>,
}

/// A model as one preset names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    pub preset: String,
    pub model: String,
}

/// Published sizes of a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// The provider's own name; `*` at the end stands for anything.
    model: String,
    pub context_length: u64,
    pub max_output_tokens: u64,
}

/// The well-known names, each with every preset that takes it.
pub fn known_models() -> &'static [KnownModel] {
    &models().model
}

/// Published sizes of a model by the provider's own name (`gpt-4.1-mini`) or a router's (`openai/gpt-4.1-mini`).
pub fn sizes(model: &str) -> Option<&'static Sizes> {
    let name = model.rsplit_once('/').map_or(model, |(_, name)| name);
    models().size.iter().find(|sizes| match sizes.model.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => sizes.model == name,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalog {
    preset: Vec<Preset>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Models {
    /// Presets that take every id as it stands.
    verbatim: Vec<String>,
    model: Vec<KnownModel>,
    size: Vec<Sizes>,
}

fn models() -> &'static Models {
    static MODELS: LazyLock<Models> = LazyLock::new(|| {
        let mut models: Models = parse(include_str!("models.toml")).unwrap_or_default();
        for model in &mut models.model {
            for preset in &models.verbatim {
                model.on.push(Offer { preset: preset.clone(), model: model.id.clone() });
            }
        }
        models
    });
    &MODELS
}

/// The files are part of the program and read by a test, so a fault in them cannot reach a user.
fn parse<T: DeserializeOwned>(text: &str) -> Option<T> {
    let parsed = toml::from_str(text);
    debug_assert!(parsed.is_ok(), "{:?}", parsed.as_ref().err());
    parsed.ok()
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_promised_preset_is_there_and_whole() {
        let names: Vec<&str> = all().iter().map(|preset| preset.name.as_str()).collect();
        let promised = "openai openai-responses anthropic gemini vertex bedrock azure foundry openrouter vercel groq \
                        together fireworks mistral deepseek qwen xai zai minimax kimi ollama vllm llama.cpp lmstudio \
                        openai-compatible anthropic-compatible";
        for name in promised.split_whitespace() {
            assert!(names.contains(&name), "{name} is missing");
        }
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a name twice");
        for preset in all() {
            let name = &preset.name;
            assert_eq!(preset.flags().iter().count(), preset.flag_keys.len(), "{name}: flags");
            assert!(!preset.flags().is_empty(), "{name}: no flag");
            assert!(AuthScheme::parse(&preset.authorization).is_some(), "{name}: authorization");
            assert!(preset.docs.starts_with("https://"), "{name}: docs");
            assert!(!preset.title.is_empty() && !preset.telemetry_name.is_empty(), "{name}");
            if let Some(baseurl) = &preset.baseurl {
                assert!(baseurl.starts_with("http") || baseurl.starts_with('{'), "{name}: baseurl");
            }
        }
        let automatic =
            all().iter().filter(|preset| preset.automatic).flat_map(|preset| &preset.env);
        let automatic: Vec<&String> = automatic.collect();
        let distinct: BTreeSet<&&String> = automatic.iter().collect();
        assert_eq!(distinct.len(), automatic.len(), "one variable would make two providers");
    }

    #[test]
    fn the_twelve_ids_are_known_with_the_makers_own_name_first() {
        assert_eq!(known_models().len(), 12);
        let on = |id: &str| &known_models().iter().find(|model| model.id == id).unwrap().on;
        let first = |id: &str| (on(id)[0].preset.as_str(), on(id)[0].model.as_str());
        assert_eq!(first("anthropic/claude-sonnet-4.6"), ("anthropic", "claude-sonnet-4-6"));
        assert_eq!(first("google/gemini-3.5-flash"), ("gemini", "gemini-3.5-flash"));
        assert_eq!(first("deepseek/deepseek-r1"), ("deepseek", "deepseek-reasoner"));
        for model in known_models() {
            for offer in &model.on {
                assert!(preset(&offer.preset).is_some(), "{}: {}", model.id, offer.preset);
            }
            for router in ["openrouter", "vercel"] {
                let offer = Offer { preset: router.to_owned(), model: model.id.clone() };
                assert!(model.on.contains(&offer), "{} on {router}", model.id);
            }
        }
    }

    #[test]
    fn sizes_are_found_by_own_routed_and_dated_names() {
        assert_eq!(sizes("gpt-4o").unwrap().context_length, 128_000);
        assert_eq!(sizes("openai/gpt-4o").unwrap().max_output_tokens, 16_384);
        assert_eq!(sizes("claude-haiku-4-5-20251001").unwrap().context_length, 200_000);
        assert_eq!(sizes("gpt-4o-audio-preview"), None);
    }
}
