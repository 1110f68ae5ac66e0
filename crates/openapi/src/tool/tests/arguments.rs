//! Tests of arguments.
