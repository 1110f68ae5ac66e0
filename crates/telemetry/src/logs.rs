//! Where events go: always to stderr, for people on a terminal and as JSON lines otherwise.

use std::io::{self, IsTerminal as _};

use tracing::Level;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, reload};

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// [`Format::Pretty`] on a terminal, [`Format::Json`] otherwise.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// The variable that decides what is written, instead of the configuration: `debug`, or directives
/// such as `warn,portcullis::call=off`.
pub const VARIABLE: &str = "PORTCULLIS_LOG";

/// The log as it was set up; lets its level follow the configuration.
#[derive(Debug)]
pub struct Logs {
    filter: reload::Handle<EnvFilter, Registry>,
    is_overridden: bool,
}

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The variable does not hold directives.
    #[error(
        "{VARIABLE} is not a log filter; write a level such as `debug`, or \
         directives such as `warn,portcullis::call=off`"
    )]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// This process has a log already.
    #[error("the log is set up already")]
    Taken(#[source] tracing_subscriber::util::TryInitError),
}

/// Sets the log of this process up: events of `level` and above go to stderr in `format`, unless
/// [`VARIABLE`] says otherwise. To be called once.
pub fn init(level: Level, format: Format) -> Result<Logs, LogError> {
    init_with(&directives(level), format)
}

/// As [`init`], with directives instead of one level: `error,portcullis::server=info`.
pub fn init_with(directives: &str, format: Format) -> Result<Logs, LogError> {
    let written = std::env::var(VARIABLE).ok().filter(|written| !written.trim().is_empty());
    let is_overridden = written.is_some();
    let directives = written.as_deref().unwrap_or(directives);
    let filter = EnvFilter::try_new(directives).map_err(LogError::Filter)?;
    let (filter, handle) = reload::Layer::new(filter);
    let is_json = match format {
        Format::Json => true,
        Format::Pretty => false,
        Format::Auto => !io::stderr().is_terminal(),
    };
    let colours = io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = if is_json {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        lines.compact().with_ansi(colours).boxed()
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init().map_err(LogError::Taken)?;
    Ok(Logs { filter: handle, is_overridden })
}

impl Logs {
    /// Writes events of `level` and above from now on; [`VARIABLE`] keeps the last word.
    pub fn set_level(&self, level: Level) {
        if !self.is_overridden {
            // It fails only when the subscriber is gone, and then nothing is written anyway.
            let _ = self.filter.reload(EnvFilter::new(directives(level)));
        }
    }
}

/// Our own events at `level`; those of libraries only where they may need somebody, because at
/// `debug` they describe every byte of every connection.
fn directives(level: Level) -> String {
    let libraries = level.min(Level::WARN);
    format!("{libraries},portcullis={level}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_stay_quiet() {
        assert_eq!(directives(Level::DEBUG), "WARN,portcullis=DEBUG");
        assert_eq!(directives(Level::ERROR), "ERROR,portcullis=ERROR");
        assert!(EnvFilter::try_new(directives(Level::TRACE)).is_ok());
    }
}
