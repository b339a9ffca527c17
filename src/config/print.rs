//! The resolved view, for `pinhole check`, as lines for people and as JSON. Labels of keys, never keys.

use std::fmt::Write as _;

use http::Uri;
use serde_json::{Value, json};

use crate::config::settings::{Settings, Source};
use crate::config::units::{show_size, show_span};
use crate::exchange::trace::Incoming;
use crate::neutral::kind::Flag;
use crate::route::rules::{Rules, Target};
use crate::telemetry::otlp::shown;
use crate::telemetry::settings::Export;
use crate::upstream::provider::{AuthMode, HttpVersion, Provider, Timeouts};

/// Lines for people.
pub fn text(settings: &Settings) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_text(&mut out, settings);
    out
}

/// The same facts as JSON.
pub fn json(settings: &Settings) -> Value {
    json!({
        "source": match &settings.source {
            Source::File(path) => json!(path.display().to_string()),
            Source::Environment => Value::Null,
        },
        "server": {
            "listen": settings.server.listen.to_string(),
            "ops_listen": settings.server.ops_listen.to_string(),
            "data_dir": settings.server.data_dir.display().to_string(),
            "instance": settings.server.instance,
            "tls": settings.server.tls.is_some(),
            "workers": settings.server.workers,
            "drain": show_span(settings.server.drain),
        },
        "limits": {
            "body": show_size(settings.limits.body_bytes_max),
            "in_flight": settings.limits.in_flight_max,
            "wait": show_span(settings.limits.wait),
            "buffered": show_size(settings.limits.buffered_bytes_max),
        },
        "capture": settings.capture.level.label(),
        "telemetry": telemetry_json(settings),
        "prices": {
            "version": settings.prices.book.lists().version(),
            "date": settings.prices.book.lists().date().map(|date| date.to_string()),
            "stale_after": settings.prices.stale_after.map_or_else(|| "off".to_owned(), show_span),
        },
        "keys": settings.gateway_keys.iter().map(|key| &*key.label).collect::<Vec<_>>(),
        "admin_key": settings.admin_key.is_some(),
        "providers": settings.providers.iter().map(|provider| provider_json(provider)).collect::<Vec<_>>(),
        "routes": rules_json(&settings.rules),
        "warnings": settings.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn write_text(out: &mut String, settings: &Settings) -> std::fmt::Result {
    match &settings.source {
        Source::File(path) => writeln!(out, "configuration  {}", path.display())?,
        Source::Environment => writeln!(out, "configuration  environment and flags, no file")?,
    }
    let server = &settings.server;
    let scheme = if server.tls.is_some() { "https" } else { "http" };
    writeln!(out, "traffic        {scheme}://{}", server.listen)?;
    writeln!(out, "operations     http://{}", server.ops_listen)?;
    writeln!(out, "data           {}", server.data_dir.display())?;
    writeln!(out, "capture        {}", settings.capture.level.label())?;
    write_telemetry(out, settings)?;
    let labels: Vec<&str> = settings.gateway_keys.iter().map(|key| &*key.label).collect();
    let keys = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
    writeln!(out, "gateway keys   {keys}")?;
    let lists = settings.prices.book.lists();
    let date = lists.date().map_or_else(|| "none".to_owned(), |date| date.to_string());
    writeln!(out, "prices         {} of {date}", lists.version())?;
    for provider in &settings.providers {
        write_provider(out, provider)?;
        writeln!(out, "  prices       {}", bases(settings, provider).join(", "))?;
    }
    write_rules(out, &settings.rules)
}

/// What is exported, where to, and which traces are recorded.
fn write_telemetry(out: &mut String, settings: &Settings) -> std::fmt::Result {
    let telemetry = &settings.telemetry;
    let destination = |export: &Option<Export>| match export {
        Some(export) => format!("{} by {}", shown(&export.endpoint), export.protocol.label()),
        None => "not exported".to_owned(),
    };
    let traces = &settings.traces;
    writeln!(out, "traces         {}", destination(&telemetry.traces))?;
    if telemetry.traces.is_some() {
        let parent = if traces.sampler.parent { "the caller's choice, else " } else { "" };
        writeln!(out, "  recorded     {parent}a share of {}", traces.sampler.ratio)?;
        let names = telemetry.semconv.label();
        writeln!(out, "  names        {names}, content {}", telemetry.content.label())?;
    }
    if !traces.propagate {
        writeln!(out, "  context      traceparent passes as it comes")?;
    }
    writeln!(out, "metrics        /metrics; by OTLP: {}", destination(&telemetry.metrics))
}

fn telemetry_json(settings: &Settings) -> Value {
    let telemetry = &settings.telemetry;
    let destination = |export: &Option<Export>| {
        export.as_ref().map(|export| {
            json!({
                "endpoint": shown(&export.endpoint),
                "protocol": export.protocol.label(),
                "headers": export.headers.iter().map(|(name, _)| name).collect::<Vec<_>>(),
                "timeout": show_span(export.timeout),
                "gzip": export.gzip,
            })
        })
    };
    json!({
        "service_name": telemetry.service_name,
        "traces": destination(&telemetry.traces),
        "metrics": destination(&telemetry.metrics),
        "semconv": telemetry.semconv.label(),
        "content": telemetry.content.label(),
        "propagate": settings.traces.propagate,
        "incoming": match settings.traces.incoming {
            Incoming::Continue => "continue",
            Incoming::Restart => "restart",
        },
        "sampler": { "parent": settings.traces.sampler.parent, "ratio": settings.traces.sampler.ratio },
    })
}

fn write_provider(out: &mut String, provider: &Provider) -> std::fmt::Result {
    let preset = provider.preset.as_deref().unwrap_or("none");
    let state = if provider.disabled { ", disabled" } else { "" };
    writeln!(out, "\nprovider {} (preset {preset}{state})", provider.id)?;
    writeln!(out, "  base URL     {}", provider.base_url)?;
    if let Some(proxy) = &provider.proxy {
        writeln!(out, "  proxy        {}", without_user(proxy))?;
    }
    let flags: Vec<&str> = provider.flags.iter().map(Flag::key).collect();
    writeln!(out, "  endpoints    {}", flags.join(", "))?;
    let mode = mode(provider.auth_mode);
    writeln!(out, "  credential   {}, {mode}", provider.auth.label())?;
    writeln!(out, "  keys         {}", keys_line(provider))?;
    writeln!(out, "  models       {}", models_line(provider))?;
    writeln!(out, "  waits        {}", timeouts_line(provider.timeouts))
}

/// The price lists that a provider bills by.
fn bases(settings: &Settings, provider: &Provider) -> Vec<String> {
    let billing = settings.prices.book.billing(&provider.id);
    let bases: Vec<String> =
        billing.into_iter().flat_map(|billing| &billing.bases).map(ToString::to_string).collect();
    if bases.is_empty() { vec!["none".to_owned()] } else { bases }
}

fn keys_line(provider: &Provider) -> String {
    let labels: Vec<&str> = provider.keys.iter().map(|key| &*key.label).collect();
    match labels.as_slice() {
        [] => "none".to_owned(),
        labels => format!("{}: {}", labels.len(), labels.join(", ")),
    }
}

fn models_line(provider: &Provider) -> String {
    let names: Vec<String> = provider
        .models
        .iter()
        .map(|model| match model.aliases.as_slice() {
            [] => model.id.clone(),
            aliases => format!("{} (also {})", model.id, aliases.join(", ")),
        })
        .collect();
    match (names.as_slice(), provider.discover) {
        ([], true) => "asked of the provider".to_owned(),
        ([], false) => "none".to_owned(),
        (names, _) => names.join(", "),
    }
}

fn timeouts_line(timeouts: Timeouts) -> String {
    let total = timeouts.total.map_or_else(|| "off".to_owned(), show_span);
    format!(
        "connect {}, first byte {}, idle {}, total {total}",
        show_span(timeouts.connect),
        show_span(timeouts.first_byte),
        show_span(timeouts.idle),
    )
}

fn write_rules(out: &mut String, rules: &Rules) -> std::fmt::Result {
    writeln!(out, "\nroutes")?;
    let default = rules.default_backend.as_ref().map_or_else(|| "none".to_owned(), target);
    writeln!(out, "  default      {default}")?;
    if let Some(selector) = &rules.force_model {
        writeln!(out, "  forced       {selector}")?;
    }
    if let Some(selector) = &rules.static_route {
        writeln!(out, "  static       {selector}")?;
    }
    for alias in &rules.aliases {
        writeln!(out, "  alias        {} -> {}", alias.pattern.as_str(), alias.replacement)?;
    }
    for shipped in &rules.shipped {
        let targets: Vec<String> = shipped.targets.iter().map(target).collect();
        writeln!(out, "  shipped      {} -> {}", shipped.name, targets.join(", "))?;
    }
    Ok(())
}

fn provider_json(provider: &Provider) -> Value {
    json!({
        "id": &*provider.id,
        "preset": provider.preset.as_deref(),
        "name": provider.name,
        "baseurl": provider.base_url.to_string(),
        "proxy": provider.proxy.as_ref().map(without_user),
        "compatibility": provider.flags.iter().map(Flag::key).collect::<Vec<_>>(),
        "authorization": provider.auth.label(),
        "auth_mode": mode(provider.auth_mode),
        "keys": provider.keys.iter().map(|key| &*key.label).collect::<Vec<_>>(),
        "models": provider.models.iter().map(|model| json!({
            "id": model.id,
            "aliases": model.aliases,
            "context_length": model.context_length,
            "max_output_tokens": model.max_output_tokens,
        })).collect::<Vec<_>>(),
        "discover": provider.discover,
        "add_headers": provider.add_headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        "preference": provider.preference,
        "disabled": provider.disabled,
        "versionless": provider.versionless,
        "in_flight": provider.in_flight_max,
        "http": match provider.http {
            HttpVersion::Auto => "auto",
            HttpVersion::Http1 => "1",
            HttpVersion::Http2 => "2",
        },
        "timeouts": {
            "connect": show_span(provider.timeouts.connect),
            "first_byte": show_span(provider.timeouts.first_byte),
            "idle": show_span(provider.timeouts.idle),
            "total": provider.timeouts.total.map_or_else(|| "off".to_owned(), show_span),
        },
    })
}

fn rules_json(rules: &Rules) -> Value {
    json!({
        "default_backend": rules.default_backend.as_ref().map(target),
        "force_model": rules.force_model,
        "static_route": rules.static_route,
        "model_aliases": rules.aliases.iter().map(|alias| json!({
            "pattern": alias.pattern.as_str(),
            "replacement": alias.replacement,
        })).collect::<Vec<_>>(),
        "shipped": rules.shipped.iter().map(|shipped| json!({
            "name": shipped.name,
            "targets": shipped.targets.iter().map(target).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

fn target(target: &Target) -> String {
    match &target.model {
        Some(model) => format!("{}:{model}", target.provider),
        None => target.provider.clone(),
    }
}

fn mode(mode: AuthMode) -> &'static str {
    match mode {
        AuthMode::Override => "override",
        AuthMode::Passthrough => "passthrough",
        AuthMode::None => "none",
    }
}

/// A proxy's address without the user and password that may stand in it.
fn without_user(proxy: &Uri) -> String {
    let scheme = proxy.scheme_str().unwrap_or("http");
    let host = proxy.host().unwrap_or_default();
    match proxy.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::env::Environment;
    use crate::config::load::load_text;
    use crate::config::settings::Overrides;
    use crate::config::tree::Text;

    #[test]
    fn the_view_names_what_was_resolved() {
        let content = "default_backend = \"openai:gpt-5\"\n[model_aliases]\n\"^a$\" = \"gpt-5\"\n\
                       [providers.openai]\nmodels = [\"gpt-5\", { id = \"m\", aliases = [\"fast\"] }]\n[providers.ollama]\n";
        let environment = Environment::new(
            std::path::Path::new("/w"),
            [("OPENAI_API_KEY", "k0"), ("OPENAI_API_KEY_1", "k1"), ("HOME", "/h")],
        );
        let file = Text::new(std::path::Path::new("pinhole.toml"), content.to_owned());
        let source = Source::File("/w/pinhole.toml".into());
        let settings = load_text(file, source, &Overrides::default(), &environment).unwrap();
        let view = text(&settings);
        for line in [
            "configuration  /w/pinhole.toml",
            "traffic        http://127.0.0.1:8000",
            "data           /h/.local/share/pinhole",
            "provider openai (preset openai)",
            "  prices       openai",
            "  prices       none",
            "  base URL     https://api.openai.com/",
            "  endpoints    openai_chat",
            "  credential   bearer, override",
            "  keys         2: OPENAI_API_KEY, OPENAI_API_KEY_1",
            "  models       gpt-5, m (also fast)",
            "  models       asked of the provider",
            "  waits        connect 10s, first byte 2m, idle 5m, total off",
            "  default      openai:gpt-5",
            "  alias        ^a$ -> gpt-5",
            "  shipped      openai/gpt-5.2 -> openai:gpt-5.2",
        ] {
            assert!(view.lines().any(|found| found == line), "{line:?} in\n{view}");
        }
        let value = json(&settings);
        assert_eq!(value["providers"][0]["keys"], json!(["OPENAI_API_KEY", "OPENAI_API_KEY_1"]));
        assert_eq!(value["providers"][1]["id"], "ollama");
        assert_eq!(value["routes"]["default_backend"], "openai:gpt-5");
    }
}
