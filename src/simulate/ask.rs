//! What a request asks for, whatever its dialect: read once, with everything not needed passed over unparsed.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::endpoint::Endpoint;

/// The facts an answer depends on.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) endpoint: Endpoint,
    pub(crate) model: String,
    pub(crate) stream: bool,
    /// Gemini's stream without `alt=sse` is one JSON array.
    pub(crate) array: bool,
    pub(crate) include_usage: bool,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) choices: usize,
    pub(crate) tools: Vec<Tool<'a>>,
    pub(crate) choice: Choice,
    pub(crate) parallel: bool,
    pub(crate) last: Last,
    pub(crate) images: usize,
    pub(crate) format: Format,
    /// The request switches reasoning on.
    pub(crate) thinking: bool,
    /// Responses: encrypted reasoning is wanted.
    pub(crate) encrypted: bool,
    /// Estimated from the size of the body: four bytes a token.
    pub(crate) input_tokens: u64,
    /// Embeddings: what to embed.
    pub(crate) inputs: Vec<&'a str>,
    pub(crate) dimensions: Option<usize>,
    pub(crate) base64: bool,
}

/// A function the model may call.
#[derive(Debug)]
pub(crate) struct Tool<'a> {
    pub(crate) name: String,
    pub(crate) schema: Option<&'a RawValue>,
}

/// `tool_choice`, in one shape for all dialects.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Auto,
    None,
    Required,
    Named(String),
}

/// Who spoke last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    User,
    Tool,
    Other,
}

/// The form the text must have.
#[derive(Debug, PartialEq)]
pub(crate) enum Format {
    Text,
    Json,
    Schema(Value),
}

/// The fields of all dialects side by side; each dialect fills its own.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wire<'a> {
    model: Option<String>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    max_output_tokens: Option<u64>,
    n: Option<u16>,
    parallel_tool_calls: Option<bool>,
    dimensions: Option<usize>,
    encoding_format: Option<String>,
    reasoning_effort: Option<String>,
    include: Option<Vec<String>>,
    #[serde(borrow)]
    tools: Option<Vec<WireTool<'a>>>,
    #[serde(borrow)]
    tool_choice: Option<&'a RawValue>,
    #[serde(borrow)]
    response_format: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    output_config: Option<&'a RawValue>,
    #[serde(borrow)]
    output_format: Option<&'a RawValue>,
    #[serde(borrow, rename = "generationConfig", alias = "generation_config")]
    generation: Option<&'a RawValue>,
    #[serde(borrow, rename = "toolConfig", alias = "tool_config")]
    tool_config: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<Vec<Turn<'a>>>,
    #[serde(borrow)]
    contents: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    requests: Option<Vec<&'a RawValue>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct WireTool<'a> {
    name: Option<String>,
    #[serde(borrow)]
    parameters: Option<&'a RawValue>,
    #[serde(borrow)]
    input_schema: Option<&'a RawValue>,
    #[serde(borrow, rename = "parametersJsonSchema", alias = "parameters_json_schema")]
    json_schema: Option<&'a RawValue>,
    #[serde(borrow)]
    function: Option<Box<WireTool<'a>>>,
    #[serde(borrow, rename = "functionDeclarations", alias = "function_declarations")]
    declarations: Option<Vec<WireTool<'a>>>,
    /// Codex's `namespace` tools hold tools.
    #[serde(borrow)]
    tools: Option<Vec<WireTool<'a>>>,
    r#type: Option<String>,
}

/// A message, an item or a content: whoever speaks, in whatever dialect.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Turn<'a> {
    role: Option<String>,
    r#type: Option<String>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    parts: Option<Vec<Part<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part<'a> {
    r#type: Option<String>,
    #[serde(borrow, rename = "inlineData", alias = "inline_data")]
    inline: Option<&'a RawValue>,
    #[serde(borrow, rename = "fileData", alias = "file_data")]
    file: Option<&'a RawValue>,
    #[serde(borrow, rename = "functionResponse", alias = "function_response")]
    response: Option<&'a RawValue>,
}

impl<'a> Ask<'a> {
    /// An ask without a body: what a GET, a form or a refusal is answered from.
    pub(crate) fn empty(endpoint: Endpoint, model: &str) -> Self {
        Self {
            endpoint,
            model: model.to_owned(),
            stream: false,
            array: false,
            include_usage: false,
            max_tokens: None,
            choices: 1,
            tools: Vec::new(),
            choice: Choice::Auto,
            parallel: true,
            last: Last::User,
            images: 0,
            format: Format::Text,
            thinking: false,
            encrypted: false,
            input_tokens: 0,
            inputs: Vec::new(),
            dimensions: None,
            base64: false,
        }
    }

    /// Reads a JSON body. The error is the parser's own words, with line and column.
    pub(crate) fn read(
        endpoint: Endpoint,
        path_model: Option<&str>,
        query: &str,
        body: &'a [u8],
    ) -> Result<Self, serde_json::Error> {
        let wire: Wire<'a> = serde_json::from_slice(body)?;
        let model = path_model.or(wire.model.as_deref()).unwrap_or("simulated");
        let mut ask = Self::empty(endpoint, model);
        ask.input_tokens = (body.len() as u64 / 4).max(1);
        ask.array = endpoint == Endpoint::GenerateStream && !query.contains("alt=sse");
        ask.stream = endpoint == Endpoint::GenerateStream || wire.stream == Some(true);
        ask.include_usage =
            wire.stream_options.as_ref().and_then(|o| o.include_usage) == Some(true);
        ask.max_tokens = wire.max_completion_tokens.or(wire.max_output_tokens).or(wire.max_tokens);
        ask.choices = usize::from(wire.n.unwrap_or(1).clamp(1, 16));
        ask.parallel = wire.parallel_tool_calls != Some(false);
        ask.dimensions = wire.dimensions;
        ask.base64 = wire.encoding_format.as_deref() == Some("base64");
        ask.encrypted = wire
            .include
            .as_ref()
            .is_some_and(|list| list.iter().any(|name| name == "reasoning.encrypted_content"));
        ask.read_turns(&wire);
        ask.read_options(&wire);
        ask.inputs = inputs(&wire);
        if let Some(tools) = wire.tools {
            gather(tools, &mut ask.tools);
        }
        Ok(ask)
    }

    fn read_turns(&mut self, wire: &Wire<'a>) {
        let listed: Vec<Turn<'a>> = [wire.contents, wire.input]
            .into_iter()
            .flatten()
            .find_map(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_default();
        for turn in wire.messages.iter().flatten().chain(&listed) {
            self.read_turn(turn);
        }
    }

    /// The last turn that is not the operator's decides who spoke last (Claude Code sends `system` in the middle).
    fn read_turn(&mut self, turn: &Turn<'_>) {
        let parts: Vec<Part<'_>> = turn
            .content
            .filter(|raw| raw.get().starts_with('['))
            .and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_default();
        let mut result = false;
        for part in parts.iter().chain(turn.parts.iter().flatten()) {
            result |= part.response.is_some() || part.r#type.as_deref() == Some("tool_result");
            let image =
                matches!(part.r#type.as_deref(), Some("image_url" | "input_image" | "image"));
            self.images += usize::from(image || part.inline.is_some() || part.file.is_some());
        }
        let kind = turn.r#type.as_deref();
        self.last = match turn.role.as_deref() {
            Some("system" | "developer") => return,
            Some("tool" | "function") => Last::Tool,
            _ if result || kind.is_some_and(|kind| kind.ends_with("_call_output")) => Last::Tool,
            Some("user") => Last::User,
            // Gemini's contents need no role; the user's is meant.
            None if turn.parts.is_some() => Last::User,
            _ => Last::Other,
        };
    }

    fn read_options(&mut self, wire: &Wire<'a>) {
        let value = |raw: Option<&RawValue>| -> Value {
            raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
        };
        let (generation, thinking) = (value(wire.generation), value(wire.thinking));
        self.choice = choice(&value(wire.tool_choice), &value(wire.tool_config));
        self.parallel &= value(wire.tool_choice)["disable_parallel_tool_use"] != true;
        self.thinking = matches!(thinking["type"].as_str(), Some("enabled" | "adaptive"))
            || wire.reasoning.is_some_and(|raw| raw.get() != "null")
            || matches!(wire.reasoning_effort.as_deref(), Some(effort) if effort != "none")
            // The Python SDK writes the inner name in snake case.
            || ["includeThoughts", "include_thoughts"]
                .iter()
                .any(|name| generation["thinkingConfig"][*name] == true);
        if let Some(max) = generation["maxOutputTokens"].as_u64() {
            self.max_tokens = Some(max);
        }
        self.format = [
            value(wire.response_format),
            value(wire.text)["format"].take(),
            value(wire.output_config)["format"].take(),
            value(wire.output_format),
        ]
        .into_iter()
        .map(format)
        .chain([gemini_format(generation)])
        .find(|format| *format != Format::Text)
        .unwrap_or(Format::Text);
    }
}

fn gather<'a>(wire: Vec<WireTool<'a>>, tools: &mut Vec<Tool<'a>>) {
    for tool in wire {
        if let Some(function) = tool.function {
            gather(vec![*function], tools);
        }
        gather(tool.declarations.unwrap_or_default(), tools);
        gather(tool.tools.unwrap_or_default(), tools);
        let schema = tool.parameters.or(tool.input_schema).or(tool.json_schema);
        let function = matches!(tool.r#type.as_deref(), None | Some("function" | "custom"));
        if let Some(name) = tool.name.filter(|_| schema.is_some() || function) {
            tools.push(Tool { name, schema });
        }
    }
}

fn choice(choice: &Value, config: &Value) -> Choice {
    let config = &config["functionCallingConfig"];
    let word =
        choice.as_str().or(choice["type"].as_str()).or(config["mode"].as_str()).unwrap_or("auto");
    let name = choice["function"]["name"]
        .as_str()
        .or(choice["name"].as_str())
        .or(config["allowedFunctionNames"][0].as_str());
    match (word, name) {
        (_, Some(name)) => Choice::Named(name.to_owned()),
        ("none" | "NONE", _) => Choice::None,
        ("any" | "required" | "ANY", _) => Choice::Required,
        _ => Choice::Auto,
    }
}

fn format(mut format: Value) -> Format {
    let kind = format["type"].as_str().unwrap_or_default().to_owned();
    match kind.as_str() {
        "json_object" => Format::Json,
        "json_schema" => {
            let inner = format["json_schema"]["schema"].take();
            match inner {
                Value::Null => Format::Schema(format["schema"].take()),
                schema => Format::Schema(schema),
            }
        }
        _ => Format::Text,
    }
}

fn gemini_format(mut generation: Value) -> Format {
    for name in ["responseSchema", "responseJsonSchema"] {
        let schema = generation[name].take();
        if !schema.is_null() {
            return Format::Schema(schema);
        }
    }
    match generation["responseMimeType"].as_str() {
        Some("application/json") => Format::Json,
        _ => Format::Text,
    }
}

/// What to embed: each string, each list of tokens, each request, as raw JSON.
fn inputs<'a>(wire: &Wire<'a>) -> Vec<&'a str> {
    if let Some(requests) = &wire.requests {
        return requests.iter().map(|raw| raw.get()).collect();
    }
    let Some(raw) = wire.input.or(wire.content) else {
        return Vec::new();
    };
    let list: Vec<&'a RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
    match list.first() {
        // A list of numbers is one input: tokens.
        Some(first) if first.get().starts_with(['"', '[']) => {
            list.iter().map(|raw| raw.get()).collect()
        }
        _ => vec![raw.get()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(endpoint: Endpoint, body: &Value) -> (Last, usize, Choice, Format, Vec<String>) {
        let text = body.to_string();
        let ask = Ask::read(endpoint, None, "", text.as_bytes()).expect("a JSON body");
        let tools = ask.tools.iter().map(|tool| tool.name.clone()).collect();
        (ask.last, ask.images, ask.choice, ask.format, tools)
    }

    #[test]
    fn chat_tools_images_and_schema() {
        let body = serde_json::json!({
            "model": "m", "tool_choice": {"type": "function", "function": {"name": "b"}},
            "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
            "tools": [{"type": "function", "function": {"name": "a", "parameters": {}}}],
            "response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
        });
        let (last, images, choice, format, tools) = read(Endpoint::Chat, &body);
        assert_eq!((last, images), (Last::User, 1));
        assert_eq!(choice, Choice::Named("b".into()));
        assert_eq!(format, Format::Schema(serde_json::json!({"type": "object"})));
        assert_eq!(tools, ["a"]);
    }

    #[test]
    fn who_spoke_last_in_each_dialect() {
        for (endpoint, body, last) in [
            (
                Endpoint::Chat,
                serde_json::json!({"messages": [{"role": "tool", "content": "x"}]}),
                Last::Tool,
            ),
            (
                Endpoint::Messages,
                serde_json::json!({"messages": [
                {"role": "user", "content": [{"type": "tool_result"}]}, {"role": "system", "content": "x"}]}),
                Last::Tool,
            ),
            (
                Endpoint::Responses,
                serde_json::json!({"input": [{"type": "function_call_output", "output": "x"}]}),
                Last::Tool,
            ),
            (Endpoint::Responses, serde_json::json!({"input": "hi"}), Last::User),
            (
                Endpoint::Generate,
                serde_json::json!({"contents": [{"parts": [{"functionResponse": {}}]}]}),
                Last::Tool,
            ),
            (
                Endpoint::Generate,
                serde_json::json!({"contents": [{"parts": [{"text": "x"}]}]}),
                Last::User,
            ),
            (
                Endpoint::Chat,
                serde_json::json!({"messages": [{"role": "assistant", "content": "x"}]}),
                Last::Other,
            ),
        ] {
            assert_eq!(read(endpoint, &body).0, last, "{body}");
        }
    }

    #[test]
    fn server_tools_are_not_called() {
        let body = serde_json::json!({"tools": [{"type": "web_search"}, {"type": "namespace", "name": "n",
            "tools": [{"type": "function", "name": "inner", "parameters": {}}]}]});
        assert_eq!(read(Endpoint::Responses, &body).4, ["inner"]);
    }
}
