//! What the gateway tells others of its traffic: spans and metrics by OTLP.

mod call;
mod content;
pub mod emit;
pub mod otlp;
pub mod semconv;
pub mod settings;
pub mod spans;
pub mod variables;
