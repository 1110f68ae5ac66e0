//! The crate `openapi` without the gateway: one document as a child of the judge.
//!
//! The first line on standard output is what became of the document. Each further line answers one
//! line of standard input, `{"tool": NAME, "arguments": {…}}`, with the request that would be sent.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openapi::api::{self, Offered};
use openapi::document::Loader;
use openapi::model::{Location, Requirement, Scheme, SchemeKind};
use openapi::tool::Options;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use url::Url;
use wire::json::Json;

/// What separates the parts of a form: nobody else ever sends one here.
const BOUNDARY: &str = "corpusBoundary7MA4YWxkTrZu0gW";

#[derive(serde::Deserialize)]
struct Call {
    tool: String,
    arguments: Box<RawValue>,
}

/// Loads the document and answers until standard input ends.
pub(super) fn serve(file: &Path) -> Result<()> {
    let file = file.canonicalize().with_context(|| format!("no {}", file.display()))?;
    let mut out = std::io::stdout().lock();
    let mut say = |value: &Value| -> Result<()> {
        writeln!(out, "{value}")?;
        Ok(out.flush()?)
    };
    let text = fs::read_to_string(&file)?;
    let name = file.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    let url = Url::from_file_path(&file).ok().context("the document's path is no URL")?;
    let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
    let mut loader = Folder(folder);
    let api = match api::load(&text, &url, &name, &mut loader, &[], &Options::default()) {
        Ok(api) => api,
        Err(error) => return say(&json!({"error": error.to_string()})),
    };
    let tools: Vec<Box<RawValue>> = api
        .tools
        .iter()
        .map(|it| serde_json::from_slice(&it.tool.definition))
        .collect::<Result<_, _>>()
        .context("a tool's definition is no JSON")?;
    let findings: Vec<Value> = api
        .report
        .findings
        .iter()
        .map(|it| {
            json!({
                "severity": format!("{:?}", it.severity).to_lowercase(),
                "kind": it.kind,
                "operation": it.operation,
                "message": it.message,
                "line": it.place.line,
            })
        })
        .collect();
    say(&json!({"tools": tools, "findings": findings}))?;
    let offered: HashMap<&str, &Offered> =
        api.tools.iter().map(|it| (it.tool.name.as_str(), it)).collect();
    for line in std::io::stdin().lock().lines() {
        say(&answer(&offered, &api.schemes, &line?))?;
    }
    Ok(())
}

fn answer(offered: &HashMap<&str, &Offered>, schemes: &[Scheme], line: &str) -> Value {
    let Ok(call) = serde_json::from_str::<Call>(line) else {
        return json!({"error": "this is no call"});
    };
    let Some(Offered { tool, plan, .. }) = offered.get(call.tool.as_str()) else {
        return json!({"error": format!("there is no tool {}", call.tool)});
    };
    let Some(arguments) = Json::trusted(call.arguments.get().to_owned()).object() else {
        return json!({"error": "the arguments are no object"});
    };
    let headers =
        |own: Vec<(String, String)>| [own, credentials(&tool.operation.security, schemes)].concat();
    match plan.build(tool, &arguments, BOUNDARY) {
        Ok(built) => json!({
            "method": built.method,
            "target": with_keys(built.path_and_query, &tool.operation.security, schemes),
            "headers": headers(built.headers),
            "contentType": built.content_type,
            "body": STANDARD.encode(&built.body),
        }),
        Err(error) => json!({"error": error.to_string()}),
    }
}

/// What the first alternative demands in headers. Prism does not look at security here, but some
/// documents have the same names as parameters.
fn credentials(security: &[Vec<Requirement>], schemes: &[Scheme]) -> Vec<(String, String)> {
    let demanded = security.first().into_iter().flatten();
    let header = |one: &Requirement| {
        let scheme = schemes.iter().find(|it| it.name == one.scheme)?;
        match &scheme.kind {
            SchemeKind::ApiKey { location: Location::Header, name } => {
                Some((name.clone(), "corpus".to_owned()))
            }
            SchemeKind::ApiKey { .. } | SchemeKind::MutualTls => None,
            _ => Some(("authorization".to_owned(), "Bearer corpus".to_owned())),
        }
    };
    demanded.filter_map(header).collect()
}

/// The target with what the first alternative demands in the query.
fn with_keys(target: String, security: &[Vec<Requirement>], schemes: &[Scheme]) -> String {
    let names = security.first().into_iter().flatten().filter_map(|one| {
        match &schemes.iter().find(|it| it.name == one.scheme)?.kind {
            SchemeKind::ApiKey { location: Location::Query, name } => Some(name),
            _ => None,
        }
    });
    names.fold(target, |target, name| {
        let mark = if target.contains('?') { '&' } else { '?' };
        format!("{target}{mark}{name}=corpus")
    })
}

/// Reads what lies in the document's folder or below.
struct Folder(PathBuf);

impl Loader for Folder {
    fn load(&mut self, url: &Url, _: &Url) -> Result<String, String> {
        let path = url.to_file_path().map_err(|()| format!("{url} is no file"))?;
        if !path.starts_with(&self.0) {
            return Err(format!("{url} is not below the document's folder"));
        }
        fs::read_to_string(path).map_err(|error| error.to_string())
    }
}
