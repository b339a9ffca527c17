//! Provider blocks, and providers made from the environment alone, with what their presets fill in.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use indexmap::IndexMap;

use super::{Context, base_url, keys, preset, proxy, server};
use crate::base::near::nearest;
use crate::config::file_provider as file;
use crate::neutral::kind::{Flag, Flags};
use crate::upstream::catalog::{self, Preset};
use crate::upstream::provider::{
    AuthMode, AuthScheme, HttpVersion, Model, ModelCost, Provider, ProviderKey, Timeouts,
    TlsOptions,
};

/// The preset of a block that names none.
const FALLBACK: &str = "openai";

/// What the top of the file says for all providers.
pub(super) struct Defaults {
    pub(super) timeouts: Timeouts,
    pub(super) discover: bool,
}

/// The file's blocks, in order.
pub(super) fn from_blocks(
    blocks: IndexMap<String, file::Provider>,
    defaults: &Defaults,
    context: &mut Context<'_, '_>,
) -> Vec<Provider> {
    blocks.into_iter().filter_map(|(id, block)| from_block(&id, block, defaults, context)).collect()
}

/// One provider for each preset whose key is in the environment, in the order of the catalogue.
pub(super) fn from_environment(
    defaults: &Defaults,
    context: &mut Context<'_, '_>,
) -> Vec<Provider> {
    catalog::all()
        .iter()
        .filter(|preset| preset.automatic)
        .filter_map(|preset| {
            let keys = keys::preset_keys(preset, context);
            let is_reachable = base_url::of_preset(preset, context.environment()).is_some();
            // A key whose provider cannot be reached (a region is not set) is not asked for: nobody named the provider.
            (is_reachable && !keys.is_empty())
                .then(|| from_preset(preset, keys, defaults, context))?
        })
        .collect()
}

/// A provider that nobody wrote a block for; `None` when its root is not known.
pub(super) fn from_preset(
    preset: &Preset,
    keys: Vec<ProviderKey>,
    defaults: &Defaults,
    context: &mut Context<'_, '_>,
) -> Option<Provider> {
    let base_url = base_url::of_preset(preset, context.environment())?;
    let id: Arc<str> = Arc::from(preset.name.as_str());
    Some(Provider {
        preset: Some(Arc::clone(&id)),
        id,
        name: None,
        description: None,
        proxy: proxy::proxy(&base_url, context),
        base_url,
        keys,
        auth: preset.auth(),
        auth_mode: AuthMode::Override,
        flags: preset.flags(),
        models: Vec::new(),
        discover: defaults.discover && preset.models_path.is_some(),
        add_headers: Vec::new(),
        preference: 0,
        disabled: false,
        cost_basis: None,
        model_costs: Vec::new(),
        upstream: None,
        timeouts: defaults.timeouts,
        in_flight_max: None,
        tls: TlsOptions::default(),
        http: HttpVersion::Auto,
        trace_context: true,
        versionless: preset.versionless,
    })
}

fn from_block(
    id: &str,
    block: file::Provider,
    defaults: &Defaults,
    context: &mut Context<'_, '_>,
) -> Option<Provider> {
    check_id(id, context);
    let named = preset::named(id, block.r#type.as_deref(), context).ok()?;
    let preset = named.or_else(|| catalog::preset(FALLBACK))?;
    let base_url = base_url::of_block(id, block.baseurl.as_deref(), named, preset, context)?;
    let auth = auth(id, block.authorization.as_deref(), preset, context);
    let auth_mode = match block.auth_mode {
        Some(file::AuthMode::Passthrough) => AuthMode::Passthrough,
        Some(file::AuthMode::None) => AuthMode::None,
        Some(file::AuthMode::Override) | None => AuthMode::Override,
    };
    let keys = block_keys(id, &block, named, context);
    let needs_key = preset.key_required && auth != AuthScheme::None;
    if keys.is_empty() && needs_key && auth_mode == AuthMode::Override && !is_disabled(&block) {
        no_key(id, preset, context);
    }
    let flags = flags(block.r#type.is_some(), block.compatibility, named);
    if flags.is_empty() {
        let remedy = "set one flag to true, or leave the block out";
        context.warning(&["providers", id, "compatibility"], "every endpoint is off", remedy);
    }
    let can_list = preset.models_path.is_some();
    Some(Provider {
        id: Arc::from(id),
        preset: named.map(|preset| Arc::from(preset.name.as_str())),
        proxy: proxy::proxy(&base_url, context),
        base_url,
        keys,
        add_headers: add_headers(id, block.add_headers.as_deref(), &auth, context),
        auth,
        auth_mode,
        flags,
        discover: defaults.discover && block.models.is_none() && can_list,
        models: models(id, block.models, context),
        name: block.name,
        description: block.description,
        preference: block.preference.unwrap_or(0),
        disabled: block.disabled.unwrap_or(false),
        cost_basis: block.cost_basis,
        model_costs: block.model_cost_map.into_iter().flatten().map(model_cost).collect(),
        upstream: block.upstream,
        timeouts: timeouts(id, block.timeouts, defaults.timeouts, context),
        in_flight_max: block.in_flight,
        tls: tls(id, block.ca_file.as_deref(), context),
        http: match block.http {
            Some(file::Http::One) => HttpVersion::Http1,
            Some(file::Http::Two) => HttpVersion::Http2,
            Some(file::Http::Auto) | None => HttpVersion::Auto,
        },
        trace_context: block.trace_context.unwrap_or(true),
        versionless: block.versionless.unwrap_or(preset.versionless),
    })
}

/// The id is part of paths, headers, selectors (`provider:model`) and labels.
fn check_id(id: &str, context: &mut Context<'_, '_>) {
    let is_fit = !id.is_empty()
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !is_fit {
        let remedy = "use letters, digits, `-`, `_` and `.`; a display name goes into `name`";
        context.error(&["providers", id], "not fit for a provider's id", remedy);
    }
}

/// The contract's rule: a named preset brings its flags, but a block keyed `openai` that says nothing has chat alone.
/// Inside a `compatibility` block explicit values win, and `openai_chat` is on unless another flag is.
fn flags(has_type: bool, written: Option<file::Compatibility>, named: Option<&Preset>) -> Flags {
    let Some(written) = written else {
        return match named {
            Some(preset) if has_type || preset.name != FALLBACK => preset.flags(),
            _ => Flags::NONE.with(Flag::OpenAiChat),
        };
    };
    let on: Flags =
        Flag::ALL.into_iter().filter(|flag| written_flag(written, *flag) == Some(true)).collect();
    let chat_by_default = written.openai_chat.is_none() && on.is_empty();
    if chat_by_default { on.with(Flag::OpenAiChat) } else { on }
}

fn written_flag(written: file::Compatibility, flag: Flag) -> Option<bool> {
    match flag {
        Flag::OpenAiChat => written.openai_chat,
        Flag::OpenAiResponses => written.openai_responses,
        Flag::AnthropicMessages => written.anthropic_messages,
        Flag::GeminiGenerateContent => written.gemini_generate_content,
        Flag::GoogleGenerateContent => written.google_generate_content,
        Flag::GoogleRawPredict => written.google_raw_predict,
        Flag::BedrockModelInvoke => written.bedrock_model_invoke,
        Flag::BedrockConverse => written.bedrock_converse,
    }
}

fn auth(
    id: &str,
    written: Option<&str>,
    preset: &Preset,
    context: &mut Context<'_, '_>,
) -> AuthScheme {
    let Some(written) = written else {
        return preset.auth();
    };
    AuthScheme::parse(written).unwrap_or_else(|| {
        let near = nearest(written, AuthScheme::WORDS);
        let meant = near.first().map_or_else(String::new, |word| format!("did you mean {word}? "));
        let remedy = format!("{meant}write one of {}, header: NAME", AuthScheme::WORDS.join(", "));
        context.error(&["providers", id, "authorization"], "not a way to send a key", &remedy);
        preset.auth()
    })
}

/// The block's own keys; a block that names its preset and says nothing takes the preset's from the environment.
fn block_keys(
    id: &str,
    block: &file::Provider,
    named: Option<&Preset>,
    context: &mut Context<'_, '_>,
) -> Vec<ProviderKey> {
    let is_silent = block.apikey.is_none()
        && block.apikeys.is_none()
        && !context.has_finding_on(&["providers", id, "apikey"]);
    match named {
        Some(preset) if is_silent => keys::preset_keys(preset, context),
        _ => {
            let apikeys = block.apikeys.as_deref().unwrap_or_default();
            keys::provider_keys(id, block.apikey.as_ref(), apikeys, context)
        }
    }
}

fn is_disabled(block: &file::Provider) -> bool {
    block.disabled == Some(true)
}

fn no_key(id: &str, preset: &Preset, context: &mut Context<'_, '_>) {
    let variable = preset.env.first().map_or("NAME", String::as_str);
    let remedy = format!(
        "set apikey = \"env:{variable}\"; or auth_mode = \"passthrough\" if clients bring their own, authorization = \
         \"none\" if it needs none"
    );
    let message = "no key: clients' own credentials pass through while the gateway has no key";
    context.warning(&["providers", id, "apikey"], message, &remedy);
}

/// Headers that a value of ours would break the connection or the request with.
const FORBIDDEN_HEADERS: [&str; 6] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "te"];

fn add_headers(
    id: &str,
    written: Option<&[crate::config::text::SecretText]>,
    auth: &AuthScheme,
    context: &mut Context<'_, '_>,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (index, entry) in written.unwrap_or_default().iter().enumerate() {
        let index = index.to_string();
        let path = ["providers", id, "add_headers", &index];
        let Some((name, value)) = entry.header() else {
            context.error(&path, "not a header", "write \"Name: value\"");
            continue;
        };
        if FORBIDDEN_HEADERS.contains(&name.as_str()) {
            let message = format!("{name} is the connection's own and cannot be set");
            context.error(&path, &message, "leave it out");
        } else if auth.header_name().as_ref() == Some(&name) {
            let message = format!("{name} carries the key and is not replaced by this");
            context.warning(&path, &message, "leave it out, or set authorization = \"none\"");
        } else {
            headers.push((name, value));
        }
    }
    headers
}

fn models(
    id: &str,
    written: Option<Vec<file::Model>>,
    context: &mut Context<'_, '_>,
) -> Vec<Model> {
    let mut seen = BTreeSet::new();
    let mut models = Vec::new();
    if written.as_ref().is_some_and(Vec::is_empty) {
        let message = "an empty list: no model name leads to this provider";
        let remedy = "leave the key out to ask the provider for its list";
        context.warning(&["providers", id, "models"], message, remedy);
    }
    for (index, entry) in written.into_iter().flatten().enumerate() {
        let model = model(entry);
        let index = index.to_string();
        let path = ["providers", id, "models", &index];
        if model.id.trim().is_empty() {
            context.error(&path, "an empty name", "write the model's name or a glob");
            continue;
        }
        let is_new = seen.insert(model.id.clone());
        let aliases_new = model.aliases.iter().all(|alias| seen.insert(alias.clone()));
        if !is_new || !aliases_new {
            context.warning(&path, "named before in this list", "remove one of the two");
        }
        if is_new {
            models.push(model);
        }
    }
    models
}

fn model(entry: file::Model) -> Model {
    let mut model = match entry {
        file::Model::Name(id) => Model { id, ..Model::default() },
        file::Model::Table(table) => Model {
            id: table.id,
            aliases: table.aliases,
            context_length: table.context_length,
            max_output_tokens: table.max_output_tokens,
            modalities: table.modalities,
        },
    };
    if let Some(sizes) = catalog::sizes(&model.id) {
        model.context_length = model.context_length.or(Some(sizes.context_length));
        model.max_output_tokens = model.max_output_tokens.or(Some(sizes.max_output_tokens));
    }
    model
}

fn model_cost(row: file::ModelCost) -> ModelCost {
    ModelCost {
        pattern: row.r#match,
        priced_as: row.r#as,
        adjustment: row.adjustment.unwrap_or(1.0),
    }
}

fn timeouts(
    id: &str,
    written: Option<file::ProviderTimeouts>,
    defaults: Timeouts,
    context: &mut Context<'_, '_>,
) -> Timeouts {
    let written = written.unwrap_or_default();
    let mut wait = |key: &str, span: Option<crate::config::units::Span>, default| match span {
        Some(span) => server::positive(span.0, &["providers", id, "timeouts", key], context),
        None => default,
    };
    Timeouts {
        connect: wait("connect", written.connect, defaults.connect),
        first_byte: wait("first_byte", written.first_byte, defaults.first_byte),
        idle: wait("idle", written.idle, defaults.idle),
        total: match written.total {
            Some(total) => total.0,
            None => defaults.total,
        },
    }
}

fn tls(id: &str, ca_file: Option<&str>, context: &mut Context<'_, '_>) -> TlsOptions {
    let ca_file = ca_file.map(|written| context.path(written));
    if let Some(path) = ca_file.as_ref().filter(|path| !path.is_file()) {
        let message = format!("there is no file {}", path.display());
        context.error(&["providers", id, "ca_file"], &message, "name a PEM file");
    }
    TlsOptions { ca_file }
}
