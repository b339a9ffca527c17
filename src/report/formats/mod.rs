//! Exchanges in the formats of other programs, and back. Pure: an exchange in, lines out; lines in, recordings out. No
//! store, no file, and never more than one exchange in memory (docs/formats.md).
//!
//! ```text
//!  Stored ──► Recording ──► NDJSON, HAR, bundle               (everything that is known, and back)
//!         └─────────────► curl, OpenAI batch, Mooncake, AIPerf  (what these can hold)
//!
//!  HAR, bundle, NDJSON, mitmproxy, LiteLLM, claude-trace, buffered_v1, CBOR 2 ──► Recording
//!  OpenAI batch, AIPerf's raw payloads, Mooncake ──► Recording without an answer, for replays alone
//! ```

pub mod export;
pub mod import;
pub mod recording;

#[cfg(test)]
mod fixture;
