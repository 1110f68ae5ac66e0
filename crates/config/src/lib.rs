//! What users write: model, defaults, references to secrets, diagnostics with line and column,
//! JSON Schema; and the configuration files of hosts.
//!
//! Reading never stops at the first problem: [`read()`] returns everything that is wrong, each with
//! its place and its remedy. A configuration either is whole, perhaps without the servers whose
//! secrets this machine does not have, or is refused.

pub mod diagnostic;
pub mod hosts;
mod model;
mod read;
mod schema;
pub mod secret;
mod tree;
pub mod units;
mod walk;

pub use diagnostic::{Diagnostic, Severity, Style};
pub use model::{
    Admin, Api, ApiCredentials, ApiDocument, ApiTools, ArgumentLocation, ArgumentOverride,
    ArgumentType, Balance, ClientCredentials, Composite, CompositeArgument, CompositeTool,
    Composition, Config, Credentials, DefinedArgument, DefinedBody, DefinedTool, Endpoint, Era,
    Formula, HintOverrides, JsonText, Limits, Listen, ListenTls, Log, LogFormat, LogLevel, Member,
    NameError, Names, OnError, OperationSelector, Output, PagePlace, PageStep, Pagination, Pattern,
    Proxy, Questions, Remote, RemoteUrl, Restart, SchemeCredentials, SecretForms, Server,
    ServerName, Serves, Session, Stage, Start, StatedPagination, Stdio, Step, Tls, ToolOverride,
    Transport, check_bind,
};
pub use read::{Loaded, read, read_file, read_with};
pub use schema::schema;
pub use secret::{Environment, ProcessEnvironment, Resolved, Secret, Template};
pub use units::{Bytes, Duration, Rate};
