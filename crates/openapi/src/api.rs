//! A document as an API that can be served: read, its operations found, each made a tool.

use url::Url;

use crate::document::{Documents, LoadError, Loader, Overlay};
use crate::model::{Dialect, Scheme, ServerUrl};
use crate::operation::{self, Tag};
use crate::report::Report;
use crate::request::Plan;
use crate::response::Answers;
use crate::tool::{self, Options, Tool};
use crate::tree::Limits;

mod difference;

pub use difference::{Change, Changed, Difference, Named};

/// An API: what clients see of it, and what calls of it need. It keeps nothing of the documents.
#[derive(Clone, Debug)]
pub struct Api {
    /// Which version of the specification the document is written in.
    pub dialect: Dialect,
    /// The API's name.
    pub title: Option<String>,
    /// The API's version, as its publisher counts.
    pub version: Option<String>,
    /// What the API is for, in Markdown.
    pub description: Option<String>,
    /// The tools, in the order of the document, each with what its requests are made by.
    pub tools: Vec<Offered>,
    /// The security schemes, in order, also those that cannot be served.
    pub schemes: Vec<Scheme>,
    /// Where the API is served, unless an operation says otherwise; may be empty.
    pub servers: Vec<ServerUrl>,
    /// The tags that are declared, in order.
    pub tags: Vec<Tag>,
    /// Method and path of every operation that could be read, those included that the operator did
    /// not select, in order.
    pub operations: Vec<(String, String)>,
    /// How many operations could be read, those included that the operator did not select.
    pub operation_count: usize,
    /// Everything that was found on the way, sorted.
    pub report: Report,
}

/// A tool, and how its calls become requests.
#[derive(Clone, Debug)]
pub struct Offered {
    /// What clients see, and where each argument goes.
    pub tool: Tool,
    /// How a request is made of arguments.
    pub plan: Plan,
    /// How a result is made of an answer.
    pub answers: Answers,
}

/// Reads a document with everything that it refers to, and makes tools of its operations.
///
/// `url` is where the text was read from: references and relative server URLs are relative to it.
/// `name` is what people call the document, for the report. `overlays` are applied in order before
/// anything else.
///
/// # Errors
/// When the document as a whole cannot be used. An operation that cannot be offered, and a document
/// that is referred to and cannot be read, are findings of the report.
pub fn load(
    text: &str,
    url: &Url,
    name: &str,
    loader: &mut dyn Loader,
    overlays: &[Overlay<'_>],
    options: &Options,
) -> Result<Api, LoadError> {
    let limits = Limits::default();
    let (documents, mut report) = Documents::load(text, url, name, loader, overlays, &limits)?;
    let extracted = operation::extract(&documents, &mut report);
    let tools = tool::tools(&extracted.operations, &documents, options, &mut report);
    let tools = tools.into_iter().map(|tool| {
        let plan = Plan::new(&tool, &documents);
        let answers = Answers::new(&tool, &documents);
        Offered { tool, plan, answers }
    });
    let tools = tools.collect();
    report.sort();
    Ok(Api {
        dialect: extracted.dialect,
        title: extracted.title,
        version: extracted.version,
        description: extracted.description,
        tools,
        schemes: extracted.schemes,
        servers: extracted.servers,
        tags: extracted.tags,
        operation_count: extracted.operations.len(),
        operations: extracted
            .operations
            .into_iter()
            .map(|operation| (operation.method, operation.path))
            .collect(),
        report,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Severity;

    struct Nowhere;

    impl Loader for Nowhere {
        fn load(&mut self, _: &Url, _: &Url) -> Result<String, String> {
            Err("it is not there".to_owned())
        }
    }

    pub(super) fn load(text: &str) -> Result<Api, LoadError> {
        let url = Url::parse("https://api.example/docs/api.yaml").unwrap();
        super::load(text, &url, "api.yaml", &mut Nowhere, &[], &Options::default())
    }

    #[test]
    fn a_document_is_an_api() {
        let api = load(
            "openapi: 3.1.0\n\
             info: {title: Pets, version: '7', description: All pets}\n\
             servers: [{url: /v1}]\n\
             tags: [{name: pets}]\n\
             paths:\n\
             \x20 /pets/{id}:\n\
             \x20   get:\n\
             \x20     operationId: getPet\n\
             \x20     parameters: [{name: id, in: path, required: true, schema: {type: string}}]\n\
             \x20     responses: {'200': {description: A pet}}\n\
             \x20 /owners: {$ref: 'missing.yaml'}\n\
             components: {securitySchemes: {key: {type: apiKey, in: header, name: X-Key}}}\n",
        )
        .unwrap();
        assert_eq!((api.title.as_deref(), api.version.as_deref()), (Some("Pets"), Some("7")));
        assert_eq!(api.description.as_deref(), Some("All pets"));
        assert_eq!((api.tools.len(), api.operation_count), (1, 1));
        assert_eq!(api.servers[0].url, "https://api.example/v1");
        assert_eq!((api.schemes[0].name.as_str(), api.tags[0].name.as_str()), ("key", "pets"));
        let Offered { tool, plan, .. } = &api.tools[0];
        assert_eq!(tool.name, "getPet");
        let arguments = wire::Json::trusted(r#"{"id":"a/b"}"#).object().unwrap();
        let built = plan.build(tool, &arguments, "x").unwrap();
        assert_eq!(built.path_and_query, "/pets/a%2Fb");
        assert!(api.report.findings.iter().any(|it| it.kind == "document-not-loaded"));
        assert!(!api.report.has(Severity::Error));
    }

    #[test]
    fn what_is_no_document_is_an_error_with_its_place() {
        let error = load("openapi: 4.0.0\npaths: {}\n").unwrap_err();
        assert_eq!((error.kind, error.place.line), ("version", 1));
        let error = load("openapi: 3.1.0\npaths: {\n").unwrap_err();
        assert_eq!(error.kind, "syntax");
        assert!(error.place.line >= 2, "{error}");
    }
}
