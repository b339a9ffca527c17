//! A routing decision in words and as JSON, for `pinhole route` and `GET /api/route`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::neutral::kind::Flag;
use crate::neutral::kind::{Dialect, Operation};
use crate::proxy::endpoint::Endpoint;
use crate::proxy::endpoint::ModelPlace;
use crate::proxy::refusal;
use crate::route::selector::Selector;
use crate::route::table::{Ask, Table};
use crate::upstream::provider::Provider;

/// What the table does with `model` at the endpoint that `flag` opens.
pub fn explain(
    table: &Table,
    providers: &[Arc<Provider>],
    model: &str,
    flag: Option<Flag>,
) -> Value {
    let (steps, decided) = table.explain(Ask { model: Some(model), flag, leaning: flag });
    let endpoint = flag.map_or("ungated endpoints (embeddings, files, …)", Flag::endpoint);
    match decided {
        Ok(choice) => {
            let provider = providers.get(choice.provider);
            let parameters = match choice.params.temperature {
                Some(value) => {
                    json!({ "temperature": { "value": value, "source": source(model) } })
                }
                None => json!({}),
            };
            json!({
                "endpoint": endpoint,
                "steps": steps,
                "provider": provider.map(|provider| provider.id.to_string()),
                "model": choice.model.as_deref(),
                "url": provider.map(|provider| provider.base_url.to_string()),
                "because": choice.because.label(),
                "attempts": 1,
                "parameters": parameters,
            })
        }
        Err(refused) => {
            let asked = Endpoint {
                dialect: Dialect::OpenAiChat,
                operation: Operation::Chat,
                flag,
                leaning: flag,
                version: None,
                rest: "",
                model: ModelPlace::Body,
                stream: None,
            };
            let failure = refusal::of_route(&refused, &asked);
            json!({
                "endpoint": endpoint,
                "steps": steps,
                "provider": Value::Null,
                "code": failure.code.label(),
                "refused": failure.message,
            })
        }
    }
}

/// Where a parameter comes from: the client's selector, or a rule that replaced it.
fn source(model: &str) -> &'static str {
    if Selector::parse(model).params.is_some() {
        "the model selector"
    } else {
        "a forced route or alias"
    }
}
