//! From a text to a configuration and everything that is wrong with it.

use std::{collections::BTreeMap, io::Read as _, path::Path};

use crate::{
    diagnostic::{Code, Diagnostic, Source},
    hosts,
    model::{Config, ServerName, looks_secret},
    secret::{Environment, ProcessEnvironment},
    tree::{self, Node, SyntaxError, SyntaxErrorKind, Value},
    walk::Cx,
};

/// How large a configuration file may be. Ten thousand servers fit; a log named by mistake is not
/// read to its end.
pub(crate) const FILE_BYTES_MAX: u64 = 8 << 20;

/// What reading a configuration found.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration, unless it is refused.
    pub config: Option<Config>,
    /// Everything that is wrong or worth a look, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
    /// The servers that are declared but cannot be served on this machine, each with the reason.
    /// They are absent from the configuration; endpoints may still name them.
    pub quarantined: BTreeMap<ServerName, String>,
}

/// Reads a configuration from a text. References are resolved in the environment of the process.
///
/// `origin` names the text in diagnostics, and its directory is where relative paths start.
pub fn read(text: &str, origin: &Path) -> Loaded {
    read_with(text, origin, &ProcessEnvironment)
}

/// As [`read`], from a file.
pub fn read_file(path: &Path) -> Loaded {
    match file_text(path) {
        Ok(text) => read(&text, path),
        Err(diagnostic) => Loaded::refused(*diagnostic),
    }
}

/// As [`read`], in another environment.
pub fn read_with(text: &str, origin: &Path, environment: &dyn Environment) -> Loaded {
    let source = Source::new(origin, text);
    let mut cx = Cx::new(source, environment);
    let config = match parse(text, origin) {
        Ok(root) => {
            mask_credentials(&root, &cx.source);
            let converted = hosts::as_configuration(&root, &mut cx);
            Config::read(converted.as_ref().unwrap_or(&root), &mut cx)
        }
        Err(error) => {
            mask_lines(text, &cx.source);
            let diagnostic = syntax_diagnostic(error, &cx);
            cx.report(diagnostic);
            None
        }
    };
    Loaded::new(config, cx)
}

// === impl Loaded ===

impl Loaded {
    fn new(config: Option<Config>, cx: Cx<'_>) -> Self {
        let mut diagnostics = cx.diagnostics;
        diagnostics.sort_by_key(Diagnostic::start);
        let config = config.filter(|_| !cx.refused);
        Self { config, diagnostics, quarantined: cx.quarantined }
    }

    fn refused(diagnostic: Diagnostic) -> Self {
        Self { config: None, diagnostics: vec![diagnostic], quarantined: BTreeMap::new() }
    }
}

/// Reads the text of a file that somebody wrote, up to the largest size that makes sense.
pub(crate) fn file_text(path: &Path) -> Result<String, Box<Diagnostic>> {
    let unreadable = |message: String| {
        let hint = "check the path and that you may read the file";
        Box::new(Diagnostic::about_file(Code::Unreadable, path, message).hint(hint))
    };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| unreadable(format!("the file cannot be read: {error}")))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(unreadable(format!("the file is larger than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    Ok(text)
}

/// A text that begins with `{` is JSON unless its name says otherwise; everything else is YAML.
pub(crate) fn parse(text: &str, origin: &Path) -> Result<Node, SyntaxError> {
    let extension = origin.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension {
        "json" | "jsonc" => tree::json::parse(text),
        "toml" => tree::toml::parse(text),
        _ if looks_like_json(text) => match tree::json::parse(text) {
            Ok(root) => Ok(root),
            // A mapping of YAML may begin with a brace, too: the reading that gets further is
            // the one that was meant.
            Err(as_json) => tree::yaml::parse(text).map_err(|as_yaml| {
                if as_yaml.range.start > as_json.range.start { as_yaml } else { as_json }
            }),
        },
        _ => tree::yaml::parse(text),
    }
}

fn looks_like_json(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with(['{', '/'])
}

pub(crate) fn syntax_diagnostic(error: SyntaxError, cx: &Cx<'_>) -> Diagnostic {
    let code = match error.kind {
        SyntaxErrorKind::Syntax => Code::Syntax,
        SyntaxErrorKind::DuplicateKey => Code::DuplicateKey,
        SyntaxErrorKind::TooLarge => Code::TooLarge,
    };
    let problem = cx.problem(code, &error.range, error.message);
    match error.hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    }
}

// === masking ===

/// Masks what is most likely a credential before anything can be shown.
pub(crate) fn mask_credentials(node: &Node, source: &Source) {
    for entry in node.entries() {
        match entry.key.as_str() {
            "env" | "headers" | "http_headers" | "query" | "credentials" => {
                mask_scalars(entry, source);
            }
            _ => mask_credentials(&entry.node, source),
        }
    }
}

fn mask_scalars(entry: &tree::Entry, source: &Source) {
    if matches!(entry.key.as_str(), "name" | "username") {
        return;
    }
    match &entry.node.value {
        Value::Mapping(entries) => entries.iter().for_each(|entry| mask_scalars(entry, source)),
        Value::Sequence(items) => {
            for item in items {
                source.mask(item.range.clone());
            }
        }
        // References are shown: they say where a secret is, not what it is.
        Value::String(text) if text.contains("${") => {}
        _ => source.mask(entry.node.range.clone()),
    }
}

/// Masks what follows a key that sounds secret, line by line: a text that is no tree has no keys.
pub(crate) fn mask_lines(text: &str, source: &Source) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let secret = line.match_indices([':', '=', ' ']).find(|(at, _)| {
            let before = line[..*at].trim_end_matches([' ', '"', '\'']);
            let key = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
            let key = key.into_iter().next().unwrap_or_default();
            looks_secret(key) || key.eq_ignore_ascii_case("bearer")
        });
        if let Some((at, _)) = secret {
            source.mask(start + at + 1..start + line.trim_end().len().max(at + 1));
        }
        start += line.len();
    }
}

#[cfg(test)]
mod tests;
