//! The second stage: tie the own life to the guardian's, then become the server.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Becomes `command`; returns only where that fails, with the exit code to leave with.
pub(super) fn become_command(guardian: i32, command: &[OsString]) -> u8 {
    let Some((program, arguments)) = command.split_first() else {
        eprintln!("portcullis guardian: no command is given after `--`");
        return 127;
    };
    if !die_with(guardian) {
        return 137;
    }
    let error = Command::new(program).args(arguments).exec();
    let code = if error.kind() == ErrorKind::NotFound { 127 } else { 126 };
    eprintln!("{}", explain(program, &error));
    code
}

/// Has the kernel kill this process, and what it becomes, when the guardian dies. False where the
/// guardian is dead already.
#[cfg(target_os = "linux")]
fn die_with(guardian: i32) -> bool {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    // A kernel without it still has the guardian's own shutdown.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    getppid().is_some_and(|parent| parent.as_raw_nonzero().get() == guardian)
}

/// There is no such tie on this system.
#[cfg(not(target_os = "linux"))]
fn die_with(_guardian: i32) -> bool {
    true
}

/// Says why the command cannot run and what to do.
fn explain(program: &OsStr, error: &std::io::Error) -> String {
    let name = program.display();
    let path = Path::new(program);
    match error.kind() {
        ErrorKind::NotFound if path.components().count() > 1 && path.exists() => {
            format!("cannot run {name}: the interpreter in its first line (#!) does not exist")
        }
        ErrorKind::NotFound if path.components().count() > 1 => {
            format!("command not found: {name}; there is no such file")
        }
        ErrorKind::NotFound => {
            format!("command not found: {name}; {}or give an absolute path", remedy(program))
        }
        ErrorKind::PermissionDenied => {
            format!("cannot run {name}: it is not executable; try `chmod +x {name}`")
        }
        _ => format!("cannot run {name}: {error}"),
    }
}

/// What brings the commands that server configurations name most.
fn remedy(program: &OsStr) -> &'static str {
    match program.to_str().unwrap_or_default() {
        "node" | "npx" | "npm" => "install Node.js ",
        "uv" | "uvx" => "install uv ",
        "python" | "python3" | "pip" | "pipx" => "install Python ",
        "docker" => "install Docker ",
        "podman" => "install Podman ",
        "deno" => "install Deno ",
        "bun" | "bunx" => "install Bun ",
        "java" => "install a Java runtime ",
        "dotnet" => "install the .NET SDK ",
        _ => "install it, add its directory to PATH ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_explanation_names_the_command_and_the_remedy() {
        let missing = std::io::Error::from(ErrorKind::NotFound);
        assert_eq!(
            explain(OsStr::new("npx"), &missing),
            "command not found: npx; install Node.js or give an absolute path"
        );
        assert_eq!(
            explain(OsStr::new("./nowhere/x"), &missing),
            "command not found: ./nowhere/x; there is no such file"
        );
    }
}
