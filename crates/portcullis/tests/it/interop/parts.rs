//! Where the installed parts are: Node, Python, and what stands in `tests/`.

use std::path::{Path, PathBuf};

/// The parts that `cargo xtask setup` installs.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) node: PathBuf,
    pub(crate) python: PathBuf,
    modules: PathBuf,
    programs: PathBuf,
    fixtures: PathBuf,
}

impl Parts {
    /// The parts, or a loud reason why nothing can be tested with them.
    pub(crate) fn find() -> Option<Self> {
        let place = |variable: &str| {
            let place = std::env::var_os(variable).map(PathBuf::from);
            if place.is_none() {
                eprintln!("SKIPPED: {variable} is not set; run the tests with `cargo xtask test`");
            }
            place
        };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        Some(Self {
            node: place("PORTCULLIS_NODE")?,
            python: place("PORTCULLIS_PYTHON")?,
            modules: place("PORTCULLIS_NODE_MODULES")?,
            programs: place("PORTCULLIS_VENV_BIN")?,
            fixtures: root.expect("the crate lies two folders deep").join("tests"),
        })
    }

    /// A file in `tests/`.
    pub(crate) fn fixture(&self, name: &str) -> PathBuf {
        self.fixtures.join(name)
    }

    /// A file of an npm package.
    pub(crate) fn module(&self, name: &str) -> PathBuf {
        self.modules.join(name)
    }

    /// A program of a Python package.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }
}
