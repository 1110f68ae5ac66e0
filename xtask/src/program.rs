//! Starting programs: with an error that shows the command line, and ending them for sure.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A program about to be started.
pub(crate) struct Program {
    command: Command,
    is_group: bool,
}

impl Program {
    pub(crate) fn new(name: impl AsRef<OsStr>) -> Self {
        Self { command: Command::new(name), is_group: false }
    }

    /// A program that may open as many files as the machine allows, for thousands of connections.
    pub(crate) fn with_many_files(binary: &Path) -> Self {
        Self::new("sh").args(["-c", r#"ulimit -n "$(ulimit -H -n)"; exec "$0" "$@""#]).arg(binary)
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, arguments: I) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// As the first of a group of its own: what it starts ends with it, even if it is killed.
    pub(crate) fn in_group(mut self) -> Self {
        self.command.process_group(0);
        self.is_group = true;
        self
    }

    /// Runs it with this terminal as its output; an exit code other than 0 is an error.
    pub(crate) fn run(mut self) -> Result<()> {
        let status = self.command.status().with_context(|| self.cannot_start())?;
        if !status.success() {
            bail!("`{}` ended with {status}", self.line());
        }
        Ok(())
    }

    /// Runs it in silence and returns what it wrote to its standard output; on failure the error
    /// carries all that it wrote.
    pub(crate) fn output(mut self) -> Result<String> {
        let output =
            self.command.stdin(Stdio::null()).output().with_context(|| self.cannot_start())?;
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let err = String::from_utf8_lossy(&output.stderr);
            bail!("`{}` ended with {}\n{out}{err}", self.line(), output.status);
        }
        Ok(out)
    }

    /// Starts it as a server that lives as long as the returned value.
    pub(crate) fn start(mut self, out: Stdio, err: Stdio) -> Result<Running> {
        self.command.stdin(Stdio::null()).stdout(out).stderr(err);
        let child = self.command.spawn().with_context(|| self.cannot_start())?;
        Ok(Running { child, is_group: self.is_group })
    }

    /// The command itself, for the rare caller that needs its pipes.
    pub(crate) fn into_command(self) -> Command {
        self.command
    }

    fn cannot_start(&self) -> String {
        format!("cannot start `{}`", self.line())
    }

    fn line(&self) -> String {
        let mut line = OsString::from(self.command.get_program());
        for argument in self.command.get_args() {
            line.push(" ");
            line.push(argument);
        }
        line.to_string_lossy().into_owned()
    }
}

/// A server that runs until this is dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    is_group: bool,
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` says so, the program ends, or the time is over.
    pub(crate) fn wait_until(
        &mut self,
        what: &str,
        limit: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{what} ended with {status} before it was ready");
            }
            if Instant::now() > deadline {
                bail!("{what} was not ready within {} s", limit.as_secs());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Politely first: a server that has children ends them on SIGTERM, never on SIGKILL.
        let group = if self.is_group { "-" } else { "" };
        let whom = format!("{group}{}", self.child.id());
        let asked = Command::new("kill").args(["--", &whom]).status();
        if asked.is_ok_and(|status| status.success()) {
            let deadline = Instant::now() + Duration::from_secs(5);
            while Instant::now() < deadline {
                if matches!(self.child.try_wait(), Ok(Some(_))) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        // Both fail only when it is gone already, which is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
