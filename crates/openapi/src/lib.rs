//! OpenAPI documents as tools for assistants.
//!
//! A document becomes a [`tree`] in which every value knows its place; [`document`] loads what it
//! refers to; [`model`] has its operations in the same words for every version of OpenAPI.
//! [`api`] has all of it in one call, and [`written`] makes tools of what is written by hand.
//! Everything here is pure: what has to be read comes through [`document::Loader`].

pub mod api;
pub mod document;
pub mod model;
pub mod operation;
pub mod report;
pub mod request;
pub mod response;
pub mod route;
mod schema;
mod security;
pub mod tool;
pub mod tree;
pub mod written;
