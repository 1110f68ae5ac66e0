//! One operation, ready to be called.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use openapi::api::Offered;
use openapi::model::Scheme;
use openapi::response::Misfit;
use policy::{Schema, Violation};
use wire::{Json, Object};

use super::access::{self, Credential};
use super::addresses::{AddressBook, Addresses};
use super::reserved::Reserved;
use super::way::Way;

/// One operation, ready to be called.
pub(crate) struct ApiTool {
    pub(super) offered: Offered,
    /// Where its requests go, or what the operator must do so that they go anywhere.
    pub(super) addresses: Result<Arc<Addresses>, String>,
    /// What they show to be let in, or what the operator must configure.
    pub(super) access: Result<Vec<Credential>, String>,
    /// Names that its arguments must not take.
    pub(super) reserved: Option<Reserved>,
    /// The schemas of its definition, compiled when the first call needs them.
    input: OnceLock<Option<Schema>>,
    output: OnceLock<Option<Schema>>,
    /// Whether the log has it already that an answer was not what the tool promises.
    is_known_broken: AtomicBool,
}

/// Most mistakes in arguments that are told at once.
const MISTAKES_MAX: usize = 5;

impl ApiTool {
    pub(super) fn new(
        offered: Offered,
        schemes: &[Scheme],
        way: &Way,
        book: &mut AddressBook<'_>,
    ) -> Self {
        let addresses = book.of(&offered.tool);
        // Nothing is shown to TRACE, which would tell it.
        let is_traced = offered.tool.operation.method.eq_ignore_ascii_case("TRACE");
        let access = if is_traced {
            Ok(Vec::new())
        } else {
            let base = addresses.as_ref().ok().and_then(|addresses| addresses.bases().next());
            access::of(&offered.tool.operation, base, schemes, way)
        };
        let reserved = access.as_ref().ok().and_then(|it| Reserved::of(&offered.tool, it));
        Self {
            offered,
            addresses,
            access,
            reserved,
            input: OnceLock::new(),
            output: OnceLock::new(),
            is_known_broken: AtomicBool::new(false),
        }
    }

    /// The operation and what its requests are made of.
    pub(crate) fn name(&self) -> &str {
        &self.offered.tool.name
    }

    /// The tags by which endpoints choose it.
    pub(super) fn tags(&self) -> &[String] {
        &self.offered.tool.operation.tags
    }

    pub(super) fn definition(&self) -> Object {
        let definition = Json::trusted(self.offered.tool.definition.clone());
        definition.object().expect("a definition is an object")
    }

    fn schema(&self, member: &str) -> Option<Schema> {
        let schema = self.definition().get(member)?;
        match Schema::compile(schema.as_bytes()) {
            Ok(schema) => Some(schema),
            Err(problem) => {
                let tool = self.name();
                tracing::warn!(tool, member, %problem, "a schema cannot be checked");
                None
            }
        }
    }

    /// What is wrong with the arguments, for whoever gave them.
    pub(super) fn mistakes(&self, arguments: &Json) -> Option<String> {
        let schema = self.input.get_or_init(|| self.schema("inputSchema")).as_ref()?;
        let violations = schema.violations(arguments, MISTAKES_MAX);
        (!violations.is_empty()).then(|| in_words("the arguments", &violations))
    }

    /// What of a value is not what the tool promises.
    pub(super) fn fits(&self, value: &Json) -> Result<(), Misfit> {
        let schema = self.output.get_or_init(|| self.schema("outputSchema"));
        match schema {
            Some(schema) if !schema.allows(value) => {
                let violations = schema.violations(value, MISTAKES_MAX);
                Err(in_words("the answer", &violations).into())
            }
            _ => Ok(()),
        }
    }

    /// Tells the operator, once, of an answer that is not what the tool promises.
    pub(super) fn log_broken(&self, server: &str, problem: &str) {
        if !self.is_known_broken.swap(true, Ordering::Relaxed) {
            let tool = self.name();
            tracing::warn!(
                server,
                tool,
                problem,
                "an answer is not what the document promises, so its call is an error; mend the \
                 document, perhaps with an overlay, or set `output: off` for the tool or the server"
            );
        }
    }
}

fn in_words(whole: &str, violations: &[Violation]) -> String {
    let lines = violations.iter().map(|violation| {
        if violation.at.is_empty() {
            format!("{whole} {}", violation.problem)
        } else {
            format!("`{}` {}", violation.at, violation.problem)
        }
    });
    lines.collect::<Vec<_>>().join("; ")
}
