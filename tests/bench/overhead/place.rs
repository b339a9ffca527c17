//! Who runs where, and that nobody outlives the run: affinity, limits, precedence, and children tied to their parent.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use rustix::thread::CpuSet;

use crate::clock::{MS, now_ns};
use crate::{proc, roles};

/// Descriptors for ten thousand streams through a gateway: one in, one out, and room.
const DESCRIPTORS: u64 = 65_536;
const STOP_MS: u64 = 3_000;

/// Which core carries what; `None` leaves it to the kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    pub(crate) gateway: Option<usize>,
    pub(crate) others: Option<usize>,
}

impl Placement {
    /// The gateway has core 1 to itself, where there is one.
    pub(crate) fn cores() -> Self {
        let split = std::thread::available_parallelism().is_ok_and(|count| count.get() > 1);
        Self { gateway: split.then_some(1), others: split.then_some(0) }
    }

    pub(crate) fn none() -> Self {
        Self { gateway: None, others: None }
    }
}

/// Binds the calling thread, and the children it starts, to one core.
pub(crate) fn bind(core: Option<usize>) -> Result<()> {
    let Some(core) = core else { return Ok(()) };
    let mut set = CpuSet::new();
    set.set(core);
    rustix::thread::sched_setaffinity(None, &set)
        .with_context(|| format!("cannot bind to core {core}; run with --pin none"))
}

/// Raises the limit of open files as far as the system lets us and returns it.
pub(crate) fn raise_descriptors() -> u64 {
    let now = rustix::process::getrlimit(Resource::Nofile);
    let wish = Rlimit {
        current: Some(DESCRIPTORS),
        maximum: Some(now.maximum.map_or(DESCRIPTORS, |most| most.max(DESCRIPTORS))),
    };
    let within = Rlimit { current: now.maximum, maximum: now.maximum };
    if rustix::process::setrlimit(Resource::Nofile, wish).is_err() {
        let _ = rustix::process::setrlimit(Resource::Nofile, within);
    }
    rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(DESCRIPTORS)
}

/// Begins anew ahead of everything else on the machine, if this process is not there yet. Children inherit the place.
///
/// Niceness would not do: it counts only within one control group.
pub(crate) fn go_first() -> Result<()> {
    if proc::is_round_robin(std::process::id()) {
        return Ok(());
    }
    let error = Command::new("chrt")
        .args(["--rr", "1"])
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .exec();
    Err(error).context("--first needs chrt (package util-linux)")
}

/// A child that is stopped when this value goes, and by the kernel if we die first.
pub(crate) struct Process {
    child: Child,
    pub(crate) started_ns: u64,
}

impl Process {
    /// Starts `command` (program and arguments) on `core`, its talk going to `log`.
    pub(crate) fn start(command: &[String], core: Option<usize>, log: &Path) -> Result<Self> {
        let talk = File::create(log)?;
        let place = core.map_or_else(|| "any".to_owned(), |core| core.to_string());
        let started_ns = now_ns();
        let child = Command::new(std::env::current_exe()?)
            .args([roles::WORD, "launch", &place])
            .args(command)
            .stdin(Stdio::null())
            .stdout(talk.try_clone()?)
            .stderr(talk)
            .spawn()
            .with_context(|| format!("cannot start {}", command.join(" ")))?;
        Ok(Self { child, started_ns })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
            && !self.has_ended()
        {
            let _ = rustix::process::kill_process(pid, Signal::TERM);
        }
        let deadline = now_ns() + STOP_MS * MS;
        while !self.has_ended() && now_ns() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The role `launch`: takes its place, ties itself to its parent, and becomes the program it was asked to start.
pub(crate) fn launch(words: &[String]) -> Result<()> {
    let [place, program, arguments @ ..] = words else {
        anyhow::bail!("launch CORE PROGRAM [ARGUMENTS]");
    };
    bind(place.parse().ok())?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot become {program}"))
}
