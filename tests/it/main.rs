//! Integration tests: one binary, so that they link once. Real sockets, on port 0.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests fail the test; the lints know only functions marked as tests"
)]
#![expect(unreachable_pub, reason = "modules of a test binary have no outside to be reached from")]

mod api;
mod auth;
mod bytes;
mod cancel;
mod capture;
mod captures;
mod captures_kept;
mod command;
mod demo;
mod diagnose;
mod drain;
mod edges;
mod encryption;
mod faults;
mod formats;
mod hostile;
mod ids;
mod legs;
mod limits;
mod live;
mod metering;
mod metrics;
mod models;
mod operations;
mod otlp;
mod overview;
mod passthrough;
mod playback;
mod presets;
mod prices;
mod replay;
mod replay_api;
mod routing;
mod scrub;
mod secrets;
mod seeds;
mod sessions;
mod simulate;
mod store;
mod stuck;
mod support;
mod trace;
mod watch;
mod wire;
