//! What the screens ask the gateway for, and what comes back. Plain data: `client.rs` makes requests of it.

use serde_json::Value;

use crate::store::query::sessions::Session;
use crate::store::stored::{Listed, Stored};
use crate::tui::screen::Screen;

/// Who asked, and for what part of the screen. A newer question in a lane makes the older one's answer void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lane {
    pub screen: Screen,
    pub name: &'static str,
}

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Newest,
    /// What lies below this seq.
    Before(i64),
    /// What came after this seq, the oldest first.
    After(i64),
}

/// One question.
#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    Exchanges {
        filter: String,
        part: Part,
        limit: usize,
    },
    Sessions {
        filter: String,
        part: Part,
        limit: usize,
    },
    Exchange {
        id: String,
    },
    /// Everything else the operations API answers as JSON: a path below `/api`, with its query.
    Get {
        path: String,
    },
    /// What is no JSON: a path below `/api`, as it comes.
    Text {
        path: String,
    },
    /// What changes something: method, path, body.
    Do {
        method: Method,
        path: String,
        body: Option<Value>,
    },
    /// Whether anybody is there.
    Health,
}

/// How something is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Post,
    Put,
    Delete,
}

/// What came back.
#[derive(Debug, Clone)]
pub enum Answer {
    Exchanges { rows: Vec<Listed>, next: Option<i64> },
    Sessions { rows: Vec<Session>, next: Option<i64> },
    Exchange(Box<Stored>),
    Json(Value),
    Text(String),
    Done,
}

/// Why nothing came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody answers: the gateway is gone or was never there.
    Gone(String),
    /// The gateway says no, and why.
    Refused { status: u16, detail: String },
    /// It answered, and it was not what was asked for.
    Odd(String),
}

impl Trouble {
    pub fn words(&self) -> &str {
        match self {
            Self::Gone(words) | Self::Odd(words) | Self::Refused { detail: words, .. } => words,
        }
    }
}

pub type Result<T> = std::result::Result<T, Trouble>;

/// A value as part of a URL's query.
pub fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
