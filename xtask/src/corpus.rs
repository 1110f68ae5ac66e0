//! `cargo xtask corpus`: an independent judge of OpenAPI documents as tools.
//!
//! `tests/node/corpus.mjs` is the judge; this starts it and counts.

mod bare;

use std::path::PathBuf;

use anyhow::Result;

use crate::place::Place;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder of the documents [default: of $PORTCULLIS_CORPUS]
    folder: Option<PathBuf>,
    /// Load one document with the crate alone and answer the judge
    #[arg(long, hide = true, value_name = "FILE")]
    bare_document: Option<PathBuf>,
}

pub(crate) fn run(_place: &Place, arguments: &Arguments) -> Result<()> {
    if let Some(file) = &arguments.bare_document {
        return bare::serve(file);
    }
    Ok(())
}
