//! Changes to a tree.
