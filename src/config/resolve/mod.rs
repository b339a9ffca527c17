//! The typed file, the environment and the command line become [`Settings`]. What is said twice: flag, then file, then
//! default. Every fault is a finding; what depends on a faulty part is left out, so that one fault is said once.

mod base_url;
mod capture;
mod keys;
mod preset;
mod prices;
mod provider;
mod proxy;
mod redact;
mod rules;
mod sections;
mod server;
mod telemetry;

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::diagnostic::{Finding, Findings, Severity};
use crate::config::env::Environment;
use crate::config::file::File;
use crate::config::settings::{Overrides, Settings, Source};
use crate::config::tree::{Node, Text};
use crate::upstream::catalog;
use crate::upstream::provider::Provider;

/// The file as it was read, for the places of findings.
pub struct Read {
    pub text: Text,
    pub root: Node,
}

/// What a load starts from.
pub struct Inputs<'a> {
    pub read: Option<&'a Read>,
    pub overrides: &'a Overrides,
    pub environment: &'a Environment,
}

/// Builds the settings. With errors among the findings they are not fit to run.
pub fn resolve(
    file: File,
    source: Source,
    inputs: &Inputs<'_>,
    findings: &mut Findings,
) -> Settings {
    let mut context = Context { inputs, findings };
    let waits = file.timeouts.unwrap_or_default();
    let timeouts = server::timeouts(&waits, &mut context);
    let discovery = sections::discovery(&file.discovery.unwrap_or_default());
    let raises = keys::raises(file.keys.as_deref().unwrap_or_default());
    let gateway_keys = keys::gateway_keys(file.keys.unwrap_or_default(), &mut context);
    let admin_key = keys::admin_key(&context);
    let retention = capture::retention(&file.retention.unwrap_or_default());
    let mut kept = file.capture.unwrap_or_default();
    let encryption_key = redact::encryption_key(kept.encryption_key.take(), &mut context);
    let hidden = kept.redact.take().unwrap_or_default();
    let redact = redact::redact(hidden, &kept.headers_indexed, &mut context);
    let capture = capture::capture(&kept, &retention, raises, &mut context);

    let defaults = provider::Defaults { timeouts, discover: discovery.enabled };
    let mut providers = match file.providers {
        Some(blocks) if !blocks.is_empty() => {
            provider::from_blocks(blocks, &defaults, &mut context)
        }
        _ => provider::from_environment(&defaults, &mut context),
    };
    let written = rules::Written {
        default_backend: file.default_backend,
        force_model: file.force_model,
        static_route: file.static_route,
        aliases: file.model_aliases,
    };
    let rules = rules::rules(written, &mut providers, &defaults, &mut context);
    if providers.is_empty() {
        context.error(&["providers"], "no provider is configured", &no_provider_remedy());
    }
    let listeners = file.server.unwrap_or_default();
    let server = server::server(listeners, waits.request_body.0, &mut context);
    let book = prices::Written {
        prices: file.prices.unwrap_or_default(),
        auto_basis: file.auto_cost_basis.unwrap_or(true),
    };
    let prices = prices::prices(&book, &server.data_dir, &providers, &mut context);
    server::exposure(&server, &gateway_keys, admin_key.is_some(), &mut context);
    let (telemetry, traces) =
        telemetry::telemetry(file.telemetry.unwrap_or_default(), &mut context);
    Settings {
        source,
        server,
        ops: sections::ops(&file.ops.unwrap_or_default()),
        log: sections::log(&file.log.unwrap_or_default()),
        limits: sections::limits(&file.limits.unwrap_or_default(), &mut context),
        timeouts,
        streams: sections::streams(&file.streams.unwrap_or_default()),
        discovery,
        capture,
        redact,
        encryption_key,
        retention,
        prices,
        traces,
        telemetry,
        errors: sections::errors(&file.errors.unwrap_or_default()),
        providers: providers.into_iter().map(Arc::new).collect(),
        rules,
        gateway_keys,
        admin_key,
        warnings: Findings::default(),
    }
}

fn no_provider_remedy() -> String {
    let variables: Vec<&str> = catalog::all()
        .iter()
        .filter(|preset| preset.automatic)
        .filter_map(|preset| preset.env.first().map(String::as_str))
        .take(3)
        .collect();
    format!(
        "set a key in the environment ({}, …), write a [providers.NAME] block, or name a preset with --default-backend \
         to pass the client's own login through",
        variables.join(", ")
    )
}

/// What every step needs: the inputs, and where findings go.
pub(crate) struct Context<'i, 'f> {
    inputs: &'i Inputs<'i>,
    findings: &'f mut Findings,
}

impl Context<'_, '_> {
    fn environment(&self) -> &Environment {
        self.inputs.environment
    }

    /// The node under a path of the file.
    fn node(&self, path: &[&str]) -> Option<&Node> {
        self.inputs.read?.root.get(path)
    }

    /// A path in the file: `~/` is home, a relative one starts from the file's folder.
    fn path(&self, written: &str) -> PathBuf {
        let directory = self.environment().directory();
        let folder = self
            .inputs
            .read
            .and_then(|read| read.text.file.parent())
            .map_or_else(|| directory.to_owned(), |parent| directory.join(parent));
        crate::config::expand::path_from(&folder, self.environment(), written)
    }

    /// A finding stands on this key or below it (or, for `apikey`, on `apikeys`).
    fn has_finding_on(&self, path: &[&str]) -> bool {
        let key = path.join(".");
        let below = format!("{key}.");
        let plural = format!("{key}s");
        self.findings.iter().any(|finding| {
            finding.key == key
                || finding.key.starts_with(&below)
                || (key.ends_with(".apikey") && finding.key.starts_with(&plural))
        })
    }

    fn error(&mut self, path: &[&str], message: &str, remedy: &str) {
        self.push(Severity::Error, path, message, remedy);
    }

    fn warning(&mut self, path: &[&str], message: &str, remedy: &str) {
        self.push(Severity::Warning, path, message, remedy);
    }

    fn push(&mut self, severity: Severity, path: &[&str], message: &str, remedy: &str) {
        let key = path.join(".");
        // A part that is faulty already (or was left out for it) gets no second finding for what follows from that.
        if self.has_finding_on(path) {
            return;
        }
        let place = self.inputs.read.map(|read| read.text.place(read.root.locate(path)));
        self.findings.push(Finding {
            severity,
            place,
            key,
            message: message.to_owned(),
            remedy: remedy.to_owned(),
        });
    }

    /// A fault of the command line.
    fn flag_error(&mut self, flag: &str, message: &str, remedy: &str) {
        self.findings.push(Finding {
            severity: Severity::Error,
            place: None,
            key: flag.to_owned(),
            message: message.to_owned(),
            remedy: remedy.to_owned(),
        });
    }

    /// Something odd about the environment.
    fn variable_warning(&mut self, name: &str, message: &str, remedy: &str) {
        self.findings.push(Finding {
            severity: Severity::Warning,
            place: None,
            key: name.to_owned(),
            message: message.to_owned(),
            remedy: remedy.to_owned(),
        });
    }
}

/// The provider called `id`.
fn by_id<'a>(providers: &'a [Provider], id: &str) -> Option<&'a Provider> {
    providers.iter().find(|provider| &*provider.id == id)
}
