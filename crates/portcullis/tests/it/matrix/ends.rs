//! Who stands at the two ends: the SDKs, each in one version over one transport.

use wire::Version;

use super::table::Feature;

/// The SDK that a client or a server is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sdk {
    TypescriptV1,
    TypescriptV2,
    Python,
    /// In the process of the test.
    Rust,
}

impl Sdk {
    /// Short, as part of names.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::TypescriptV1 => "ts1",
            Self::TypescriptV2 => "ts2",
            Self::Python => "py",
            Self::Rust => "rust",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Http,
    /// HTTP+SSE of 2024-11-05.
    Sse,
    Stdio,
}

impl Transport {
    const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Sse => "sse",
            Self::Stdio => "stdio",
        }
    }
}

/// A client or a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) sdk: Sdk,
    pub(super) version: Version,
    pub(super) transport: Transport,
}

impl End {
    /// For instance `ts1-2025-06-18-http`; it fits the name of a server.
    pub(super) fn name(self) -> String {
        format!("{}-{}-{}", self.sdk.name(), self.version, self.transport.name())
    }

    pub(super) fn is_modern(self) -> bool {
        self.version == Version::LATEST
    }

    /// In which words a server of this SDK refuses to ask a client that cannot be asked.
    pub(super) fn refuses_with(self, feature: Feature) -> &'static str {
        match (self.sdk, feature, self.is_modern()) {
            (Sdk::TypescriptV1, ..) | (Sdk::Rust, _, false) => "Client does not support",
            (Sdk::TypescriptV2, ..) => "do not declare the required capability",
            (Sdk::Python, Feature::Form, _) => "did not declare",
            (Sdk::Python, _, false) => "Client does not support elicitation",
            (Sdk::Python, _, true) => "the client does not offer elicitation",
            (Sdk::Rust, _, true) => "Missing required client capability",
        }
    }

    /// Whether it can play the server of `feature`; what its version lacks is the table's to say.
    pub(super) fn offers(self, feature: Feature) -> bool {
        match (self.sdk, feature) {
            // The Python SDK has no server side of tasks, neither of 2025-11-25 nor of the extension.
            (Sdk::Python, Feature::Task | Feature::TaskAsks) => false,
            // The Rust SDK has the extension alone.
            (Sdk::Rust, Feature::Task | Feature::TaskAsks) => self.is_modern(),
            _ => true,
        }
    }

    /// Whether it can play the client of `feature` with a server of `version`.
    pub(super) fn plays(self, feature: Feature, version: Version) -> bool {
        match (self.sdk, feature) {
            // The Rust SDK has no tasks before the extension, and cannot read a URL elicitation
            // without the `elicitationId` that 2026-07-28 has removed.
            (Sdk::Rust, Feature::Task | Feature::TaskAsks) => {
                self.is_modern() || version != Version::V2025_11_25
            }
            (Sdk::Rust, Feature::Url | Feature::UrlFirst) => !self.is_modern(),
            _ => true,
        }
    }
}

const fn end(sdk: Sdk, version: Version, transport: Transport) -> End {
    End { sdk, version, transport }
}

/// Every version at least once; the newest of each era with every SDK that speaks it.
pub(super) const CLIENTS: [End; 11] = [
    end(Sdk::TypescriptV1, Version::V2024_11_05, Transport::Sse),
    end(Sdk::TypescriptV1, Version::V2025_03_26, Transport::Http),
    end(Sdk::TypescriptV1, Version::V2025_06_18, Transport::Http),
    end(Sdk::TypescriptV1, Version::V2025_11_25, Transport::Http),
    end(Sdk::TypescriptV2, Version::V2025_11_25, Transport::Http),
    end(Sdk::TypescriptV2, Version::V2026_07_28, Transport::Http),
    end(Sdk::Python, Version::V2025_06_18, Transport::Http),
    end(Sdk::Python, Version::V2025_11_25, Transport::Http),
    end(Sdk::Python, Version::V2026_07_28, Transport::Http),
    end(Sdk::Rust, Version::V2025_11_25, Transport::Http),
    end(Sdk::Rust, Version::V2026_07_28, Transport::Http),
];

/// Every version over every transport that it has.
pub(super) const SERVERS: [End; 16] = [
    end(Sdk::TypescriptV1, Version::V2024_11_05, Transport::Stdio),
    end(Sdk::TypescriptV1, Version::V2025_03_26, Transport::Stdio),
    end(Sdk::TypescriptV1, Version::V2025_06_18, Transport::Stdio),
    end(Sdk::TypescriptV1, Version::V2025_11_25, Transport::Stdio),
    end(Sdk::TypescriptV2, Version::V2026_07_28, Transport::Stdio),
    end(Sdk::TypescriptV1, Version::V2024_11_05, Transport::Sse),
    end(Sdk::TypescriptV1, Version::V2025_03_26, Transport::Http),
    end(Sdk::TypescriptV1, Version::V2025_06_18, Transport::Http),
    end(Sdk::TypescriptV1, Version::V2025_11_25, Transport::Http),
    end(Sdk::TypescriptV2, Version::V2026_07_28, Transport::Http),
    end(Sdk::Python, Version::V2024_11_05, Transport::Sse),
    end(Sdk::Python, Version::V2025_06_18, Transport::Http),
    end(Sdk::Python, Version::V2025_11_25, Transport::Http),
    end(Sdk::Python, Version::V2026_07_28, Transport::Http),
    end(Sdk::Rust, Version::V2025_11_25, Transport::Http),
    end(Sdk::Rust, Version::V2026_07_28, Transport::Http),
];
