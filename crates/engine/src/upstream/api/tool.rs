//! One operation, ready to be called.

use std::sync::OnceLock;

use openapi::api::Offered;
use openapi::model::Scheme;
use policy::Schema;
use url::Url;
use wire::{Json, Object};

use super::access::{self, Credential};
use super::base::Base;
use super::way::Way;

/// One operation, ready to be called.
pub(crate) struct ApiTool {
    pub(super) offered: Offered,
    /// Where its requests go, or what the operator must do so that they go anywhere.
    pub(super) base: Result<Base, String>,
    /// What they show to be let in, or what the operator must configure.
    pub(super) access: Result<Vec<Credential>, String>,
    /// The schemas of its definition, compiled when the first call needs them.
    input: OnceLock<Option<Schema>>,
    output: OnceLock<Option<Schema>>,
}

/// Most mistakes in arguments that are told at once.
const MISTAKES_MAX: usize = 5;

impl ApiTool {
    pub(super) fn new(
        offered: Offered,
        schemes: &[Scheme],
        way: &Way,
        configured: Option<&Url>,
        document: Option<&Url>,
    ) -> Self {
        let base = Base::of(&offered.tool, configured, document);
        let access = access::of(&offered.tool.operation, schemes, way);
        Self { offered, base, access, input: OnceLock::new(), output: OnceLock::new() }
    }

    /// The operation and what its requests are made of.
    pub(crate) fn name(&self) -> &str {
        &self.offered.tool.name
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
        if violations.is_empty() {
            return None;
        }
        let lines = violations.iter().map(|violation| {
            if violation.at.is_empty() {
                format!("the arguments {}", violation.problem)
            } else {
                format!("`{}` {}", violation.at, violation.problem)
            }
        });
        Some(lines.collect::<Vec<_>>().join("; "))
    }

    /// Whether a value is what the tool promises.
    pub(super) fn fits(&self, value: &Json) -> bool {
        let schema = self.output.get_or_init(|| self.schema("outputSchema"));
        schema.as_ref().is_none_or(|schema| schema.allows(value))
    }
}
