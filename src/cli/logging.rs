//! Life-cycle log lines on standard error, in the form and from the level that the configuration says.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt;

use crate::config::settings::{Log, LogFormat, LogLevel};
use crate::observe::line::LogForm;
use crate::observe::pipe::Pipe;

/// The form of lines that the configuration asks for.
pub fn form(log: Log) -> LogForm {
    match log.format {
        LogFormat::Text => LogForm::Text,
        LogFormat::Json => LogForm::Json,
    }
}

/// Installs the subscriber and gives the pipe to standard error that all lines go through. A second call in one process
/// (tests) gives a pipe of its own.
pub fn init(log: Log) -> io::Result<Pipe> {
    let pipe = Pipe::start(form(log), io::stderr())?;
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let writer = pipe.clone();
    let builder =
        fmt().with_writer(move || writer.clone()).with_max_level(level).with_target(false);
    let installed = match log.format {
        LogFormat::Text => builder.with_ansi(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if installed.is_err() {
        tracing::debug!("a log subscriber was installed before");
    }
    Ok(pipe)
}
