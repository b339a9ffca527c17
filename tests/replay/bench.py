"""What a replay costs: how late it sends at 200 requests/s, its CPU time a request beyond that of the gateway alone, and whether
its memory grows with what is sent.

    PINHOLE_BIN=target/release/pinhole python3 -B tests/replay/bench.py            # about five minutes
    PINHOLE_BIN=target/release/pinhole python3 -B tests/replay/bench.py lag cpu memory

Linux, Python 3.11, no packages. Goals are what the project wants, guards what it has, with room for a noisy machine: it ends with
a failure past a guard, and says which goals are missed. Method and results: docs/performance.md, section Replay.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rig

RATE = 200
MANY, FEW = 6_000, 1_000
ROUNDS = 3
LAG_GOAL_MS, CPU_GOAL_US, GROWTH_GOAL_BYTES = 5, 100, 1_000
LAG_GUARD_MS, CPU_GUARD_US, GROWTH_GUARD_BYTES = 10, 300, 12_000
EXCHANGES = 1_000, 10_000
QUICK = 'seed = 1\n[default]\noutput_tokens = 6\ntext = "All is well with it."\n'
CAPTURE = '[capture]\nlevel = "full"\n'


def cpu_s(process):
    """User and system time of a process that is to end now, the kernel's sum over all its threads."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime


def replaying(folder, port, source, *arguments):
    config = rig.configuration(folder, port, CAPTURE)
    command = [rig.PINHOLE, "replay", "--config", config, "--data-dir", f"{folder}/data", "--from", source, "--to", "sim/m"]
    command += [*arguments, "--yes", "--report", f"{folder}/report.json"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finished(process, folder, n):
    assert process.returncode == 0, process.stderr.read()
    report = json.loads(Path(folder, "report.json").read_text())
    target = next(target for target in report["targets"] if target["target"] == "sim/m")
    assert (target["n"], target["errors"]) == (n, 0), target["errors_by_kind"]
    return report


def replay(n):
    """CPU seconds and the schedule of a replay of n requests at the rate."""
    with tempfile.TemporaryDirectory() as folder, rig.simulator(folder, QUICK) as simulator:
        source = rig.har(f"{folder}/calls.har", [rig.question(i, 2_000) for i in range(n)])
        process = replaying(folder, simulator.port, source, "--rate", f"{RATE}/s")
        used = cpu_s(process)
        return used, finished(process, folder, n)["schedule"]


def gateway(n):
    """CPU seconds of `serve` that was asked the same from outside, and captures the same."""
    with tempfile.TemporaryDirectory() as folder, rig.simulator(folder, QUICK) as simulator:
        config = rig.configuration(folder, simulator.port, CAPTURE)
        serving = rig.Program("serve", "--config", config, "--data-dir", f"{folder}/data")
        asyncio.run(rig.load(serving.port, [rig.question(i, 2_000) for i in range(n)], RATE))
        serving.process.terminate()
        serving.process.stdout.read()
        return cpu_s(serving.process)


def spread(values, digits=0):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def own_cpu_s(process):
    """CPU seconds of the threads that only a run has, as they last stood before each ended; looked at fifty times a second."""
    seen = {}
    tick = os.sysconf("SC_CLK_TCK")
    while process.poll() is None:
        for task in Path(f"/proc/{process.pid}/task").glob("*"):
            try:
                name, fields = (task / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
            except (OSError, IndexError):
                continue
            if name in ("pinhole-replay", "replay-pacer"):
                fields = fields.split()
                seen[task.name] = (int(fields[11]) + int(fields[12])) / tick
        time.sleep(0.02)
    return sum(seen.values())


def busy():
    """A closed loop keeps the cores busy: what a request costs where no core has to be woken for it."""
    n = EXCHANGES[1]
    found = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder, rig.simulator(folder, QUICK) as simulator:
            source = rig.har(f"{folder}/calls.har", [rig.question(i, 2_000) for i in range(n)])
            process = replaying(folder, simulator.port, source, "--concurrency", "16")
            used = own_cpu_s(process)
            process.wait()
            finished(process, folder, n)
            found.append(1e6 * used / n)
    print(f"CPU a request of the run's own threads, 16 in flight: {spread(found)} µs (goal < {CPU_GOAL_US}, guard {CPU_GUARD_US})")
    return min(found) < CPU_GUARD_US


def lag_and_cpu():
    """Starting, reading what is sent, and ending are in both runs of a program; between 1,000 and 6,000 they cancel out."""
    lags, ours, alone, beyond = [], [], [], []
    for _ in range(ROUNDS):
        (few, _), (many, schedule) = replay(FEW), replay(MANY)
        ours.append(1e6 * (many - few) / (MANY - FEW))
        alone.append(1e6 * (gateway(MANY) - gateway(FEW)) / (MANY - FEW))
        beyond.append(ours[-1] - alone[-1])
        lags.append(schedule)
        print(f"  round: {schedule}, replay {ours[-1]:.0f} µs/request, gateway {alone[-1]:.0f}", flush=True)
    p99 = [schedule["lag_p99_us"] / 1e3 for schedule in lags]
    p50 = [schedule["lag_p50_us"] / 1e3 for schedule in lags]
    print(f"lag at {RATE}/s, {MANY} requests: p50 {spread(p50, 2)} ms, p99 {spread(p99, 2)} ms (goal p99 < {LAG_GOAL_MS} ms)")
    print(f"CPU a request: replay {spread(ours)} µs, gateway alone {spread(alone)} µs, beyond it {spread(beyond)} µs")
    return min(p99) < LAG_GUARD_MS


def peak(process):
    """`VmHWM` in bytes as it last stood before the process ended, looked at a hundred times a second."""
    seen = 0
    while process.poll() is None:
        try:
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        except OSError:
            break
        seen = next((1_024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), seen)
        time.sleep(0.01)
    process.wait()
    return seen


def bundle(folder, n):
    """The recordings as a bundle, made by the program of a HAR file."""
    source = rig.har(f"{folder}/calls.har", [rig.question(i, 4_000) for i in range(n)])
    at = ["--data-dir", f"{folder}/kept"]
    path = f"{folder}/calls.bundle"
    for command in (["import", source], ["export", "-o", path]):
        subprocess.run([rig.PINHOLE, "captures", *command, *at], check=True, capture_output=True)
    return path


def memory():
    peaks, pages = [], []
    for n in EXCHANGES:
        with tempfile.TemporaryDirectory() as folder, rig.simulator(folder, QUICK) as simulator:
            page = Path(folder, "report.html")
            process = replaying(folder, simulator.port, bundle(folder, n), "--concurrency", "16", "--report", page)
            peaks.append(peak(process))
            finished(process, folder, n)
            pages.append(page.stat().st_size)
            print(f"{n} exchanges: peak {peaks[-1] / 2**20:.1f} MiB, HTML report {pages[-1] / 1e3:.0f} kB", flush=True)
    grown = (peaks[1] - peaks[0]) / (EXCHANGES[1] - EXCHANGES[0])
    print(f"memory grows by {grown:.0f} bytes an exchange, each with a request of 4 kB (goal < {GROWTH_GOAL_BYTES})")
    return grown < GROWTH_GUARD_BYTES


def main():
    chosen = sys.argv[1:] or ["lag", "cpu", "memory"]
    good = True
    with rig.first() as ahead:
        print(f"ahead of other programs: {'yes' if ahead else 'no'}")
        if "lag" in chosen:
            good &= lag_and_cpu()
        if "cpu" in chosen:
            good &= busy()
        if "memory" in chosen:
            good &= memory()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
