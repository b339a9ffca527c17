//! Life-cycle log lines on standard error, in the form and from the level that the configuration says.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

use crate::config::settings::{Log, LogFormat, LogLevel};

/// Installs the subscriber. A second call in one process (tests) changes nothing.
pub fn init(log: Log) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let builder = fmt().with_writer(std::io::stderr).with_max_level(level).with_target(false);
    let installed = match log.format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if installed.is_err() {
        tracing::debug!("a log subscriber was installed before");
    }
}
