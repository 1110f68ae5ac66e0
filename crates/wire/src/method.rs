//! All methods and notifications of every version, and in which versions each exists.

use crate::version::Version;

/// The name of a notification or method as constants, so that no other file spells one.
pub mod name {
    #![expect(missing_docs, reason = "each constant is its own name on the wire")]
    pub const INITIALIZE: &str = "initialize";
    pub const INITIALIZED: &str = "notifications/initialized";
    pub const PING: &str = "ping";
    pub const DISCOVER: &str = "server/discover";
    pub const LISTEN: &str = "subscriptions/listen";
    pub const ACKNOWLEDGED: &str = "notifications/subscriptions/acknowledged";
    pub const TOOLS_LIST: &str = "tools/list";
    pub const TOOLS_CALL: &str = "tools/call";
    pub const RESOURCES_LIST: &str = "resources/list";
    pub const RESOURCE_TEMPLATES_LIST: &str = "resources/templates/list";
    pub const RESOURCES_READ: &str = "resources/read";
    pub const RESOURCES_SUBSCRIBE: &str = "resources/subscribe";
    pub const RESOURCES_UNSUBSCRIBE: &str = "resources/unsubscribe";
    pub const PROMPTS_LIST: &str = "prompts/list";
    pub const PROMPTS_GET: &str = "prompts/get";
    pub const COMPLETE: &str = "completion/complete";
    pub const SET_LEVEL: &str = "logging/setLevel";
    pub const CREATE_MESSAGE: &str = "sampling/createMessage";
    pub const ROOTS_LIST: &str = "roots/list";
    pub const ELICIT: &str = "elicitation/create";
    pub const TASKS_GET: &str = "tasks/get";
    pub const TASKS_CANCEL: &str = "tasks/cancel";
    pub const TASKS_RESULT: &str = "tasks/result";
    pub const TASKS_LIST: &str = "tasks/list";
    pub const TASKS_UPDATE: &str = "tasks/update";
    pub const CANCELLED: &str = "notifications/cancelled";
    pub const PROGRESS: &str = "notifications/progress";
    pub const LOG_MESSAGE: &str = "notifications/message";
    pub const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
    pub const PROMPTS_CHANGED: &str = "notifications/prompts/list_changed";
    pub const RESOURCES_CHANGED: &str = "notifications/resources/list_changed";
    pub const RESOURCE_UPDATED: &str = "notifications/resources/updated";
    pub const ROOTS_CHANGED: &str = "notifications/roots/list_changed";
    pub const ELICITATION_COMPLETE: &str = "notifications/elicitation/complete";
    pub const TASK_STATUS: &str = "notifications/tasks/status";
    pub const TASK_NOTIFICATION: &str = "notifications/tasks";
}

/// What a request asks for, as far as the gate treats it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is the method of the same name")]
pub enum Method {
    Initialize,
    Ping,
    Discover,
    Listen,
    ToolsList,
    ToolsCall,
    ResourcesList,
    ResourceTemplatesList,
    ResourcesRead,
    ResourcesSubscribe,
    ResourcesUnsubscribe,
    PromptsList,
    PromptsGet,
    Complete,
    SetLevel,
    TasksGet,
    TasksCancel,
    TasksResult,
    TasksList,
    TasksUpdate,
    /// A method that the gate does not know: an extension's.
    Other,
}

use Version::{V2024_11_05, V2025_06_18, V2025_11_25, V2026_07_28};

/// Every request a client may send: the method, its name, and its first and last version.
const CLIENT_REQUESTS: &[(Method, &str, Version, Version)] = &[
    (Method::ToolsCall, name::TOOLS_CALL, V2024_11_05, V2026_07_28),
    (Method::ToolsList, name::TOOLS_LIST, V2024_11_05, V2026_07_28),
    (Method::ResourcesRead, name::RESOURCES_READ, V2024_11_05, V2026_07_28),
    (Method::ResourcesList, name::RESOURCES_LIST, V2024_11_05, V2026_07_28),
    (Method::ResourceTemplatesList, name::RESOURCE_TEMPLATES_LIST, V2024_11_05, V2026_07_28),
    (Method::PromptsGet, name::PROMPTS_GET, V2024_11_05, V2026_07_28),
    (Method::PromptsList, name::PROMPTS_LIST, V2024_11_05, V2026_07_28),
    (Method::Complete, name::COMPLETE, V2024_11_05, V2026_07_28),
    (Method::Discover, name::DISCOVER, V2026_07_28, V2026_07_28),
    (Method::Listen, name::LISTEN, V2026_07_28, V2026_07_28),
    (Method::Initialize, name::INITIALIZE, V2024_11_05, V2025_11_25),
    (Method::Ping, name::PING, V2024_11_05, V2025_11_25),
    (Method::ResourcesSubscribe, name::RESOURCES_SUBSCRIBE, V2024_11_05, V2025_11_25),
    (Method::ResourcesUnsubscribe, name::RESOURCES_UNSUBSCRIBE, V2024_11_05, V2025_11_25),
    (Method::SetLevel, name::SET_LEVEL, V2024_11_05, V2025_11_25),
    (Method::TasksGet, name::TASKS_GET, V2025_11_25, V2026_07_28),
    (Method::TasksCancel, name::TASKS_CANCEL, V2025_11_25, V2026_07_28),
    (Method::TasksResult, name::TASKS_RESULT, V2025_11_25, V2025_11_25),
    (Method::TasksList, name::TASKS_LIST, V2025_11_25, V2025_11_25),
    (Method::TasksUpdate, name::TASKS_UPDATE, V2026_07_28, V2026_07_28),
];

/// Every request a server may send to its client: its name, and its first and last version. Since
/// 2026-07-28 the same questions travel as `inputRequests` in a result instead.
pub const SERVER_REQUESTS: &[(&str, Version, Version)] = &[
    (name::PING, V2024_11_05, V2025_11_25),
    (name::CREATE_MESSAGE, V2024_11_05, V2025_11_25),
    (name::ROOTS_LIST, V2024_11_05, V2025_11_25),
    (name::ELICIT, V2025_06_18, V2025_11_25),
    (name::TASKS_GET, V2025_11_25, V2025_11_25),
    (name::TASKS_CANCEL, V2025_11_25, V2025_11_25),
    (name::TASKS_RESULT, V2025_11_25, V2025_11_25),
    (name::TASKS_LIST, V2025_11_25, V2025_11_25),
];

/// Every notification of either side: its name, and its first and last version.
pub const NOTIFICATIONS: &[(&str, Version, Version)] = &[
    (name::CANCELLED, V2024_11_05, V2026_07_28),
    (name::PROGRESS, V2024_11_05, V2026_07_28),
    (name::LOG_MESSAGE, V2024_11_05, V2026_07_28),
    (name::TOOLS_CHANGED, V2024_11_05, V2026_07_28),
    (name::PROMPTS_CHANGED, V2024_11_05, V2026_07_28),
    (name::RESOURCES_CHANGED, V2024_11_05, V2026_07_28),
    (name::RESOURCE_UPDATED, V2024_11_05, V2026_07_28),
    (name::INITIALIZED, V2024_11_05, V2025_11_25),
    (name::ROOTS_CHANGED, V2024_11_05, V2025_11_25),
    (name::ELICITATION_COMPLETE, V2025_11_25, V2025_11_25),
    (name::TASK_STATUS, V2025_11_25, V2025_11_25),
    (name::ACKNOWLEDGED, V2026_07_28, V2026_07_28),
    (name::TASK_NOTIFICATION, V2026_07_28, V2026_07_28),
];

impl Method {
    /// The method by its name on the wire.
    pub fn parse(name: &str) -> Self {
        CLIENT_REQUESTS.iter().find(|row| row.1 == name).map_or(Self::Other, |row| row.0)
    }

    /// The name on the wire; `None` for [`Method::Other`].
    pub fn name(self) -> Option<&'static str> {
        CLIENT_REQUESTS.iter().find(|row| row.0 == self).map(|row| row.1)
    }

    /// Whether the method exists in `version`. Unknown methods may be extensions, so they do.
    pub fn exists_in(self, version: Version) -> bool {
        CLIENT_REQUESTS
            .iter()
            .find(|row| row.0 == self)
            .is_none_or(|row| (row.2..=row.3).contains(&version))
    }

    /// The member of `params` that the header `Mcp-Name` mirrors (2026-07-28, transports).
    pub const fn name_member(self) -> Option<&'static str> {
        match self {
            Self::ToolsCall | Self::PromptsGet => Some("name"),
            Self::ResourcesRead => Some("uri"),
            Self::TasksGet | Self::TasksCancel | Self::TasksUpdate => Some("taskId"),
            _ => None,
        }
    }

    /// Whether the method is one of the four paged lists.
    pub const fn is_list(self) -> bool {
        matches!(
            self,
            Self::ToolsList | Self::ResourcesList | Self::ResourceTemplatesList | Self::PromptsList
        )
    }

    /// Whether the result may ask for input first (2026-07-28, multi round-trip requests).
    pub const fn may_ask(self) -> bool {
        matches!(self, Self::ToolsCall | Self::PromptsGet | Self::ResourcesRead)
    }
}
