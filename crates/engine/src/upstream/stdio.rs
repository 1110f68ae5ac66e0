//! stdio towards servers: a supervised child process, one line a message.
//!
//! The process runs under a guardian when the plan names one: the gate may die at any moment, and no
//! descendant of a server may outlive it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

use super::error::ServerError;
use super::pipe::{Pipe, WRITES_QUEUED};
use super::{Bounds, Unbound};

/// How a server's process is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// What it is run under: a command that takes the server's as its last arguments.
    pub guardian: Vec<OsString>,
    /// The variables beside the few that every process needs.
    pub env: Vec<(String, crate::plan::SecretText)>,
    /// Where it runs.
    pub cwd: Option<PathBuf>,
}

/// Variables that a process is given from the gate's own environment: what programs need to find
/// themselves and their user, nothing that carries a credential.
const INHERITED: [&str; 22] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TERM",
    "TMPDIR",
    "TEMP",
    "TMP",
    "TZ",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "SystemRoot",
    "APPDATA",
    "LOCALAPPDATA",
    "PATHEXT",
    "USERPROFILE",
];

/// Starts the process. The pipe still has to be greeted; it ends with the process.
pub(crate) fn start(
    program: &Program,
    unbound: Unbound,
    bounds: Bounds,
) -> Result<Arc<Pipe>, ServerError> {
    let mut words = program.guardian.iter().chain(&program.command);
    let first = words.next().ok_or_else(|| ServerError::Start("the command is empty".into()))?;
    let mut command = Command::new(first);
    command.args(words).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::piped()).kill_on_drop(true);
    command.envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.envs(program.env.iter().map(|(name, value)| (name, value.expose())));
    if let Some(cwd) = &program.cwd {
        command.current_dir(cwd);
    }
    let mut child = command.spawn().map_err(|error| {
        ServerError::Start(format!("cannot start {}: {error}", first.to_string_lossy()))
    })?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Err(ServerError::Start("the process has no standard streams".into()));
    };
    let server = Arc::clone(&unbound.server);
    let (out, messages) = mpsc::channel(WRITES_QUEUED);
    let pipe = Pipe::new(out, unbound, bounds);
    tokio::spawn(read(Arc::clone(&pipe), Lines::new(stdout, bounds.message.bytes)));
    tokio::spawn(log_stderr(server, Lines::new(stderr, STDERR_LINE_MAX)));
    tokio::spawn(supervise(Arc::clone(&pipe), child, stdin, messages));
    Ok(pipe)
}

/// Longest line of stderr that is logged whole.
const STDERR_LINE_MAX: usize = 16 << 10;
/// How long a process may take to end after its standard input was closed; its guardian is quicker.
const EXIT_WAIT: std::time::Duration = std::time::Duration::from_secs(3);

/// How long after its standard output closed a process is given to end.
const EXIT_NOTICE: std::time::Duration = std::time::Duration::from_millis(500);

/// Writes what is queued, and ends the process when the pipe is over.
async fn supervise(
    pipe: Arc<Pipe>,
    mut child: Child,
    mut stdin: ChildStdin,
    mut messages: mpsc::Receiver<Bytes>,
) {
    let over = pipe.over().clone();
    loop {
        let message = tokio::select! {
            message = messages.recv() => message,
            () = over.cancelled() => None,
            status = child.wait() => {
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                return pipe.end(&format!("the process ended ({status})"));
            }
        };
        let Some(message) = message else { break };
        let line = [&*message, b"\n"].concat();
        // A process that does not read is only known by its pipe being full; the deadline of each
        // call bounds the wait, and the end of the pipe ends it.
        let written = tokio::select! {
            written = async { stdin.write_all(&line).await?; stdin.flush().await } => written,
            () = over.cancelled() => break,
        };
        if let Err(error) = written {
            pipe.end(&format!("its standard input is closed ({error})"));
            break;
        }
    }
    pipe.end("the gate closed it");
    drop(stdin);
    if tokio::time::timeout(EXIT_WAIT, child.wait()).await.is_err() {
        // Dropping the child kills it; whoever waits for the exit learns of it by the log.
        tracing::warn!("a server process did not end in time and is killed");
    }
}

async fn read(pipe: Arc<Pipe>, mut lines: Lines<tokio::process::ChildStdout>) {
    let over = pipe.over().clone();
    loop {
        let line = tokio::select! {
            line = lines.next() => line,
            () = over.cancelled() => return,
        };
        match line {
            Ok(Some(line)) if line.trim_ascii().is_empty() => {}
            Ok(Some(line)) => pipe.receive(&line),
            // The process usually ends right now too, and how it ended says more.
            Ok(None) => {
                tokio::select! {
                    () = over.cancelled() => {}
                    () = tokio::time::sleep(EXIT_NOTICE) => {}
                }
                return pipe.end("its standard output is closed");
            }
            Err(why) => return pipe.end(&why),
        }
    }
}

async fn log_stderr(server: Arc<str>, mut lines: Lines<tokio::process::ChildStderr>) {
    loop {
        match lines.next().await {
            Ok(Some(line)) => {
                let line = String::from_utf8_lossy(&line);
                tracing::info!(target: "portcullis::server", %server, "{}", line.trim_end());
            }
            Ok(None) => return,
            // Too long to be worth a line in the log.
            Err(_) => {}
        }
    }
}

/// Lines of bounded length.
struct Lines<R> {
    reader: R,
    buffer: BytesMut,
    /// Up to where the buffer is known to hold no line end.
    searched: usize,
    line_max: usize,
    skipping: bool,
    broken: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(reader: R, line_max: usize) -> Self {
        Self {
            reader,
            buffer: BytesMut::new(),
            searched: 0,
            line_max,
            skipping: false,
            broken: false,
        }
    }

    /// The next line without its end; `None` at the end of the stream. One that is too long is an error,
    /// and the line after it comes next.
    async fn next(&mut self) -> Result<Option<Bytes>, String> {
        while !self.broken {
            if let Some(at) = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n') {
                let line = self.buffer.split_to(self.searched + at + 1).freeze();
                self.searched = 0;
                if std::mem::take(&mut self.skipping) {
                    continue;
                }
                if line.len() > self.line_max {
                    return Err(self.too_long());
                }
                return Ok(Some(line.slice(..line.len() - 1)));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > self.line_max {
                self.buffer.clear();
                self.searched = 0;
                self.skipping = true;
                return Err(self.too_long());
            }
            self.buffer.reserve(8 << 10);
            match self.reader.read_buf(&mut self.buffer).await {
                Ok(0) if self.buffer.is_empty() => return Ok(None),
                Ok(0) => {
                    self.searched = 0;
                    return Ok(Some(self.buffer.split().freeze()));
                }
                Ok(_) => {}
                Err(error) => {
                    self.broken = true;
                    return Err(format!("it cannot be read ({error})"));
                }
            }
        }
        Ok(None)
    }

    fn too_long(&self) -> String {
        format!("it wrote a line longer than {} bytes", self.line_max)
    }
}
