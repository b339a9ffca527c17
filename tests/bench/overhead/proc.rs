//! What processes use, from `/proc`: CPU time, memory, and what the rest of the machine took meanwhile.

use std::collections::BTreeMap;
use std::fs;

/// Ticks of `/proc/stat` and `/proc/PID/stat`: `USER_HZ`, 100 on every Linux this runs on.
const NS_PER_TICK: u64 = 10_000_000;
/// The finer account misses threads that have ended; past this much difference the coarse one is taken.
const ENDED_THREADS_NS: u64 = 30_000_000;

/// A process and its descendants as they are now.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in entries {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(parent) = stat_fields(id).get(1).and_then(|field| field.parse().ok()) {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(id) = found.get(next) {
        found.extend(children.remove(id).unwrap_or_default());
        next += 1;
    }
    found
}

/// CPU time of processes, in both of the kernel's accounts.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cpu {
    /// Whole ticks, ended threads included.
    ticks_ns: u64,
    /// To the nanosecond, living threads only.
    fine_ns: u64,
}

impl Cpu {
    pub(crate) fn of(processes: &[u32]) -> Self {
        let mut sum = Self::default();
        for &id in processes {
            let ticks: u64 = stat_fields(id)
                .get(11..13)
                .into_iter()
                .flatten()
                .filter_map(|field| field.parse::<u64>().ok())
                .sum();
            sum.ticks_ns += ticks * NS_PER_TICK;
            sum.fine_ns += fine_ns(id);
        }
        sum
    }

    /// Nanoseconds used since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> u64 {
        let ticks = self.ticks_ns.saturating_sub(earlier.ticks_ns);
        let fine = self.fine_ns.saturating_sub(earlier.fine_ns);
        if ticks > fine + ENDED_THREADS_NS { ticks } else { fine }
    }
}

/// The fields of `/proc/PID/stat` after the name: state, parent, …; the name may hold spaces and brackets.
fn stat_fields(id: u32) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    text.rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().map(str::to_owned).collect())
        .unwrap_or_default()
}

/// Whether a process is scheduled ahead of all ordinary ones (`SCHED_RR`).
pub(crate) fn is_round_robin(id: u32) -> bool {
    stat_fields(id).get(38).is_some_and(|policy| policy == "2")
}

/// Run time of every thread, from the scheduler.
fn fine_ns(id: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{id}/task"));
    threads
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum()
}

/// Resident memory now, in MiB.
pub(crate) fn resident_mib(processes: &[u32]) -> f64 {
    status_mib(processes, "VmRSS:")
}

/// The most resident memory ever, in MiB.
pub(crate) fn peak_mib(processes: &[u32]) -> f64 {
    status_mib(processes, "VmHWM:")
}

fn status_mib(processes: &[u32], field: &str) -> f64 {
    let kib: u64 = processes
        .iter()
        .filter_map(|id| fs::read_to_string(format!("/proc/{id}/status")).ok())
        .filter_map(|text| {
            let line = text.lines().find(|line| line.starts_with(field))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .sum();
    kib as f64 / 1024.0
}

/// What the whole machine has done since it started, in nanoseconds of all its cores.
#[derive(Clone, Copy, Default)]
pub(crate) struct Machine {
    pub(crate) busy: u64,
    pub(crate) stolen: u64,
    pub(crate) total: u64,
}

impl Machine {
    pub(crate) fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let ticks: Vec<u64> = text
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .filter_map(|field| field.parse().ok())
            .collect();
        // user nice system idle iowait irq softirq steal
        let sum = |places: &[usize]| places.iter().filter_map(|&at| ticks.get(at)).sum::<u64>();
        Self {
            busy: sum(&[0, 1, 2, 5, 6]) * NS_PER_TICK,
            stolen: sum(&[7]) * NS_PER_TICK,
            total: sum(&[0, 1, 2, 3, 4, 5, 6, 7]) * NS_PER_TICK,
        }
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            busy: self.busy.saturating_sub(earlier.busy),
            stolen: self.stolen.saturating_sub(earlier.stolen),
            total: self.total.saturating_sub(earlier.total).max(1),
        }
    }
}
