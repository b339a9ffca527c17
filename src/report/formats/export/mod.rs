//! Writes exchanges in a format, one after the other, to wherever bytes go.

mod batch;
pub mod har;
mod trace;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use bytes::Bytes;
use pinhole_replay::bundle;

use crate::base::coding;
use crate::report::exchange::curl;
use crate::report::exchange_json;
use crate::report::formats::recording;
use crate::store::stored::{Stored, Whole};

/// Limit: bytes of a body once it is decoded.
const CLEAR_MAX: usize = 256 * 1024 * 1024;

/// What exchanges are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A line of JSON an exchange, everything in it.
    Ndjson,
    /// HAR 1.2: browsers' and proxies' viewers read it.
    Har,
    /// A script of `curl` commands.
    Curl,
    /// What `pinhole replay` reads best.
    Bundle,
    /// The input file of OpenAI's batch API.
    OpenAiBatch,
    /// Lengths and hashes of prompts, no words.
    Mooncake,
    /// Messages, tools and pauses, as AIPerf replays them.
    AiPerf,
}

impl Format {
    pub const ALL: [Self; 7] = [
        Self::Ndjson,
        Self::Har,
        Self::Curl,
        Self::Bundle,
        Self::OpenAiBatch,
        Self::Mooncake,
        Self::AiPerf,
    ];

    /// The word for `--as`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Har => "har",
            Self::Curl => "curl",
            Self::Bundle => "bundle",
            Self::OpenAiBatch => "openai-batch",
            Self::Mooncake => "mooncake",
            Self::AiPerf => "aiperf",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.label() == word)
    }

    /// The format that goes with a file's name.
    pub fn of_file(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "har" => Some(Self::Har),
            "sh" => Some(Self::Curl),
            "bundle" | "pinhole" => Some(Self::Bundle),
            _ => None,
        }
    }
}

/// What has been written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    pub exchanges: u64,
    /// Exchanges that the format cannot hold, by the reason.
    pub skipped: BTreeMap<&'static str, u64>,
}

/// Writes exchanges as one format. Nothing is kept of them but what a trace needs to know of earlier turns.
pub struct Exporter<W: Write> {
    form: Form<W>,
    written: Written,
}

enum Form<W: Write> {
    Lines(W, Lines),
    Har(har::Writer<W>),
    Bundle(Box<bundle::Writer<W>>),
}

/// Formats whose exchanges are lines of their own.
enum Lines {
    Ndjson,
    Curl,
    Batch,
    Mooncake(trace::Clock),
    AiPerf(trace::Clock),
}

impl<W: Write> Exporter<W> {
    pub fn begin(mut out: W, format: Format, now_us: i64) -> io::Result<Self> {
        let form = match format {
            Format::Har => Form::Har(har::Writer::begin(out)?),
            Format::Bundle => Form::Bundle(Box::new(bundle::Writer::begin(
                out,
                now_us,
                concat!("pinhole ", env!("CARGO_PKG_VERSION")),
            )?)),
            Format::Ndjson => Form::Lines(out, Lines::Ndjson),
            Format::Curl => {
                out.write_all(CURL_HEAD.as_bytes())?;
                Form::Lines(out, Lines::Curl)
            }
            Format::OpenAiBatch => Form::Lines(out, Lines::Batch),
            Format::Mooncake => Form::Lines(out, Lines::Mooncake(trace::Clock::default())),
            Format::AiPerf => Form::Lines(out, Lines::AiPerf(trace::Clock::default())),
        };
        Ok(Self { form, written: Written::default() })
    }

    /// Writes one exchange, or counts why it cannot be.
    pub fn push(&mut self, stored: Stored) -> io::Result<()> {
        let made = match &mut self.form {
            Form::Har(writer) => {
                writer.push(recording::of(stored))?;
                Ok(None)
            }
            Form::Bundle(writer) => {
                writer.push(&mut recording::of(stored))?;
                Ok(None)
            }
            Form::Lines(_, Lines::Ndjson) => Ok(Some(exchange_json::document(&stored).to_string())),
            Form::Lines(_, Lines::Curl) => command(&stored).map(Some),
            Form::Lines(_, Lines::Batch) => batch::line(&stored).map(Some),
            Form::Lines(_, Lines::Mooncake(clock)) => trace::mooncake(&stored, clock).map(Some),
            Form::Lines(_, Lines::AiPerf(clock)) => trace::aiperf(&stored, clock).map(Some),
        };
        match made {
            Ok(line) => {
                if let (Some(line), Form::Lines(out, _)) = (line, &mut self.form) {
                    out.write_all(line.as_bytes())?;
                    out.write_all(b"\n")?;
                }
                self.written.exchanges += 1;
            }
            Err(reason) => *self.written.skipped.entry(reason).or_default() += 1,
        }
        Ok(())
    }

    /// Writes what closes the format.
    pub fn finish(self) -> io::Result<(Written, W)> {
        let out = match self.form {
            Form::Lines(mut out, _) => {
                out.flush()?;
                out
            }
            Form::Har(writer) => writer.finish()?,
            Form::Bundle(writer) => writer.finish()?.1,
        };
        Ok((self.written, out))
    }
}

/// A body without its content coding; `None`: it does not decode, or its end was not kept.
fn clear(body: &Whole) -> Option<Cow<'_, [u8]>> {
    if body.cut_bytes > 0 {
        return None;
    }
    let Some(coding) = &body.coding else { return Some(Cow::Borrowed(&body.bytes)) };
    let coded = Bytes::copy_from_slice(&body.bytes);
    coding::decode(coding, &coded, CLEAR_MAX).ok().map(|clear| Cow::Owned(clear.into()))
}

const CURL_HEAD: &str = "#!/bin/sh\n# Written by `pinhole captures export --as curl`. Keys are variables: \
                         set them before running this.\n";

/// A comment that says which exchange it was, and the command.
fn command(stored: &Stored) -> Result<String, &'static str> {
    let command = curl::text(stored, curl::Side::Client).map_err(|_| "its request was not kept")?;
    let at = har::stamp(stored.row.started_at_us);
    Ok(format!("\n# {} {at}\n{}", stored.row.id, command.trim_end()))
}
