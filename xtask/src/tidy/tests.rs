//! Each rule is shown a culprit and an innocent.

use std::path::Path;

use super::{check, crates, text};

#[test]
fn imports_point_down_only() {
    let complaints = |name, manifest| crates::check_manifest(name, manifest);
    assert_eq!(complaints("engine", "[dependencies]\nwire.workspace = true\n"), [""; 0]);
    assert_eq!(complaints("wire", "[dev-dependencies]\ntestkit.workspace = true\n"), [""; 0]);

    let up = complaints("wire", "[dependencies]\nengine.workspace = true\n");
    assert!(up[0].contains("wire may not use engine"), "{up:?}");
    for manifest in [
        "[dependencies]\nx = { package = \"portcullis-engine\", path = \"../engine\" }\n",
        "[dependencies.engine]\nworkspace = true\n",
        "[target.'cfg(unix)'.dependencies]\nengine = { workspace = true }\n",
        "[build-dependencies]\nportcullis-engine = \"1\"\n",
        "[dev-dependencies]\nengine.workspace = true\n",
    ] {
        assert_eq!(complaints("policy", manifest).len(), 1, "{manifest}");
    }
    assert_eq!(complaints("wire", "[dependencies]\ntestkit.workspace = true\n").len(), 1);
    assert!(complaints("kitchen", "")[0].contains("not in the table"));
}

#[test]
fn names_say_what_a_file_is_for() {
    assert_eq!(text::check_name(Path::new("crates/wire/src/envelope.rs")), [""; 0]);
    for name in ["src/mod.rs", "src/util.rs", "src/common/x.rs", "src/pool_manager.rs"] {
        assert_eq!(text::check_name(Path::new(name)).len(), 1, "{name}");
    }
}

#[test]
fn files_are_finished_and_speak_of_no_machine() {
    let complaints = |name: &str, line: &str| text::check(Path::new(name), line);
    assert_eq!(complaints("a.rs", "//! For tests.\n"), [""; 0]);
    assert_eq!(complaints("a.rs", "fn main() {}\n").len(), 1);
    assert_eq!(complaints("a.rs", &format!("//! Long.\n{}", "//\n".repeat(1000))).len(), 1);
    assert_eq!(complaints("a.md", "the list of the word fornow is fine\n"), [""; 0]);
    for unfinished in
        [concat!("tod", "o!()"), concat!("// FIX", "ME later"), concat!("fine for", " now.")]
    {
        assert_eq!(complaints("a.md", unfinished).len(), 1, "{unfinished}");
    }
    let here = concat!("cd /wo", "rk/main");
    assert_eq!(complaints("a.md", here).len(), 1, "{here}");
    let url = concat!("https://example.com/wo", "rk/");
    assert_eq!(complaints("a.md", url), [""; 0], "{url}");

    let bare = concat!("//! Fast.\nfn f() { unsa", "fe { g() } }\n");
    assert_eq!(complaints("a.rs", bare).len(), 1);
    let argued = format!("{bare}#[expect({}, reason = \"…\")]\n", concat!("unsa", "fe_code"));
    assert_eq!(complaints("a.rs", &argued), [""; 0]);
}

#[test]
fn a_whole_repository_is_walked() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    write("crates/wire/Cargo.toml", "[dependencies]\nbytes.workspace = true\n");
    write("crates/wire/src/lib.rs", "//! MCP as bytes.\n");
    write("target/debug/mod.rs", "what is built is not looked at");
    write("image.png", "\u{0}");
    assert_eq!(check(folder.path()).unwrap(), [""; 0]);

    write("crates/wire/Cargo.toml", "[dependencies]\nstore.workspace = true\n");
    write("crates/wire/src/deep/helper.rs", "fn nothing() {}\n");
    assert_eq!(check(folder.path()).unwrap().len(), 3);
}
