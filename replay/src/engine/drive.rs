//! The task that decides: see the module above.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::deeds::{self, Made, Sent, fault, sleep_coarse, sleep_to, stopped};
use super::ledger::Ledger;
use super::pacer::Pacer;
use super::threads::Threads;
use super::{Crew, Ended, Finish, Group, Judge, Library, Progress, Setup, Sink};
use crate::context::{Cache, Context, Key, Prepared};
use crate::outcome::Outcome;
use crate::recording::{Fault, Recording};
use crate::row::{Job, Row};
use crate::schedule::{self, Due, Groups, Next, Schedule};
use crate::{Order, Transport};

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Between the end of a warm-up and the first request of an open loop, so that the first is not late.
const LEAD: Duration = Duration::from_millis(20);

/// A place in the queue: the instant, and the order in which requests were taken from the schedule.
type Place = (u64, u64);

/// A request in the queue.
struct Queued {
    due: Due,
    /// `None`: still being read and made.
    ready: Option<(Arc<Recording>, Prepared)>,
}

/// What a task does, for the case that it does not come to its end.
enum Doing {
    Load(Place),
    Send(Due, Option<Key>, u64),
    Judge(Vec<Row>, usize),
}

struct Task {
    doing: Doing,
    handle: AbortHandle,
}

/// What a task gives back.
enum Event {
    Loaded(Made),
    Sent(Box<Sent>),
    Judged(Vec<Row>),
}

pub(super) struct Drive<'a, T, L, J, S> {
    setup: Arc<Setup>,
    crew: Arc<Crew<T, L, J>>,
    sink: &'a mut S,
    stop: watch::Receiver<bool>,
    watchers: &'a watch::Sender<Progress>,
    told: Option<Instant>,
    /// When what has changed since is told, whether or not anything else happens.
    tell_at: Option<Instant>,
    zero: Instant,
    pacer: Pacer,
    schedule: Schedule,
    is_warmup: bool,
    planned_end: Option<Duration>,
    ledger: Ledger,
    queue: BTreeMap<Place, Queued>,
    taken: u64,
    /// Taken from the schedule, and too dear for now.
    pending: Option<Due>,
    /// When the schedule wants to be asked again.
    ask_us: Option<u64>,
    held_us: Vec<u64>,
    tasks: JoinSet<Event>,
    running: HashMap<Id, Task>,
    /// Requests given to the transport.
    flying: usize,
    groups: HashMap<u64, Group>,
    judging: usize,
    threads: Threads,
    ended: Ended,
    stopped_at: Option<Instant>,
    groups_max: usize,
}

impl<'a, T, L, J, S> Drive<'a, T, L, J, S>
where
    T: Transport,
    L: Library,
    J: Judge,
    S: Sink,
{
    pub(super) fn new(
        setup: Setup,
        crew: Crew<T, L, J>,
        sink: &'a mut S,
        stop: watch::Receiver<bool>,
        watchers: &'a watch::Sender<Progress>,
    ) -> Self {
        let warmup = schedule::Settings {
            targets: setup.targets.len() as u16,
            pace: crate::pace::Pace::Closed { in_flight: setup.targets.len() as u32 },
            ..schedule::Settings::default()
        };
        let head = Arc::new(setup.outline.head(setup.warmup as usize));
        let each = if setup.cache == Cache::Warm { 2 } else { 1 };
        Self {
            schedule: Schedule::new(head, warmup, Groups::default()),
            is_warmup: true,
            planned_end: None,
            ledger: Ledger::new(setup.budget.clone(), 0, each),
            pacer: Pacer::new(setup.limits.fine),
            zero: Instant::now(),
            threads: Threads::new(&setup),
            held_us: vec![0; setup.targets.len()],
            setup: Arc::new(setup),
            crew: Arc::new(crew),
            sink,
            stop,
            watchers,
            told: None,
            tell_at: None,
            queue: BTreeMap::new(),
            taken: 0,
            pending: None,
            ask_us: None,
            tasks: JoinSet::new(),
            running: HashMap::new(),
            flying: 0,
            groups: HashMap::new(),
            judging: 0,
            ended: Ended::Whole,
            stopped_at: None,
            groups_max: 0,
        }
    }

    /// The warm-up, then the run.
    pub(super) async fn run(mut self) -> io::Result<Finish> {
        if self.has_more() {
            self.phase().await?;
        }
        if self.ended == Ended::Whole {
            self.begin();
            self.phase().await?;
        }
        for (_, group) in std::mem::take(&mut self.groups) {
            self.judge(group);
        }
        self.abort_all_but_judges();
        while let Some(done) = self.tasks.join_next_with_id().await {
            self.take(done)?;
        }
        let progress = self.tell(true);
        Ok(Finish { ended: self.ended, progress, groups_max: self.groups_max })
    }

    /// Whether an earlier part of the run has left anything to send: to warm up for nothing would cost for nothing.
    fn has_more(&self) -> bool {
        let groups = self.setup.outline.len() as u64 * u64::from(self.setup.repeats);
        (0..groups).any(|group| !self.setup.done.contains(group))
    }

    fn now_us(&self) -> u64 {
        self.zero.elapsed().as_micros() as u64
    }

    /// Puts the run's own schedule in force, from now on.
    fn begin(&mut self) {
        let setup = &self.setup;
        let lead = if setup.pace.is_open() { LEAD } else { Duration::ZERO };
        let settings = schedule::Settings {
            pace: setup.pace,
            targets: setup.targets.len() as u16,
            repeats: setup.repeats,
            seed: setup.seed,
            live: setup.context == Context::Live,
            groups_max: setup.limits.groups,
            in_flight_max: setup.limits.in_flight,
            begin_us: self.now_us() + lead.as_micros() as u64,
        };
        self.schedule = Schedule::new(Arc::clone(&setup.outline), settings, setup.done.clone());
        self.is_warmup = false;
        self.ledger.progress.planned = self.schedule.unsent();
        self.planned_end =
            self.schedule.planned_us().map(|us| Duration::from_micros(settings.begin_us + us));
    }

    async fn phase(&mut self) -> io::Result<()> {
        loop {
            let is_finished = self.dispatch();
            let send_us = self.send_due();
            self.groups_max = self.groups_max.max(self.groups.len());
            self.tell(false);
            let is_idle = self.queue.is_empty() && self.flying == 0 && self.judging == 0;
            let is_stuck = self.running.is_empty() && self.ask_us.is_none();
            if is_idle && (is_finished || is_stuck || self.ended != Ended::Whole) {
                return Ok(());
            }
            let wake = send_us.into_iter().chain(self.ask_us).min();
            let wake = wake.map(|us| self.zero + Duration::from_micros(us));
            let give_up = self.stopped_at.map(|at| at + self.setup.limits.grace);
            tokio::select! {
                biased;
                () = stopped(&mut self.stop), if self.stopped_at.is_none() => self.interrupt(),
                Some(done) = self.tasks.join_next_with_id() => {
                    self.take(done)?;
                    while let Some(done) = self.tasks.try_join_next_with_id() {
                        self.take(done)?;
                    }
                }
                () = sleep_to(&mut self.pacer, wake), if wake.is_some() => {}
                () = sleep_coarse(give_up), if give_up.is_some() => self.abandon(),
                () = sleep_coarse(self.tell_at), if self.tell_at.is_some() => {}
            }
        }
    }

    /// Takes from the schedule what is due soon, and has it made ready. Whether the schedule has nothing more.
    fn dispatch(&mut self) -> bool {
        self.ask_us = None;
        let is_open = !self.is_warmup && self.setup.pace.is_open();
        let ahead = if is_open { self.setup.limits.ahead.as_micros() as u64 } else { 0 };
        while self.ended == Ended::Whole && self.judging < self.setup.limits.groups {
            let in_flight = self.queue.len() + self.flying;
            let due = match self.pending.take() {
                Some(due) => due,
                None => match self.schedule.next(self.now_us() + ahead, in_flight) {
                    Next::Send(due) => due,
                    Next::Later(at) => {
                        self.ask_us = Some(at.saturating_sub(ahead));
                        return false;
                    }
                    Next::Wait => return false,
                    Next::Finished => return true,
                },
            };
            if !self.ledger.reserve(&due) {
                if in_flight == 0 && self.judging == 0 {
                    self.ended = Ended::MaxCost;
                } else {
                    self.pending = Some(due);
                }
                return false;
            }
            self.load(due);
        }
        false
    }

    /// Has a recording read, and made into the request that its target is sent.
    fn load(&mut self, due: Due) {
        let place = (due.at_us, self.taken);
        self.taken += 1;
        self.queue.insert(place, Queued { due, ready: None });
        let known = self.groups.entry(due.group).or_default().recording.clone();
        let history = if self.is_warmup { None } else { self.threads.history(&due) };
        let (setup, crew) = (Arc::clone(&self.setup), Arc::clone(&self.crew));
        let work = async move {
            Event::Loaded(deeds::ready(&setup, &crew.library, due, known, history).await)
        };
        let handle = self.tasks.spawn(work);
        self.running.insert(handle.id(), Task { doing: Doing::Load(place), handle });
    }

    /// Sends what is due, in order. When the next is, unless something else has to happen first.
    fn send_due(&mut self) -> Option<u64> {
        loop {
            let now = self.now_us();
            let (place, queued) = self.queue.first_key_value()?;
            let place = *place;
            if place.0 > now {
                return Some(place.0);
            }
            queued.ready.as_ref()?;
            let held = self.held_us.get(usize::from(queued.due.target)).copied();
            let queued = self.queue.remove(&place)?;
            match (held.filter(|held| *held > now), queued.ready) {
                (Some(held), ready) => {
                    // An open loop's request is late; a closed loop sends when it may, and no target is slow for its wish.
                    let is_open = self.setup.pace.is_open();
                    let at_us = if is_open { queued.due.at_us } else { held };
                    let due = Due { at_us, ..queued.due };
                    self.queue.insert((held, place.1), Queued { due, ready });
                }
                (None, Some((recording, prepared))) => self.send(queued.due, recording, prepared),
                (None, None) => {}
            }
        }
    }

    fn send(&mut self, due: Due, recording: Arc<Recording>, prepared: Prepared) {
        let is_warmed = self.setup.cache == Cache::Warm && !self.is_warmup;
        let order = Order {
            job: due.job,
            target: due.target.into(),
            recording,
            body: prepared.body,
            warmup: self.is_warmup,
            intended_us: due.at_us,
            zero: self.zero.into_std(),
        };
        let (zero, deadline) = (self.zero, self.setup.limits.deadline);
        let crew = Arc::clone(&self.crew);
        let work = async move {
            Event::Sent(Box::new(
                deeds::send(&crew.transport, order, zero, deadline, is_warmed).await,
            ))
        };
        self.flying += 1;
        self.ledger.progress.sent += u64::from(!self.is_warmup);
        let sent_us = self.now_us();
        let handle = self.tasks.spawn(work);
        let doing = Doing::Send(due, prepared.key, sent_us);
        self.running.insert(handle.id(), Task { doing, handle });
    }

    /// Takes what a task gave, or what is left of one that did not come to its end.
    fn take(&mut self, done: Result<(Id, Event), JoinError>) -> io::Result<()> {
        let (id, event) = match done {
            Ok((id, event)) => (id, Ok(event)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(task) = self.running.remove(&id) else { return Ok(()) };
        match (task.doing, event) {
            (Doing::Load(place), Ok(Event::Loaded((recording, made)))) => {
                self.loaded(place, recording, made)
            }
            (Doing::Load(place), Err(error)) if error.is_panic() => {
                self.loaded(place, None, Err(fault("library_panicked", "reading it panicked")))
            }
            (Doing::Send(due, key, _), Ok(Event::Sent(sent))) => {
                self.flying -= 1;
                let Sent { at_us, warming, outcome } = *sent;
                if let Some(warming) = warming {
                    self.ledger.pay(&due, &warming);
                    let row = self.row(due.job, &warming);
                    self.sink.row(&Row { warmup: true, ..row })?;
                }
                self.arrived(Due { at_us, ..due }, key, outcome)
            }
            (Doing::Send(due, key, sent_us), Err(error)) if error.is_panic() => {
                self.flying -= 1;
                let fault = fault("transport_panicked", "sending it panicked");
                self.arrived(due, key, self.failed(&due, sent_us, fault))
            }
            (Doing::Send(due, ..), _) => {
                self.flying -= 1;
                self.ledger.release(&due);
                Ok(())
            }
            (Doing::Judge(_, answers), Ok(Event::Judged(rows)))
            | (Doing::Judge(rows, answers), Err(_)) => {
                self.judging -= 1;
                self.ledger.judged(answers);
                self.ledger.pay_judge(&rows);
                rows.iter().try_for_each(|row| self.sink.row(row))
            }
            (Doing::Load(_) | Doing::Judge(..), _) => Ok(()),
        }
    }

    fn loaded(
        &mut self,
        place: Place,
        recording: Option<Arc<Recording>>,
        made: Result<Prepared, Fault>,
    ) -> io::Result<()> {
        let Some(queued) = self.queue.get_mut(&place) else { return Ok(()) };
        let due = queued.due;
        if let Some(group) = self.groups.get_mut(&due.group).filter(|_| recording.is_some()) {
            group.recording.clone_from(&recording);
        }
        let fault = match (recording, made) {
            (Some(recording), Ok(prepared)) => {
                queued.ready = Some((recording, prepared));
                return Ok(());
            }
            (_, Err(fault)) => fault,
            (None, Ok(_)) => fault("not_recorded", "there is no recording of this number"),
        };
        self.queue.remove(&place);
        let outcome = self.failed(&due, self.now_us(), fault);
        self.arrived(due, None, outcome)
    }

    /// An outcome of something that never was an answer.
    fn failed(&self, due: &Due, sent_us: u64, fault: Fault) -> Outcome {
        Outcome {
            error: Some(fault),
            intended_us: due.at_us,
            sent_us,
            ended_us: self.now_us().max(sent_us),
            ..Outcome::default()
        }
    }

    /// An outcome is there: counts it, lets go on what waited for it, and judges its group when that is whole.
    fn arrived(&mut self, due: Due, key: Option<Key>, mut outcome: Outcome) -> io::Result<()> {
        outcome.intended_us = due.at_us;
        self.ledger.release(&due);
        self.ledger.pay(&due, &outcome);
        let now = self.now_us();
        if let Some(after) = outcome.retry_after_us.filter(|_| self.setup.polite) {
            let until = now + after.min(self.setup.limits.hold.as_micros() as u64);
            self.schedule.hold(due.target, until);
            if let Some(held) = self.held_us.get_mut(usize::from(due.target)) {
                *held = until.max(*held);
            }
        }
        if !self.is_warmup {
            self.threads.keep(&due, key, &outcome);
        }
        self.schedule.ended(&due, now);
        let row = self.row(due.job, &outcome);
        if self.is_warmup {
            self.groups.remove(&due.group);
            self.ledger.judged(1);
            return self.sink.row(&Row { warmup: true, ..row });
        }
        self.ledger.count(&outcome);
        let group = self.groups.entry(due.group).or_default();
        group.outcomes.push((row, outcome));
        if group.outcomes.len() == self.setup.targets.len()
            && let Some(group) = self.groups.remove(&due.group)
        {
            self.judge(group);
        }
        Ok(())
    }

    fn row(&self, job: Job, outcome: &Outcome) -> Row {
        let name = self.setup.names.get(job.pair as usize);
        let (of, session) = name.map_or(("", None), |(of, session)| (of, session.as_deref()));
        Row::begin(job, of, session, outcome)
    }

    /// Has rows made of a group. A judge that takes too long is not waited for: the rows are written as they are.
    fn judge(&mut self, mut group: Group) {
        if group.outcomes.is_empty() {
            return;
        }
        group.outcomes.sort_by_key(|(row, _)| row.target);
        let rows: Vec<Row> = group.outcomes.iter().map(|(row, _)| row.clone()).collect();
        let answers = rows.len();
        let (crew, plain) = (Arc::clone(&self.crew), rows.clone());
        let deadline = self.setup.limits.judging;
        let work = async move {
            let judged = tokio::time::timeout(deadline, crew.judge.judge(group)).await;
            Event::Judged(judged.unwrap_or(plain))
        };
        self.judging += 1;
        let handle = self.tasks.spawn(work);
        self.running.insert(handle.id(), Task { doing: Doing::Judge(rows, answers), handle });
    }

    /// Sends nothing more; what is in flight is given a little time.
    fn interrupt(&mut self) {
        self.ended = Ended::Interrupted;
        self.stopped_at = Some(Instant::now());
        self.pending = None;
        self.ask_us = None;
        for (_, queued) in std::mem::take(&mut self.queue) {
            self.ledger.release(&queued.due);
        }
    }

    /// Gives up what is in flight; groups that are being judged come to their end.
    fn abandon(&mut self) {
        self.abort_all_but_judges();
        self.stopped_at = Some(Instant::now() + self.setup.limits.deadline);
    }

    fn abort_all_but_judges(&self) {
        let is_judge = |task: &&Task| matches!(task.doing, Doing::Judge(..));
        for task in self.running.values().filter(|task| !is_judge(task)) {
            task.handle.abort();
        }
    }

    fn tell(&mut self, is_last: bool) -> Progress {
        let next = self.told.map(|told| told + TELL_EVERY).filter(|next| *next > Instant::now());
        if next.is_some() && !is_last {
            self.tell_at = next.filter(|_| !self.running.is_empty());
            return self.ledger.progress;
        }
        self.tell_at = None;
        self.told = Some(Instant::now());
        let progress = self.ledger.report(self.zero.elapsed(), self.flying, self.planned_end);
        self.watchers.send_replace(progress);
        progress
    }
}
