//! Real documents, of which the environment variable `PORTCULLIS_CORPUS` names the folder.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use super::*;

struct Files(PathBuf);

impl Loader for Files {
    fn load(&mut self, url: &Url, _: &Url) -> Result<String, String> {
        let path = url.to_file_path().map_err(|()| format!("{url} is no file"))?;
        if !path.starts_with(&self.0) {
            return Err(format!("{url} is outside of the folder"));
        }
        fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

#[test]
fn tools_of_real_documents_are_valid() {
    let Some(folder) = std::env::var_os("PORTCULLIS_CORPUS") else {
        println!("SKIPPED: PORTCULLIS_CORPUS does not name the folder of the corpus");
        return;
    };
    let folder = PathBuf::from(folder).join("documents");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let (mut operations, mut offered) = (0, 0);
    let (mut input, mut output, mut outputs) = (0, 0, 0);
    let mut keywords: BTreeMap<String, usize> = BTreeMap::new();
    for path in paths {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let url = Url::from_file_path(&path).unwrap();
        let mut files = Files(folder.clone());
        let (documents, mut report) =
            Documents::load(&text, &url, &name, &mut files, &[], &Limits::default()).unwrap();
        let extracted = extract(&documents, &mut report);
        let before = report.findings.len();
        let offers_undescribed = std::env::var_os("PORTCULLIS_UNDESCRIBED").is_some();
        let options = Options { offers_undescribed, ..Options::default() };
        let start = Instant::now();
        let tools = tools(&extracted.operations, &documents, &options, &mut report);
        let took = start.elapsed();
        operations += extracted.operations.len();
        offered += tools.len();
        let mut names = HashSet::new();
        let (mut of_input, mut of_output) = (0, 0);
        for tool in &tools {
            assert!(names.insert(tool.name.clone()), "{name}: {}", tool.name);
            let definition = definition(tool);
            check(&definition);
            if let Some(folder) = std::env::var_os("PORTCULLIS_TOOLS") {
                let text = serde_json::to_string_pretty(&definition).unwrap();
                fs::write(PathBuf::from(folder).join(format!("{name}.{}.json", tool.name)), text)
                    .unwrap();
            }
            let len = definition["inputSchema"].to_string().len();
            of_input += len;
            if std::env::var_os("PORTCULLIS_LARGE").is_some() && len > 12_000 {
                println!("    {len} {}", tool.name);
            }
            weigh(&definition["inputSchema"], &mut keywords);
            if let Some(schema) = definition.get("outputSchema") {
                of_output += schema.to_string().len();
                outputs += 1;
            }
        }
        println!(
            "{name}: {} of {} tools, input {} bytes each, output {} bytes each, {took:?}",
            tools.len(),
            extracted.operations.len(),
            of_input / tools.len().max(1),
            of_output / tools.len().max(1),
        );
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in &report.findings[before..] {
            *kinds.entry(finding.kind).or_default() += 1;
            let is_severe = finding.severity >= Severity::Warning;
            if is_severe && std::env::var_os("PORTCULLIS_FINDINGS").is_some() {
                println!("    {}: {} ({})", finding.kind, finding.message, finding.place);
            }
        }
        println!("    {kinds:?}");
        input += of_input;
        output += of_output;
    }
    println!("{offered} of {operations} operations offered");
    println!("input schemas: {} bytes a tool", input / offered.max(1));
    println!("output schemas: {outputs}, {} bytes each", output / outputs.max(1));
    println!("bytes by keyword: {keywords:?}");
    assert!(input / offered.max(1) <= 2048);
}

/// Adds up how long the values of keywords are that are no schemas.
fn weigh(schema: &Json, keywords: &mut BTreeMap<String, usize>) {
    match schema {
        Json::Object(members) => {
            for (key, value) in members {
                match value {
                    Json::Object(_) => weigh(value, keywords),
                    Json::Array(elements)
                        if elements.iter().any(Json::is_object) && key != "examples" =>
                    {
                        for one in elements {
                            weigh(one, keywords);
                        }
                    }
                    _ => {
                        *keywords.entry(key.clone()).or_default() +=
                            value.to_string().len() + key.len() + 4;
                    }
                }
            }
        }
        Json::Array(elements) => {
            for one in elements {
                weigh(one, keywords);
            }
        }
        _ => {}
    }
}
