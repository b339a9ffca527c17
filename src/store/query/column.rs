//! The columns that terms ask about, and how the skip index knows them.

use crate::store::query::field::Field;
use crate::store::words;
use crate::store::zones::{self, Field as Zone};

/// A column of `exchange_records`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub name: &'static str,
    /// Its field in the skip index, where it has one.
    pub zone: Option<i64>,
    pub scale: Scale,
}

/// What the skip index holds of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Itself.
    Exact,
    /// Its size, in quarters of powers of two.
    Size,
    /// The hour since 1970, of microseconds.
    Hours,
}

impl Scale {
    pub(super) fn place(self, number: i64) -> i64 {
        match self {
            Self::Exact => number,
            Self::Size => zones::size(number),
            Self::Hours => zones::hour(number),
        }
    }
}

const fn column(name: &'static str, zone: Zone, scale: Scale) -> Column {
    Column { name, zone: Some(zone as i64), scale }
}

const fn unzoned(name: &'static str) -> Column {
    Column { name, zone: None, scale: Scale::Exact }
}

impl Column {
    pub(super) const PROVIDER: Self = column("provider", Zone::Provider, Scale::Exact);
    pub(super) const MODEL: Self = column("model", Zone::Model, Scale::Exact);
    pub(super) const REQUESTED: Self =
        column("model_requested", Zone::ModelRequested, Scale::Exact);
    pub(super) const DIALECT: Self = column("dialect", Zone::Dialect, Scale::Exact);
    pub(super) const OPERATION: Self = column("operation", Zone::Operation, Scale::Exact);
    pub(super) const OUTCOME: Self = column("outcome", Zone::Outcome, Scale::Exact);
    pub(super) const STATUS: Self = column("status", Zone::Status, Scale::Exact);
    pub(super) const UPSTREAM_STATUS: Self =
        column("upstream_status", Zone::UpstreamStatus, Scale::Exact);
    pub(super) const ERROR_SOURCE: Self = column("error_source", Zone::ErrorSource, Scale::Exact);
    pub(super) const ERROR_KIND: Self = column("error_kind", Zone::ErrorKind, Scale::Exact);
    pub(super) const FINISH: Self = column("finish_reason", Zone::FinishReason, Scale::Exact);
    pub(super) const TOOLS: Self = column("tools", Zone::Tool, Scale::Exact);
    pub(super) const AGENT: Self = column("agent", Zone::Agent, Scale::Exact);
    pub(super) const PATH: Self = column("path", Zone::Path, Scale::Exact);
    pub(super) const KEY: Self = column("key_label", Zone::KeyLabel, Scale::Exact);
    pub(super) const USER: Self = column("user_label", Zone::UserLabel, Scale::Exact);
    pub(super) const TAGS: Self = column("tags", Zone::Tag, Scale::Exact);
    pub(super) const HEADERS: Self = column("headers", Zone::Header, Scale::Exact);
    pub(super) const SIGNALS: Self = column("signals", Zone::Signal, Scale::Exact);
    pub(super) const FLAGS: Self = column("flags", Zone::Flag, Scale::Exact);
    pub(super) const STREAM: Self = column("stream", Zone::Stream, Scale::Exact);
    pub(super) const CACHE_READ: Self =
        column("cache_read_tokens", Zone::CacheReadTokens, Scale::Size);
    pub(super) const CLIENT_IP: Self = unzoned("client_ip");
    pub(super) const STARTED: Self = column("started_at_us", Zone::StartedHour, Scale::Hours);

    /// The column of a field that is no more than one.
    pub(super) fn of(field: &Field) -> Option<Self> {
        use Field as F;
        Some(match field {
            F::Provider => Self::PROVIDER,
            F::Requested => Self::REQUESTED,
            F::Dialect => Self::DIALECT,
            F::Operation => Self::OPERATION,
            F::Outcome => Self::OUTCOME,
            F::Status => Self::STATUS,
            F::UpstreamStatus => Self::UPSTREAM_STATUS,
            F::Finish => Self::FINISH,
            F::Agent => Self::AGENT,
            F::Path => Self::PATH,
            F::Key => Self::KEY,
            F::User => Self::USER,
            F::Started => Self::STARTED,
            F::TokensIn => column("input_tokens", Zone::InputTokens, Scale::Size),
            F::TokensOut => column("output_tokens", Zone::OutputTokens, Scale::Size),
            F::TokensCache => Self::CACHE_READ,
            F::TokensCacheWrite => {
                column("cache_write_tokens", Zone::CacheWriteTokens, Scale::Size)
            }
            F::TokensReasoning => column("reasoning_tokens", Zone::ReasoningTokens, Scale::Size),
            F::Usage => column("usage_source", Zone::UsageSource, Scale::Exact),
            F::Cost => column("cost_nanousd", Zone::Cost, Scale::Size),
            F::Ttft => column("ttft_us", Zone::Ttft, Scale::Size),
            F::Ttfo => unzoned("ttfo_us"),
            F::Duration => column("duration_us", Zone::Duration, Scale::Size),
            F::Overhead => column("overhead_us", Zone::Overhead, Scale::Size),
            F::Queued => unzoned("queued_us"),
            F::Gap => column("gap_max_us", Zone::GapMax, Scale::Size),
            F::Stalls => unzoned("stalls"),
            F::BytesIn => column("request_bytes", Zone::RequestBytes, Scale::Size),
            F::BytesOut => column("response_bytes", Zone::ResponseBytes, Scale::Size),
            F::Attempts => column("attempts", Zone::Attempts, Scale::Size),
            F::Method => column("method", Zone::Method, Scale::Exact),
            F::Level => column("level", Zone::Level, Scale::Exact),
            _ => return None,
        })
    }

    /// Its text: a word's, where a number stands for it.
    pub(super) fn text(&self) -> String {
        words::spelled(self.name)
    }
}
