//! Assembly: files, environment and flags in; [`settings::Settings`] out, or findings that say what to mend and where.
//!
//! ```text
//! text ─ tree ─ check ─ expand ─ serde ─ resolve ─▶ Settings      (every stage adds findings; none stops the others early)
//!        │      │       │        │       └ presets, environment keys, proxies, flags of the command line
//!        │      │       │        └ file.rs, the typed shapes
//!        │      │       └ env:, file:, command: values
//!        │      └ against the JSON Schema made from those shapes
//!        └ TOML, YAML or JSON, with the place of each key and value
//! ```

pub mod check;
pub mod command;
pub mod diagnostic;
pub mod docs;
pub mod env;
pub mod expand;
pub mod file;
pub mod file_capture;
pub mod file_provider;
pub mod file_telemetry;
pub mod load;
pub mod normalise;
pub mod prices;
pub mod print;
pub mod reload;
pub mod resolve;
pub mod schema;
pub mod settings;
pub mod text;
pub mod tree;
pub mod units;

#[cfg(test)]
mod tests;
