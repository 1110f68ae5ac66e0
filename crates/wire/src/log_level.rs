//! Severities of log messages, least first (RFC 5424, as every protocol version names them).

/// How severe a log message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each variant is the level of the same name")]
pub enum LogLevel {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

/// Every level with its name on the wire.
const NAMES: [(LogLevel, &str); 8] = [
    (LogLevel::Debug, "debug"),
    (LogLevel::Info, "info"),
    (LogLevel::Notice, "notice"),
    (LogLevel::Warning, "warning"),
    (LogLevel::Error, "error"),
    (LogLevel::Critical, "critical"),
    (LogLevel::Alert, "alert"),
    (LogLevel::Emergency, "emergency"),
];

impl LogLevel {
    /// The level by its name on the wire.
    pub fn parse(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, own)| *own == name).map(|(level, _)| *level)
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        NAMES[self as usize].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_and_named() {
        for (at, (level, name)) in NAMES.iter().enumerate() {
            assert_eq!((LogLevel::parse(name), level.as_str()), (Some(*level), *name));
            assert_eq!(*level as usize, at);
        }
        assert!(LogLevel::Debug < LogLevel::Emergency);
        assert_eq!(LogLevel::parse("trace"), None);
    }
}
