//! One model of an operation for every version of the specification: what the rest of the crate works with.
//!
//! Nothing here is a copy of a schema: schemas stay where they were written and are named by
//! [`SchemaAt`]. What a version writes differently (`collectionFormat`, body parameters, `nullable`)
//! is either said in these terms or kept with its dialect.

use crate::report::Place;
use crate::tree::NodeId;

/// The family of rules that a document, and each schema in it, follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// Swagger 2.0.
    Swagger20,
    /// Version 3.0: a subset of JSON Schema draft 5 with `nullable`.
    OpenApi30,
    /// Version 3.1: JSON Schema 2020-12.
    OpenApi31,
    /// Version 3.2: as 3.1, with `query`, `additionalOperations` and `querystring`.
    OpenApi32,
}

/// A document among those that were loaded together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentId(pub u16);

/// Where something is written: a node of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct At {
    /// The document.
    pub document: DocumentId,
    /// The node in its tree.
    pub node: NodeId,
}

/// A schema where it is written, before references are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaAt {
    /// The schema's node; for a Swagger 2.0 parameter the parameter itself, whose type keywords
    /// stand beside `name` and `in`.
    pub at: At,
    /// Whose rules it follows.
    pub dialect: Dialect,
}

/// One operation: a method on a path, with everything that a request to it needs.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The HTTP method in upper case; one of `additionalOperations` as written.
    pub method: String,
    /// The path template, beginning with `/`. It names the operation together with the method, so it
    /// has what distinguishes it: fixed pairs of a query (`/x?action=y`) and a fragment (`/x#y`),
    /// which is never sent; see [`Operation::target`]. Each `{name}` is a parameter of the path.
    pub path: String,
    /// The path exactly as the document writes it: the operation is found by it.
    pub written_path: String,
    /// `operationId` as written.
    pub id: Option<String>,
    /// `x-mcp-name` as written.
    pub mcp_name: Option<String>,
    /// One line for people.
    pub summary: Option<String>,
    /// More for people, in Markdown.
    pub description: Option<String>,
    /// Tags in order.
    pub tags: Vec<String>,
    /// Whether it is marked as deprecated.
    pub is_deprecated: bool,
    /// All parameters, those of the path included, the operation's own first; none twice.
    pub parameters: Vec<Parameter>,
    /// The request body.
    pub body: Option<Body>,
    /// The only value of the header `Accept` that is sent, where a parameter says what it may be.
    pub accept: Option<String>,
    /// The responses, in order.
    pub responses: Vec<Response>,
    /// Alternatives, each a combination of schemes; empty means that none is demanded, and so does an
    /// empty alternative.
    pub security: Vec<Vec<Requirement>>,
    /// Where it is served, in order: the operation's, else the path's, else the document's servers.
    pub servers: Vec<ServerUrl>,
    /// Names of `x-` members of the operation and of its path, as written, for selection. Those that
    /// are `false` or `null` are not among them.
    pub extensions: Vec<String>,
    /// Where it is written.
    pub at: At,
    /// The same for people.
    pub place: Place,
}

impl Operation {
    /// What a request is sent to: the path's template, and the fixed pairs of the query that stand in
    /// the document's path, without `?` (empty if there are none).
    pub fn target(&self) -> (&str, &str) {
        let sent = self.path.split('#').next().unwrap_or_default();
        sent.split_once('?').unwrap_or((sent, ""))
    }
}

/// Where a parameter travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Location {
    /// A part of the path.
    Path,
    /// A pair, or several, of the query.
    Query,
    /// The whole query (3.2).
    QueryString,
    /// A header.
    Header,
    /// A pair, or several, of the `Cookie` header.
    Cookie,
    /// A member of a form in the body (2.0 `formData`); only in [`Body::form`].
    Form,
}

/// How a value is written (specification 3.2, style values), with those that only 2.0 has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each variant is the style of the same name")]
pub enum Style {
    Matrix,
    Label,
    Simple,
    Form,
    SpaceDelimited,
    PipeDelimited,
    DeepObject,
    /// 3.2: as `form` with `explode`, in the `Cookie` header, without percent-encoding.
    Cookie,
    /// 2.0 `collectionFormat: tsv`.
    TabDelimited,
}

/// One parameter.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the flags of a Parameter Object, none follows from another"
)]
pub struct Parameter {
    /// The name on the wire.
    pub name: String,
    /// Where it travels.
    pub location: Location,
    /// Whether it must be there; always so in a path.
    pub is_required: bool,
    /// What it means.
    pub description: Option<String>,
    /// Whether it is marked as deprecated.
    pub is_deprecated: bool,
    /// How its value is written.
    pub style: Style,
    /// Whether arrays and objects are written as several parts.
    pub explode: bool,
    /// How lists inside of a list are written, from the outside to the inside (2.0, where each `items`
    /// has a `collectionFormat` of its own): each as one text.
    pub nested: Vec<Style>,
    /// Whether reserved characters stay as they are.
    pub allow_reserved: bool,
    /// Whether an empty value may be sent (`allowEmptyValue`).
    pub allow_empty: bool,
    /// The media type whose rules write the value instead of a style (`content`).
    pub content: Option<String>,
    /// How each property is written, by its name, where `content` is a form (3.2 `querystring`).
    pub encoding: Vec<(String, Encoding)>,
    /// The schema; `None` where the document has none: what a style writes is a text then, and what
    /// `content` writes may be anything.
    pub schema: Option<SchemaAt>,
    /// `x-mcp-header` as written.
    pub mcp_header: Option<String>,
    /// Where it is written.
    pub at: At,
}

/// A request body.
#[derive(Clone, Debug)]
pub struct Body {
    /// Whether it must be there.
    pub is_required: bool,
    /// What it means.
    pub description: Option<String>,
    /// The media types that it may have, in order; never empty.
    pub media: Vec<Media>,
    /// The members of a form of 2.0 (`formData`), which has no schema as a whole: each is a parameter
    /// at [`Location::Form`]. If there are any, `media` are forms without schema and encoding: the
    /// members say how they are written.
    pub form: Vec<Parameter>,
    /// Where it is written; for `form` the first member.
    pub at: At,
}

/// One media type of a body or a response.
#[derive(Clone, Debug)]
pub struct Media {
    /// The media type as written, with parameters; may be a range such as `image/*`.
    pub media_type: String,
    /// The schema; `None` lets everything through. `itemSchema` of 3.2 for streams.
    pub schema: Option<SchemaAt>,
    /// Whether `schema` describes one item of a stream (3.2 `itemSchema`).
    pub is_items: bool,
    /// How each property of a form or multipart body is written, by its name.
    pub encoding: Vec<(String, Encoding)>,
    /// How the parts of a multipart body are written that have no names.
    pub positions: Positions,
}

/// How the elements of a list are written, each as a part without a name (3.2, Encoding By Position).
#[derive(Clone, Debug, Default)]
pub struct Positions {
    /// The first elements, in order.
    pub first: Vec<Encoding>,
    /// All others.
    pub rest: Option<Box<Encoding>>,
}

impl Positions {
    /// How the element at a position is written, if anything is said of it.
    pub fn at(&self, position: usize) -> Option<&Encoding> {
        self.first.get(position).or(self.rest.as_deref())
    }
}

/// How one property of a body is written (Encoding Object).
#[derive(Clone, Debug, Default)]
pub struct Encoding {
    /// The content types that are possible, the first is used.
    pub content_type: Option<String>,
    /// How the value is written, where the media type is a form.
    pub style: Option<Style>,
    /// Whether arrays and objects are written as several parts.
    pub explode: Option<bool>,
    /// Whether reserved characters stay as they are.
    pub allow_reserved: bool,
    /// Fixed headers of the part, of which only those with a `default` or a single `enum` value can
    /// be sent: name and value.
    pub headers: Vec<(String, String)>,
    /// How the parts inside of this one are written, where it is multipart itself.
    pub inner: Option<Box<Inner>>,
}

/// How the parts inside of a part are written.
#[derive(Clone, Debug, Default)]
pub struct Inner {
    /// Those of the members of an object, by name.
    pub encoding: Vec<(String, Encoding)>,
    /// Those of the elements of a list.
    pub positions: Positions,
}

/// One response.
#[derive(Clone, Debug)]
pub struct Response {
    /// Which statuses it describes.
    pub status: Status,
    /// What it means.
    pub description: Option<String>,
    /// What it may hold.
    pub media: Vec<Media>,
}

/// The statuses that a response describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Exactly this one.
    Code(u16),
    /// `2XX`: all of a hundred, by its first digit.
    Range(u8),
    /// Whatever no other describes.
    Default,
}

/// One scheme that a request must satisfy, and what it must be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The name in `securitySchemes`.
    pub scheme: String,
    /// Scopes or roles.
    pub scopes: Vec<String>,
}

/// A security scheme (Security Scheme Object).
#[derive(Clone, Debug)]
pub struct Scheme {
    /// The name by which operations demand it.
    pub name: String,
    /// How it is satisfied.
    pub kind: SchemeKind,
    /// What it means.
    pub description: Option<String>,
}

/// How a security scheme is satisfied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemeKind {
    /// A key in a header, the query or a cookie.
    ApiKey {
        /// Where it travels: never in the path.
        location: Location,
        /// The name of the header, pair or cookie.
        name: String,
    },
    /// HTTP Basic.
    Basic,
    /// A bearer token.
    Bearer,
    /// OAuth 2.0; served by client credentials where it has a token URL for them.
    OAuth2 {
        /// `tokenUrl` of the client credentials flow, as written: a relative one is relative to where
        /// the API is served.
        token_url: Option<String>,
    },
    /// Sign-in by `openIdConnect`, with the URL of its description: served by a token that the operator
    /// has, or by client credentials where the operator says at which URL.
    OpenIdConnect(String),
    /// Another scheme of HTTP, as written: `Authorization: SCHEME VALUE`.
    Http(String),
    /// A client certificate.
    MutualTls,
    /// Anything else, in the words of the document: it cannot be served, and is reported.
    Other(String),
    /// Operations demand it, and nothing declares it. It is reported; nobody knows what requests would
    /// have to show, so they go without it unless the configuration has a credential for it.
    Undeclared,
}

/// A server of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    /// The URL with its variables at their defaults, without `/` at its end, so that a path can follow
    /// it. Without a scheme where neither the document nor its own URL has a host: what is known then
    /// is the beginning of the path.
    pub url: String,
    /// The template as written.
    pub template: String,
    /// The variables: name, default, and the values that are possible (empty: any).
    pub variables: Vec<Variable>,
}

/// A variable of a server's URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name between braces.
    pub name: String,
    /// Its default.
    pub default: String,
    /// The values that are possible; empty means any.
    pub values: Vec<String>,
}
