//! The loop: messages in, effects out, a picture when something changed and no more than thirty a second.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyEventKind};
use tokio::signal::unix::{SignalKind, signal};

use crate::base::clock;
use crate::tui::ask::{Answer, Lane, Result as Told, Trouble, Want};
use crate::tui::common::{Effect, Prefs};
use crate::tui::state::{Msg, State};
use crate::tui::terminal::{self, COPY_MAX, Screen};
use crate::tui::theme::Theme;

/// Least time between two pictures.
const FRAME: Duration = Duration::from_millis(33);
/// How often time is told.
const TICK: Duration = Duration::from_millis(250);
/// Questions asked at the same time.
const WORKERS: usize = 4;
/// Limit: questions and messages that wait.
const QUEUE: usize = 1_024;

/// Asks the gateway; waits for the answer.
pub type Asker = Arc<dyn Fn(&Want) -> Told<Answer> + Send + Sync>;

/// What the program is started with.
pub struct Start {
    pub asker: Asker,
    pub theme: Theme,
    /// Where it all comes from, for the head line.
    pub source: String,
    pub prefs: Prefs,
    /// Where views and columns are kept; none: they are not.
    pub prefs_file: Option<PathBuf>,
}

struct Job {
    lane: Lane,
    ticket: u64,
    want: Want,
}

/// Runs until the user quits, or a signal says so.
pub fn run(start: Start) -> io::Result<()> {
    let (messages, inbox) = sync_channel::<Msg>(QUEUE);
    let jobs = workers(&start.asker, &messages);
    let began = clock::now();
    let mut screen = Screen::take()?;
    heed_signals(messages.clone());
    read_input(messages);
    let size = screen.terminal.size()?;
    let Start { theme, source, prefs, prefs_file, .. } = start;
    let (mut state, effects) = State::new((size.width, size.height), theme, source, prefs);
    let mut outside = Outside { jobs, prefs_file, resumed: false, ended: false };
    outside.perform(effects, &mut state, &mut screen)?;
    let (mut drawn, mut dirty) = (None::<Instant>, true);
    let mut ticked = began;
    while !outside.ended {
        if !terminal::is_taken() {
            return Err(io::Error::other("a part of the program panicked; what it said is above"));
        }
        if dirty && drawn.is_none_or(|at| at.elapsed() >= FRAME) {
            screen.draw(|frame| state.view(frame))?;
            (drawn, dirty) = (Some(clock::now()), false);
        }
        let until = if dirty { FRAME } else { TICK };
        let next = next(
            &inbox,
            until
                .saturating_sub(drawn.map_or(until, |at| at.elapsed()).min(until))
                .max(Duration::from_millis(1))
                .min(TICK),
        );
        // Everything that waits is taken in before anything is drawn.
        let mut pending = next;
        while let Some(msg) = pending {
            let (effects, changed) = state.update(msg);
            dirty |= changed;
            outside.perform(effects, &mut state, &mut screen)?;
            pending = inbox.try_recv().ok();
        }
        // After a suspension the window may be another, and nobody told.
        if std::mem::take(&mut outside.resumed) {
            let size = screen.terminal.size()?;
            let (effects, _) = state.update(Msg::Size(size.width, size.height));
            dirty = true;
            outside.perform(effects, &mut state, &mut screen)?;
        }
        if ticked.elapsed() >= TICK {
            ticked = clock::now();
            let now_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            let wall_us = i64::try_from(clock::wall_us()).unwrap_or(i64::MAX);
            let (effects, changed) = state.update(Msg::Tick(now_ms, wall_us));
            dirty |= changed;
            outside.perform(effects, &mut state, &mut screen)?;
        }
    }
    Ok(())
}

fn next(inbox: &Receiver<Msg>, wait: Duration) -> Option<Msg> {
    inbox.recv_timeout(wait).ok()
}

/// Threads that ask and wait.
fn workers(asker: &Asker, messages: &SyncSender<Msg>) -> SyncSender<Job> {
    let (jobs, waiting) = sync_channel::<Job>(QUEUE);
    let waiting = Arc::new(Mutex::new(waiting));
    for at in 0..WORKERS {
        let (asker, waiting, messages) =
            (Arc::clone(asker), Arc::clone(&waiting), messages.clone());
        let work = move || {
            loop {
                let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(Job { lane, ticket, want }) = job else { return };
                let answer = asker(&want);
                if messages.send(Msg::Answered { lane, ticket, answer }).is_err() {
                    return;
                }
            }
        };
        // Without a thread the others do its work; without any, every question waits and the screen says so.
        let _started = thread::Builder::new().name(format!("ask-{at}")).spawn(work);
    }
    jobs
}

/// Whoever asks the process to end gets the terminal back as it was. Ctrl-c is a key here, and a signal only from elsewhere.
fn heed_signals(messages: SyncSender<Msg>) {
    let wait = move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return;
        };
        let told = runtime.block_on(async {
            let kinds = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()];
            let [Ok(mut terminate), Ok(mut hangup), Ok(mut interrupt)] = kinds.map(signal) else {
                return None;
            };
            tokio::select! {
                got = terminate.recv() => got,
                got = hangup.recv() => got,
                got = interrupt.recv() => got,
            }
        });
        if told.is_some() {
            let _told = messages.send(Msg::End);
        }
    };
    // Without the thread signals end the process as they end any other.
    let _started = thread::Builder::new().name("signals".to_owned()).spawn(wait);
}

/// Keys and sizes as messages, from a thread that ends with the process.
fn read_input(messages: SyncSender<Msg>) {
    let read = move || {
        while let Ok(event) = event::read() {
            let msg = match event {
                Event::Key(key) if key.kind != KeyEventKind::Release => Msg::Key(key),
                Event::Paste(text) => Msg::Paste(text),
                Event::Resize(width, height) => Msg::Size(width, height),
                _ => continue,
            };
            if messages.send(msg).is_err() {
                return;
            }
        }
        // The terminal is gone; there is nobody to show anything to.
        let _told = messages.send(Msg::End);
    };
    let _started = thread::Builder::new().name("keys".to_owned()).spawn(read);
}

/// Does what `update` asked for.
struct Outside {
    jobs: SyncSender<Job>,
    prefs_file: Option<PathBuf>,
    /// It was suspended, and goes on.
    resumed: bool,
    ended: bool,
}

impl Outside {
    fn perform(
        &mut self,
        effects: Vec<Effect>,
        state: &mut State,
        screen: &mut Screen,
    ) -> io::Result<()> {
        let mut effects = std::collections::VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Ask { lane, ticket, want } => {
                    if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) =
                        self.jobs.try_send(Job { lane, ticket, want })
                    {
                        let answer =
                            Err(Trouble::Odd("too many questions wait for the gateway".to_owned()));
                        let (lane, ticket) = (job.lane, job.ticket);
                        effects.extend(state.update(Msg::Answered { lane, ticket, answer }).0);
                    }
                }
                Effect::Copy(text) if text.len() > COPY_MAX => {
                    let told = format!(
                        "{} bytes are more than terminals take ({COPY_MAX}); write it to a file with e",
                        text.len()
                    );
                    effects.extend(state.update(Msg::Wrote(Err(told))).0);
                }
                Effect::Copy(text) => terminal::copy(&text)?,
                Effect::Write { name, bytes } => {
                    let written = write(&name, &bytes);
                    effects.extend(state.update(Msg::Wrote(written)).0);
                }
                Effect::Keep(prefs) => {
                    if let Some(Err(error)) =
                        self.prefs_file.as_ref().map(|file| keep(file, &prefs))
                    {
                        let told = format!("views cannot be kept: {error}");
                        effects.extend(state.update(Msg::Wrote(Err(told))).0);
                    }
                }
                Effect::Suspend => {
                    suspend(screen)?;
                    self.resumed = true;
                }
                Effect::Quit => self.ended = true,
            }
        }
        Ok(())
    }
}

/// A new file; what is there already stays.
fn write(name: &str, bytes: &[u8]) -> Result<String, String> {
    use std::io::Write as _;
    let told = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!("{name} is there already; move it away first"),
        _ => format!("{name}: {error}"),
    };
    let mut file = std::fs::File::create_new(name).map_err(told)?;
    file.write_all(bytes).map_err(told)?;
    Ok(format!("{name} ({} bytes)", bytes.len()))
}

fn keep(file: &std::path::Path, prefs: &Prefs) -> io::Result<()> {
    let text = serde_json::to_string_pretty(prefs).map_err(io::Error::other)?;
    let beside = file.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(beside, file)
}

/// Gives the terminal back and stops, as `ctrl-z` does to other programs; comes back with `fg`.
fn suspend(screen: &mut Screen) -> io::Result<()> {
    terminal::give_back();
    let pid = std::process::id().to_string();
    // The shell's own `kill`: this program has no unsafe code and no library for signals.
    let _stopped = std::process::Command::new("kill").args(["-TSTP", &pid]).status();
    screen.retake()
}
