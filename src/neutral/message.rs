//! What was said, in one shape for every dialect: messages made of parts. Read only where content is asked for.

/// A request's or an answer's words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conversation {
    /// Instructions that stand apart from the messages.
    pub system: Vec<Part>,
    pub messages: Vec<Message>,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// `system`, `user`, `assistant`, `tool`, or the dialect's own word.
    pub role: String,
    pub parts: Vec<Part>,
    /// Of answers: why it ended, in the provider's word.
    pub finish: Option<String>,
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Text(String),
    Reasoning(String),
    ToolCall {
        id: Option<String>,
        name: String,
        /// JSON, as the model wrote it; perhaps cut.
        arguments: String,
    },
    ToolResponse {
        id: Option<String>,
        /// Text, or JSON.
        response: String,
    },
    /// Bytes that stood in the message: only what they were is kept.
    Media {
        modality: &'static str,
        mime: Option<String>,
        /// About how many bytes they were.
        bytes: usize,
    },
    /// Something elsewhere.
    Uri {
        modality: &'static str,
        uri: String,
    },
    /// A part of a kind that is not read.
    Other(String),
}

impl Message {
    pub fn of(role: &str, parts: Vec<Part>) -> Self {
        Self { role: role.to_owned(), parts, finish: None }
    }
}

impl Part {
    /// Media from a `data:` URL, or something elsewhere.
    pub fn of_url(modality: &'static str, url: &str) -> Self {
        let Some(data) = url.strip_prefix("data:") else {
            return Self::Uri { modality, uri: url.to_owned() };
        };
        let (head, body) = data.split_once(',').unwrap_or((data, ""));
        let mime = head.split(';').next().filter(|mime| !mime.is_empty()).map(str::to_owned);
        Self::Media { modality, mime, bytes: base64_bytes(body) }
    }

    /// Media written in base64.
    pub fn of_base64(mime: Option<&str>, data: &str) -> Self {
        let modality = match mime.and_then(|mime| mime.split('/').next()) {
            Some("image") => "image",
            Some("audio") => "audio",
            Some("video") => "video",
            _ => "file",
        };
        Self::Media { modality, mime: mime.map(str::to_owned), bytes: base64_bytes(data) }
    }
}

fn base64_bytes(text: &str) -> usize {
    text.len() / 4 * 3
}
