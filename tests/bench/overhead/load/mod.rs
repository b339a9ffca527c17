//! The loads: what is sent, and what came of it. Each is bounded in time and leaves its judgement until after.

pub(crate) mod closed;
pub(crate) mod crowd;
pub(crate) mod open;
pub(crate) mod stream;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;

use crate::clock::now_ns;
use crate::sheet::{percentile_us, share};
use crate::wire::Plan;

const KIB: usize = 1024;

/// One load as a row of data.
pub(crate) struct Load {
    /// Its key in the results.
    pub(crate) name: &'static str,
    pub(crate) seconds: f64,
    pub(crate) shape: Shape,
}

#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// So many connections, each sending its next request when the last was answered.
    Closed { connections: usize, body_bytes: usize, answer_bytes: usize },
    /// So many requests a second, whatever comes back.
    Open { rate: u64, body_bytes: usize },
    /// So many streams at a time, started over and over.
    Streams { streams: usize, frames: usize, gap_us: u64 },
}

pub(crate) const WARM_UP: Load = Load {
    name: "warm-up",
    seconds: 0.5,
    shape: Shape::Closed { connections: 16, body_bytes: 2 * KIB, answer_bytes: 512 },
};

pub(crate) const LOADS: [Load; 8] = [
    Load {
        name: "one",
        seconds: 2.5,
        shape: Shape::Closed { connections: 1, body_bytes: 2 * KIB, answer_bytes: 512 },
    },
    Load {
        name: "closed64",
        seconds: 3.0,
        shape: Shape::Closed { connections: 64, body_bytes: 2 * KIB, answer_bytes: 512 },
    },
    Load { name: "open1000", seconds: 4.0, shape: Shape::Open { rate: 1000, body_bytes: 2 * KIB } },
    Load {
        name: "large",
        seconds: 2.5,
        shape: Shape::Closed { connections: 1, body_bytes: 256 * KIB, answer_bytes: 4096 },
    },
    Load {
        name: "large16",
        seconds: 2.5,
        shape: Shape::Closed { connections: 16, body_bytes: 256 * KIB, answer_bytes: 4096 },
    },
    Load { name: "open5000", seconds: 4.0, shape: Shape::Open { rate: 5000, body_bytes: 2 * KIB } },
    Load {
        name: "paced20",
        seconds: 4.0,
        shape: Shape::Streams { streams: 20, frames: 50, gap_us: 20_000 },
    },
    Load {
        name: "unpaced64",
        seconds: 2.5,
        shape: Shape::Streams { streams: 64, frames: 100, gap_us: 0 },
    },
];

/// What came of one load.
#[derive(Default)]
pub(crate) struct Tally {
    /// From the instant a request was due to the end of its answer.
    pub(crate) latencies_ns: Vec<u64>,
    /// From sending to the first frame, of streams.
    pub(crate) first_ns: Vec<u64>,
    /// From the mock's write to the client's read, of every frame.
    pub(crate) delays_ns: Vec<u64>,
    /// Answers that were not 200, and requests that got none.
    pub(crate) failed: u64,
    /// Answers that were not, byte for byte, what the mock sent.
    pub(crate) altered: u64,
    /// The first thing that went wrong, for the reader.
    pub(crate) fault: Option<String>,
    pub(crate) wall_ns: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, mut other: Self) {
        self.latencies_ns.append(&mut other.latencies_ns);
        self.first_ns.append(&mut other.first_ns);
        self.delays_ns.append(&mut other.delays_ns);
        self.failed += other.failed;
        self.altered += other.altered;
        self.fault = self.fault.take().or(other.fault);
    }

    pub(crate) fn fail(&mut self, fault: impl FnOnce() -> String) {
        self.failed += 1;
        self.fault.get_or_insert_with(fault);
    }

    /// The figures of this load; `gateway_ns` is the CPU time the gateway used for it, where there is one.
    pub(crate) fn figures(mut self, gateway_ns: Option<u64>) -> Vec<(&'static str, f64)> {
        let requests = self.latencies_ns.len() as f64;
        let frames = self.delays_ns.len() as f64;
        let seconds = self.wall_ns as f64 / 1e9;
        let mut figures = vec![
            ("requests", requests),
            ("failed", self.failed as f64),
            ("altered", self.altered as f64),
            ("per_s", share(requests, seconds)),
        ];
        for (names, values) in [
            (["p50", "p99", "p999"], &mut self.latencies_ns),
            (["first_p50", "first_p99", "first_p999"], &mut self.first_ns),
            (["delay_p50", "delay_p99", "delay_p999"], &mut self.delays_ns),
        ] {
            values.sort_unstable();
            let parts = names.into_iter().zip([0.5, 0.99, 0.999]);
            figures.extend(
                parts.filter_map(|(name, part)| Some((name, percentile_us(values, part)?))),
            );
        }
        if frames > 0.0 {
            figures.push(("frames", frames));
            figures.push(("frames_per_s", share(frames, seconds)));
        }
        if let Some(ns) = gateway_ns {
            let cpu_us = ns as f64 / 1e3;
            figures.push(("cpu_us", share(cpu_us, requests)));
            figures.push(("core_pct", share(cpu_us, seconds * 1e4)));
            if frames > 0.0 {
                figures.push(("cpu_us_frame", share(cpu_us, frames)));
            }
        }
        figures
    }
}

/// Drives one load against `address` for `seconds`.
pub(crate) async fn drive(shape: Shape, address: SocketAddr, seconds: f64) -> Result<Tally> {
    let start = now_ns();
    let until = start + Duration::from_secs_f64(seconds).as_nanos() as u64;
    let mut tally = match shape {
        Shape::Closed { connections, body_bytes, answer_bytes } => {
            let plan = Plan::answer(answer_bytes);
            closed::drive(address, connections, plan, body_bytes, until).await?
        }
        Shape::Open { rate, body_bytes } => open::drive(address, rate, body_bytes, until).await?,
        Shape::Streams { streams, frames, gap_us } => {
            stream::drive(address, streams, Plan::stream(frames, gap_us), until).await?
        }
    };
    if tally.wall_ns == 0 {
        tally.wall_ns = now_ns() - start;
    }
    Ok(tally)
}
