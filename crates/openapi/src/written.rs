//! Tools that are written by hand, for APIs without a document.
//!
//! Each definition becomes a document of one operation, which is read as any other. So everything
//! that is true of documents is true of definitions, and one that cannot be used costs no other.

use std::sync::Arc;

use url::Url;
use wire::json::{Edit, Json, write_string};

use crate::api::{Api, Offered};
use crate::document::{Documents, Loader};
use crate::model::{Dialect, ServerUrl};
use crate::operation;
use crate::report::{Finding, Place, Report, Severity};
use crate::request::Plan;
use crate::response::{Answers, Paging};
use crate::tool::{self, ArgumentChange, Change, Options, Source, Tool};
use crate::tree::Limits;

/// A tool, written by hand.
#[derive(Clone, Debug, Default)]
pub struct Definition {
    /// The tool's name: 1 to 60 letters, digits, `_` and `-`.
    pub name: String,
    /// The HTTP method.
    pub method: String,
    /// The path below the API's URL, beginning with `/`. Each `{name}` in it is the argument of this
    /// name; one that is not among `arguments` is a text.
    pub path: String,
    /// The tool's title.
    pub title: Option<String>,
    /// What the tool does.
    pub description: Option<String>,
    /// `readOnlyHint`.
    pub is_read_only: Option<bool>,
    /// `destructiveHint`.
    pub is_destructive: Option<bool>,
    /// `idempotentHint`.
    pub is_idempotent: Option<bool>,
    /// `openWorldHint`.
    pub is_open_world: Option<bool>,
    /// The arguments, in the order in which clients see them; no name twice.
    pub arguments: Vec<Argument>,
    /// How the body is written, where arguments go there.
    pub body: Body,
    /// The schema of what the API answers with, JSON Schema 2020-12.
    pub output: Option<Json>,
    /// How the next page of its result is found; what the options say where this is nothing.
    pub paging: Option<Arc<Paging>>,
    /// The tags that it carries.
    pub tags: Vec<String>,
    /// Headers that each request has: name and value.
    pub headers: Vec<(String, String)>,
    /// Pairs that the query of each request has.
    pub query: Vec<(String, String)>,
}

/// An argument of a tool, and where its value goes.
#[derive(Clone, Debug, Default)]
pub struct Argument {
    /// Its name for clients.
    pub name: String,
    /// Where it goes. The default is the path where it stands there, the body for methods that have
    /// one, else the query.
    pub location: Option<Location>,
    /// Its name in the request, where that is another one. In the path the two are the same.
    pub wire_name: Option<String>,
    /// What its values are, JSON Schema 2020-12. The default is a text.
    pub schema: Option<Json>,
    /// What clients read about it.
    pub description: Option<String>,
    /// Whether clients must give it. In the path they must in any case.
    pub is_required: bool,
    /// The value that is sent where the client gives none.
    pub default: Option<Json>,
    /// The value that is always sent; clients do not see the argument.
    pub fixed: Option<Json>,
}

/// Where the value of an argument goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// Into the path, in place of its name in braces.
    Path,
    /// Into the query.
    Query,
    /// Into a header.
    Header,
    /// Into a cookie.
    Cookie,
    /// Into the body, as a member of this name, or all of a body that is text.
    Body,
}

/// How a body is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// A JSON object.
    #[default]
    Json,
    /// As forms of web pages are: `a=b&c=d`.
    Form,
    /// As forms with files are.
    Multipart,
    /// The text that the one argument in the body is.
    Text,
}

/// An API of nothing but tools that are written by hand. `url` is where the API is served.
pub fn api(title: &str, url: &Url, definitions: &[Definition], options: &Options) -> Api {
    let url = url.as_str().trim_end_matches('/').to_owned();
    let mut api = Api {
        dialect: Dialect::OpenApi32,
        title: Some(title.to_owned()),
        version: None,
        description: None,
        tools: Vec::new(),
        schemes: Vec::new(),
        servers: vec![ServerUrl { template: url.clone(), url, variables: Vec::new() }],
        tags: Vec::new(),
        operations: Vec::new(),
        operation_count: 0,
        report: Report::default(),
    };
    add(&mut api, definitions, options);
    api
}

/// Adds tools that are written by hand to those of a document. Whatever cannot be offered is a finding
/// of the report. Of the options only those for all tools count.
pub fn add(api: &mut Api, definitions: &[Definition], options: &Options) {
    for definition in definitions {
        definition.add_to(api, options);
    }
    api.report.sort();
}

/// The schema of all values of a type: `string`, `integer`, `number`, `boolean`, `array` or `object`.
pub fn of_type(name: &str) -> Json {
    Json::trusted(format!(r#"{{"type":{}}}"#, quoted(name)))
}

// === impl Definition ===

impl Definition {
    fn add_to(&self, api: &mut Api, options: &Options) {
        let mut report = Report::default();
        let offered = match self.problem(api) {
            None => self.offered(options, &mut report),
            Some(problem) => Err(problem),
        };
        let operation = format!("{} {}", self.method, self.path);
        api.operations.push((self.method.to_ascii_uppercase(), self.path.clone()));
        api.operation_count += 1;
        let place = Place { document: format!("definition of {}", self.name), ..Place::default() };
        // Where the tool is served is said outside its definition.
        report.findings.retain(|finding| finding.kind != "no-server");
        for finding in &mut report.findings {
            finding.place.clone_from(&place);
        }
        match offered {
            Ok(mut offered) => {
                offered.tool.operation.servers.clone_from(&api.servers);
                offered.tool.operation.place = place;
                api.tools.push(offered);
            }
            Err(why) => report.add(Finding {
                severity: Severity::Skipped,
                kind: "operation-not-offered",
                operation: Some(operation),
                message: format!("the tool `{}` is not offered: {why}", self.name),
                place,
            }),
        }
        api.report.append(report);
    }

    /// Why the definition is of no use, as far as a document could not say it.
    fn problem(&self, api: &Api) -> Option<String> {
        if api.tools.iter().any(|other| other.tool.name == self.name) {
            return Some("another tool has its name".to_owned());
        }
        let missing = self
            .arguments
            .iter()
            .find(|it| it.location == Some(Location::Path) && !self.has_in_path(&it.name));
        if let Some(argument) = missing {
            let name = &argument.name;
            return Some(format!("its path has no `{{{name}}}`, where `{name}` would go"));
        }
        let in_body =
            self.arguments.iter().filter(|it| self.location(it) == Location::Body).count();
        (self.body == Body::Text && in_body > 1)
            .then(|| "a body that is text is one argument, and more go there".to_owned())
    }

    fn offered(&self, options: &Options, report: &mut Report) -> Result<Offered, String> {
        let url = Url::parse("definition:tool").expect("it has a scheme");
        let text = self.document();
        let limits = Limits::default();
        let (documents, findings) =
            Documents::load(&text, &url, &self.name, &mut Nothing, &[], &limits)
                .map_err(|error| error.to_string())?;
        report.append(findings);
        let extracted = operation::extract(&documents, report);
        let options = Options {
            include: Vec::new(),
            exclude: Vec::new(),
            changes: vec![self.change()],
            ..options.clone()
        };
        let mut tools = tool::tools(&extracted.operations, &documents, &options, report);
        let Some(mut tool) = tools.pop() else {
            return Err(match report.findings.iter().find(|it| it.severity >= Severity::Skipped) {
                Some(finding) => finding.message.clone(),
                None => "it describes no operation".to_owned(),
            });
        };
        let is_dangling = |it: &&Finding| DANGLING.contains(&it.kind);
        if let Some(finding) = report.findings.iter().find(is_dangling) {
            return Err(finding.message.clone());
        }
        self.rename(&mut tool);
        // Not by the change: there are the names of clients.
        tool.additions.headers.clone_from(&self.headers);
        tool.additions.query.clone_from(&self.query);
        let plan = Plan::new(&tool, &documents);
        let answers = Answers::new(&tool, &documents);
        Ok(Offered { tool, plan, answers })
    }

    /// Gives arguments the names that they have in requests. The document has those of clients, so
    /// that they are what everything else speaks of.
    fn rename(&self, tool: &mut Tool) {
        for argument in &mut tool.arguments {
            let written = self.arguments.iter().find(|it| it.name == argument.name);
            let Some(name) = written.and_then(|it| it.wire_name.as_ref()) else { continue };
            match &mut argument.source {
                Source::Parameter(at) => tool.operation.parameters[*at].name.clone_from(name),
                Source::Member(member) => member.clone_from(name),
                Source::Form(_) | Source::Body => {}
            }
        }
    }

    fn location(&self, argument: &Argument) -> Location {
        let has_body =
            ["POST", "PUT", "PATCH"].iter().any(|it| it.eq_ignore_ascii_case(&self.method));
        argument.location.unwrap_or(match has_body {
            _ if self.has_in_path(&argument.name) => Location::Path,
            true => Location::Body,
            false => Location::Query,
        })
    }

    fn has_in_path(&self, name: &str) -> bool {
        self.path.contains(&format!("{{{name}}}"))
    }

    /// Names in braces in the path, each once.
    fn path_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for part in self.path.split('{').skip(1) {
            if let Some((name, _)) = part.split_once('}')
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        names
    }

    /// What no document can say.
    fn change(&self) -> Change {
        let arguments = self.arguments.iter().map(|argument| ArgumentChange {
            argument: argument.name.clone(),
            description: argument.description.clone(),
            fixed: argument.fixed.clone(),
            default: argument.default.clone(),
            ..ArgumentChange::default()
        });
        let mut arguments: Vec<ArgumentChange> = arguments.collect();
        let is_whole = |it: &&Argument| {
            self.body == Body::Text && self.location(it) == Location::Body && it.name != WHOLE
        };
        if let Some(whole) = self.arguments.iter().find(is_whole)
            && let Some(change) = arguments.iter_mut().find(|it| it.argument == whole.name)
        {
            let is_taken = self.arguments.iter().any(|other| other.name == WHOLE);
            let name = if is_taken { format!("request_{WHOLE}") } else { WHOLE.to_owned() };
            change.name = Some(std::mem::replace(&mut change.argument, name));
        }
        Change {
            operation: self.name.clone(),
            title: self.title.clone(),
            description: self.description.clone(),
            is_read_only: self.is_read_only,
            is_destructive: self.is_destructive,
            is_idempotent: self.is_idempotent,
            is_open_world: self.is_open_world,
            arguments,
            paging: self.paging.clone(),
            tags: self.tags.clone(),
            ..Change::default()
        }
    }

    /// The document that says the same.
    fn document(&self) -> String {
        let method = self.method.to_ascii_lowercase();
        let parameters: Vec<String> = self.parameters().collect();
        let operation = format!(
            r#"{{"operationId":{},"parameters":[{}],{}"responses":{{"2XX":{{"description":""{}}}}}}}"#,
            quoted(&self.name),
            parameters.join(","),
            self.request_body(),
            self.content()
        );
        let item = if USUAL.contains(&method.as_str()) {
            format!("{}:{operation}", quoted(&method))
        } else {
            format!(r#""additionalOperations":{{{}:{operation}}}"#, quoted(&self.method))
        };
        let path = quoted(&self.path);
        let info = r#""info":{"title":"tool","version":"1"}"#;
        format!(r#"{{"openapi":"3.2.0",{info},"paths":{{{path}:{{{item}}}}}}}"#)
    }

    /// What the answer is, as a further member.
    fn content(&self) -> String {
        let Some(schema) = &self.output else { return String::new() };
        let schema = of_itself(schema, "(output)");
        format!(r#","content":{{"application/json":{{"schema":{schema}}}}}"#)
    }

    fn parameters(&self) -> impl Iterator<Item = String> {
        let declared = self.arguments.iter().filter_map(|argument| {
            let location = match self.location(argument) {
                Location::Path => "path",
                Location::Query => "query",
                Location::Header => "header",
                Location::Cookie => "cookie",
                Location::Body => return None,
            };
            Some(format!(
                r#"{{"name":{},"in":"{location}","required":{},"schema":{}}}"#,
                quoted(&argument.name),
                argument.is_required || location == "path",
                argument.schema_text()
            ))
        });
        let is_declared = |name: &str| self.arguments.iter().any(|it| it.name == name);
        let others = self.path_names().into_iter().filter(move |name| !is_declared(name));
        declared.chain(others.map(|name| {
            let name = quoted(name);
            format!(r#"{{"name":{name},"in":"path","required":true,"schema":{TEXT}}}"#)
        }))
    }

    fn request_body(&self) -> String {
        let members: Vec<&Argument> =
            self.arguments.iter().filter(|it| self.location(it) == Location::Body).collect();
        let Some(first) = members.first() else { return String::new() };
        let schema = if self.body == Body::Text {
            first.schema_text()
        } else {
            let member = |it: &&Argument| format!("{}:{}", quoted(&it.name), it.schema_text());
            let properties: Vec<String> = members.iter().map(member).collect();
            let required = members.iter().filter(|it| it.is_required);
            let required: Vec<String> = required.map(|it| quoted(&it.name)).collect();
            format!(
                r#"{{"type":"object","properties":{{{}}},"required":[{}]}}"#,
                properties.join(","),
                required.join(",")
            )
        };
        let is_required = members.iter().any(|it| it.is_required);
        let media_type = self.body.media_type();
        format!(
            r#""requestBody":{{"required":{is_required},"content":{{"{media_type}":{{"schema":{schema}}}}}}},"#
        )
    }
}

/// A document from elsewhere may be incomplete; what the operator writes has no such excuse.
const DANGLING: [&str; 2] = ["dangling-reference", "document-not-loaded"];

/// The methods that a path has members for.
const USUAL: [&str; 9] =
    ["get", "put", "post", "delete", "options", "head", "patch", "trace", "query"];

/// What an argument is called that is all of a body.
const WHOLE: &str = "body";

/// The schema of an argument of which nothing is said.
const TEXT: &str = r#"{"type":"string"}"#;

impl Argument {
    fn schema_text(&self) -> String {
        self.schema.as_ref().map_or_else(|| TEXT.to_owned(), |it| of_itself(it, &self.name))
    }
}

impl Body {
    fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Form => "application/x-www-form-urlencoded",
            Self::Multipart => "multipart/form-data",
            Self::Text => "text/plain",
        }
    }
}

/// A schema whose references are about itself: `#` is its own beginning and not the document's.
fn of_itself(schema: &Json, name: &str) -> String {
    let has_references = schema.as_str().contains("$ref");
    match schema.object().filter(|it| has_references && !it.has("$id")) {
        Some(object) => {
            let id = quoted(&format!("urn:schema:{name}"));
            object.to_json(&[Edit::set("$id", id.as_bytes())]).as_str().to_owned()
        }
        None => schema.as_str().to_owned(),
    }
}

fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    String::from_utf8(out).expect("JSON of a text is text")
}

/// Definitions refer to nothing.
struct Nothing;

impl Loader for Nothing {
    fn load(&mut self, _: &Url, _: &Url) -> Result<String, String> {
        Err("a definition in the configuration cannot refer to other documents".to_owned())
    }
}

#[cfg(test)]
mod tests;
