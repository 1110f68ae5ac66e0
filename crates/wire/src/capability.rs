//! Capabilities that clients and servers declare: read where the gate decides, else passed verbatim.

use crate::json::{Json, Object};
use crate::version::Version;

/// What a client can do for a server in the middle of a call, as a small set. Two clients with the
/// same set can share what a server made for one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientAbilities(u8);

impl ClientAbilities {
    /// No ability at all.
    pub const NONE: Self = Self(0);
    /// Fill in a form.
    pub const ELICIT_FORM: Self = Self(1);
    /// Visit a URL.
    pub const ELICIT_URL: Self = Self(2);
    /// Ask its model.
    pub const SAMPLE: Self = Self(4);
    /// Ask its model with tools.
    pub const SAMPLE_TOOLS: Self = Self(8);
    /// List its roots.
    pub const ROOTS: Self = Self(16);

    /// Reads a `ClientCapabilities` object of any version. `elicitation: {}` means forms.
    pub fn of(capabilities: &Object) -> Self {
        let mut abilities = Self::NONE;
        if let Some(elicitation) = capabilities.object("elicitation") {
            let url = elicitation.has("url");
            if elicitation.has("form") || !url {
                abilities = abilities.and(Self::ELICIT_FORM);
            }
            if url {
                abilities = abilities.and(Self::ELICIT_URL);
            }
        }
        if let Some(sampling) = capabilities.object("sampling") {
            abilities = abilities.and(Self::SAMPLE);
            if sampling.has("tools") {
                abilities = abilities.and(Self::SAMPLE_TOOLS);
            }
        }
        if capabilities.object("roots").is_some() {
            abilities = abilities.and(Self::ROOTS);
        }
        abilities
    }

    /// Both sets together.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What of the set exists in `version`, whatever a client declares.
    pub fn within(self, version: Version) -> Self {
        let mut known = Self::SAMPLE.and(Self::ROOTS);
        if version >= Version::V2025_06_18 {
            known = known.and(Self::ELICIT_FORM);
        }
        if version >= Version::V2025_11_25 {
            known = known.and(Self::ELICIT_URL).and(Self::SAMPLE_TOOLS);
        }
        Self(self.0 & known.0)
    }

    /// Whether all of `other` is in this set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set as a `ClientCapabilities` object of the legacy era.
    pub fn to_json(self) -> Json {
        let mut parts = Vec::new();
        if self.has(Self::ELICIT_FORM) || self.has(Self::ELICIT_URL) {
            let mut modes = Vec::new();
            if self.has(Self::ELICIT_FORM) {
                modes.push("\"form\":{}");
            }
            if self.has(Self::ELICIT_URL) {
                modes.push("\"url\":{}");
            }
            parts.push(format!("\"elicitation\":{{{}}}", modes.join(",")));
        }
        if self.has(Self::SAMPLE) {
            let tools = if self.has(Self::SAMPLE_TOOLS) { "\"tools\":{}" } else { "" };
            parts.push(format!("\"sampling\":{{{tools}}}"));
        }
        if self.has(Self::ROOTS) {
            parts.push("\"roots\":{}".to_owned());
        }
        Json::trusted(format!("{{{}}}", parts.join(",")))
    }
}

/// The parts of a `ServerCapabilities` object that composing endpoints needs.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "the flags of the protocol, each on its own")]
pub struct ServerAbilities {
    /// Serves tools.
    pub tools: bool,
    /// Serves resources.
    pub resources: bool,
    /// Can tell about single resources.
    pub subscribe: bool,
    /// Serves prompts.
    pub prompts: bool,
    /// Completes arguments.
    pub completions: bool,
    /// Writes log messages.
    pub logging: bool,
    /// Tells when its tools change.
    pub tools_changed: bool,
    /// Tells when its resources change.
    pub resources_changed: bool,
    /// Tells when its prompts change.
    pub prompts_changed: bool,
}

impl ServerAbilities {
    /// Reads a `ServerCapabilities` object of any version.
    pub fn of(capabilities: &Object) -> Self {
        let part = |key: &str| capabilities.object(key);
        let flag = |part: &Option<Object>, key: &str| {
            part.as_ref().and_then(|part| part.get(key)?.as_bool()).unwrap_or(false)
        };
        let (tools, resources, prompts) = (part("tools"), part("resources"), part("prompts"));
        Self {
            tools_changed: flag(&tools, "listChanged"),
            resources_changed: flag(&resources, "listChanged"),
            prompts_changed: flag(&prompts, "listChanged"),
            subscribe: flag(&resources, "subscribe"),
            tools: tools.is_some(),
            resources: resources.is_some(),
            prompts: prompts.is_some(),
            completions: part("completions").is_some(),
            logging: part("logging").is_some(),
        }
    }
}
