//! The plain sections: what the file says, in the units the gateway counts in.

use super::Context;
use crate::config::file;
use crate::config::settings::{Discovery, Errors, Limits, Log, Ops, Streams};

pub(super) fn limits(written: &file::Limits, context: &mut Context<'_, '_>) -> Limits {
    if written.in_flight == 0 {
        let remedy = "write 1 or more";
        context.error(&["limits", "in_flight"], "no request would ever be let in", remedy);
    }
    if written.body.0 == 0 {
        context.error(&["limits", "body"], "no request body would fit", "write 1KiB or more");
    }
    if written.buffered.0 < written.body.0 {
        let message = "smaller than limits.body: the largest request could never be held";
        context.error(&["limits", "buffered"], message, "write at least the size of limits.body");
    }
    Limits {
        body_bytes_max: written.body.0,
        in_flight_max: written.in_flight,
        wait: written.wait.0,
        buffered_bytes_max: written.buffered.0,
    }
}

pub(super) fn discovery(written: &file::Discovery) -> Discovery {
    Discovery { enabled: written.enabled, every: written.every.0 }
}

pub(super) fn streams(written: &file::Streams) -> Streams {
    Streams { include_usage: written.include_usage, keep_alive: written.keep_alive.0 }
}

pub(super) fn ops(written: &file::Ops) -> Ops {
    Ops { metrics_public: written.metrics_public }
}

pub(super) fn log(written: &file::Log) -> Log {
    Log { format: written.format, level: written.level }
}

pub(super) fn errors(written: &file::Errors) -> Errors {
    Errors { wrap_502: written.wrap_502 }
}
