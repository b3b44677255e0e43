//! The daemon's own log, on stderr: for people or as one object a line, at a level that SIGHUP can change.

use crate::config::{LogFormat, LogLevel};
use std::io::{IsTerminal, stderr};
use tracing_subscriber::{
    Registry, filter::LevelFilter, filter::Targets, fmt, layer::SubscriberExt, reload,
    util::SubscriberInitExt,
};

/// Changes the level of the running log.
#[derive(Debug, Clone)]
pub struct Level(reload::Handle<Targets, Registry>);

impl Level {
    /// Sets the level.
    pub fn set(&self, level: LogLevel) {
        if let Err(error) = self.0.reload(targets(level)) {
            tracing::warn!(%error, "the log level could not be changed");
        }
    }
}

/// Starts the log; once a process.
///
/// # Errors
/// When there is one already.
pub fn start(
    level: LogLevel,
    format: LogFormat,
    colours: bool,
) -> Result<Level, tracing_subscriber::util::TryInitError> {
    let (filter, handle) = reload::Layer::new(targets(level));
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Text => registry
            .with(
                fmt::layer()
                    .with_writer(stderr)
                    .with_ansi(colours && stderr().is_terminal())
                    .with_target(false),
            )
            .try_init()?,
        LogFormat::Json => registry
            .with(
                fmt::layer()
                    .json()
                    .with_writer(stderr)
                    .flatten_event(true)
                    .with_current_span(true)
                    .with_span_list(false),
            )
            .try_init()?,
    }
    Ok(Level(handle))
}

/// brig's own crates at the level, libraries only when something is wrong.
fn targets(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("brig", level)
}
