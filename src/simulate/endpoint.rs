//! Which endpoint a path means, by its end: `/v1/chat/completions` and `/api/paas/v4/chat/completions` are one.

use http::Method;

/// What a path asks for, and so which dialect errors are shaped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Chat,
    Completions,
    Responses,
    Embeddings,
    Messages,
    CountMessages,
    /// Gemini verbs; `Stream` says `streamGenerateContent`.
    Generate,
    GenerateStream,
    CountContents,
    EmbedContent,
    BatchEmbedContents,
    Models,
    Model,
    Transcription,
    Speech,
    /// The root, for `HEAD /`.
    Root,
    /// Everything else: the answer tells what arrived.
    Echo,
}

/// The shape of errors, by family of endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    OpenAi,
    Anthropic,
    Gemini,
}

impl Endpoint {
    pub(crate) fn family(self) -> Family {
        match self {
            Self::Messages | Self::CountMessages => Family::Anthropic,
            Self::Generate
            | Self::GenerateStream
            | Self::CountContents
            | Self::EmbedContent
            | Self::BatchEmbedContents => Family::Gemini,
            _ => Family::OpenAi,
        }
    }
}

/// The endpoint of `path`, and the model if the path names one.
pub(crate) fn of<'p>(method: &Method, path: &'p str) -> (Endpoint, Option<&'p str>) {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return (Endpoint::Root, None);
    }
    let reading = matches!(*method, Method::GET | Method::HEAD);
    if reading {
        return catalogue(path);
    }
    if let Some(found) = verb(path) {
        return found;
    }
    let ends = |suffix: &str| path.ends_with(suffix);
    let endpoint = if ends("/chat/completions") {
        Endpoint::Chat
    } else if ends("/completions") {
        Endpoint::Completions
    } else if ends("/responses") && *method == Method::POST {
        Endpoint::Responses
    } else if ends("/embeddings") {
        Endpoint::Embeddings
    } else if ends("/messages/count_tokens") {
        Endpoint::CountMessages
    } else if ends("/messages") {
        Endpoint::Messages
    } else if ends("/audio/transcriptions") || ends("/audio/translations") {
        Endpoint::Transcription
    } else if ends("/audio/speech") {
        Endpoint::Speech
    } else {
        Endpoint::Echo
    };
    (endpoint, None)
}

fn catalogue(path: &str) -> (Endpoint, Option<&str>) {
    if path.ends_with("/models") {
        return (Endpoint::Models, None);
    }
    match path.find("/models/") {
        Some(at) => (Endpoint::Model, Some(&path[at + "/models/".len()..])),
        None => (Endpoint::Echo, None),
    }
}

/// Paths that name the model and what to do with it: Gemini, Vertex, Bedrock.
fn verb(path: &str) -> Option<(Endpoint, Option<&str>)> {
    let at = path.find("/models/").map(|at| at + "/models/".len());
    let at = at.or_else(|| path.find("/model/").map(|at| at + "/model/".len()))?;
    let rest = &path[at..];
    // Bedrock's ids hold colons (`a.b:0/invoke`): the separator is whichever comes last.
    let (model, verb) = rest.rsplit_once([':', '/'])?;
    let endpoint = match verb {
        "generateContent" => Endpoint::Generate,
        "streamGenerateContent" => Endpoint::GenerateStream,
        "countTokens" => Endpoint::CountContents,
        "embedContent" => Endpoint::EmbedContent,
        "batchEmbedContents" => Endpoint::BatchEmbedContents,
        "rawPredict" | "streamRawPredict" | "invoke" => Endpoint::Messages,
        _ => return None,
    };
    Some((endpoint, Some(model)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        use Endpoint as E;
        for (method, path, endpoint, model) in [
            ("POST", "/v1/chat/completions", E::Chat, None),
            ("POST", "/api/paas/v4/chat/completions", E::Chat, None),
            ("POST", "/chat/completions", E::Chat, None),
            ("POST", "/v1/completions", E::Completions, None),
            ("POST", "/v1/responses", E::Responses, None),
            ("GET", "/v1/responses/resp_1", E::Echo, None),
            ("POST", "/v1/messages/count_tokens", E::CountMessages, None),
            ("POST", "/v1beta/models/gemini-3:generateContent", E::Generate, Some("gemini-3")),
            ("POST", "/v1/models/a/b:streamGenerateContent", E::GenerateStream, Some("a/b")),
            ("POST", "/v1/projects/p/models/claude@1:rawPredict", E::Messages, Some("claude@1")),
            ("POST", "/bedrock/model/a.b:0/invoke", E::Messages, Some("a.b:0")),
            ("GET", "/v1/models", E::Models, None),
            ("GET", "/v1beta/models", E::Models, None),
            ("GET", "/v1/models/org/name:free", E::Model, Some("org/name:free")),
            ("HEAD", "/", E::Root, None),
            ("POST", "/v1/audio/transcriptions", E::Transcription, None),
            ("POST", "/v1/moderations", E::Echo, None),
        ] {
            let method: Method = method.parse().expect(method);
            assert_eq!(of(&method, path), (endpoint, model), "{path}");
        }
    }
}
