//! What the servers offer, and what of it each endpoint shows under which name.

mod definitions;
mod learned;
mod naming;
mod resources;
mod view;

pub(crate) use definitions::{Definition, Definitions, list_tools};
pub(crate) use learned::Learned;
pub(crate) use view::{Composition, Target, View, Views};
