//! The fields of the query language: one table that the parser, the error messages, completion and docs/query.md follow.

use crate::exchange::outcome::Outcome;
use crate::neutral::kind::{Dialect, Operation};

/// What a term can ask about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Field {
    Id,
    Session,
    Parent,
    Dialect,
    Operation,
    Provider,
    Model,
    Requested,
    Status,
    UpstreamStatus,
    Outcome,
    Stream,
    TokensIn,
    TokensOut,
    TokensCache,
    TokensCacheWrite,
    TokensReasoning,
    Usage,
    Cost,
    Ttft,
    Ttfo,
    Duration,
    Overhead,
    Queued,
    Gap,
    Stalls,
    BytesIn,
    BytesOut,
    Attempts,
    Error,
    Finish,
    Tool,
    Agent,
    Method,
    Path,
    Client,
    Key,
    User,
    RequestId,
    UpstreamId,
    Trace,
    ReplayOf,
    Run,
    Replay,
    Cached,
    Level,
    Redacted,
    Replayable,
    Modified,
    Pinned,
    Inferred,
    Signal,
    Label,
    /// The tag of this name; empty: any.
    Tag(String),
    /// The indexed header of this name, in lower case.
    Header(String),
    /// When it started.
    Started,
    /// Words in any message.
    Text,
    /// A word alone: part of a name or of an id.
    Word,
}

/// What values a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A name with wildcards.
    Name,
    /// One of these, or a pattern of them.
    OneOf(Set),
    /// The beginning of a UUID.
    Id,
    /// 32 hexadecimal digits, or the beginning of them.
    Hex,
    Bool,
    Count,
    Duration,
    Money,
    Bytes,
    Status,
    Level,
    Signal,
    Since,
    Until,
    Words,
}

/// A closed set of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    Dialects,
    Operations,
    Outcomes,
}

impl Set {
    pub fn names(self) -> Vec<&'static str> {
        match self {
            Self::Dialects => Dialect::ALL.map(Dialect::label).to_vec(),
            Self::Outcomes => Outcome::ALL.map(Outcome::label).to_vec(),
            Self::Operations => OPERATIONS.map(Operation::label).to_vec(),
        }
    }
}

const OPERATIONS: [Operation; 6] = [
    Operation::Chat,
    Operation::TextCompletion,
    Operation::Embeddings,
    Operation::CountTokens,
    Operation::Models,
    Operation::Opaque,
];

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Info {
    pub name: &'static str,
    pub field: &'static Field,
    pub kind: Kind,
    /// What it is, in a few words.
    pub help: &'static str,
}

const fn row(name: &'static str, field: &'static Field, kind: Kind, help: &'static str) -> Info {
    Info { name, field, kind, help }
}

/// Every field that has a fixed name, in the order of the documentation; `tag.NAME` and `header.NAME` come beside.
pub const FIELDS: &[Info] = &[
    row("id", &Field::Id, Kind::Id, "exchange id, or the beginning of one"),
    row("session", &Field::Session, Kind::Name, "session id"),
    row("parent", &Field::Parent, Kind::Name, "id of the session that started this session"),
    row(
        "model",
        &Field::Model,
        Kind::Name,
        "model sent upstream; where none was, the requested one",
    ),
    row("requested", &Field::Requested, Kind::Name, "model the client asked for"),
    row("provider", &Field::Provider, Kind::Name, "provider of the last attempt"),
    row("dialect", &Field::Dialect, Kind::OneOf(Set::Dialects), "wire language of the client"),
    row("operation", &Field::Operation, Kind::OneOf(Set::Operations), "what was asked for"),
    row("status", &Field::Status, Kind::Status, "status the client got"),
    row("upstream.status", &Field::UpstreamStatus, Kind::Status, "status of the last attempt"),
    row("outcome", &Field::Outcome, Kind::OneOf(Set::Outcomes), "how it ended"),
    row("error", &Field::Error, Kind::Words, "kind or source of the error, or words of its text"),
    row("finish", &Field::Finish, Kind::Name, "why the model stopped, in the provider's word"),
    row("signal", &Field::Signal, Kind::Signal, "what was found odd about it"),
    row("stream", &Field::Stream, Kind::Bool, "a stream was asked for"),
    row("ttft", &Field::Ttft, Kind::Duration, "time to the first token"),
    row("ttfo", &Field::Ttfo, Kind::Duration, "time to the first token that is not reasoning"),
    row("duration", &Field::Duration, Kind::Duration, "start to end"),
    row("overhead", &Field::Overhead, Kind::Duration, "time the gateway itself took"),
    row("queued", &Field::Queued, Kind::Duration, "time spent waiting to be let in"),
    row("gap", &Field::Gap, Kind::Duration, "longest pause between two contents"),
    row("stalls", &Field::Stalls, Kind::Count, "pauses far beyond the stream's own pace"),
    row("attempts", &Field::Attempts, Kind::Count, "tries at providers"),
    row("tokens.in", &Field::TokensIn, Kind::Count, "input tokens, cached ones among them"),
    row("tokens.out", &Field::TokensOut, Kind::Count, "output tokens, reasoning among them"),
    row("tokens.cache", &Field::TokensCache, Kind::Count, "input tokens read from the cache"),
    row("tokens.cache_write", &Field::TokensCacheWrite, Kind::Count, "input tokens written to it"),
    row("tokens.reasoning", &Field::TokensReasoning, Kind::Count, "output tokens of reasoning"),
    row("cached", &Field::Cached, Kind::Bool, "some input was read from the provider's cache"),
    row("usage", &Field::Usage, Kind::Name, "who counted the tokens: provider, estimated"),
    row("cost", &Field::Cost, Kind::Money, "cost of all attempts"),
    row("bytes.in", &Field::BytesIn, Kind::Bytes, "bytes of the request"),
    row("bytes.out", &Field::BytesOut, Kind::Bytes, "bytes of the answer"),
    row("since", &Field::Started, Kind::Since, "started then or later"),
    row("until", &Field::Started, Kind::Until, "started before then"),
    row("tool", &Field::Tool, Kind::Name, "name of a tool that the answer calls"),
    row("agent", &Field::Agent, Kind::Name, "client program"),
    row("key", &Field::Key, Kind::Name, "label of the gateway key"),
    row("user", &Field::User, Kind::Name, "label of the user"),
    row("client", &Field::Client, Kind::Name, "address of the client"),
    row("method", &Field::Method, Kind::Name, "HTTP method"),
    row("path", &Field::Path, Kind::Name, "path of the request"),
    row("label", &Field::Label, Kind::Name, "label put on the exchange or its session afterwards"),
    row("request_id", &Field::RequestId, Kind::Name, "id the client sent"),
    row("upstream_id", &Field::UpstreamId, Kind::Name, "id the provider gave"),
    row("trace", &Field::Trace, Kind::Hex, "trace id, or the beginning of one"),
    row("level", &Field::Level, Kind::Level, "how much is kept"),
    row("redacted", &Field::Redacted, Kind::Bool, "something was replaced by a placeholder"),
    row("replayable", &Field::Replayable, Kind::Bool, "the request can be sent again as it was"),
    row("modified", &Field::Modified, Kind::Bool, "what went upstream differs from what came"),
    row("pinned", &Field::Pinned, Kind::Bool, "retention leaves it alone"),
    row("inferred", &Field::Inferred, Kind::Bool, "the session was found by the messages"),
    row("run", &Field::Run, Kind::Id, "id of the replay that made it"),
    row("replay", &Field::Replay, Kind::Bool, "made by a replay"),
    row("replay_of", &Field::ReplayOf, Kind::Id, "id of the exchange that it repeats"),
    row("text", &Field::Text, Kind::Words, "words in any message, in this order"),
];

/// What begins the name of a field that the user names the rest of.
pub const TAG: &str = "tag.";
pub const HEADER: &str = "header.";
