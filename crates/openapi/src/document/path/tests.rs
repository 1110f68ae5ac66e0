//! Tests of JSONPath.
