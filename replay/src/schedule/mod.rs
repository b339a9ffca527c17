//! Decides what is sent next and when, and sends nothing itself: time and what ended are told to it.
//!
//! ```text
//!  Outline (all recordings, in order) ──cursor──► lanes, one a target ──► Send(due)
//!                       answers that ended ──────►  (turns that waited for them)
//! ```
//!
//! A *group* is one recording in one repeat: all targets are sent it, in an order drawn from the seed, and the group after it
//! takes that order backwards, so that none of them is first more often. Only the lanes' heads are held: recordings that
//! are due, and turns for which nothing is waited any more. A group is *open* from its first sending to the last end, and no more
//! than a limit are.

mod outline;
mod slots;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

pub use outline::{Beat, Cue, Outline};
pub use slots::Slots;

use crate::dice::Dice;
use crate::pace::Pace;
use crate::row::Job;

/// What a schedule is made for.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub pace: Pace,
    pub targets: u16,
    pub repeats: u16,
    pub seed: u64,
    /// Answers are fed on, so that a turn waits for those before it at any pace.
    pub live: bool,
    /// Limit: open groups.
    pub groups_max: usize,
    /// Limit: requests in flight of a pace that sets none itself.
    pub in_flight_max: usize,
    /// Where the schedule begins, from the run's zero.
    pub begin_us: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pace: Pace::default(),
            targets: 1,
            repeats: 1,
            seed: 0,
            live: false,
            groups_max: 4096,
            in_flight_max: 4096,
            begin_us: 0,
        }
    }
}

/// A set of groups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups {
    words: Vec<u64>,
}

impl Groups {
    pub fn insert(&mut self, group: u64) {
        let word = (group / 64) as usize;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        if let Some(word) = self.words.get_mut(word) {
            *word |= 1 << (group % 64);
        }
    }

    pub fn contains(&self, group: u64) -> bool {
        self.words.get((group / 64) as usize).is_some_and(|word| word & (1 << (group % 64)) != 0)
    }

    pub fn len(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One request to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    pub job: Job,
    pub target: u16,
    pub group: u64,
    /// The recording's place in the outline.
    pub place: u32,
    pub session: Option<u32>,
    /// When, from the run's zero.
    pub at_us: u64,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Send(Due),
    /// Nothing before this instant.
    Later(u64),
    /// Nothing before something in flight has ended.
    Wait,
    /// Everything has been sent.
    Finished,
}

/// A request that may be sent: as soon as `key` is the smallest and `ready_us` is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// The due instant where the trace sets the pace, else nothing.
    key: u64,
    /// The place in the run.
    order: u64,
    group: u64,
    ready_us: u64,
}

type Lane = BinaryHeap<Reverse<Entry>>;

/// One target's side of one session in one repeat: session, target, repeat.
type Thread = (u32, u16, u16);

/// How far a thread is: what its turns wait for is a beginning of its answers in their recorded order.
#[derive(Debug, Default)]
struct Gone {
    /// So many have ended, without a gap.
    passed: usize,
    /// Ended beyond the first that has not.
    ahead: BTreeSet<u32>,
    /// The first of those that wait.
    waiting: usize,
}

/// See the module.
pub struct Schedule {
    outline: Arc<Outline>,
    settings: Settings,
    skip: Groups,
    slots: Option<std::iter::Peekable<Slots>>,
    lanes: Vec<Lane>,
    held_us: Vec<u64>,
    /// Requests that would open a group too many.
    blocked: Vec<(usize, Entry)>,
    /// Open groups, and how many of their requests have not ended.
    open: HashMap<u64, u16>,
    /// Threads of which something has ended, and not all.
    threads: HashMap<Thread, Gone>,
    cursor: u64,
    unsent: u64,
    /// Of the first group that is sent, on the recorded time line.
    origin_us: u64,
}

impl Schedule {
    /// `skip`: groups that an earlier part of the run has finished.
    pub fn new(outline: Arc<Outline>, settings: Settings, skip: Groups) -> Self {
        let targets = settings.targets.max(1);
        let total = outline.len() as u64 * u64::from(settings.repeats);
        let left = (0..total).filter(|group| !skip.contains(*group)).count() as u64;
        let unsent = left * u64::from(targets);
        let slots = Slots::of(settings.pace, unsent, settings.seed).map(Iterator::peekable);
        let mut schedule = Self {
            outline,
            skip,
            slots,
            lanes: vec![Lane::new(); targets.into()],
            held_us: vec![0; targets.into()],
            blocked: Vec::new(),
            open: HashMap::new(),
            threads: HashMap::new(),
            cursor: 0,
            unsent,
            origin_us: 0,
            settings: Settings { targets, ..settings },
        };
        schedule.origin_us = (0..total)
            .find(|group| !schedule.skip.contains(*group))
            .map_or(0, |first| schedule.recorded_us(first));
        schedule
    }

    /// Requests that have not been sent.
    pub fn unsent(&self) -> u64 {
        self.unsent
    }

    /// Groups that are open.
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// How long the sending takes at least, where the pace says so.
    pub fn planned_us(&self) -> Option<u64> {
        match self.settings.pace {
            Pace::Recorded { .. } => {
                let total = self.total().checked_sub(1)?;
                Some(self.recorded_us(total).saturating_sub(self.origin_us))
            }
            Pace::Rate { .. } | Pace::Ramp { .. } => {
                let slots = Slots::of(self.settings.pace, self.unsent, self.settings.seed)?;
                slots.take(self.unsent as usize).last().map(|at| at.as_micros() as u64)
            }
            Pace::Closed { .. } | Pace::OneByOne => None,
        }
    }

    /// What to do at `now_us`, with so many in flight. Asked until the answer is none to send.
    pub fn next(&mut self, now_us: u64, in_flight: usize) -> Next {
        if self.unsent == 0 {
            return Next::Finished;
        }
        let own = self.settings.pace.in_flight().map(|limit| limit as usize);
        if in_flight >= own.unwrap_or(self.settings.in_flight_max) {
            return Next::Wait;
        }
        loop {
            self.pull(now_us);
            let Some((lane, entry)) = self.best(now_us) else {
                return self.earliest_release(now_us).map_or(Next::Wait, Next::Later);
            };
            let at_us = self.due_us(entry, now_us);
            if at_us > now_us {
                let release = self.earliest_release(now_us).unwrap_or(at_us);
                return Next::Later(at_us.min(release));
            }
            if let Some(lane) = self.lanes.get_mut(lane) {
                lane.pop();
            }
            let is_new = !self.open.contains_key(&entry.group);
            if is_new && self.open.len() >= self.settings.groups_max.max(1) {
                self.blocked.push((lane, entry));
                continue;
            }
            self.open.entry(entry.group).or_insert(self.settings.targets);
            self.unsent -= 1;
            if let Some(slots) = &mut self.slots {
                slots.next();
            }
            return Next::Send(self.due(lane, entry.group, at_us));
        }
    }

    /// A request has ended: turns that waited for it are due, and its group may be closed.
    pub fn ended(&mut self, due: &Due, ended_us: u64) {
        if let Some(left) = self.open.get_mut(&due.group) {
            *left -= 1;
            if *left == 0 {
                self.open.remove(&due.group);
                for (lane, entry) in std::mem::take(&mut self.blocked) {
                    self.push(lane, entry);
                }
            }
        }
        if !self.is_chained() {
            return;
        }
        for place in self.released(due) {
            let group = self.group(due.job.repeat, place);
            let think_us = self.outline.get(place).map_or(0, |cue| cue.think_us);
            let think_us = match self.settings.pace {
                Pace::Recorded { speed } => at_speed(think_us, speed),
                _ => 0,
            };
            self.offer(due.target.into(), group, ended_us + think_us);
        }
    }

    /// The turns of the session that waited for this answer, and wait for nothing more.
    fn released(&mut self, due: &Due) -> Vec<u32> {
        let outline = Arc::clone(&self.outline);
        let repeat = due.job.repeat;
        let Some(number) = due.session else { return Vec::new() };
        let Some(session) = outline.session(number) else { return Vec::new() };
        let thread = (number, due.target, repeat);
        let waits = |place: u32| outline.get(place).map_or(0, |cue| cue.waits as usize);
        let mut gone = self.threads.remove(&thread).unwrap_or_else(|| {
            // What an earlier part of the run has finished was waited for by nobody: the cursor takes those turns.
            let is_done = |place: &&u32| self.skip.contains(self.group(repeat, **place));
            let passed = session.ends.iter().take_while(is_done).count();
            let waiting = session.waiting.iter().take_while(|place| waits(**place) <= passed);
            Gone { passed, waiting: waiting.count(), ..Gone::default() }
        });
        gone.ahead.extend(outline.get(due.place).map(|cue| cue.rank));
        while let Some(place) = session.ends.get(gone.passed) {
            let is_ahead = u32::try_from(gone.passed).is_ok_and(|rank| gone.ahead.remove(&rank));
            if !is_ahead && !self.skip.contains(self.group(repeat, *place)) {
                break;
            }
            gone.passed += 1;
        }
        let waiting = session.waiting.get(gone.waiting..).unwrap_or_default();
        let free = waiting.iter().take_while(|place| waits(**place) <= gone.passed);
        let free: Vec<u32> = free.copied().collect();
        gone.waiting += free.len();
        if gone.passed < session.ends.len() {
            self.threads.insert(thread, gone);
        }
        let is_left = |place: &u32| !self.skip.contains(self.group(repeat, *place));
        free.into_iter().filter(is_left).collect()
    }

    /// Nothing is sent to this target before that instant.
    pub fn hold(&mut self, target: u16, until_us: u64) {
        if let Some(held) = self.held_us.get_mut(usize::from(target)) {
            *held = until_us.max(*held);
        }
    }

    fn total(&self) -> u64 {
        self.outline.len() as u64 * u64::from(self.settings.repeats)
    }

    fn group(&self, repeat: u16, place: u32) -> u64 {
        u64::from(repeat) * self.outline.len() as u64 + u64::from(place)
    }

    fn split(&self, group: u64) -> (u16, u32) {
        let length = (self.outline.len() as u64).max(1);
        ((group / length) as u16, (group % length) as u32)
    }

    /// Whether a turn waits for the answers before it. A rate is kept whatever is in flight, unless answers are fed on.
    fn is_chained(&self) -> bool {
        self.slots.is_none() || self.settings.live
    }

    /// Whether nothing has to end before this group is sent.
    fn is_root(&self, group: u64) -> bool {
        let (repeat, place) = self.split(group);
        let before = self.outline.before(place);
        // The last is the likeliest to be missing.
        !self.is_chained()
            || before.iter().rev().all(|before| self.skip.contains(self.group(repeat, *before)))
    }

    /// A group's place on the recorded time line, repeats after one another.
    fn recorded_us(&self, group: u64) -> u64 {
        let Pace::Recorded { speed } = self.settings.pace else { return 0 };
        let (repeat, place) = self.split(group);
        let span = self.outline.span_us();
        let mean_gap = span / (self.outline.len() as u64).saturating_sub(1).max(1);
        let start = self.outline.get(place).map_or(0, |cue| cue.start_us);
        at_speed(u64::from(repeat) * (span + mean_gap) + start, speed)
    }

    fn trace_us(&self, group: u64) -> u64 {
        self.settings.begin_us + self.recorded_us(group).saturating_sub(self.origin_us)
    }

    /// Moves the cursor on as long as what it stands at comes before everything in the lanes.
    fn pull(&mut self, now_us: u64) {
        while self.cursor < self.total() && self.blocked.is_empty() {
            let group = self.cursor;
            if !self.skip.contains(group) && self.is_root(group) {
                let key =
                    (self.key(self.trace_us(group)), group * u64::from(self.settings.targets));
                let comes_later = |(_, best): (usize, Entry)| (best.key, best.order) < key;
                if self.best(now_us).is_some_and(comes_later) {
                    return;
                }
                let ready_us = self.trace_us(group);
                for target in 0..self.lanes.len() {
                    self.offer(target, group, ready_us);
                }
            }
            self.cursor += 1;
        }
    }

    fn key(&self, ready_us: u64) -> u64 {
        if matches!(self.settings.pace, Pace::Recorded { .. }) { ready_us } else { 0 }
    }

    fn offer(&mut self, target: usize, group: u64, ready_us: u64) {
        let place = self.place_in_group(group, target);
        let order = group * u64::from(self.settings.targets) + place;
        self.push(target, Entry { key: self.key(ready_us), order, group, ready_us });
    }

    fn push(&mut self, lane: usize, entry: Entry) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.push(Reverse(entry));
        }
    }

    /// Where a target stands in the group's order. Drawn from the group's number, so that a resumed run has the same.
    fn place_in_group(&self, group: u64, target: usize) -> u64 {
        let count = self.lanes.len();
        let mut order: Vec<usize> = (0..count).collect();
        let mut dice = Dice::of(self.settings.seed.wrapping_add(group / 2), "order");
        dice.shuffle(&mut order);
        let place = order.iter().position(|other| *other == target).unwrap_or(target);
        (if group.is_multiple_of(2) { place } else { count - 1 - place }) as u64
    }

    /// The first entry of all lanes that are not held.
    fn best(&self, now_us: u64) -> Option<(usize, Entry)> {
        self.lanes
            .iter()
            .zip(&self.held_us)
            .enumerate()
            .filter(|(_, (_, held))| **held <= now_us)
            .filter_map(|(lane, (entries, _))| entries.peek().map(|entry| (lane, entry.0)))
            .min_by_key(|(_, entry)| (entry.key, entry.order))
    }

    /// When the first held lane that has anything to send is free again.
    fn earliest_release(&self, now_us: u64) -> Option<u64> {
        self.lanes
            .iter()
            .zip(&self.held_us)
            .filter(|(lane, held)| **held > now_us && !lane.is_empty())
            .map(|(_, held)| *held)
            .min()
    }

    fn due_us(&mut self, entry: Entry, now_us: u64) -> u64 {
        match &mut self.slots {
            Some(slots) => {
                let slot = slots.peek().map_or(0, |at| at.as_micros() as u64);
                (self.settings.begin_us + slot).max(entry.ready_us)
            }
            None if self.settings.pace.is_open() => entry.ready_us,
            None => entry.ready_us.max(now_us),
        }
    }

    fn due(&self, target: usize, group: u64, at_us: u64) -> Due {
        let (repeat, place) = self.split(group);
        let cue = self.outline.get(place);
        let target = target as u16;
        Due {
            job: Job { pair: cue.map_or(0, |cue| cue.pair), target: Some(target), repeat },
            target,
            group,
            place,
            session: cue.and_then(Cue::session),
            at_us,
        }
    }
}

/// A recorded time at another speed; far in the future where that is none.
fn at_speed(us: u64, speed: f64) -> u64 {
    let scaled = Duration::try_from_secs_f64(us as f64 / 1e6 / speed);
    scaled.map_or(u64::from(u32::MAX) * 1_000_000, |time| time.as_micros() as u64)
}

#[cfg(test)]
mod tests;
