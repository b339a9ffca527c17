//! Where a target leads, found before anything is sent: which provider and model, by which rule, at what price; and whether
//! they speak the language of the recordings.

use std::collections::BTreeSet;

use pinhole_replay::context::Target;
use pinhole_replay::estimate::Price;

use crate::config::diagnostic::Finding;
use crate::config::settings::Settings;
use crate::neutral::kind::{Dialect, Flag, Operation};
use crate::neutral::usage::Usage;
use crate::price::book::Priced;
use crate::proxy::endpoint::{Endpoint, ModelPlace};
use crate::proxy::loopback::hearing;
use crate::proxy::refusal;
use crate::proxy::state::Shared;
use crate::report::replay::source::Source;
use crate::route::table::Ask;
use crate::upstream::catalog;
use crate::upstream::provider::Provider;

/// Presets of servers that take `ignore_eos`, and `min_tokens` or leave it unread.
const FORCED: [&str; 2] = ["vllm", "llama.cpp"];
/// Presets of OpenAI's own models.
const OPENAI: [&str; 3] = ["openai", "azure", "foundry"];
/// Tokens that a price is asked for: few enough that no rate for long prompts applies.
const ASKED: u64 = 1_000;

/// Where one target leads.
#[derive(Debug, Clone, PartialEq)]
pub struct Aim {
    /// As it was written.
    pub target: String,
    /// What stands as `model` in its requests: the gateway decides by it as for any client.
    pub model: String,
    pub provider: String,
    /// The provider's name for the model.
    pub served: String,
    pub because: &'static str,
    /// `None`: it is on no price list.
    pub price: Option<Price>,
    /// It can be made to write as much as was recorded (`min_tokens`, `ignore_eos`).
    pub forces_length: bool,
}

/// Where a target leads whatever it is sent, a language that leads there, and whether it is OpenAI's own service.
pub(super) fn any(shared: &Shared, target: &Target) -> Result<(Aim, Dialect, bool), String> {
    let spoken =
        [Dialect::OpenAiChat, Dialect::Anthropic, Dialect::OpenAiResponses, Dialect::Gemini];
    let mut refused = None;
    for dialect in spoken {
        match by_dialects(shared, target, &BTreeSet::from([dialect.label()])) {
            Ok((aim, preset)) => {
                let is_openai = preset.is_some_and(|preset| OPENAI.contains(&&*preset));
                return Ok((aim, dialect, is_openai));
            }
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    Err(refused.unwrap_or_default())
}

/// Where it leads, or why nowhere.
pub(super) fn of(shared: &Shared, target: &Target, source: &Source) -> Result<Aim, String> {
    let spoken: BTreeSet<&str> = source.lines().iter().map(|line| line.dialect.as_str()).collect();
    by_dialects(shared, target, &spoken).map(|(aim, _)| aim)
}

fn by_dialects(
    shared: &Shared,
    target: &Target,
    spoken: &BTreeSet<&str>,
) -> Result<(Aim, Option<String>), String> {
    let snapshot = shared.snapshot();
    let mut found = None;
    for &dialect in spoken {
        let flag = flag(hearing::dialect(dialect));
        let ask = Ask { model: Some(&target.selector), flag, leaning: flag };
        let choice = snapshot.table.decide(ask).map_err(|why| {
            let asked = endpoint(hearing::dialect(dialect), flag);
            refusal::of_route(&why, &asked).message.into_owned()
        })?;
        let provider =
            snapshot.provider(choice.provider).ok_or_else(|| "no provider serves it".to_owned())?;
        if let Some(why) = keyless(&snapshot.settings, provider) {
            return Err(why);
        }
        let preset = provider.preset.as_deref().map(str::to_owned);
        found.get_or_insert((provider.id.to_string(), choice, preset));
    }
    let Some((provider, choice, preset)) = found else {
        return Err("there are no recordings".to_owned());
    };
    let forces_length = preset.as_deref().is_some_and(|preset| FORCED.contains(&preset));
    let served = choice.model.as_deref().unwrap_or(&target.selector).to_owned();
    let priced = snapshot.settings.prices.book.lookup(&provider, &served);
    let aim = Aim {
        target: target.to_string(),
        model: target.selector.clone(),
        provider,
        served,
        because: choice.because.label(),
        price: priced.as_deref().and_then(price),
        forces_length,
    };
    Ok((aim, preset))
}

/// Why nothing can be sent to a provider that has no key: of a client's there is none here to pass on.
fn keyless(settings: &Settings, provider: &Provider) -> Option<String> {
    if !provider.keys.is_empty() || provider.auth.header_name().is_none() {
        return None;
    }
    let key = format!("providers.{}.apikey", provider.id);
    let mut findings = settings.warnings.iter();
    let told = findings.find(|finding| finding.key.starts_with(&key)).map(Finding::told);
    let wanted = provider.preset.as_deref().and_then(catalog::preset)?.key_required;
    let remedy = match told {
        Some(told) => told,
        None if wanted => format!("set {key}"),
        None => return None,
    };
    Some(format!("provider {} has no key, and a replay sends no other: {remedy}", provider.id))
}

/// The compatibility flag of a dialect's own endpoint.
fn flag(dialect: Dialect) -> Option<Flag> {
    match dialect {
        Dialect::OpenAiChat => Some(Flag::OpenAiChat),
        Dialect::OpenAiResponses => Some(Flag::OpenAiResponses),
        Dialect::Anthropic => Some(Flag::AnthropicMessages),
        Dialect::Gemini => Some(Flag::GeminiGenerateContent),
        Dialect::OpenAiEmbeddings => None,
    }
}

fn endpoint(dialect: Dialect, flag: Option<Flag>) -> Endpoint<'static> {
    Endpoint {
        dialect,
        operation: Operation::Chat,
        flag,
        leaning: flag,
        version: None,
        rest: "",
        model: ModelPlace::Body,
        stream: None,
    }
}

/// What a token costs, in billionths of a US dollar.
pub fn price(priced: &Priced) -> Option<Price> {
    let each = |usage: &Usage| {
        let amount = priced.cost(usage, None)?.nanodollars.0;
        #[expect(clippy::cast_precision_loss, reason = "prices of a thousand tokens are small")]
        let amount = amount as f64;
        Some(amount / ASKED as f64)
    };
    let (asked, none) = (Some(ASKED), Some(0));
    let input = each(&Usage { input: asked, output: none, ..Usage::default() })?;
    let output = each(&Usage { input: none, output: asked, ..Usage::default() })?;
    let cached = each(&Usage { input: asked, cache_read: asked, output: none, ..Usage::default() });
    Some(Price { input, cached, output })
}
