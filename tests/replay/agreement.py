"""What a replay reports, against a client of our own that measures the same scripted provider at the same time.

Both send the same bodies at the same rate, each to a simulator of its own with the same script: the simulator draws an answer's
times from seed and body, so that both wait for the same first tokens and the same gaps, and what differs is the measuring. Both
run at once, ahead of other programs where the system allows it, so that whatever the machine does happens to both.

A percentile may differ by 2 %, or by half a millisecond where that is more: it is what waking up costs either of them, and under
25 ms more than 2 %. A pause of the machine that hits one side and not the other moves a 99th percentile of 200 values; so it may
be tried three times. What is measured wrongly is wrong each time.
"""

import asyncio
import json
import subprocess
import tempfile

import rig

REQUESTS = 200
RATE = 10
SCRIPT = """
seed = 20261120
[default]
first_token = { uniform = ["200ms", "600ms"] }
cadence = { uniform = ["20ms", "60ms"] }
output_tokens = 30
text = "%s"
""" % ("Some twenty words are enough to keep a stream of single tokens going for as long as it is looked at here. " * 2)
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
METRICS = ("service_ttft", "service_e2e", "tpot", "gap_p50", "gap_p99", "gap_max")
SHARE, FLOOR = 0.02, 0.0005
TRIES = 3


def percentiles(answers):
    values = [answer.values() for answer in answers]
    return {
        metric: {name: rig.quantile([value[metric] for value in values], q) for name, q in PERCENTILES.items()}
        for metric in METRICS
    }


def differing(ours, theirs):
    """Percentiles that are further apart than they may be."""
    found = []
    for metric, of_metric in theirs.items():
        for name, measured in of_metric.items():
            reported = ours[metric][name]
            if abs(reported - measured) > max(SHARE * measured, FLOOR):
                found.append(f"{metric} {name}: reported {1e3 * reported:.2f} ms, measured {1e3 * measured:.2f} ms")
    return found


async def both(folder):
    bodies = [rig.question(n) for n in range(REQUESTS)]
    recordings = rig.har(f"{folder}/calls.har", bodies)
    with rig.simulator(folder, SCRIPT) as replayed, rig.simulator(folder, SCRIPT) as asked:
        config = rig.configuration(folder, replayed.port)
        command = [rig.PINHOLE, "replay", "--config", config, "--data-dir", f"{folder}/data", "--from", recordings]
        command += ["--to", "sim/m", "--rate", f"{RATE}/s", "--yes", "--json"]
        replay = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        answers, (out, talk) = await asyncio.gather(rig.load(asked.port, bodies, RATE), replay.communicate())
    assert replay.returncode == 0, talk.decode()
    target = next(target for target in json.loads(out)["targets"] if target["target"] == "sim/m")
    assert (target["n"], target["errors"], len(answers)) == (REQUESTS, 0, REQUESTS)
    return target["metrics"], percentiles(answers)


def table(ours, theirs):
    for metric, of_metric in theirs.items():
        pairs = (f"{name} {1e3 * ours[metric][name]:.2f} / {1e3 * at:.2f}" for name, at in of_metric.items())
        print(f"{metric} ms, reported / measured: {', '.join(pairs)}")


def test_percentiles_agree():
    apart = []
    for _ in range(TRIES):
        with tempfile.TemporaryDirectory() as folder, rig.first():
            ours, theirs = asyncio.run(both(folder))
        table(ours, theirs)
        apart.append(differing(ours, theirs))
        if not apart[-1]:
            break
    assert not apart[-1], apart

    # The cadence has the spread that makes two per cent mean something, and what is six per cent off is found.
    assert theirs["service_ttft"]["p99"] - theirs["service_ttft"]["p50"] > 0.1
    skewed = {metric: {name: 1.06 * at for name, at in of.items()} for metric, of in theirs.items()}
    assert len(differing(skewed, theirs)) == len(METRICS) * len(PERCENTILES)
