//! What a server says of itself: the result of `server/discover` or `initialize`.

use wire::capability::ServerAbilities;
use wire::{Json, Object, Version};

/// What a server said of itself when the conversation began.
#[derive(Clone, Debug)]
pub struct Hello {
    /// The version of the hop.
    pub version: Version,
    /// The whole result, verbatim.
    pub result: Object,
    /// The `ServerCapabilities`, verbatim.
    pub capabilities: Object,
    /// The same, as far as the gate decides by them.
    pub abilities: ServerAbilities,
    /// The server's `Implementation`, verbatim.
    pub info: Option<Json>,
    /// What the server wants the model to know.
    pub instructions: Option<String>,
}

impl Hello {
    /// Reads the result of `initialize` or `server/discover`.
    pub fn new(version: Version, result: Object) -> Self {
        let capabilities = result.object("capabilities").unwrap_or_else(Object::empty);
        let info = result
            .get("serverInfo")
            .or_else(|| result.object("_meta").and_then(|meta| meta.get(wire::meta::SERVER_INFO)));
        let instructions = result.text("instructions").map(std::borrow::Cow::into_owned);
        let abilities = ServerAbilities::of(&capabilities);
        Self { version, result, capabilities, abilities, info, instructions }
    }
}
