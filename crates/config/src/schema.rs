//! The JSON Schema of the configuration, for editors.

use crate::model::Config;

/// The schema of a configuration file, JSON Schema 2020-12.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}
