//! The two servers under test: the upstream of the tests, and the gateway before it.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::loopback::{free_port, is_ready};
use crate::place::Place;
use crate::program::{Program, Running};
use crate::setup::Tools;
use crate::test::environment;

/// Node starts within a second; a busy machine takes longer.
const START_MAX: Duration = Duration::from_secs(30);

/// The upstream of the tests, which speaks both eras.
pub(super) struct Upstream {
    pub(super) url: String,
    _server: Running,
}

impl Upstream {
    pub(super) fn start(place: &Place, tools: &Tools, out: &Path) -> Result<Self> {
        fs::create_dir_all(out)?;
        let port = free_port()?;
        let log = out.join("upstream.log");
        let program = Program::new(&tools.node)
            .arg(place.root.join("tests/node/conformance-server.mjs"))
            .env("PORT", port.to_string());
        let file = File::create(&log)?;
        let mut server =
            environment(place, tools, program).start(file.try_clone()?.into(), file.into())?;
        server
            .wait_until("the upstream", START_MAX, || {
                fs::read_to_string(&log).is_ok_and(|text| text.contains("listening"))
            })
            .with_context(|| format!("see {}", log.display()))?;
        Ok(Self { url: format!("http://127.0.0.1:{port}/mcp"), _server: server })
    }
}

/// The gateway with the upstream behind it as `modern` and as `legacy`.
pub(super) struct Gateway {
    port: u16,
    _server: Running,
}

impl Gateway {
    pub(super) fn start(binary: &Path, upstream: &str, out: &Path) -> Result<Self> {
        let port = free_port()?;
        let file = out.join("gateway.json");
        let configuration = json!({
            "listen": format!("127.0.0.1:{port}"),
            "admin": "off",
            // Keys made here stay here.
            "data_dir": out.join("state"),
            "servers": {
                "modern": { "url": upstream, "era": "modern" },
                "legacy": { "url": upstream, "era": "legacy" },
            },
        });
        fs::write(&file, configuration.to_string())?;
        let log = out.join("gateway.log");
        let mut server = Program::new(binary)
            .arg("run")
            .arg(&file)
            .folder(out)
            .start(Stdio::null(), File::create(&log)?.into())?;
        server
            .wait_until("the gateway", START_MAX, || is_ready(port))
            .with_context(|| format!("see {}", log.display()))?;
        Ok(Self { port, _server: server })
    }

    pub(super) fn url(&self, server: &str) -> String {
        format!("http://127.0.0.1:{}/servers/{server}/mcp", self.port)
    }
}
