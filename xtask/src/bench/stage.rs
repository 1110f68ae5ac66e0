//! Who takes part: the upstream, nginx and the gateway, each started as its own process.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::load::{Era, Loader};
use super::page::get;
use crate::loopback::{free_port, is_ready};
use crate::program::{Program, Running};

/// The composed endpoint: so many servers, each with so many tools.
const SERVERS: usize = 20;
const TOOLS_EACH: usize = 25;
/// The server and the tool that are called; neither first nor last in any table.
pub(crate) const SERVER: usize = 7;
pub(crate) const TOOL: &str = "tool_7";

const START_MAX: Duration = Duration::from_secs(20);

/// The fast upstream; one process stands for all servers, each with a path of its own.
pub(crate) struct Upstream {
    pub(crate) origin: String,
    _server: Running,
}

impl Upstream {
    pub(crate) fn start(binary: &Path) -> Result<Self> {
        let mut server = Program::with_many_files(binary)
            .args(["--tools", &TOOLS_EACH.to_string()])
            .start(Stdio::piped(), Stdio::inherit())?;
        let out = server.child.stdout.take().context("the upstream has no output")?;
        let mut origin = String::new();
        BufReader::new(out).read_line(&mut origin)?;
        let origin = origin.trim().to_owned();
        if !origin.starts_with("http://") {
            bail!("the upstream did not say where it listens");
        }
        Ok(Self { origin, _server: server })
    }

    pub(crate) fn url(&self, server: usize) -> String {
        format!("{}/s/{server}/mcp", self.origin)
    }

    /// How often calls that ask were made and executed.
    pub(crate) fn tally(&self) -> Result<Tally> {
        let port = self.origin.rsplit(':').next().and_then(|port| port.parse().ok());
        let body = get(port.context("the upstream's address has no port")?, "/tally")?;
        serde_json::from_str(&body).context("the upstream's tally")
    }
}

/// What the upstream counted of calls that ask.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Different calls.
    pub(crate) calls: u32,
    /// Requests that made them.
    pub(crate) made: u32,
    /// How often one of them was executed.
    pub(crate) executed: u32,
    /// Calls that were executed more than once.
    pub(crate) repeated: u32,
}

impl Tally {
    /// What was counted since then.
    pub(crate) fn since(self, earlier: &Self) -> Self {
        Self {
            calls: self.calls - earlier.calls,
            made: self.made - earlier.made,
            executed: self.executed - earlier.executed,
            repeated: self.repeated - earlier.repeated,
        }
    }
}

/// nginx as a plain proxy with keep-alive, and as a server of files.
pub(crate) struct Nginx {
    buffered: u16,
    unbuffered: u16,
    server: Running,
    folder: std::path::PathBuf,
}

impl Nginx {
    pub(crate) fn start(nginx: &Path, folder: &Path, upstream: &Upstream) -> Result<Self> {
        let folder = folder.join("nginx");
        fs::create_dir_all(folder.join("files"))?;
        let (buffered, unbuffered) = (free_port()?, free_port()?);
        let file = folder.join("nginx.conf");
        let address = upstream.origin.trim_start_matches("http://");
        fs::write(&file, configuration(&folder, address, buffered, unbuffered))?;
        let log = File::create(folder.join("nginx.log"))?;
        let mut server = Program::with_many_files(nginx)
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(&file)
            .start(Stdio::null(), log.into())?;
        server
            .wait_until("nginx", START_MAX, || is_ready(buffered) && is_ready(unbuffered))
            .with_context(|| format!("see {}", folder.display()))?;
        Ok(Self { buffered, unbuffered, server, folder })
    }

    pub(crate) fn id(&self) -> u32 {
        self.server.id()
    }

    /// Where nginx passes on to the upstream; event streams pass without buffering.
    pub(crate) fn url(&self, server: usize, is_stream: bool) -> String {
        let port = if is_stream { self.unbuffered } else { self.buffered };
        format!("http://127.0.0.1:{port}/s/{server}/mcp")
    }

    /// Serves this text as a file and returns its URL.
    pub(crate) fn serve_file(&self, text: &str) -> Result<String> {
        fs::write(self.folder.join("files/list.json"), text)?;
        Ok(format!("http://127.0.0.1:{}/files/list.json", self.buffered))
    }
}

/// As many workers as the gateway has, kept connections that never end, no log, no disk.
fn configuration(folder: &Path, upstream: &str, buffered: u16, unbuffered: u16) -> String {
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let folder = folder.display();
    let server = |port: u16, buffering: &str| {
        format!(
            r#"
  server {{
    listen 127.0.0.1:{port} reuseport backlog=4096;
    location = /readyz {{ return 200; }}
    location /files/ {{ root {folder}; }}
    location / {{
      proxy_pass http://upstream;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering {buffering};
      proxy_buffers 64 8k;
      proxy_max_temp_file_size 0;
    }}
  }}"#
        )
    };
    format!(
        r"daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  upstream upstream {{
    server {upstream};
    keepalive 512;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
  }}{}{}
}}
",
        server(buffered, "on"),
        server(unbuffered, "off"),
    )
}

/// The gateway with the composed configuration, all servers of one era.
pub(crate) struct Gateway {
    pub(crate) era: Era,
    port: u16,
    server: Running,
}

impl Gateway {
    pub(crate) fn start(
        binary: &Path,
        folder: &Path,
        upstream: &Upstream,
        era: Era,
    ) -> Result<Self> {
        let port = free_port()?;
        let file = configure(folder, upstream, era, port)?;
        let server = serve(binary, folder, &file, port)?;
        Ok(Self { era, port, server })
    }

    pub(crate) fn id(&self) -> u32 {
        self.server.id()
    }

    /// One server under its own names.
    pub(crate) fn single(&self, server: usize) -> String {
        format!("http://127.0.0.1:{}/servers/s{server}/mcp", self.port)
    }

    /// All servers on one endpoint.
    pub(crate) fn composed(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }

    /// Waits until the composed endpoint lists all tools, and returns the name that it gives the
    /// tool that is called.
    pub(crate) fn wait_for_tools(&self, loader: &Loader) -> Result<String> {
        let deadline = Instant::now() + START_MAX;
        loop {
            let names = tool_names(&loader.show(&self.composed(), self.era)?)?;
            let server = format!("s{SERVER}");
            let wanted = names.iter().find(|name| {
                // How names are made is the gateway's affair; both parts stand in them.
                name.strip_suffix(TOOL)
                    .is_some_and(|rest| rest.trim_end_matches(['_', '-']) == server)
            });
            match wanted {
                Some(name) if names.len() == SERVERS * TOOLS_EACH => return Ok(name.clone()),
                _ if Instant::now() > deadline => bail!(
                    "the composed endpoint lists {} tools instead of {}",
                    names.len(),
                    SERVERS * TOOLS_EACH
                ),
                _ => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}

/// A gateway with servers of several kinds, each under its own name.
pub(crate) struct MixedGateway {
    port: u16,
    admin: u16,
    server: Running,
}

impl MixedGateway {
    pub(crate) fn start(binary: &Path, folder: &Path, upstream: &Upstream) -> Result<Self> {
        let servers = [Era::Modern, Era::Legacy]
            .into_iter()
            .map(|era| (era.name().to_owned(), server(upstream, SERVER, era)));
        Self::of(binary, folder, "mixed", &servers.collect(), &json!({}))
    }

    /// A gateway with these servers and limits; `name` tells its files from those of others.
    pub(super) fn of(
        binary: &Path,
        folder: &Path,
        name: &str,
        servers: &Map<String, Value>,
        limits: &Value,
    ) -> Result<Self> {
        let (port, admin) = (free_port()?, free_port()?);
        let configuration = json!({
            "listen": format!("127.0.0.1:{port}"),
            "admin": { "listen": format!("127.0.0.1:{admin}") },
            "log": { "level": "warn" },
            "limits": limits,
            "servers": servers,
        });
        let file = folder.join(format!("gateway-{name}.json"));
        fs::write(&file, configuration.to_string())?;
        let server = serve(binary, folder, &file, port)?;
        Ok(Self { port, admin, server })
    }

    pub(crate) fn id(&self) -> u32 {
        self.server.id()
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The server of this era.
    pub(crate) fn url(&self, server: Era) -> String {
        self.url_of(server.name())
    }

    /// The server of this name.
    pub(super) fn url_of(&self, server: &str) -> String {
        format!("http://127.0.0.1:{}/servers/{server}/mcp", self.port)
    }

    /// The state, as the admin listener shows it.
    pub(crate) fn status(&self) -> Result<Value> {
        let body = get(self.admin, "/status")?;
        serde_json::from_str(&body).context("the gateway's status is not JSON")
    }
}

/// Starts the gateway with this configuration and waits until it is ready.
fn serve(binary: &Path, folder: &Path, file: &Path, port: u16) -> Result<Running> {
    let log = file.with_extension("log");
    let mut server = Program::with_many_files(binary)
        .arg("run")
        .arg(file)
        .env("XDG_DATA_HOME", folder.join("state"))
        .folder(folder)
        .start(Stdio::null(), File::create(&log)?.into())?;
    server
        .wait_until("the gateway", START_MAX, || is_ready(port))
        .with_context(|| format!("see {}", log.display()))?;
    Ok(server)
}

/// How the gateway reaches a server of the upstream.
pub(super) fn server(upstream: &Upstream, number: usize, era: Era) -> Value {
    // nginx has no limit of its own either.
    json!({ "url": upstream.url(number), "era": era.name(), "concurrency": 1024 })
}

/// Writes the composed configuration and returns where.
pub(super) fn configure(
    folder: &Path,
    upstream: &Upstream,
    era: Era,
    port: u16,
) -> Result<std::path::PathBuf> {
    let servers: Map<String, Value> =
        (0..SERVERS).map(|number| (format!("s{number}"), server(upstream, number, era))).collect();
    // The proxy writes no access log either; failures are still told.
    let configuration = json!({
        "listen": format!("127.0.0.1:{port}"),
        "log": { "level": "warn" },
        "servers": servers,
    });
    let file = folder.join(format!("gateway-{}.json", era.name()));
    fs::write(&file, configuration.to_string())?;
    Ok(file)
}

pub(super) fn tool_names(body: &str) -> Result<Vec<String>> {
    // A gateway may answer with one event; the list is its data.
    let body = body
        .lines()
        .find_map(|line| line.strip_prefix("data:").filter(|data| data.contains('{')))
        .unwrap_or(body);
    let list: Value = serde_json::from_str(body).context("the list of tools is not JSON")?;
    let tools = list["result"]["tools"].as_array().context("the answer has no tools")?;
    Ok(tools.iter().filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect())
}

/// A gateway without the comfort of a readiness check, for measuring its start.
pub(super) fn exec(binary: &Path, file: &Path, folder: &Path) -> Result<Running> {
    Program::new(binary)
        .arg("run")
        .arg(file)
        .env("XDG_DATA_HOME", folder.join("state"))
        .folder(folder)
        .start(Stdio::null(), Stdio::null())
}
