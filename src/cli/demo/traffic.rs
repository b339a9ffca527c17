//! What the agents of the demo do: who they are, and their turns. Data; `drive` plays it.

use crate::exchange::outcome::Outcome;
use crate::neutral::kind::Dialect;

/// Prompts that are sent to both models.
pub(crate) const PAIRS: usize = 48;
/// Sessions that share the pairs.
pub(crate) const LANES: usize = 8;
/// The two models compared.
pub(crate) const FAST: &str = "fake/fast";
pub(crate) const SLOW: &str = "fake/slow";
const FLAKY: &str = "fake/flaky";

/// One agent at work: a conversation whose history grows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Session {
    pub(crate) name: &'static str,
    pub(crate) client: Client,
    pub(crate) model: &'static str,
    pub(crate) turns: &'static [Turn],
}

/// Whose headers and habits are imitated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    ClaudeCode,
    Codex,
    GeminiCli,
    OpenAiPython,
}

/// What the user (or the application) wants next. With tools, the answer is a call, whose result is sent back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) says: &'static str,
    pub(crate) ask: Ask,
    pub(crate) stream: bool,
    /// Another dialect than the client's own.
    pub(crate) dialect: Option<Dialect>,
    /// Another model than the session's.
    pub(crate) model: Option<&'static str>,
    pub(crate) story: Story,
}

/// The kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    Words,
    /// With a tool on offer.
    Tool,
    /// With a picture.
    Picture,
    /// An object that fits a schema.
    Object,
    CountTokens,
    Embed,
    /// A short answer.
    Brief,
}

/// What is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Story {
    Fine,
    /// 429 with `retry-after`, waited out by the client; the second try is fine.
    RetryAfter,
    HtmlError,
    Cut,
    Stall,
    SlowFirst,
    /// The client does not ask for usage, and the provider tells none.
    NoUsage,
    /// The client hangs up after some content.
    HangUp,
    UnknownModel,
    WrongKey,
}

/// How a call has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) status: u16,
    pub(crate) outcome: Outcome,
}

impl Story {
    /// How the first call of this story ends.
    pub(crate) fn expected(self) -> Expected {
        let (status, outcome) = match self {
            Self::Fine | Self::SlowFirst | Self::NoUsage => (200, Outcome::Complete),
            Self::RetryAfter => (429, Outcome::UpstreamError),
            Self::HtmlError => (500, Outcome::UpstreamError),
            Self::Cut => (200, Outcome::UpstreamReset),
            Self::Stall => (200, Outcome::Timeout),
            Self::HangUp => (200, Outcome::ClientCancelled),
            Self::UnknownModel => (404, Outcome::Rejected),
            Self::WrongKey => (401, Outcome::Rejected),
        };
        Expected { status, outcome }
    }
}

impl Session {
    /// The gateway key of this session.
    pub(crate) fn key(&self) -> String {
        format!("pk-demo-{}", self.name)
    }
}

impl Client {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::Codex => "codex",
            Self::GeminiCli => "gemini-cli",
            Self::OpenAiPython => "openai-python",
        }
    }

    /// The dialect it speaks by itself.
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::ClaudeCode => Dialect::Anthropic,
            Self::Codex => Dialect::OpenAiResponses,
            Self::GeminiCli => Dialect::Gemini,
            Self::OpenAiPython => Dialect::OpenAiChat,
        }
    }
}

const fn turn(says: &'static str, ask: Ask) -> Turn {
    Turn {
        says,
        ask,
        stream: matches!(ask, Ask::Words | Ask::Tool),
        dialect: None,
        model: None,
        story: Story::Fine,
    }
}

const fn story(says: &'static str, story: Story) -> Turn {
    Turn { story, ..turn(says, Ask::Words) }
}

const fn plain(turn: Turn) -> Turn {
    Turn { stream: false, ..turn }
}

const fn to(model: &'static str, turn: Turn) -> Turn {
    Turn { model: Some(model), ..turn }
}

const fn speaking(dialect: Dialect, turn: Turn) -> Turn {
    Turn { dialect: Some(dialect), ..turn }
}

/// The sessions, all at work side by side. The prompts sent to both models come on top.
pub(crate) const SESSIONS: &[Session] = &[
    Session {
        name: "fix-login-test",
        client: Client::ClaudeCode,
        model: SLOW,
        turns: &[
            turn("Give this conversation a title.", Ask::Object),
            turn("foo", Ask::CountTokens),
            turn("The login test fails since yesterday. Find out why.", Ask::Tool),
            turn("The clock is the culprit. Freeze it in the fixture.", Ask::Tool),
            turn("Run the whole suite once more, please.", Ask::Tool),
            turn("Here is a screenshot of the run. All green?", Ask::Picture),
            turn("Good. Write the commit message.", Ask::Words),
        ],
    },
    Session {
        name: "port-to-async",
        client: Client::Codex,
        model: FAST,
        turns: &[
            turn("List every blocking call in src/mail.", Ask::Tool),
            turn("Make the first one asynchronous.", Ask::Tool),
            turn("Does it compile?", Ask::Tool),
            turn("Now the second one.", Ask::Tool),
        ],
    },
    Session {
        name: "write-changelog",
        client: Client::GeminiCli,
        model: FAST,
        turns: &[
            turn("Is this task simple or complex?", Ask::Object),
            turn("What changed since the last tag?", Ask::Tool),
            turn("Sort the changes by who notices them.", Ask::Tool),
            turn("Is that the right logo for the page?", Ask::Picture),
            turn("Shorter, and without adjectives.", Ask::Words),
        ],
    },
    Session {
        name: "support-desk",
        client: Client::OpenAiPython,
        model: SLOW,
        turns: &[
            turn("Where is order 4711?", Ask::Tool),
            turn("Which of its parts are in stock?", Ask::Tool),
            turn("What is wrong with the part in this photo?", Ask::Picture),
            turn("File it: kind, urgency, one sentence.", Ask::Object),
        ],
    },
    Session {
        name: "index-handbook",
        client: Client::OpenAiPython,
        model: FAST,
        turns: &[
            turn("Chapter 1: how to ask for leave", Ask::Embed),
            turn("Chapter 2: what to do when the pager rings", Ask::Embed),
            turn("Chapter 3: who signs what", Ask::Embed),
            story("Who signs for a new laptop?", Story::NoUsage),
        ],
    },
    Session {
        name: "nightly-report",
        client: Client::OpenAiPython,
        model: FLAKY,
        turns: &[
            story("Summarise yesterday's sales.", Story::RetryAfter),
            turn("And the returns.", Ask::Words),
            to("fake/fats", story("The same for last week.", Story::UnknownModel)),
            speaking(
                Dialect::Anthropic,
                to(FAST, story("With the key of last year.", Story::WrongKey)),
            ),
        ],
    },
    Session {
        name: "bad-afternoon",
        client: Client::Codex,
        model: FLAKY,
        turns: &[
            story("Explain this stack trace.", Story::Cut),
            speaking(
                Dialect::Anthropic,
                plain(story("Explain this stack trace.", Story::HtmlError)),
            ),
            speaking(Dialect::Gemini, story("Explain this stack trace.", Story::SlowFirst)),
            speaking(Dialect::Gemini, story("Now the long version.", Story::HangUp)),
            story("Try again, slowly.", Story::Stall),
        ],
    },
    Session { name: "fast-or-slow", client: Client::OpenAiPython, model: FAST, turns: &[] },
];

/// The session whose turns are the pairs.
pub(crate) const COMPARING: usize = SESSIONS.len() - 1;
