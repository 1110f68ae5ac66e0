//! Quantities as people write them: `10s`, `4MiB`, `1KiB/s`.

use std::{borrow::Cow, fmt, ops::Deref, str::FromStr, time};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A span of time, written as `250ms`, `10s`, `5m`, `1h30m` or `1d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(time::Duration);

/// A number of bytes, written as `4MiB`, `256KiB`, `1MB` or a plain number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(u64);

/// Bytes per second, written as `1KiB/s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u64);

/// Why a text is no quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct QuantityError {
    expected: &'static str,
}

const DURATION: QuantityError =
    QuantityError { expected: "a duration such as `250ms`, `10s`, `5m` or `24h`" };
const BYTES: QuantityError = QuantityError { expected: "a size such as `4MiB`, `256KiB` or `512`" };
const RATE: QuantityError = QuantityError { expected: "a rate such as `1KiB/s`" };

const SIZES: [(&str, u64); 10] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("k", 1_000),
    ("B", 1),
    ("", 1),
];

// === impl Duration ===

impl Duration {
    /// So many milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(time::Duration::from_millis(millis))
    }

    /// So many seconds.
    pub const fn secs(secs: u64) -> Self {
        Self(time::Duration::from_secs(secs))
    }

    /// So many minutes.
    pub const fn minutes(minutes: u64) -> Self {
        Self::secs(minutes * 60)
    }

    /// So many hours.
    pub const fn hours(hours: u64) -> Self {
        Self::secs(hours * 3600)
    }

    /// The same span in the standard library's type.
    pub const fn get(self) -> time::Duration {
        self.0
    }
}

impl FromStr for Duration {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut rest = text.trim();
        let mut millis: u64 = 0;
        if rest.is_empty() {
            return Err(DURATION);
        }
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, tail) = rest.split_at(digits);
            let unit = tail.len() - tail.trim_start_matches(|c: char| c.is_ascii_lowercase()).len();
            let (unit, tail) = tail.split_at(unit);
            let factor = match unit {
                "ms" => 1,
                "s" => 1_000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(DURATION),
            };
            let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
            millis = part.and_then(|part| millis.checked_add(part)).ok_or(DURATION)?;
            rest = tail;
        }
        Ok(Self::millis(millis))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, factor) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
            if millis.is_multiple_of(factor) {
                return write!(f, "{}{unit}", millis / factor);
            }
        }
        write!(f, "{millis}ms")
    }
}

impl From<Duration> for time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl From<time::Duration> for Duration {
    fn from(duration: time::Duration) -> Self {
        Self(duration)
    }
}

impl Deref for Duration {
    type Target = time::Duration;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

// === impl Bytes ===

impl Bytes {
    /// So many bytes.
    pub const fn new(bytes: u64) -> Self {
        Self(bytes)
    }

    /// So many times 1024 bytes.
    pub const fn kib(kib: u64) -> Self {
        Self(kib << 10)
    }

    /// So many times 1024 × 1024 bytes.
    pub const fn mib(mib: u64) -> Self {
        Self(mib << 20)
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number of bytes as a length in memory; saturates where addresses are shorter.
    pub fn len(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// True for zero bytes.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromStr for Bytes {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let factor = SIZES.iter().find(|(name, _)| *name == unit.trim_start());
        let (_, factor) = factor.ok_or(BYTES)?;
        let number = number.parse::<u64>().map_err(|_| BYTES)?;
        number.checked_mul(*factor).map(Self).ok_or(BYTES)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor) in &SIZES[..3] {
            if self.0 != 0 && self.0.is_multiple_of(*factor) {
                return write!(f, "{}{unit}", self.0 / factor);
            }
        }
        write!(f, "{}", self.0)
    }
}

// === impl Rate ===

impl Rate {
    /// So many times 1024 bytes each second.
    pub const fn kib_per_second(kib: u64) -> Self {
        Self(kib << 10)
    }

    /// So many bytes each second.
    pub const fn bytes_per_second(bytes: u64) -> Self {
        Self(bytes)
    }

    /// Bytes per second.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let size = text.trim().strip_suffix("/s").ok_or(RATE)?;
        size.parse::<Bytes>().map(|Bytes(bytes)| Self(bytes)).map_err(|_| RATE)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", Bytes(self.0))
    }
}

// === serde and JSON Schema ===

macro_rules! written_as_text {
    ($type:ident, $schema:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

written_as_text!(
    Duration,
    json_schema!({
        "type": "string",
        "pattern": "^([0-9]+(ms|s|m|min|h|d))+$",
        "description": "A span of time, such as `250ms`, `10s`, `5m` or `24h`.",
    })
);
written_as_text!(
    Bytes,
    json_schema!({
        "type": ["string", "integer"],
        "minimum": 0,
        "pattern": "^[0-9]+ *(GiB|MiB|KiB|GB|MB|kB|KB|k|B)?$",
        "description": "A number of bytes, such as `4MiB`, `256KiB` or `512`.",
    })
);
written_as_text!(
    Rate,
    json_schema!({
        "type": "string",
        "pattern": "^[0-9]+ *(GiB|MiB|KiB|GB|MB|kB|KB|k|B)?/s$",
        "description": "Bytes per second, such as `1KiB/s`.",
    })
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, millis) in
            [("0s", 0), ("250ms", 250), ("10s", 10_000), ("1h30m", 5_400_000), ("1d", 86_400_000)]
        {
            assert_eq!(text.parse(), Ok(Duration::millis(millis)), "{text}");
        }
        assert_eq!(Duration::minutes(90).to_string(), "90m");
        assert_eq!(Duration::millis(1500).to_string(), "1500ms");
        for text in ["", "10", "s", "10 s", "-1s", "1.5s", "10S", "99999999999999999999s", "é"] {
            assert_eq!(text.parse::<Duration>(), Err(DURATION), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in
            [("512", 512), ("4MiB", 4 << 20), ("256 KiB", 256 << 10), ("1MB", 1_000_000)]
        {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        assert_eq!(Bytes::kib(4096).to_string(), "4MiB");
        assert_eq!(Bytes::new(1000).to_string(), "1000");
        for text in ["", "MiB", "-1", "4mib", "99999999999GiB", "1KiB/s"] {
            assert_eq!(text.parse::<Bytes>(), Err(BYTES), "{text}");
        }
        assert_eq!("1KiB/s".parse(), Ok(Rate(1024)));
        assert_eq!("1KiB".parse::<Rate>(), Err(RATE));
    }
}
