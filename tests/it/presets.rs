//! Every preset of the catalogue: a request through the gateway arrives where that provider documents it, with its key
//! in the header it wants; so does the question for its models.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use pinhole::config::settings::Settings;
use pinhole::neutral::kind::Flag;
use pinhole::upstream::{catalog, control};

use crate::support::gateway::{self, Gateway, Setting};
use crate::support::raw::Request;
use crate::support::upstream::{Got, Step, Upstream, json};

/// Where a preset has no address of its own.
const OWN: &[(&str, &str)] = &[
    ("foundry", "https://res.services.ai.azure.com/openai"),
    ("openai-compatible", "https://llm.example/v1"),
    ("anthropic-compatible", "https://llm.example"),
];

const VARIABLES: &[(&str, &str)] = &[
    ("AWS_REGION", "eu-west-1"),
    ("AZURE_OPENAI_ENDPOINT", "https://res.openai.azure.com"),
    ("ANTHROPIC_FOUNDRY_RESOURCE", "res"),
];

const BEARER: &str = "authorization: Bearer";
const X_API_KEY: &str = "x-api-key:";
const X_GOOG_API_KEY: &str = "x-goog-api-key:";
const API_KEY: &str = "api-key:";

const CHAT: Flag = Flag::OpenAiChat;
const RESPONSES: Flag = Flag::OpenAiResponses;
const MESSAGES: Flag = Flag::AnthropicMessages;

/// Preset, endpoint, where the key goes, and the URL in the provider's documentation; `M` is the model.
#[rustfmt::skip]
const DOCUMENTED: &[(&str, Flag, &str, &str)] = &[
    ("openai", CHAT, BEARER, "https://api.openai.com/v1/chat/completions"),
    ("openai", RESPONSES, BEARER, "https://api.openai.com/v1/responses"),
    ("openai-responses", RESPONSES, BEARER, "https://api.openai.com/v1/responses"),
    ("chatgpt", RESPONSES, BEARER, "https://chatgpt.com/backend-api/codex/responses"),
    ("anthropic", MESSAGES, X_API_KEY, "https://api.anthropic.com/v1/messages"),
    ("gemini", Flag::GeminiGenerateContent, X_GOOG_API_KEY, "https://generativelanguage.googleapis.com/v1beta/models/M:generateContent"),
    ("vertex", Flag::GoogleGenerateContent, BEARER, "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models/M:generateContent"),
    ("vertex", Flag::GoogleRawPredict, BEARER, "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/anthropic/models/M:rawPredict"),
    ("bedrock", Flag::BedrockModelInvoke, BEARER, "https://bedrock-runtime.eu-west-1.amazonaws.com/model/M/invoke"),
    ("bedrock", Flag::BedrockConverse, BEARER, "https://bedrock-runtime.eu-west-1.amazonaws.com/model/M/converse"),
    ("azure", CHAT, API_KEY, "https://res.openai.azure.com/openai/v1/chat/completions"),
    ("azure", RESPONSES, API_KEY, "https://res.openai.azure.com/openai/v1/responses"),
    ("foundry", CHAT, API_KEY, "https://res.services.ai.azure.com/openai/v1/chat/completions"),
    ("foundry", RESPONSES, API_KEY, "https://res.services.ai.azure.com/openai/v1/responses"),
    ("foundry-anthropic", MESSAGES, X_API_KEY, "https://res.services.ai.azure.com/anthropic/v1/messages"),
    ("openrouter", CHAT, BEARER, "https://openrouter.ai/api/v1/chat/completions"),
    ("vercel", CHAT, BEARER, "https://ai-gateway.vercel.sh/v1/chat/completions"),
    ("vercel", RESPONSES, BEARER, "https://ai-gateway.vercel.sh/v1/responses"),
    ("vercel", MESSAGES, BEARER, "https://ai-gateway.vercel.sh/v1/messages"),
    ("groq", CHAT, BEARER, "https://api.groq.com/openai/v1/chat/completions"),
    ("together", CHAT, BEARER, "https://api.together.xyz/v1/chat/completions"),
    ("fireworks", CHAT, BEARER, "https://api.fireworks.ai/inference/v1/chat/completions"),
    ("mistral", CHAT, BEARER, "https://api.mistral.ai/v1/chat/completions"),
    ("deepseek", CHAT, BEARER, "https://api.deepseek.com/v1/chat/completions"),
    ("qwen", CHAT, BEARER, "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions"),
    ("xai", CHAT, BEARER, "https://api.x.ai/v1/chat/completions"),
    ("xai", RESPONSES, BEARER, "https://api.x.ai/v1/responses"),
    ("zai", CHAT, BEARER, "https://api.z.ai/api/paas/v4/chat/completions"),
    ("zai-coding-plan", CHAT, BEARER, "https://api.z.ai/api/coding/paas/v4/chat/completions"),
    ("minimax", CHAT, BEARER, "https://api.minimax.io/v1/chat/completions"),
    ("kimi", CHAT, BEARER, "https://api.moonshot.ai/v1/chat/completions"),
    ("perplexity", CHAT, BEARER, "https://api.perplexity.ai/chat/completions"),
    ("ollama", CHAT, BEARER, "http://127.0.0.1:11434/v1/chat/completions"),
    ("ollama", RESPONSES, BEARER, "http://127.0.0.1:11434/v1/responses"),
    ("ollama", MESSAGES, BEARER, "http://127.0.0.1:11434/v1/messages"),
    ("vllm", CHAT, BEARER, "http://127.0.0.1:8000/v1/chat/completions"),
    ("vllm", RESPONSES, BEARER, "http://127.0.0.1:8000/v1/responses"),
    ("vllm", MESSAGES, BEARER, "http://127.0.0.1:8000/v1/messages"),
    ("llama.cpp", CHAT, BEARER, "http://127.0.0.1:8080/v1/chat/completions"),
    ("llama.cpp", RESPONSES, BEARER, "http://127.0.0.1:8080/v1/responses"),
    ("llama.cpp", MESSAGES, BEARER, "http://127.0.0.1:8080/v1/messages"),
    ("lmstudio", CHAT, BEARER, "http://127.0.0.1:1234/v1/chat/completions"),
    ("lmstudio", RESPONSES, BEARER, "http://127.0.0.1:1234/v1/responses"),
    ("lmstudio", MESSAGES, BEARER, "http://127.0.0.1:1234/v1/messages"),
    ("openai-compatible", CHAT, BEARER, "https://llm.example/v1/chat/completions"),
    ("anthropic-compatible", MESSAGES, X_API_KEY, "https://llm.example/v1/messages"),
];

/// What a client of this gateway asks for, to reach an endpoint.
fn asked(flag: Flag, model: &str) -> String {
    let vertex = "/v1/projects/p/locations/global/publishers";
    match flag {
        Flag::OpenAiChat => "/v1/chat/completions".to_owned(),
        Flag::OpenAiResponses => "/v1/responses".to_owned(),
        Flag::AnthropicMessages => "/v1/messages".to_owned(),
        Flag::GeminiGenerateContent => format!("/v1beta/models/{model}:generateContent"),
        Flag::GoogleGenerateContent => format!("{vertex}/google/models/{model}:generateContent"),
        Flag::GoogleRawPredict => format!("{vertex}/anthropic/models/{model}:rawPredict"),
        Flag::BedrockModelInvoke => format!("/bedrock/model/{model}/invoke"),
        Flag::BedrockConverse => format!("/bedrock/model/{model}/converse"),
    }
}

/// One block for each preset, with a key and a model of its own.
fn blocks() -> String {
    let mut toml = String::new();
    for preset in catalog::all() {
        let name = &preset.name;
        write!(
            toml,
            "[providers.\"{name}\"]\ntype = \"{name}\"\napikey = \"key-of-{name}\"\nmodels = [\"m-{name}\"]\n"
        )
        .expect("writing to a string");
        if let Some((_, url)) = OWN.iter().find(|(own, _)| own == name) {
            writeln!(toml, "baseurl = \"{url}\"").expect("writing to a string");
        }
    }
    toml
}

#[test]
fn every_endpoint_of_every_preset_is_in_the_table() {
    for preset in catalog::all() {
        for flag in Flag::ALL {
            let rows =
                DOCUMENTED.iter().filter(|(name, own, ..)| *name == preset.name && *own == flag);
            let expected = usize::from(preset.flags().has(flag));
            assert_eq!(rows.count(), expected, "{} {}", preset.name, flag.key());
        }
    }
}

/// Settings with a provider for each preset, all of them at `upstream`, and the origin each had by itself.
fn moved_to(upstream: &Upstream) -> (Settings, HashMap<String, String>) {
    let setting = Setting { variables: VARIABLES, ..Setting::default() };
    let mut settings = gateway::settings("pinhole.toml", &blocks(), &setting)
        .unwrap_or_else(|findings| panic!("{:?}", findings.iter().collect::<Vec<_>>()));
    let mut origins = HashMap::new();
    for provider in &mut settings.providers {
        let provider = Arc::make_mut(provider);
        let base = provider.base_url.clone();
        let scheme = base.scheme_str().expect("a scheme");
        let authority = base.authority().expect("an authority");
        origins.insert(provider.id.to_string(), format!("{scheme}://{authority}"));
        // Only scheme and authority change: the path is the preset's.
        provider.base_url = format!("{}{}", upstream.url(), base.path()).parse().expect("a URL");
    }
    (settings, origins)
}

/// The headers that hold a preset's key, as `name: value`.
fn carrying(got: &Got, preset: &str) -> Vec<String> {
    let key = format!("key-of-{preset}");
    got.headers
        .iter()
        .filter(|(_, value)| value.contains(&key))
        .map(|(name, value)| format!("{}: {value}", name.to_lowercase()))
        .collect()
}

#[tokio::test]
async fn requests_arrive_where_each_provider_documents_them() {
    let upstream = Upstream::always(vec![Step::Send(json("{}"))]).await;
    let (settings, origins) = moved_to(&upstream);
    let gateway = Gateway::run(settings);
    for (number, (preset, flag, credential, url)) in DOCUMENTED.iter().enumerate() {
        let model = format!("m-{preset}");
        let body = format!(r#"{{"model":"{model}","messages":[]}}"#);
        let request = Request::post(&asked(*flag, &model))
            .header("content-type", "application/json")
            .body(body.as_str());
        let answer = gateway.send(&request).await;
        assert_eq!(answer.status, 200, "{preset} {}: {answer:?}", flag.key());
        assert_eq!(answer.header("x-pinhole-upstream"), Some(*preset));
        let got = upstream.request(number).await;
        let there = format!("{}{}", origins[*preset], got.target);
        assert_eq!(there, url.replace("/M", &format!("/{model}")), "{preset}");
        assert_eq!(carrying(&got, preset), [format!("{credential} key-of-{preset}")], "{preset}");
        assert_eq!(got.text(), body, "{preset}");
    }
}

#[tokio::test]
async fn model_lists_are_asked_for_beside_the_endpoints() {
    let upstream = Upstream::always(vec![Step::Send(json(r#"{"data":[]}"#))]).await;
    let (settings, origins) = moved_to(&upstream);
    let mut asked = 0;
    for (preset, flag, credential, url) in DOCUMENTED {
        let list = match *flag {
            CHAT => url.replace("/chat/completions", "/models"),
            MESSAGES => url.replace("/messages", "/models"),
            Flag::GeminiGenerateContent => url.replace("/M:generateContent", ""),
            _ => continue,
        };
        // Some have no list to ask for.
        if catalog::preset(preset).is_none_or(|preset| preset.models_path.is_none()) {
            continue;
        }
        let provider = settings.providers.iter().find(|own| *own.id == **preset);
        control::models(provider.expect("its provider"), 0).await.expect("a list");
        let got = upstream.request(asked).await;
        asked += 1;
        let path = got.target.split('?').next().unwrap_or_default();
        assert_eq!(format!("{}{path}", origins[*preset]), list, "{preset}");
        assert_eq!(carrying(&got, preset), [format!("{credential} key-of-{preset}")], "{preset}");
    }
    assert!(asked > 20, "{asked} lists were asked for");
}
