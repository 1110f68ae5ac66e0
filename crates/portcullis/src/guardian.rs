//! The small process that every stdio server runs under, so that nothing the server started
//! outlives the gate, whatever kills the gate.
//!
//! ```text
//! gate ──spawns──► guardian ──spawns──► guardian --exec-under ──becomes──► COMMAND ──► its children
//!   └──────── stdin, a pipe ──────────────────────────────────────────────────┘
//! ```
//!
//! The command inherits the guardian's stdin, stdout and stderr, so the guardian is not on the way of
//! any message. It keeps its own copy of the read end of stdin only to see the other end close, which
//! the kernel does for a gate that dies of any cause. Then the server has the grace period to finish
//! by itself, after it SIGTERM, after another grace period SIGKILL until no descendant is left. As a
//! child subreaper the guardian adopts what the server leaves behind, double forks and new sessions
//! included. On other systems than Linux there is no such adoption: there the server's process group is
//! ended, which a process can leave.
//!
//! No runtime and no allocation to speak of: a guardian costs three parked threads.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, getppid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

mod descendants;
mod exec;

use descendants::Descendants;

/// How often the guardian looks around while it ends the server.
const STEP: Duration = Duration::from_millis(20);
/// Longest grace period once the gate is dead: twice this, and the time to look, is below the two
/// seconds after which nobody may be left.
const ORPHAN_GRACE: Duration = Duration::from_millis(500);
/// How long SIGKILL is repeated before the guardian reports processes that the kernel does not end
/// (uninterruptible waits, other users' processes).
const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// Exit code of a guardian that could not do its work.
const BROKEN: u8 = 125;

/// What `portcullis guardian` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct GuardianArgs {
    /// Milliseconds the server may take to end after its input closed, and again after SIGTERM.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(0..=600_000))]
    pub grace_ms: u64,
    /// Become COMMAND, to be killed when the guardian with this process id dies.
    #[arg(long, hide = true, value_name = "PID")]
    pub exec_under: Option<i32>,
    /// The server's command and its arguments, after `--`.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Runs the command under guard and returns its exit code: its own, 128 + signal where a signal ended
/// it, 127 where it is not found, 126 where it cannot be executed, 125 where the guardian itself
/// failed. The caller must be the main thread of a process that has started no other child.
pub fn run(args: &GuardianArgs) -> ExitCode {
    let code = match args.exec_under {
        Some(guardian) => exec::become_command(guardian, &args.command),
        None => guard(args).unwrap_or_else(|failure| {
            eprintln!("portcullis guardian: {failure}");
            BROKEN
        }),
    };
    ExitCode::from(code)
}

/// What the guardian learns from its threads.
enum Event {
    /// The other end of stdin is closed: the gate wants the server to end, or is dead.
    InputClosed,
    /// A signal asks the guardian to end.
    Asked,
    /// A child, own or adopted, has ended.
    Ended(Pid, WaitStatus),
    /// No child is left, and therefore no descendant.
    Alone,
}

fn guard(args: &GuardianArgs) -> Result<u8, String> {
    descendants::adopt_orphans().map_err(|error| format!("cannot adopt processes: {error}"))?;
    // Signals for the gate's process group (Ctrl-C, a kill of the group) are the gate's business: it
    // ends its servers in order. Failure means that the gate has already made the group.
    let _ = rustix::process::setpgid(None, None);
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP])
        .map_err(|error| format!("cannot watch signals: {error}"))?;
    let gate = getppid();
    let server = start(&args.command)?;
    let events = watch(signals)?;
    let grace = Duration::from_millis(args.grace_ms);
    Ok(Watch { gate, server, grace, phase: Phase::Serving, code: None }.until_alone(&events))
}

/// Starts the second stage in a process group of its own. It must be called from the main thread: the
/// parent-death signal is about the thread that made the child.
fn start(command: &[OsString]) -> Result<Pid, String> {
    // The link still works where the file was replaced by an upgrade.
    let program = if cfg!(target_os = "linux") {
        "/proc/self/exe".into()
    } else {
        std::env::current_exe().map_err(|error| format!("cannot find myself: {error}"))?
    };
    let child = Command::new(&program)
        .args(["guardian", "--exec-under", &getpid().as_raw_nonzero().to_string(), "--"])
        .args(command)
        .process_group(0)
        .spawn()
        .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    // The server alone holds stdout from now on: its end is visible to the gate at once.
    if let Ok(nowhere) = std::fs::OpenOptions::new().write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdout(&nowhere);
    }
    Ok(Pid::from_child(&child))
}

/// Starts the threads that turn what happens into events.
fn watch(signals: Signals) -> Result<Receiver<Event>, String> {
    let (events, inbox) = sync_channel(16);
    spawn("input", &events, |events| {
        wait_for_input_to_close();
        let _ = events.send(Event::InputClosed);
    })?;
    spawn("signals", &events, move |events| {
        let mut signals = signals;
        for _ in signals.forever() {
            if events.send(Event::Asked).is_err() {
                break;
            }
        }
    })?;
    spawn("children", &events, reap)?;
    Ok(inbox)
}

fn spawn(
    name: &str,
    events: &SyncSender<Event>,
    body: impl FnOnce(&SyncSender<Event>) + Send + 'static,
) -> Result<(), String> {
    let events = events.clone();
    // 64 KiB: the bodies are a handful of frames around one system call.
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(64 << 10)
        .spawn(move || body(&events))
        .map(drop)
        .map_err(|error| format!("cannot start a thread: {error}"))
}

/// Returns when every writer of stdin is gone. Data is left for the server: no event but the hang-up,
/// which is always reported, is asked for.
fn wait_for_input_to_close() {
    let stdin = std::io::stdin();
    loop {
        let mut watched = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::empty())];
        match poll(&mut watched, None) {
            Ok(_) if watched[0].revents().is_empty() => {}
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// Reports every child that ends, own or adopted, until none is left.
fn reap(events: &SyncSender<Event>) {
    loop {
        let event = match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => Event::Ended(pid, status),
            Ok(None) | Err(rustix::io::Errno::INTR) => continue,
            Err(_) => Event::Alone,
        };
        let last = matches!(event, Event::Alone);
        if events.send(event).is_err() || last {
            return;
        }
    }
}

/// Where the guardian is between start and end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// The server runs.
    Serving,
    /// Its input is closed; it may end by itself.
    Closing,
    /// SIGTERM is sent.
    Terminating,
    /// SIGKILL is sent, again and again.
    Killing,
}

/// The guardian's view of its server.
struct Watch {
    gate: Option<Pid>,
    server: Pid,
    grace: Duration,
    phase: Phase,
    code: Option<u8>,
}

impl Watch {
    /// Follows the events until no descendant is left, and returns the server's exit code.
    fn until_alone(mut self, events: &Receiver<Event>) -> u8 {
        let mut since = Instant::now();
        loop {
            let event = match self.phase {
                Phase::Serving => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
                _ => events.recv_timeout(STEP),
            };
            let next = match event {
                Ok(Event::Alone) | Err(RecvTimeoutError::Disconnected) => {
                    return self.code.unwrap_or(BROKEN);
                }
                Ok(Event::Ended(pid, status)) if pid == self.server => {
                    self.code = Some(exit_code(status));
                    Phase::Terminating
                }
                Ok(Event::Ended(..)) => self.phase,
                Ok(Event::InputClosed) => Phase::Closing,
                Ok(Event::Asked) => Phase::Terminating,
                Err(RecvTimeoutError::Timeout) => self.after(since.elapsed()),
            };
            if next > self.phase {
                self.phase = next;
                since = Instant::now();
                self.send_signals();
            } else if self.phase == Phase::Killing {
                // Again: a process may have been forked between the look and the signal.
                self.send_signals();
                if since.elapsed() > KILL_PATIENCE {
                    return self.give_up();
                }
            }
        }
    }

    /// The phase that is due when the present one has lasted for `elapsed`.
    fn after(&self, elapsed: Duration) -> Phase {
        let gate_is_dead = getppid() != self.gate;
        let grace = if gate_is_dead { self.grace.min(ORPHAN_GRACE) } else { self.grace };
        match self.phase {
            Phase::Closing if elapsed >= grace => Phase::Terminating,
            Phase::Terminating if elapsed >= grace => Phase::Killing,
            same => same,
        }
    }

    fn send_signals(&self) {
        let signal = match self.phase {
            Phase::Serving | Phase::Closing => return,
            Phase::Terminating => Signal::TERM,
            Phase::Killing => Signal::KILL,
        };
        Descendants::find(self.server).signal(signal);
    }

    fn give_up(&self) -> u8 {
        let left = Descendants::find(self.server);
        eprintln!(
            "portcullis guardian: the kernel does not end these processes of the server: {left}; \
             look at them with `ps -o pid,user,stat,wchan,args -p PID`"
        );
        self.code.unwrap_or(BROKEN)
    }
}

/// The exit code a shell would report.
fn exit_code(status: WaitStatus) -> u8 {
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => i32::from(BROKEN),
    };
    u8::try_from(code).unwrap_or(BROKEN)
}
