//! What a path asks for, whatever stands before it: `/v1/chat/completions`, `/openai/v1/chat/completions` and
//! `/api/paas/v4/chat/completions` are one place.

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As in [`Recording::dialect`](crate::recording::Recording::dialect); empty: none that is known.
    pub dialect: &'static str,
    /// The path without what differs between addresses of the same service.
    pub path: String,
    /// What is done there, without the model that the path may name.
    pub operation: String,
    /// The model that the path names.
    pub model: Option<String>,
}

/// Ends of paths, the longest first where one ends like another.
const ENDS: [(&str, &str); 7] = [
    ("/chat/completions", "openai_chat"),
    ("/completions", "openai_chat"),
    ("/responses", "openai_responses"),
    ("/embeddings", "openai_embeddings"),
    ("/messages/count_tokens", "anthropic"),
    ("/messages", "anthropic"),
    ("/models", ""),
];

/// What providers, gateways and their aliases put before the path that means something.
const FRONTS: [&str; 4] = ["api", "openai", "anthropic", "gemini"];

impl Place {
    pub fn of(path: &str) -> Self {
        let path = path.strip_suffix('/').unwrap_or(path);
        if let Some((end, dialect)) = ENDS.iter().find(|(end, _)| path.ends_with(end)) {
            let end = (*end).to_owned();
            return Self { dialect, path: end.clone(), operation: end, model: None };
        }
        let named = ["/models/", "/model/"]
            .iter()
            .find_map(|mark| path.find(mark).map(|at| (at, at + mark.len())));
        if let Some((at, after)) = named {
            let (front, rest) = (path.get(at..).unwrap_or(path), path.get(after..));
            return Self::with_model(front, rest.unwrap_or_default());
        }
        let path = bare(path);
        Self { dialect: "", operation: path.clone(), path, model: None }
    }

    fn with_model(path: &str, rest: &str) -> Self {
        // Ids of models hold colons and slashes: what is done stands behind the last of them.
        let (model, verb) = rest.rsplit_once([':', '/']).unwrap_or((rest, ""));
        let dialect = match verb {
            "generateContent"
            | "streamGenerateContent"
            | "countTokens"
            | "embedContent"
            | "batchEmbedContents" => "gemini",
            "rawPredict" | "streamRawPredict" => "anthropic",
            "invoke" | "invoke-with-response-stream" | "converse" | "converse-stream" => "",
            // `GET /models/NAME`: the slash or the colon was a part of the name.
            _ => {
                return Self {
                    dialect: "",
                    path: path.to_owned(),
                    operation: "/models/*".to_owned(),
                    model: Some(rest.to_owned()),
                };
            }
        };
        Self {
            dialect,
            path: path.to_owned(),
            operation: verb.to_owned(),
            model: Some(model.to_owned()),
        }
    }
}

/// A path without the segments in front that say whose it is and of which version.
fn bare(path: &str) -> String {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty()).peekable();
    while let Some(segment) = segments.peek() {
        if *segment == "providers" {
            segments.next();
            segments.next();
        } else if FRONTS.contains(segment) || is_version(segment) {
            segments.next();
        } else {
            break;
        }
    }
    let mut bare = String::with_capacity(path.len());
    for segment in segments {
        bare.push('/');
        bare.push_str(segment);
    }
    if bare.is_empty() { "/".to_owned() } else { bare }
}

/// `v1`, `v1beta`.
fn is_version(segment: &str) -> bool {
    let rest = segment.strip_prefix('v').unwrap_or_default();
    rest.starts_with(|letter: char| letter.is_ascii_digit())
}

/// The family of a model: its name without who sells it, which variant, and of which day it is.
///
/// `openai/gpt-5-mini-2025-08-07` → `gpt-5-mini`, `claude-sonnet-4-5@20250929` → `claude-sonnet-4-5`.
pub fn family(model: &str) -> String {
    let model = model.split(['?', '@']).next().unwrap_or_default();
    let model = model.rsplit('/').next().unwrap_or_default();
    let model = model.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let mut parts: Vec<&str> = model.split('-').collect();
    while parts.len() > 1 && parts.last().is_some_and(|part| is_edition(part, parts.len())) {
        parts.pop();
    }
    parts.join("-")
}

/// Whether the last part of a name says only which edition it is: a day, `latest`, `preview`, `001`.
fn is_edition(part: &str, parts: usize) -> bool {
    let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    matches!(part, "latest" | "preview" | "exp")
        || is_number && (part.len() >= 3 || part.len() == 2 && parts > 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_a_path_does_not_matter() {
        for (path, dialect, expected, model) in [
            ("/v1/chat/completions", "openai_chat", "/chat/completions", None),
            ("/api/paas/v4/chat/completions/", "openai_chat", "/chat/completions", None),
            ("/v1/completions", "openai_chat", "/completions", None),
            ("/anthropic/v1/messages", "anthropic", "/messages", None),
            ("/v1/messages/count_tokens", "anthropic", "/messages/count_tokens", None),
            ("/v1beta/models/g:generateContent", "gemini", "/models/g:generateContent", Some("g")),
            (
                "/gemini/v1beta/models/a/b:countTokens",
                "gemini",
                "/models/a/b:countTokens",
                Some("a/b"),
            ),
            ("/v1/models", "", "/models", None),
            ("/v1/models/org/name:free", "", "/models/org/name:free", Some("org/name:free")),
            ("/providers/up/v1/audio/speech", "", "/audio/speech", None),
            ("/v1/audio/speech", "", "/audio/speech", None),
            ("/", "", "/", None),
        ] {
            let place = Place::of(path);
            assert_eq!((place.dialect, place.path.as_str()), (dialect, expected), "{path}");
            assert_eq!(place.model.as_deref(), model, "{path}");
        }
    }

    #[test]
    fn editions_are_one_family() {
        for (model, expected) in [
            ("gpt-5", "gpt-5"),
            ("gpt-5-mini", "gpt-5-mini"),
            ("openai/gpt-5-mini-2025-08-07", "gpt-5-mini"),
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
            ("claude-haiku-4-5?temperature=0", "claude-haiku-4-5"),
            ("gemini-2.5-pro-preview-05-06", "gemini-2.5-pro"),
            ("gemini-2.0-flash-001", "gemini-2.0-flash"),
            ("llama-3.3-70b:free", "llama-3.3-70b"),
            ("o3", "o3"),
            ("", ""),
        ] {
            assert_eq!(family(model), expected, "{model}");
        }
    }
}
