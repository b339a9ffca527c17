//! A whole run: rounds, each contender started afresh in each, the same loads for all, and the figures taken.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::clock::now_ns;
use crate::contender::{self, Contender, Running, Setting};
use crate::goals::FOREIGN_PCT_MAX;
use crate::load::{self, LOADS, Load, Tally, WARM_UP, crowd};
use crate::options::Options;
use crate::place::{self, Placement, Process};
use crate::proc::{self, Cpu, Machine};
use crate::report::{self, Findings};
use crate::roles::on_one_thread;
use crate::sheet::share;
use crate::store;

const TRIES: usize = 3;
/// After the start, before memory is called idle; and after ten thousand streams, before it is read.
const SETTLE: Duration = Duration::from_millis(500);
/// Before each load: a load that fills a core leaves others starved, and what they catch up on is not this load's doing.
const REST: Duration = Duration::from_millis(200);
/// Beyond a load's own time.
const OVERTIME_S: f64 = 20.0;
/// Descriptors that are not streams.
const SPARE_DESCRIPTORS: u64 = 256;

/// What stays the same for all contenders.
struct Rig {
    placement: Placement,
    mock: Process,
    mock_port: u16,
    time_share: f64,
    tries: usize,
    descriptors: u64,
    /// Which loads; none named: all.
    loads: Vec<String>,
}

pub(crate) fn whole(options: &Options) -> Result<()> {
    let contenders = Contender::all(options);
    ensure!(!contenders.is_empty(), "--only leaves nobody to measure");
    let placement = match options.pin.as_str() {
        "none" => Placement::none(),
        _ => Placement::cores(),
    };
    let descriptors = place::raise_descriptors();
    if options.first {
        place::go_first()?;
    }
    place::bind(placement.others)?;
    let work = tempfile::tempdir()?;
    let mock_port = contender::free_port()?;
    let mut rig = Rig {
        placement,
        mock: contender::start_mock(work.path(), placement, mock_port)?,
        mock_port,
        time_share: options.time_share(),
        tries: if options.first { 1 } else { TRIES },
        descriptors,
        loads: options.loads.clone(),
    };
    let findings = on_one_thread(measure(&mut rig, options, &contenders, work.path()))?;
    let text = report::markdown(&findings);
    println!("{text}");
    if let Some(file) = &options.json {
        let json = serde_json::to_string_pretty(&report::json(&findings))?;
        std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if options.write_docs {
        report::write_docs(&text)?;
    }
    ensure!(!findings.has_failures(), "a contender failed; see above");
    Ok(())
}

async fn measure(
    rig: &mut Rig,
    options: &Options,
    contenders: &[Contender],
    work: &Path,
) -> Result<Findings> {
    let address = (std::net::Ipv4Addr::LOCALHOST, rig.mock_port).into();
    contender::ready(&mut rig.mock, address, &work.join("mock.log")).await?;
    let mut findings = Findings::new(options, contenders);
    let rounds = options.round_count();
    for round in 0..rounds {
        let mut order: Vec<&Contender> = contenders.iter().collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for contender in order {
            eprintln!("round {}/{rounds}: {}", round + 1, contender.name);
            if let Err(error) = rig.one(round, contender, work, &mut findings).await {
                findings.failed(&contender.name, &error);
            }
        }
    }
    for contender in contenders.iter().filter(|one| one.is_gateway()) {
        eprintln!("memory: {}", contender.name);
        if let Err(error) = rig.crowds(contender, options, work, &mut findings).await {
            findings.failed(&contender.name, &error);
        }
    }
    Ok(findings)
}

impl Rig {
    /// One contender in one round.
    async fn one(
        &self,
        round: usize,
        contender: &Contender,
        work: &Path,
        findings: &mut Findings,
    ) -> Result<()> {
        let mut running = self.start(contender, work, Setting::AsShipped).await?;
        tokio::time::sleep(SETTLE).await;
        let idle_mib = proc::resident_mib(&running.processes);
        load::drive(WARM_UP.shape, running.address, WARM_UP.seconds).await?;
        for load in LOADS.iter().filter(|load| has_load(&self.loads, load.name)) {
            let (tally, usage) = self.quietest(load, &mut running).await?;
            findings.fault(&contender.name, load.name, &tally);
            let gateway_ns = contender.is_gateway().then_some(usage.gateway_ns);
            let mut figures = tally.figures(gateway_ns);
            if let Some(shed) = usage.shed {
                figures.push(("shed", shed));
            }
            figures.push(("foreign_pct", usage.foreign_pct));
            figures.push(("stolen_pct", usage.stolen_pct));
            findings.sheet.put(round, &contender.name, load.name, &figures);
        }
        if contender.is_gateway() {
            let figures = [
                ("start_ms", running.start_ms),
                ("idle_mib", idle_mib),
                ("peak_mib", proc::peak_mib(&running.processes)),
            ];
            findings.sheet.put(round, &contender.name, "process", &figures);
        }
        Ok(())
    }

    async fn start(&self, contender: &Contender, work: &Path, setting: Setting) -> Result<Running> {
        let folder = tempfile::tempdir_in(work)?.keep();
        contender
            .start(&folder, self.placement, self.mock_port, setting)
            .await
            .context("did not start")
    }

    /// The load, done again while other programs take too much of the machine; the quietest try counts.
    async fn quietest(&self, load: &Load, running: &mut Running) -> Result<(Tally, Usage)> {
        let mut best: Option<(Tally, Usage)> = None;
        for _ in 0..self.tries {
            let (tally, usage) = self.metered(load, running).await?;
            let quiet = usage.foreign_pct <= FOREIGN_PCT_MAX;
            if best.as_ref().is_none_or(|(_, held)| usage.foreign_pct < held.foreign_pct) {
                best = Some((tally, usage));
            }
            if quiet {
                break;
            }
            eprintln!("  {}: other programs took over {FOREIGN_PCT_MAX} %", load.name);
        }
        best.context("no try was made")
    }

    async fn metered(&self, load: &Load, running: &mut Running) -> Result<(Tally, Usage)> {
        let own = [self.mock.id(), std::process::id()];
        let seconds = load.seconds * self.time_share;
        tokio::time::sleep(REST).await;
        let machine = Machine::now();
        let shed = store::shed(running.ops).await;
        let before = (Cpu::of(&running.processes), Cpu::of(&own), now_ns());
        let limit = Duration::from_secs_f64(seconds + OVERTIME_S);
        let drive = load::drive(load.shape, running.address, seconds);
        let tally = tokio::time::timeout(limit, drive)
            .await
            .with_context(|| format!("{} came to no end", load.name))??;
        // What it owes its store is part of what the load costs.
        store::drained(running.ops).await;
        let gateway_ns = Cpu::of(&running.processes).since(before.0);
        let own_ns = Cpu::of(&own).since(before.1);
        let machine = Machine::now().since(machine);
        ensure!(!running.has_ended(), "died during {}", load.name);
        let foreign_ns = machine.busy.saturating_sub(gateway_ns + own_ns);
        let part = |ns: u64| 100.0 * share(ns as f64, machine.total as f64);
        let shed = store::shed(running.ops).await.zip(shed).map(|(after, before)| after - before);
        let (foreign_pct, stolen_pct) = (part(foreign_ns), part(machine.stolen));
        let usage = Usage { gateway_ns, foreign_pct, stolen_pct, shed };
        Ok((tally, usage))
    }

    /// The memory figures, each on a fresh process.
    async fn crowds(
        &self,
        contender: &Contender,
        options: &Options,
        work: &Path,
        findings: &mut Findings,
    ) -> Result<()> {
        // A gateway holds two descriptors for a stream; the client and the mock one each.
        let room = self.descriptors.saturating_sub(SPARE_DESCRIPTORS) / 2;
        let streams = options.idle_streams.min(room as usize);
        if streams > 0 {
            let running = self.start(contender, work, Setting::ManyStreams).await?;
            let idle_mib = proc::resident_mib(&running.processes);
            let idle = crowd::idle_streams(running.address, streams).await?;
            tokio::time::sleep(SETTLE).await;
            let mib = proc::resident_mib(&running.processes);
            let open = idle.connections.len() as f64;
            let scaled = idle_mib + share((mib - idle_mib) * 10_000.0, open);
            let mut figures = vec![("open", open), ("failed", idle.failed as f64), ("mib", mib)];
            if open > 0.0 {
                figures.push(("mib_per_10000", scaled));
            }
            findings.sheet.put(0, &contender.name, "idle-streams", &figures);
            if let Some(fault) = idle.fault {
                findings.note(format!("{}, idle streams: {fault}", contender.name));
            }
        }
        if options.concurrent_bodies > 0 {
            let running = self.start(contender, work, Setting::AsShipped).await?;
            let outcomes = crowd::long_prompts(running.address, options.concurrent_bodies).await?;
            let good = outcomes.get("200").copied().unwrap_or_default() as f64;
            let all = outcomes.values().sum::<u64>() as f64;
            let figures = [
                ("peak_mib", proc::peak_mib(&running.processes)),
                ("good", good),
                ("other", all - good),
            ];
            findings.sheet.put(0, &contender.name, "bodies", &figures);
            let words: Vec<String> =
                outcomes.iter().map(|(outcome, count)| format!("{count} × {outcome}")).collect();
            findings.note(format!(
                "{}, {} prompts of 1 MiB at once: {}",
                contender.name,
                options.concurrent_bodies,
                words.join(", ")
            ));
        }
        Ok(())
    }
}

/// What a load took.
struct Usage {
    gateway_ns: u64,
    foreign_pct: f64,
    stolen_pct: f64,
    /// Exchanges that were not stored whole.
    shed: Option<f64>,
}

fn has_load(chosen: &[String], name: &str) -> bool {
    chosen.is_empty() || chosen.iter().any(|one| one == name)
}
