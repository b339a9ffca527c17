//! From a path to what it asks for: dialect, operation, where the model stands. Pure; nothing is forwarded here.

use http::{HeaderMap, Method, header};

use crate::neutral::kind::{Dialect, Flag, Operation};
use crate::upstream::url::is_version;

/// What a path means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route<'a> {
    /// Forwarded to a provider.
    Forward(Endpoint<'a>),
    /// The catalogue, or one entry of it.
    Catalogue {
        dialect: Dialect,
        id: Option<&'a str>,
    },
    /// `/providers/{name}/…`: verbatim to that provider.
    Provider {
        name: &'a str,
        rest: &'a str,
    },
    Info(Info),
    Refused {
        dialect: Dialect,
        refusal: Refusal,
    },
}

/// What the gateway answers about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Info {
    Root,
    Health,
    Ready,
    Targets,
    AuthMe,
}

/// Why a path is turned away before anything is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Unknown,
    /// The methods that would do.
    Method(&'static str),
    Malformed(&'static str),
    Websocket,
    Realtime,
    Mcp,
}

/// A path that goes to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint<'a> {
    pub dialect: Dialect,
    pub operation: Operation,
    /// The compatibility flag that opens it; `None`: not gated.
    pub flag: Option<Flag>,
    /// The family of provider it points to when it names no model and no flag.
    pub leaning: Option<Flag>,
    /// The version segment the client used, to be joined by the provider's rule.
    pub version: Option<&'a str>,
    /// The path after the version.
    pub rest: &'a str,
    pub model: ModelPlace<'a>,
    /// The path itself says that the answer is a stream, or that it is not.
    pub stream: Option<bool>,
}

/// Where an endpoint's model stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelPlace<'a> {
    /// In the JSON body, which must be JSON.
    Body,
    /// In the path, percent-encoded as it stood.
    Path(&'a str),
    /// In a JSON body or a form, if it is one and names a model.
    Perhaps,
}

/// The version of the OpenAI and Anthropic APIs, which a client may leave out.
const USUAL: Option<&str> = Some("v1");

/// Reads a request line. `headers` decide between dialects that share a path.
pub fn read<'a>(method: &Method, path: &'a str, headers: &HeaderMap) -> Route<'a> {
    if let Some(reason) = malformed(path) {
        return refused(Dialect::OpenAiChat, Refusal::Malformed(reason));
    }
    let path = one_slash(path);
    if is_upgrade(headers) {
        return upgrade(path, headers);
    }
    if let Some(info) = info(path) {
        return match *method {
            Method::GET | Method::HEAD => Route::Info(info),
            _ => refused(Dialect::OpenAiChat, Refusal::Method("GET, HEAD")),
        };
    }
    if let Some(rest) = path.strip_prefix("/providers/") {
        let (name, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        return Route::Provider { name, rest };
    }
    if let Some(rest) = path.strip_prefix("/bedrock/model/") {
        return bedrock(method, path, rest);
    }
    let (version, rest) = split_version(path);
    match rest {
        "/realtime" => return refused(Dialect::OpenAiChat, Refusal::Realtime),
        "/mcp" => return refused(Dialect::OpenAiChat, Refusal::Mcp),
        _ => {}
    }
    match with_body(rest) {
        Some(kind) => known(method, kind, version.or(USUAL), rest),
        None => by_shape(method, path, version, rest, headers),
    }
}

/// A websocket handshake, which is refused wherever it comes.
fn upgrade(path: &str, headers: &HeaderMap) -> Route<'static> {
    let named = path.strip_prefix("/providers/");
    let behind = named.and_then(|path| path.find('/').map(|at| &path[at..]));
    let (version, rest) = split_version(behind.unwrap_or(path));
    let refusal = match rest {
        "/realtime" => Refusal::Realtime,
        "/mcp" => Refusal::Mcp,
        _ => Refusal::Websocket,
    };
    refused(dialect_of(version, rest, headers), refusal)
}

/// The endpoints whose JSON body names the model, with the flag that opens each.
fn with_body(rest: &str) -> Option<(Dialect, Operation, Option<Flag>)> {
    let messages = Some(Flag::AnthropicMessages);
    let chat = Some(Flag::OpenAiChat);
    Some(match rest {
        "/chat/completions" => (Dialect::OpenAiChat, Operation::Chat, chat),
        "/completions" => (Dialect::OpenAiChat, Operation::TextCompletion, chat),
        "/responses" => (Dialect::OpenAiResponses, Operation::Chat, Some(Flag::OpenAiResponses)),
        "/embeddings" => (Dialect::OpenAiEmbeddings, Operation::Embeddings, None),
        "/messages" => (Dialect::Anthropic, Operation::Chat, messages),
        "/messages/count_tokens" => (Dialect::Anthropic, Operation::CountTokens, messages),
        _ => return None,
    })
}

/// Paths that are told by their beginning.
fn by_shape<'a>(
    method: &Method,
    path: &'a str,
    version: Option<&'a str>,
    rest: &'a str,
    headers: &HeaderMap,
) -> Route<'a> {
    let dialect = dialect_of(version, rest, headers);
    if let Some(after) = rest.strip_prefix("/models") {
        if let Some(model) = after.strip_prefix('/').filter(|model| !model.is_empty()) {
            return match (method, model.rsplit_once(':')) {
                (&Method::POST, Some((name, verb))) => gemini(version, rest, name, verb),
                (&Method::POST, None) => refused(dialect, Refusal::Method("GET, HEAD")),
                (&Method::GET | &Method::HEAD, _) => Route::Catalogue { dialect, id: Some(model) },
                // A fine-tuned model is deleted at its provider.
                _ => opaque(dialect, version, rest, ModelPlace::Path(model)),
            };
        }
        if matches!(after, "" | "/") {
            return match *method {
                Method::GET | Method::HEAD => Route::Catalogue { dialect, id: None },
                _ => refused(dialect, Refusal::Method("GET, HEAD")),
            };
        }
    }
    if rest.starts_with("/projects/")
        && let Some((_, tail)) = rest.split_once("/models/")
        && let Some((model, verb)) = tail.rsplit_once(':')
    {
        return vertex(version, rest, model, verb);
    }
    if version.is_some() {
        return opaque(dialect, version, rest, ModelPlace::Perhaps);
    }
    // Sub-resources of known endpoints under the version-less aliases, and Gemini's upload root.
    let known_family = [
        "/responses/",
        "/chat/completions/",
        "/messages/",
        "/files",
        "/batches",
        "/audio/",
        "/images/",
        "/moderations",
        "/rerank",
    ];
    if known_family.iter().any(|family| rest.starts_with(family)) {
        return opaque(dialect, USUAL, rest, ModelPlace::Perhaps);
    }
    if path.starts_with("/upload/v1beta/") {
        return opaque(Dialect::Gemini, None, path, ModelPlace::Perhaps);
    }
    refused(dialect, Refusal::Unknown)
}

fn refused(dialect: Dialect, refusal: Refusal) -> Route<'static> {
    Route::Refused { dialect, refusal }
}

/// An endpoint whose JSON body names the model.
fn known<'a>(
    method: &Method,
    (dialect, operation, flag): (Dialect, Operation, Option<Flag>),
    version: Option<&'a str>,
    rest: &'a str,
) -> Route<'a> {
    if *method != Method::POST {
        // Listing stored objects is the provider's affair; anything else is a mistake worth naming.
        let listing = *method == Method::GET
            && matches!(operation, Operation::Chat)
            && dialect == Dialect::OpenAiChat;
        if listing {
            return opaque(dialect, version, rest, ModelPlace::Perhaps);
        }
        return refused(dialect, Refusal::Method("POST"));
    }
    Route::Forward(Endpoint {
        dialect,
        operation,
        flag,
        leaning: flag,
        version,
        rest,
        model: ModelPlace::Body,
        stream: None,
    })
}

fn opaque<'a>(
    dialect: Dialect,
    version: Option<&'a str>,
    rest: &'a str,
    model: ModelPlace<'a>,
) -> Route<'a> {
    let leaning = match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiEmbeddings => Flag::OpenAiChat,
        Dialect::OpenAiResponses => Flag::OpenAiResponses,
        Dialect::Anthropic => Flag::AnthropicMessages,
        Dialect::Gemini => Flag::GeminiGenerateContent,
    };
    Route::Forward(Endpoint {
        dialect,
        operation: Operation::Opaque,
        flag: None,
        leaning: Some(leaning),
        version,
        rest,
        model,
        stream: None,
    })
}

fn gemini<'a>(version: Option<&'a str>, rest: &'a str, model: &'a str, verb: &str) -> Route<'a> {
    let generate = Some(Flag::GeminiGenerateContent);
    let (operation, flag, stream) = match verb {
        "generateContent" => (Operation::Chat, generate, Some(false)),
        "streamGenerateContent" => (Operation::Chat, generate, Some(true)),
        "countTokens" => (Operation::CountTokens, generate, Some(false)),
        "embedContent" | "batchEmbedContents" => (Operation::Embeddings, None, Some(false)),
        _ => (Operation::Opaque, None, None),
    };
    Route::Forward(Endpoint {
        dialect: Dialect::Gemini,
        operation,
        flag,
        leaning: generate,
        version: version.or(Some("v1beta")),
        rest,
        model: ModelPlace::Path(model),
        stream,
    })
}

fn vertex<'a>(version: Option<&'a str>, rest: &'a str, model: &'a str, verb: &str) -> Route<'a> {
    let (dialect, flag) = match verb {
        "rawPredict" | "streamRawPredict" => (Dialect::Anthropic, Flag::GoogleRawPredict),
        _ => (Dialect::Gemini, Flag::GoogleGenerateContent),
    };
    Route::Forward(Endpoint {
        dialect,
        operation: Operation::Opaque,
        flag: Some(flag),
        leaning: Some(flag),
        version,
        rest,
        model: ModelPlace::Path(model),
        stream: verb.starts_with("stream").then_some(true),
    })
}

fn bedrock<'a>(method: &Method, path: &'a str, rest: &'a str) -> Route<'a> {
    let Some((model, verb)) = rest.rsplit_once('/') else {
        return refused(Dialect::Anthropic, Refusal::Unknown);
    };
    let flag = match verb {
        "invoke" | "invoke-with-response-stream" => Flag::BedrockModelInvoke,
        "converse" | "converse-stream" => Flag::BedrockConverse,
        _ => return refused(Dialect::Anthropic, Refusal::Unknown),
    };
    if *method != Method::POST {
        return refused(Dialect::Anthropic, Refusal::Method("POST"));
    }
    Route::Forward(Endpoint {
        dialect: Dialect::Anthropic,
        operation: Operation::Opaque,
        flag: Some(flag),
        leaning: Some(flag),
        version: None,
        rest: path.strip_prefix("/bedrock").unwrap_or(path),
        model: ModelPlace::Path(model),
        stream: Some(verb.ends_with("stream")),
    })
}

fn info(path: &str) -> Option<Info> {
    match path {
        "/" => Some(Info::Root),
        "/health" | "/healthz" | "/api/health" => Some(Info::Health),
        "/ready" | "/readyz" | "/api/ready" => Some(Info::Ready),
        "/targets" | "/api/targets" => Some(Info::Targets),
        "/auth/me" | "/api/auth/me" => Some(Info::AuthMe),
        _ => None,
    }
}

/// Takes off the aliases in front and the version segment, once or twice.
fn split_version(path: &str) -> (Option<&str>, &str) {
    let path = ["/api", "/openai", "/anthropic", "/gemini"]
        .into_iter()
        .find_map(|alias| path.strip_prefix(alias).filter(|rest| rest.starts_with('/')))
        .map_or(path, one_slash);
    let path = path.strip_suffix('/').filter(|shorter| !shorter.is_empty()).unwrap_or(path);
    let mut version = None;
    let mut rest = path;
    while let Some(segment) = rest.strip_prefix('/').and_then(|rest| rest.split('/').next())
        && is_version(segment)
        && (version.is_none() || version == Some(segment))
    {
        version = Some(segment);
        rest = one_slash(&rest[1 + segment.len()..]);
    }
    (version, rest)
}

/// `//v1` and `/v1//chat/completions` come of base URLs that end with a slash.
fn one_slash(mut path: &str) -> &str {
    while path.starts_with("//") {
        path = &path[1..];
    }
    path
}

/// Whose envelope and catalogue shape a shared path gets.
fn dialect_of(version: Option<&str>, rest: &str, headers: &HeaderMap) -> Dialect {
    if rest.starts_with("/messages") || headers.contains_key("anthropic-version") {
        Dialect::Anthropic
    } else if version.is_some_and(|version| version.starts_with("v1beta"))
        || headers.contains_key("x-goog-api-key")
    {
        Dialect::Gemini
    } else if rest.starts_with("/responses") {
        Dialect::OpenAiResponses
    } else {
        Dialect::OpenAiChat
    }
}

/// A websocket handshake.
pub fn is_upgrade(headers: &HeaderMap) -> bool {
    headers
        .get(header::UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// What a path must not hold: a way up, also an encoded one, a backslash, a NUL.
fn malformed(path: &str) -> Option<&'static str> {
    let bytes = path.as_bytes();
    if !bytes.contains(&b'.') && !bytes.contains(&b'%') && !bytes.contains(&b'\\') {
        return None;
    }
    let lower = path.to_ascii_lowercase();
    if lower.contains("%00") {
        return Some("the path holds an encoded NUL; send a plain path");
    }
    if lower.contains('\\') || lower.contains("%5c") {
        return Some("the path holds a backslash; send a plain path");
    }
    let decoded = lower.replace("%2e", ".").replace("%2f", "/");
    if decoded.split('/').any(|segment| segment == "..") {
        return Some("the path climbs with ..; send the path of an endpoint");
    }
    None
}

/// Undoes percent-encoding, for matching only; what goes out keeps its bytes.
pub fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let pair =
            (byte == b'%').then(|| Some((hex(ahead.next()?)?, hex(ahead.next()?)?))).flatten();
        match pair {
            Some((high, low)) => {
                out.push(high << 4 | low);
                bytes = ahead;
            }
            None => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|digit| digit as u8)
}

/// Encodes what may not stand in a path segment.
pub fn percent_encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/@!$&'()*+,;=".contains(&byte) {
            out.push(byte as char);
        } else {
            let written = write!(out, "%{byte:02X}");
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
    }
    out
}

#[cfg(test)]
mod tests;
