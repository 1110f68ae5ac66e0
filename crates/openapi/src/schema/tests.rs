//! Each keyword of each dialect.
