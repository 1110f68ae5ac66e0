//! An operation as a tool: its name, its arguments, the definition that clients see, and where each
//! argument goes in the request.

use bytes::Bytes;
use wire::json::Json;

use crate::model::{Operation, SchemaAt};

mod media;
mod options;

pub use media::MediaKind;
pub use options::{ArgumentChange, Change, Glob, Options, Output, Selector};

/// A tool: everything that a client sees of it, and everything that a request needs.
#[derive(Clone, Debug)]
pub struct Tool {
    /// The name: `[A-Za-z0-9_-]`, at most 60 characters, unique in its list.
    pub name: String,
    /// The operation that it calls, with changed method and path where the operator changed them.
    pub operation: Operation,
    /// The tool as clients see it: a JSON object of MCP 2026-07-28.
    pub definition: Bytes,
    /// All arguments, also those that clients do not see; parameters first, in order, then the body.
    pub arguments: Vec<Argument>,
    /// How the body is written, where the operation has one.
    pub body: Option<BodyPlan>,
    /// What the operator adds to each request.
    pub additions: Additions,
}

/// One argument, and where it goes.
#[derive(Clone, Debug)]
pub struct Argument {
    /// The name by which clients give it.
    pub name: String,
    /// Where its value goes.
    pub source: Source,
    /// Where its value comes from.
    pub value: Value,
    /// Whether clients must give it.
    pub is_required: bool,
    /// What its value is turned into before it is sent.
    pub content: Content,
    /// The schema of what it is made of, where it has one.
    pub schema: Option<SchemaAt>,
}

/// Where an argument's value goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `operation.parameters[_]`.
    Parameter(usize),
    /// The body's `form[_]` (2.0 `formData`).
    Form(usize),
    /// The member of this name of the body, which is an object.
    Member(String),
    /// The whole body.
    Body,
}

/// Where an argument's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// From the caller.
    Given,
    /// From the caller, else this.
    Default(Json),
    /// Always this; clients neither see the argument nor can give it.
    Fixed(Json),
    /// Nowhere: the operator hid the argument, and it is never sent.
    Absent,
}

/// What an argument's value is turned into before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing else: it is sent as the value that it is.
    Value,
    /// A file: base64 or a `data:` URI becomes its bytes.
    File,
    /// A list of files.
    Files,
}

/// How the body is written.
#[derive(Clone, Debug)]
pub struct BodyPlan {
    /// Which of `operation.body.media`.
    pub media: usize,
    /// The rules by which it is written.
    pub kind: MediaKind,
    /// Whether the arguments are members of the body ([`Source::Member`], [`Source::Form`]); else one
    /// argument is all of it ([`Source::Body`]).
    pub is_flat: bool,
}

/// What the operator adds to each request. None of it is an argument, and clients see none of it.
#[derive(Clone, Debug, Default)]
pub struct Additions {
    /// Scheme, host and port instead of the server's, as `https://host:port`.
    pub origin: Option<String>,
    /// Headers: name and value.
    pub headers: Vec<(String, String)>,
    /// Pairs of the query, not encoded yet.
    pub query: Vec<(String, String)>,
}
