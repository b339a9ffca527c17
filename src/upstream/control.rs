//! Calls the gateway makes on its own account, off the data path: a provider's model list, a live check of a key.

use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

use crate::upstream::auth::{self, Outbound};
use crate::upstream::provider::{AuthScheme, Model, Provider};
use crate::upstream::url;

/// Limit: how long a model list may take.
const LIST_TIMEOUT: Duration = Duration::from_secs(10);
/// Limit: entries taken from one list.
const MODELS_MAX: usize = 20_000;
/// Limit: characters quoted of an answer that is not a list.
const QUOTE_MAX: usize = 200;

/// Why a control call brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    #[error("the provider answered {status}: {quote}")]
    Status { status: u16, quote: String },
    #[error("unreachable: {0}")]
    Unreachable(String),
    #[error("the answer is not a model list: {0}")]
    NotAList(String),
}

/// What a live check of one key says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Fine {
        models: usize,
    },
    /// The key is refused: wrong, expired or revoked.
    Refused {
        status: u16,
        quote: String,
    },
    Unreachable(String),
    /// It answered something else, so that nothing can be said of the key.
    Unclear(String),
}

/// A client for control calls to one provider.
pub fn http_client(provider: &Provider) -> Result<reqwest::Client, ControlError> {
    let mut builder = reqwest::Client::builder()
        .timeout(LIST_TIMEOUT)
        .connect_timeout(provider.timeouts.connect)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    let unreachable = |error: reqwest::Error| ControlError::Unreachable(chain(&error));
    if let Some(proxy) = &provider.proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy.to_string()).map_err(unreachable)?);
    }
    if let Some(path) = &provider.tls.ca_file {
        let pem = std::fs::read(path).map_err(|error| {
            ControlError::Unreachable(format!("ca_file {}: {error}", path.display()))
        })?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(unreachable)?;
        for certificate in certificates {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(unreachable)
}

/// Asks the provider which models it has, with its key at `key`.
pub async fn models(provider: &Provider, key: usize) -> Result<Vec<Model>, ControlError> {
    let client = http_client(provider)?;
    let (version, query) = list_page(provider);
    let path =
        url::join(&provider.base_url, provider.versionless, Some(version), "/models", Some(query))
            .ok_or_else(|| ControlError::NotAList("baseurl takes no path".to_owned()))?;
    let target = format!(
        "{}://{}{path}",
        provider.base_url.scheme_str().unwrap_or("https"),
        provider.base_url.authority().map_or("", |authority| authority.as_str())
    );
    let mut headers = HeaderMap::new();
    for (name, value) in &provider.add_headers {
        headers.insert(name, value.clone());
    }
    if provider.auth == AuthScheme::XApiKey {
        headers.insert("anthropic-version", http::HeaderValue::from_static("2023-06-01"));
    }
    auth::apply(&mut headers, provider, Outbound::Key(key));
    let answer = client
        .get(target)
        .headers(headers)
        .send()
        .await
        .map_err(|error| ControlError::Unreachable(chain(&error)))?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(|error| ControlError::Unreachable(chain(&error)))?;
    if !status.is_success() {
        return Err(ControlError::Status {
            status: status.as_u16(),
            quote: quoted(provider, &body),
        });
    }
    read_list(&body)
}

/// The beginning of a refusal. Providers are known to repeat the key they refuse; it is not shown again.
fn quoted(provider: &Provider, body: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    for key in &provider.keys {
        let secret = key.secret.reveal();
        if !secret.is_empty() {
            text = text.replace(secret, "(the key)");
        }
    }
    text.trim().chars().take(QUOTE_MAX).collect()
}

/// The version segment and the page size of a provider's list: Anthropic and Gemini give short pages unless asked.
fn list_page(provider: &Provider) -> (&'static str, &'static str) {
    match provider.auth {
        AuthScheme::XApiKey => ("v1", "limit=1000"),
        AuthScheme::XGoogApiKey => ("v1beta", "pageSize=1000"),
        _ => ("v1", ""),
    }
}

/// Reads a list in OpenAI's, Anthropic's or Gemini's shape.
fn read_list(body: &[u8]) -> Result<Vec<Model>, ControlError> {
    let list: Value =
        serde_json::from_slice(body).map_err(|error| ControlError::NotAList(error.to_string()))?;
    let rows = list
        .get("data")
        .or_else(|| list.get("models"))
        .or(Some(&list))
        .and_then(Value::as_array)
        .ok_or_else(|| ControlError::NotAList("it has neither data nor models".to_owned()))?;
    Ok(rows.iter().take(MODELS_MAX).filter_map(read_model).collect())
}

fn read_model(row: &Value) -> Option<Model> {
    let id = row.get("id").or_else(|| row.get("name")).and_then(Value::as_str)?;
    let number = |names: &[&str]| names.iter().find_map(|name| row.get(*name)?.as_u64());
    Some(Model {
        id: id.strip_prefix("models/").unwrap_or(id).to_owned(),
        aliases: Vec::new(),
        context_length: number(&[
            "context_length",
            "context_window",
            "max_model_len",
            "inputTokenLimit",
            "max_input_tokens",
        ]),
        max_output_tokens: number(&[
            "max_output_tokens",
            "outputTokenLimit",
            "max_completion_tokens",
        ]),
        modalities: Vec::new(),
    })
}

/// Makes one real call with one key and says what came of it.
pub async fn check(provider: &Provider, key: usize) -> Verdict {
    match models(provider, key).await {
        Ok(models) => Verdict::Fine { models: models.len() },
        Err(ControlError::Status { status: status @ (401 | 403), quote }) => {
            Verdict::Refused { status, quote }
        }
        // Gemini says 400 to a key it does not know.
        Err(ControlError::Status { status: 400, quote })
            if quote.contains("API_KEY") || quote.contains("API key") =>
        {
            Verdict::Refused { status: 400, quote }
        }
        Err(ControlError::Unreachable(reason)) => Verdict::Unreachable(reason),
        Err(error) => Verdict::Unclear(error.to_string()),
    }
}

/// An error with its causes: reqwest alone says only "error sending request".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(body: &str) -> Vec<String> {
        read_list(body.as_bytes()).unwrap().into_iter().map(|model| model.id).collect()
    }

    #[test]
    fn lists_of_all_three_shapes_are_read() {
        assert_eq!(
            ids(r#"{"object":"list","data":[{"id":"gpt-5"},{"id":"gpt-5-mini"}]}"#),
            ["gpt-5", "gpt-5-mini"]
        );
        assert_eq!(
            ids(r#"{"data":[{"type":"model","id":"claude-x"}],"has_more":false}"#),
            ["claude-x"]
        );
        assert_eq!(
            ids(r#"{"models":[{"name":"models/gemini-2.5-pro","inputTokenLimit":1048576}]}"#),
            ["gemini-2.5-pro"]
        );
        assert_eq!(ids(r#"[{"id":"bare"}]"#), ["bare"]);
    }

    #[test]
    fn anything_else_is_said_not_to_be_a_list() {
        for body in ["<html>", "{}", "3", r#"{"data":3}"#] {
            assert!(matches!(read_list(body.as_bytes()), Err(ControlError::NotAList(_))), "{body}");
        }
    }
}
