//! What operations are read as.
