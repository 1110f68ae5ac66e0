//! Which cases are measured, and one measurement of each side after the other.

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::load::{Era, Loader, Measured};
use super::report::{Case, ListCase, Report};
use super::stage::{Gateway, Nginx, SERVER, TOOL, Upstream};

const KIB: usize = 1024;
/// Connections open and caches filled: what happens once is not what a call costs.
const WARM_UP_SECONDS: f64 = 0.2;

/// One way of calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Shape {
    pub(crate) is_stream: bool,
    /// Bytes of text in the result.
    pub(crate) size: usize,
    pub(crate) connections: u32,
}

impl Shape {
    const fn new(is_stream: bool, size: usize, connections: u32) -> Self {
        Self { is_stream, size, connections }
    }

    pub(crate) fn name(self) -> String {
        let form = if self.is_stream { "SSE" } else { "JSON" };
        format!("{form} {} KiB ×{}", self.size / KIB, self.connections)
    }

    /// What the first targets speak of: a small JSON answer.
    pub(crate) fn is_small(self) -> bool {
        !self.is_stream && self.size == KIB
    }
}

/// The sides of a comparison, in the order in which each round measures them.
pub(crate) const SIDES: [&str; 4] = ["direct", "nginx", "server", "composed"];

/// What is measured how often and for how long.
pub(crate) struct Plan {
    shapes: Vec<Shape>,
    rounds: usize,
    seconds: f64,
}

impl Plan {
    pub(crate) fn new(quick: bool, rounds: Option<usize>, seconds: Option<f64>) -> Self {
        let mut shapes = Vec::new();
        for connections in [1, 32, 256] {
            for (is_stream, size) in
                [(false, KIB), (true, KIB), (false, 100 * KIB), (true, 100 * KIB)]
            {
                shapes.push(Shape::new(is_stream, size, connections));
            }
        }
        if quick {
            shapes.retain(|shape| {
                shape.connections == 32 || (shape.connections == 1 && shape.is_small())
            });
        }
        Self {
            shapes,
            rounds: rounds.unwrap_or(if quick { 1 } else { 3 }).max(1),
            seconds: seconds.unwrap_or(if quick { 1.0 } else { 2.0 }),
        }
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Only what is measured at so many connections.
    pub(crate) fn at(mut self, connections: Option<u32>) -> Self {
        self.shapes.retain(|shape| connections.is_none_or(|only| only == shape.connections));
        self
    }
}

/// Measures all shapes of calls in the era of the gateway; what fails is noted and left out.
pub(crate) fn measure_calls(
    plan: &Plan,
    loader: &Loader,
    upstream: &Upstream,
    nginx: &Nginx,
    gateway: &Gateway,
    composed_tool: &str,
    report: &mut Report,
) {
    let era = gateway.era;
    for &shape in &plan.shapes {
        println!("bench: {} {} …", era.name(), shape.name());
        let sides = [
            (None, upstream.url(SERVER), TOOL),
            (Some(nginx.id()), nginx.url(SERVER, shape.is_stream), TOOL),
            (Some(gateway.id()), gateway.single(SERVER), TOOL),
            (Some(gateway.id()), gateway.composed(), composed_tool),
        ];
        let mut rounds: Vec<[Measured; 4]> = Vec::new();
        let outcome = (|| -> Result<()> {
            for (name, (_, url, tool)) in SIDES.iter().zip(&sides) {
                let arguments = call_arguments(url, era, tool, shape, WARM_UP_SECONDS);
                loader.run(None, &arguments).with_context(|| (*name).to_owned())?;
            }
            for _ in 0..plan.rounds {
                let mut round = Vec::new();
                for (name, (process, url, tool)) in SIDES.iter().zip(&sides) {
                    let arguments = call_arguments(url, era, tool, shape, plan.seconds);
                    let measured = loader.run(*process, &arguments);
                    round.push(measured.with_context(|| (*name).to_owned())?);
                }
                rounds.push(round.try_into().expect("a round has four sides"));
            }
            Ok(())
        })();
        if let Err(error) = outcome {
            report.fail(&format!("{} {}", era.name(), shape.name()), &error);
        }
        if !rounds.is_empty() {
            report.calls.push(Case { era, shape, rounds });
        }
    }
}

fn call_arguments(url: &str, era: Era, tool: &str, shape: Shape, seconds: f64) -> Vec<String> {
    let form = if shape.is_stream { "sse" } else { "json" };
    let mut arguments = vec!["call".to_owned(), url.to_owned()];
    for (option, value) in [
        ("--era", era.name().to_owned()),
        ("--tool", tool.to_owned()),
        ("--size", shape.size.to_string()),
        ("--form", form.to_owned()),
        ("--connections", shape.connections.to_string()),
        ("--seconds", seconds.to_string()),
    ] {
        arguments.extend([option.to_owned(), value]);
    }
    arguments
}

/// Measures the list of all tools at a URL of a gateway, given with its process, against a file of the
/// same bytes from nginx.
pub(crate) fn measure_list(
    plan: &Plan,
    loader: &Loader,
    nginx: &Nginx,
    (gateway, url): (u32, &str),
) -> Result<ListCase> {
    let body = loader.show(url, Era::Modern)?;
    let file = nginx.serve_file(&body)?;
    let mut case = ListCase { bytes: body.len(), rounds: Vec::new() };
    for round in 0..=plan.rounds {
        let run = |mode: &str, process, url: &str| {
            let seconds = if round == 0 { WARM_UP_SECONDS } else { plan.seconds };
            let arguments = [mode, url, "--connections", "32", "--seconds", &seconds.to_string()];
            loader.run(Some(process), &arguments.map(str::to_owned))
        };
        let pair = [run("file", nginx.id(), &file)?, run("list", gateway, url)?];
        if round > 0 {
            case.rounds.push(pair);
        }
    }
    Ok(case)
}
