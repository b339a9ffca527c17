//! `/v1/models`: what is served and by whom, in the shape of the dialect that asks. Failures of discovery are shown.

use serde_json::{Value, json};

use crate::neutral::failure::{Code, Failure};
use crate::neutral::kind::{Dialect, Flag};
use crate::policy::identity::query_key;
use crate::price::view;
use crate::proxy::endpoint::percent_decode;
use crate::proxy::state::{Learned, Snapshot};
use crate::route::table::{Ask, Refusal};
use crate::upstream::catalog;
use crate::upstream::provider::{AuthMode, Model, Provider};

/// One line of the catalogue: a name clients may ask for, on one provider.
struct Row<'a> {
    id: &'a str,
    provider: &'a Provider,
    /// The name it is sent under, when `id` is an alias.
    alias_of: Option<&'a str>,
    model: Option<&'a Model>,
}

/// The whole catalogue, or the entry `id`.
pub fn answer(
    snapshot: &Snapshot,
    dialect: Dialect,
    id: Option<&str>,
    query: Option<&str>,
) -> Result<Vec<u8>, Failure> {
    // `?key=` marks a Gemini client as its header would.
    let dialect = match dialect {
        Dialect::OpenAiChat if query.and_then(query_key).is_some() => Dialect::Gemini,
        other => other,
    };
    let rows = rows(snapshot);
    let body = match id {
        None => list(snapshot, dialect, &rows, query),
        Some(id) => {
            let wanted = percent_decode(id);
            let row = rows
                .iter()
                .find(|row| row.id == wanted)
                .ok_or_else(|| unknown(snapshot, &wanted))?;
            one(snapshot, dialect, row)
        }
    };
    Ok(body.to_string().into_bytes())
}

fn unknown(snapshot: &Snapshot, wanted: &str) -> Failure {
    let near = match snapshot.table.decide(Ask { model: Some(wanted), flag: None, leaning: None }) {
        Err(Refusal::UnknownModel { near, .. }) => near,
        _ => Vec::new(),
    };
    let hint = if near.is_empty() {
        "GET /v1/models lists what is served".to_owned()
    } else {
        format!("did you mean {}?", near.join(", "))
    };
    let shown: String = wanted.chars().take(120).collect();
    Failure::new(
        Code::ModelNotFound,
        format!("no configured provider lists the model {shown}; {hint}"),
    )
    .param("model")
}

/// Rows in the order of the file; a model that two providers serve has two.
fn rows(snapshot: &Snapshot) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for provider in snapshot.settings.providers.iter().filter(|provider| !provider.disabled) {
        for model in snapshot.models(provider) {
            rows.push(Row { id: &model.id, provider, alias_of: None, model: Some(model) });
            for alias in &model.aliases {
                rows.push(Row {
                    id: alias,
                    provider,
                    alias_of: Some(&model.id),
                    model: Some(model),
                });
            }
        }
    }
    for (name, at, sent_as) in snapshot.table.shipped() {
        let listed = rows.iter().any(|row| row.id == name);
        if let Some(provider) = snapshot.provider(at).filter(|_| !listed) {
            rows.push(Row { id: name, provider, alias_of: Some(sent_as), model: None });
        }
    }
    rows
}

fn list(snapshot: &Snapshot, dialect: Dialect, rows: &[Row<'_>], query: Option<&str>) -> Value {
    match dialect {
        Dialect::Anthropic => {
            let limit =
                parameter(query, "limit").and_then(|text| text.parse().ok()).unwrap_or(1_000);
            let after = parameter(query, "after_id");
            let start = after
                .and_then(|id| rows.iter().position(|row| row.id == id))
                .map_or(0, |at| at + 1);
            let page: Vec<&Row<'_>> = rows.iter().skip(start).take(limit).collect();
            json!({
                "data": page.iter().map(|row| anthropic(row)).collect::<Vec<_>>(),
                "has_more": start + page.len() < rows.len(),
                "first_id": page.first().map(|row| row.id),
                "last_id": page.last().map(|row| row.id),
            })
        }
        Dialect::Gemini => json!({ "models": rows.iter().map(gemini).collect::<Vec<_>>() }),
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::OpenAiEmbeddings => {
            let mut body = json!({
                "object": "list",
                "data": rows.iter().map(|row| openai(snapshot, row)).collect::<Vec<_>>(),
            });
            let failed = failures(snapshot);
            if !failed.is_empty() {
                body["discovery_errors"] = Value::Array(failed);
            }
            body
        }
    }
}

fn failures(snapshot: &Snapshot) -> Vec<Value> {
    snapshot
        .settings
        .providers
        .iter()
        .filter(|provider| !provider.disabled)
        .filter_map(|provider| match snapshot.learned.get(&provider.id) {
            Some(Learned::Failed(reason)) => {
                Some(json!({ "provider": &*provider.id, "error": reason }))
            }
            _ => None,
        })
        .collect()
}

fn one(snapshot: &Snapshot, dialect: Dialect, row: &Row<'_>) -> Value {
    match dialect {
        Dialect::Anthropic => anthropic(row),
        Dialect::Gemini => gemini(row),
        Dialect::OpenAiChat | Dialect::OpenAiResponses | Dialect::OpenAiEmbeddings => {
            openai(snapshot, row)
        }
    }
}

fn openai(snapshot: &Snapshot, row: &Row<'_>) -> Value {
    let provider = row.provider;
    let mut entry = json!({
        "id": row.id,
        "object": "model",
        "created": 0,
        "owned_by": &*provider.id,
        "supported_endpoints": provider.flags.iter().map(Flag::endpoint).collect::<Vec<_>>(),
        "metadata": { "provider": {
            "id": &*provider.id,
            "name": provider.name,
            "description": provider.description,
            "requires_client_auth": provider.auth_mode == AuthMode::Passthrough,
            "upstream": provider.upstream,
        }},
    });
    if let Some(alias_of) = row.alias_of {
        entry["alias_of"] = json!(alias_of);
    }
    let (context, output) = sizes(row);
    if let Some(context) = context {
        entry["context_length"] = json!(context);
    }
    if let Some(output) = output {
        entry["max_output_tokens"] = json!(output);
    }
    if let Some(model) = row.model.filter(|model| !model.modalities.is_empty()) {
        entry["modalities"] = json!(model.modalities);
    }
    let book = &snapshot.settings.prices.book;
    if let Some(priced) = book.lookup(&provider.id, row.alias_of.unwrap_or(row.id)) {
        entry["cost_basis"] = json!(&*priced.basis);
        entry["pricing"] = view::per_token(&priced);
    }
    entry
}

fn anthropic(row: &Row<'_>) -> Value {
    json!({
        "type": "model",
        "id": row.id,
        "display_name": row.id,
        "created_at": "1970-01-01T00:00:00Z",
    })
}

fn gemini(row: &Row<'_>) -> Value {
    let mut entry = json!({
        "name": format!("models/{}", row.id),
        "displayName": row.id,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
    });
    let (context, output) = sizes(row);
    if let Some(context) = context {
        entry["inputTokenLimit"] = json!(context);
    }
    if let Some(output) = output {
        entry["outputTokenLimit"] = json!(output);
    }
    entry
}

/// Context and output length: configured or learnt, else as published.
fn sizes(row: &Row<'_>) -> (Option<u64>, Option<u64>) {
    let known = catalog::sizes(row.alias_of.unwrap_or(row.id));
    let own = row.model;
    (
        own.and_then(|model| model.context_length).or(known.map(|sizes| sizes.context_length)),
        own.and_then(|model| model.max_output_tokens)
            .or(known.map(|sizes| sizes.max_output_tokens)),
    )
}

fn parameter<'a>(query: Option<&'a str>, name: &str) -> Option<&'a str> {
    query?.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}
