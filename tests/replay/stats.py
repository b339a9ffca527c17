"""The statistics of replays against numpy and scipy: the same questions to both, on generated cases.

`replay/examples/stats.rs` is the program that is asked: one JSON question a line, one JSON answer a line.
"""

import itertools
import json
import subprocess

import numpy as np
import pytest
from scipy import stats

RNG = np.random.default_rng(20261120)


@pytest.fixture(scope="module")
def ask():
    command = ["cargo", "run", "--quiet", "--locked", "-p", "pinhole-replay", "--example", "stats"]

    def ask(questions):
        lines = "".join(json.dumps(question) + "\n" for question in questions)
        done = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    return ask


def close(ours, theirs, relative=1e-9):
    assert ours == pytest.approx(theirs, rel=relative, abs=1e-12)


def differences(n, ties):
    values = RNG.normal(0.3, 1, n)
    return np.round(values * 2) / 2 if ties else values


def exact_p(values):
    """Two-sided, over all choices of signs of the ranks, which ties share and from which zeros are gone."""
    values = values[values != 0]
    doubled = np.round(2 * stats.rankdata(np.abs(values))).astype(int)
    counts = {0: 1}
    for rank in doubled:
        more = dict(counts)
        for total, count in counts.items():
            more[total + rank] = more.get(total + rank, 0) + count
        counts = more
    positive = doubled[values > 0].sum()
    lesser = min(positive, doubled.sum() - positive)
    tail = sum(count for total, count in counts.items() if total <= lesser)
    return min(1, 2 * tail / 2 ** len(doubled))


def test_summaries(ask):
    cases = [RNG.lognormal(0, 1, n) for n in (1, 2, 9, 10, 19, 20, 99, 100, 999, 1000, 5000)]
    answers = ask({"ask": "summary", "values": list(case)} for case in cases)
    for case, answer in zip(cases, answers, strict=True):
        assert answer["n"] == len(case)
        close([answer["mean"], answer["min"], answer["max"]], [case.mean(), case.min(), case.max()])
        for name, q, n_min in [("p50", 0.5, 1), ("p90", 0.9, 10), ("p95", 0.95, 20), ("p99", 0.99, 100), ("p999", 0.999, 1000)]:
            if len(case) < n_min:
                assert answer[name] is None, name
            else:
                close(answer[name], np.quantile(case, q))


def test_signed_ranks_of_single_differences(ask):
    cases = [differences(n, ties) for n in (3, 6, 12, 13, 30, 50, 51, 200, 3000) for ties in (False, True)]
    cases = [case for case in cases if np.any(case != 0)]
    answers = ask({"ask": "signed_ranks", "values": list(case), "clusters": list(range(len(case)))} for case in cases)
    for case, answer in zip(cases, answers, strict=True):
        kept = case[case != 0]
        if len(kept) > 50:
            wanted = stats.wilcoxon(case, correction=True, method="asymptotic").pvalue
        elif len(np.unique(np.abs(kept))) == len(case):
            wanted = stats.wilcoxon(case, method="exact").pvalue
        elif len(case) <= 13:
            wanted = stats.wilcoxon(case).pvalue
            close(wanted, exact_p(case))
        else:
            wanted = exact_p(case)
        close(answer["p"], wanted, 1e-7)


def walsh(values):
    first, second = np.triu_indices(len(values))
    return np.sort((values[first] + values[second]) / 2)


def test_shifts(ask):
    cases = [differences(n, ties) for n in (1, 5, 6, 7, 20, 50, 51, 400) for ties in (False, True)]
    answers = ask({"ask": "signed_ranks", "values": list(case), "clusters": list(range(len(case)))} for case in cases)
    for case, answer in zip(cases, answers, strict=True):
        n, means = len(case), walsh(case)
        close(answer["estimate"], np.median(means))
        if n < 6:
            assert answer["ci95"] is None, "no interval of so few has 95 %"
            continue
        low, high = answer["ci95"]
        assert all(np.abs(means - end).min() < 1e-12 for end in (low, high))
        if n <= 50 and len(np.unique(case)) == n:
            # The ends are where scipy's exact test changes its mind.
            step = 1e-9
            p = {at: stats.wilcoxon(case - at, method="exact").pvalue for at in (low - step, low + step, high - step, high + step)}
            assert p[low - step] <= 0.05 < p[low + step]
            assert p[high - step] > 0.05 >= p[high + step]
        elif n > 50:
            reach = stats.norm.ppf(0.975) * np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
            place = round(len(means) / 2 - reach)
            close([low, high], [means[place - 1], means[-place]])


def clustered(sessions, alike=0.4):
    lengths = RNG.geometric(0.2, sessions)
    cluster = np.repeat(np.arange(sessions), lengths)
    values = 0.2 + np.sqrt(alike) * RNG.normal(size=sessions)[cluster] + np.sqrt(1 - alike) * RNG.normal(size=len(cluster))
    return values, cluster


def test_signed_ranks_of_clusters(ask):
    cases = [clustered(sessions) for sessions in (8, 20, 60)]
    answers = ask({"ask": "signed_ranks", "values": list(v), "clusters": c.tolist()} for v, c in cases)
    for (values, cluster), answer in zip(cases, answers, strict=True):
        signed = stats.rankdata(np.abs(values)) * np.sign(values)
        sums = np.bincount(cluster, weights=signed)
        close(answer["p"], 2 * stats.norm.sf(abs(signed.sum()) / np.sqrt((sums**2).sum())))
        # What the normal distribution says is what flipping whole clusters at random shows.
        flipped = RNG.choice([-1, 1], size=(20_000, len(sums))) @ sums
        assert answer["p"] == pytest.approx(np.mean(np.abs(flipped) >= abs(signed.sum())), abs=0.02)
        means = walsh(values)
        close(answer["estimate"], np.median(means))
        low, high = answer["ci95"]
        assert low < answer["estimate"] < high


def test_right_answers_and_families(ask):
    counts = list(itertools.product((0, 1, 5, 40, 300), repeat=2))
    answers = ask({"ask": "mcnemar", "only_base": b, "only_new": n} for b, n in counts)
    for (base, new), answer in zip(counts, answers, strict=True):
        if base + new == 0:
            assert answer is None
        else:
            close(answer, stats.binomtest(base, base + new).pvalue, 1e-8)
    family = list(RNG.uniform(0, 0.2, 9))
    [answer] = ask([{"ask": "holm", "p": family}])
    order = np.argsort(family)
    wanted = np.empty(9)
    wanted[order] = np.minimum(1, np.maximum.accumulate(np.array(family)[order] * np.arange(9, 0, -1)))
    close(answer, wanted)


def bootstrap(log_ratios, cluster, resamples=40_000):
    """Mean, standard error, degrees of freedom and interval, written from the formulas of docs/replay.md."""
    _, cluster = np.unique(cluster, return_inverse=True)
    counts = np.bincount(cluster)
    sums = np.bincount(cluster, weights=log_ratios)
    clusters, mean = len(counts), log_ratios.mean()
    errors = sums - mean * counts
    error = np.sqrt(clusters / (clusters - 1) * (errors**2).sum()) / counts.sum()
    effective = max(2, np.sqrt(clusters * counts.sum() ** 2 / (counts**2).sum()))
    weights = RNG.multinomial(clusters, np.full(clusters, 1 / clusters), size=resamples)
    means = (weights @ sums) / (weights @ counts)
    level = stats.norm.cdf(-np.sqrt(effective / (effective - 1)) * stats.t.ppf(0.975, effective - 1))
    return mean, error, effective - 1, np.quantile(means, [level, 1 - level])


@pytest.mark.parametrize(
    ("sessions", "by"), [(8, "session"), (30, "session"), (100, "session"), (5, "exchange"), (1, "exchange")]
)
def test_comparisons(ask, sessions, by):
    noise, session = clustered(sessions)
    while len(noise) < 10:
        noise, session = clustered(sessions)
    base = RNG.lognormal(0, 0.8, len(noise))
    new = base * 1.1 * np.exp(0.2 * noise)
    exchange = np.arange(len(noise))
    pairs = [list(row) for row in zip(base.tolist(), new.tolist(), session.tolist(), exchange.tolist(), strict=True)]
    [answer] = ask([{"ask": "compare", "metric": "ttft", "pairs": pairs, "seed": 3}])
    assert (answer["n"], answer["sessions"], answer["resampled_by"]) == (len(noise), sessions, by)
    log_ratios = np.log(new / base)
    mean, error, freedom, interval = bootstrap(log_ratios, session if by == "session" else exchange)
    close(answer["ratio"], stats.gmean(new / base))
    close(answer["mde"], np.exp((stats.t.ppf(0.975, freedom) + stats.t.ppf(0.8, freedom)) * error))
    # Two streams of chance: the ends agree to a few hundredths of the interval's width.
    width = interval[1] - interval[0]
    assert np.abs(np.log(answer["ci95"]) - interval).max() < 0.05 * width
    assert answer["shift"] == pytest.approx(np.median(walsh(new - base)))


def test_too_few_to_resample(ask):
    base, new = RNG.lognormal(0, 0.8, 6), RNG.lognormal(0, 0.8, 6)
    pairs = [[b, n, i, i] for i, (b, n) in enumerate(zip(base.tolist(), new.tolist(), strict=True))]
    [answer] = ask([{"ask": "compare", "metric": "ttft", "pairs": pairs, "seed": 3}])
    assert answer["resampled_by"] == "none"
    interval = stats.ttest_1samp(np.log(new / base), 0).confidence_interval(0.95)
    close(np.log(answer["ci95"]), [interval.low, interval.high])
    close(answer["p"], stats.wilcoxon(np.log(new / base), method="exact").pvalue)
