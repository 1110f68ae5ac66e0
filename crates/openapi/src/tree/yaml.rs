//! YAML 1.2 to a tree.

use super::{Limits, SyntaxError, Tree};

/// Reads one YAML document.
pub(super) fn parse(_text: &str, _limits: &Limits) -> Result<Tree, SyntaxError> {
    Err(SyntaxError { message: "not read yet".into(), line: 1, column: 1 })
}
