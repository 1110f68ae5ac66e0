//! `portcullis openapi tools`: what a client sees, and what it costs a model to see it.

use openapi::api::Offered;
use openapi::report::Severity;
use wire::Object;

use super::{ToolsArgs, Verdict, counted, loaded};
use crate::render;

/// How many bytes of a definition are about one token of a model.
const TOKEN_BYTES: usize = 4;

pub(super) async fn tools(args: ToolsArgs) -> anyhow::Result<Verdict> {
    let api = loaded(&args.document, &args.beside, args.output).await?;
    if args.json {
        let definitions: Vec<_> =
            api.tools.iter().map(|it| String::from_utf8_lossy(&it.tool.definition)).collect();
        render::line(&format!("{{\"tools\":[{}]}}", definitions.join(",")));
        return Ok(Verdict::Fine);
    }
    if api.tools.is_empty() {
        render::note("none");
    } else {
        render::table(["TOOL", "OPERATION", "BYTES", "TOKENS"], api.tools.iter().map(row));
        render::line(&format!("\n{}", totals(&api.tools)));
    }
    let skipped = api.report.count(Severity::Skipped);
    if skipped > 0 {
        render::note(&format!(
            "{} not offered; `portcullis openapi check {}` says why",
            counted(skipped, "operation"),
            args.document
        ));
    }
    Ok(Verdict::Fine)
}

fn row(Offered { tool, .. }: &Offered) -> [String; 4] {
    let bytes = tool.definition.len();
    [
        tool.name.clone(),
        format!("{} {}", tool.operation.method, tool.operation.path),
        bytes.to_string(),
        bytes.div_ceil(TOKEN_BYTES).to_string(),
    ]
}

fn totals(tools: &[Offered]) -> String {
    let bytes: usize = tools.iter().map(|it| it.tool.definition.len()).sum();
    let output_bytes: usize = tools.iter().map(output_len).sum();
    let count = counted(tools.len(), "tool");
    let tokens = bytes.div_ceil(TOKEN_BYTES);
    let outputs = match output_bytes {
        0 => String::new(),
        bytes => format!("; {bytes} of the bytes are output schemas"),
    };
    format!("{count}, {bytes} bytes, about {tokens} tokens{outputs}")
}

fn output_len(Offered { tool, .. }: &Offered) -> usize {
    let definition = Object::of_valid(&tool.definition);
    definition.and_then(|it| it.raw("outputSchema").map(<[u8]>::len)).unwrap_or_default()
}
