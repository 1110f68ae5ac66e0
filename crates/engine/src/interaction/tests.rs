//! Tests of the interaction engine.
