//! Any client before any server, where the two are of different versions: what is asked, what is told
//! and what is converted on the way, and that no tool ever runs twice.

mod driven;
mod edges;
mod older;
mod pages;
mod parked;
mod parked_ends;
mod parked_states;
pub(crate) mod parts;
mod processes;
mod screened;
mod sessions;
mod watching;
