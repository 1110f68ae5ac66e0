//! HTTP APIs: what a call of one costs beside a call of an MCP server, what a large document costs,
//! and what many of them cost.

mod document;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::{Map, Value, json};

use self::document::{OPERATIONS_EACH, write};
use super::load::{Era, Loader, Measured, SETTLE};
use super::report::{ListCase, at_most, median, memory};
use super::scenario::{Plan, measure_list};
use super::stage::{MixedGateway, Nginx, SERVER, TOOL, Upstream, server, tool_names};
use super::{page, process};

/// A call of an API costs at most so much CPU, as a multiple of a call of an MCP server.
const CPU_MAX: f64 = 1.3;
/// The shape of the calls: 1 KiB of JSON on so many connections.
const SIZE: &str = "1024";
const CONNECTIONS: &str = "32";
/// Connections open and schemas compiled: what happens once is not what a call costs.
const WARM_UP_SECONDS: f64 = 0.3;

/// The large document: 1,200 operations in 13 MB.
const LARGE_RESOURCES: usize = 240;
const LARGE_BYTES: usize = 13_000_000;
/// CPU of a gateway from its start until it lists the tools of the large document, in seconds.
const LARGE_CPU_S_MAX: f64 = 2.0;
/// The most memory that it ever has, in KiB: 150 MB.
const LARGE_KIB_MAX: u64 = 150_000_000 / 1024;

/// Many APIs: so many documents of 20 operations.
const MANY: usize = 1_000;
const MANY_RESOURCES: usize = 4;
const MANY_BYTES: usize = 90_000;
/// The most memory that they ever take, in KiB: 1 GB.
const MANY_KIB_MAX: u64 = 1_000_000_000 / 1024;
/// From start until every one has listed its tools, in seconds.
const MANY_S_MAX: f64 = 15.0;

/// A gateway that takes longer will not come.
const READY_MAX: Duration = Duration::from_mins(2);
/// So long between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Calls of an API beside calls of an MCP server, by clients of one era, in rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Calls {
    era: Era,
    rounds: Vec<Round>,
}

/// Each side once.
#[derive(Debug, Serialize)]
struct Round {
    mcp: Measured,
    api: Measured,
}

/// What of a round is meant.
type Side = fn(&Round) -> &Measured;

/// Path and query arguments; the same client asks the MCP server and the API.
fn described(upstream: &Upstream) -> Value {
    let parameter = |name: &str, place: &str, schema: Value| {
        let is_required = place == "path";
        json!({"name": name, "in": place, "required": is_required, "schema": schema})
    };
    let item = json!({
        "type": "object",
        "required": ["id", "name"],
        "properties": {
            "id": {"type": "integer"},
            "name": {"type": "string"},
            "price": {"type": "number"},
            "available": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
    });
    let items = json!({
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
            "total": {"type": "integer"},
            "text": {"type": "string"},
        },
    });
    let operation = json!({
        "operationId": TOOL,
        "summary": "Lists the items of a shop",
        "parameters": [
            parameter("echo", "path", json!({"type": "string"})),
            parameter("size", "query", json!({"type": "integer", "minimum": 0})),
            parameter("form", "query", json!({"type": "string", "enum": ["json", "sse"]})),
        ],
        "responses": {"200": {
            "description": "The items",
            "content": {"application/json": {"schema": items}},
        }},
    });
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Shops", "version": "1"},
        "servers": [{"url": format!("{}/api", upstream.origin)}],
        "paths": {"/shops/{echo}/items": {"get": operation}},
        "components": {"schemas": {"Item": item}},
    })
}

/// Measures calls of an API and of an MCP server through one gateway.
pub(super) fn measure_calls(
    plan: &Plan,
    loader: &Loader,
    binary: &Path,
    folder: &Path,
    upstream: &Upstream,
    era: Era,
) -> Result<Calls> {
    let file = folder.join("shops.json");
    fs::write(&file, described(upstream).to_string())?;
    let api =
        json!({"openapi": file, "url": format!("{}/api", upstream.origin), "concurrency": 1024});
    let servers = [("mcp", server(upstream, SERVER, era)), ("api", api)];
    let servers = servers.map(|(name, server)| (name.to_owned(), server));
    let gateway = MixedGateway::of(binary, folder, "api", &Map::from_iter(servers), &json!({}))?;
    let run = |side: &str, seconds: f64| {
        let (url, seconds) = (gateway.url_of(side), seconds.to_string());
        let what = ["call", &url, "--era", era.name(), "--tool", TOOL, "--size", SIZE];
        let how = ["--connections", CONNECTIONS, "--seconds", &seconds];
        let arguments: Vec<String> = what.into_iter().chain(how).map(str::to_owned).collect();
        loader.run(Some(gateway.id()), &arguments).with_context(|| side.to_owned())
    };
    for side in ["mcp", "api"] {
        run(side, WARM_UP_SECONDS)?;
    }
    let seconds = plan.seconds();
    let round = |_| Ok(Round { mcp: run("mcp", seconds)?, api: run("api", seconds)? });
    let rounds = (0..plan.rounds()).map(round).collect::<Result<_>>()?;
    Ok(Calls { era, rounds })
}

impl Calls {
    pub(super) const HEADING: [&str; 5] =
        ["HTTP APIs, JSON 1 KiB ×32", "calls a second", "p50 µs", "p99 µs", "CPU µs a call"];

    /// One row for each side.
    pub(super) fn rows(&self) -> Vec<Vec<String>> {
        let sides: [(&str, Side); 2] =
            [("MCP server", |round| &round.mcp), ("API", |round| &round.api)];
        sides
            .map(|(name, side)| {
                let figure = |of: fn(&Measured) -> f64, digits: usize| {
                    let value = median(self.rounds.iter().map(|round| of(side(round))));
                    format!("{value:.digits$}")
                };
                vec![
                    format!("{} client → {name}", self.era.name()),
                    figure(|measured| measured.throughput, 0),
                    figure(|measured| measured.p50_us, 0),
                    figure(|measured| measured.p99_us, 0),
                    figure(|measured| measured.cpu_us, 1),
                ]
            })
            .into()
    }

    pub(super) fn verdict(&self) -> Vec<String> {
        let ratio = self.rounds.iter().map(|round| round.api.cpu_us / round.mcp.cpu_us);
        let what = format!("{} client → API, CPU × MCP server", self.era.name());
        at_most(&what, median(ratio), CPU_MAX, 2)
    }
}

/// The large document in a gateway of its own.
#[derive(Debug, Serialize)]
pub(crate) struct Large {
    bytes: usize,
    tools: usize,
    cpu_s: f64,
    peak_kib: u64,
    kept_kib: u64,
    list: ListCase,
}

/// How an API of such a document is configured. Nobody calls it.
fn api(file: &PathBuf, upstream: &Upstream) -> Value {
    json!({"openapi": file, "url": format!("{}/api", upstream.origin)})
}

/// Loads the large document and lists its tools.
pub(super) fn measure_document(
    plan: &Plan,
    loader: &Loader,
    nginx: &Nginx,
    binary: &Path,
    folder: &Path,
    upstream: &Upstream,
) -> Result<Large> {
    let file = folder.join("large.json");
    let bytes = write(&file, 0, LARGE_RESOURCES, LARGE_BYTES)?;
    let servers = Map::from_iter([("large".to_owned(), api(&file, upstream))]);
    // All of them on one page, which is compared with a file.
    let limits = json!({"page_items": 10_000, "page_bytes": "64MiB"});
    let gateway = MixedGateway::of(binary, folder, "large", &servers, &limits)?;
    let begin = Instant::now();
    let expected = LARGE_RESOURCES * OPERATIONS_EACH;
    let tools = wait_for_tools(&gateway, "large", expected, begin)?;
    let cpu_s = Duration::from_micros(process::cpu_us(gateway.id())?).as_secs_f64();
    let peak_kib = process::peak(gateway.id())?;
    std::thread::sleep(SETTLE);
    let kept_kib = process::memory(gateway.id())?.resident;
    let list = measure_list(plan, loader, nginx, (gateway.id(), &gateway.url_of("large")))?;
    Ok(Large { bytes, tools, cpu_s, peak_kib, kept_kib, list })
}

/// Waits until a server lists as many tools as it should.
fn wait_for_tools(
    gateway: &MixedGateway,
    name: &str,
    expected: usize,
    begin: Instant,
) -> Result<usize> {
    let path = format!("/servers/{name}/mcp");
    loop {
        let listed = page::list(gateway.port(), &path);
        let count = listed.as_ref().map_or(0, |body| tool_names(body).map_or(0, |it| it.len()));
        if count == expected {
            return Ok(count);
        }
        if begin.elapsed() > READY_MAX {
            listed?;
            bail!("`{name}` lists {count} tools instead of {expected}");
        }
        std::thread::sleep(LOOK);
    }
}

impl Large {
    pub(super) fn verdicts(&self) -> Vec<Vec<String>> {
        let what = |figure: &str| {
            let (megabytes, tools) = (self.bytes / 1_000_000, self.tools);
            format!("document of {megabytes} MB, {tools} operations, {figure}")
        };
        vec![
            at_most(&what("CPU s of loading"), self.cpu_s, LARGE_CPU_S_MAX, 2),
            memory(&what("resident MB at most"), self.peak_kib, LARGE_KIB_MAX),
            memory(&what("resident MB afterwards"), self.kept_kib, LARGE_KIB_MAX),
            self.list.verdict(self.tools),
        ]
    }
}

/// Many APIs in one gateway.
#[derive(Debug, Serialize)]
pub(crate) struct Many {
    count: usize,
    operations_each: usize,
    ready_s: f64,
    cpu_s: f64,
    peak_kib: u64,
    kept_kib: u64,
}

/// Starts a gateway with many APIs and waits until each lists its tools.
pub(super) fn measure_many(binary: &Path, folder: &Path, upstream: &Upstream) -> Result<Many> {
    let documents = folder.join("many");
    fs::create_dir_all(&documents)?;
    let mut servers = Map::new();
    for number in 0..MANY {
        let file = documents.join(format!("{number}.json"));
        write(&file, u64::try_from(number)?, MANY_RESOURCES, MANY_BYTES)?;
        servers.insert(format!("a{number}"), api(&file, upstream));
    }
    let begin = Instant::now();
    let gateway = MixedGateway::of(binary, folder, "many", &servers, &json!({}))?;
    let operations_each = MANY_RESOURCES * OPERATIONS_EACH;
    for number in 0..MANY {
        wait_for_tools(&gateway, &format!("a{number}"), operations_each, begin)?;
    }
    let ready_s = begin.elapsed().as_secs_f64();
    let cpu_s = Duration::from_micros(process::cpu_us(gateway.id())?).as_secs_f64();
    std::thread::sleep(SETTLE);
    let kept_kib = process::memory(gateway.id())?.resident;
    let peak_kib = process::peak(gateway.id())?;
    Ok(Many { count: MANY, operations_each, ready_s, cpu_s, peak_kib, kept_kib })
}

impl Many {
    pub(super) fn verdicts(&self) -> Vec<Vec<String>> {
        let what = |figure: &str| {
            let Self { count, operations_each, cpu_s, .. } = self;
            format!("{count} APIs of {operations_each} operations ({cpu_s:.1} s of CPU), {figure}")
        };
        vec![
            at_most(&what("s until all are ready"), self.ready_s, MANY_S_MAX, 1),
            memory(&what("resident MB at most"), self.peak_kib, MANY_KIB_MAX),
            memory(&what("resident MB afterwards"), self.kept_kib, MANY_KIB_MAX),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_judged_by_the_median_of_its_rounds() {
        let measured =
            |cpu_us| Measured { requests: 1, throughput: 1.0, p50_us: 1.0, p99_us: 1.0, cpu_us };
        let round = |mcp, api| Round { mcp: measured(mcp), api: measured(api) };
        let rounds = vec![round(20.0, 25.0), round(20.0, 28.0), round(10.0, 14.0)];
        let calls = Calls { era: Era::Modern, rounds };
        assert_eq!(calls.verdict()[1..], ["1.40", "≤ 1.3", "MISSED"]);
        assert_eq!(calls.rows()[1][4], "25.0");
    }
}
