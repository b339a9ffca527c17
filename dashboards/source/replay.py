"""Replay: the runs that this gateway sends itself, target beside target, apart from its traffic."""

from .grafana import (RANGE, dashboard, increase, lines, now, quantile, rate, select, series, stat, steps, table, zero)

REQUESTS, COST = "pinhole_replay_requests_total", "pinhole_replay_cost_usd_total"
FIRST, WHOLE, LAG = ("pinhole_replay_time_to_first_token_seconds", "pinhole_replay_request_duration_seconds",
                     "pinhole_replay_lag_seconds")
BAD = 'result!="ok"'


def bad_share(by="", call=rate):
    everything = call(REQUESTS, by=by)
    return f"{zero(call(REQUESTS, BAD, by=by), everything if by else None)} / {everything}"


NUMBERS = [
    (4, stat("Requests in this range", "What runs of replays sent to all targets, warm-ups and a judge's questions included.",
             now(increase(REQUESTS)), "short", decimals=0)),
    (4, stat("Errors in this range", "Share of the requests that brought no good answer.",
             now(bad_share(call=increase)), "percentunit",
             thresholds=steps((None, "green"), (0.01, "orange"), (0.05, "red")))),
    (4, stat("Spend of runs in this range", "By the price list; targets without a price count nothing here.",
             now(increase(COST)), "currencyUSD")),
    (4, stat("First token of runs, p95", "95 of 100 streams showed their first content sooner than this after the instant at which the "
             "schedule wanted them sent.", series(quantile(0.95, FIRST), "p95"), "s")),
    (4, stat("Lag, p99", "99 of 100 requests were sent no later than this against the schedule. Over 5 ms, times show the "
             "sender, too.", series(quantile(0.99, LAG), "p99"), "s",
             thresholds=steps((None, "green"), (0.005, "orange"), (0.1, "red")))),
    (4, stat("Runs now", "Runs that are being sent at the moment of each scrape; a gateway sends one at a time.",
             series(f"sum({select('pinhole_replay_running')})", "runs"), "short", decimals=0)),
]

SIDE_BY_SIDE = [
    (24, table("Targets", "Each target of the time range. Questions to a judge stand under `judge`.", ("target",), [
        ("requests", increase(REQUESTS, by="target"), "short", {"decimals": 0}),
        ("errors", bad_share("target", increase), "percentunit"),
        ("first token p50", quantile(0.5, FIRST, by="target", window=RANGE), "s"),
        ("first token p95", quantile(0.95, FIRST, by="target", window=RANGE), "s"),
        ("duration p95", quantile(0.95, WHOLE, by="target", window=RANGE), "s"),
        ("lag p99", quantile(0.99, LAG, by="target", window=RANGE), "s"),
        ("spend", increase(COST, by="target"), "currencyUSD"),
    ], sort="requests")),
]

FLOW = [
    (8, lines("Requests by target", "Requests that ended, each second.",
              [series(rate(REQUESTS, by="target"), "{{target}}")], "reqps", stack=True)),
    (8, lines("Errors by target and result", "Requests each second that brought no good answer. 429 and 529 are answers to the question "
              "how much a target bears.", [series(rate(REQUESTS, BAD, by="target, result"), "{{target}} {{result}}")], "reqps",
              stack=True)),
    (8, lines("Spend per hour by target", "What an hour at the present pace costs, by the price list.",
              [series(f"3600 * {rate(COST, by='target')}", "{{target}}")], "currencyUSD", stack=True)),
]

# Runs are in no trace that is kept, and their series have no exemplars.
TIMES = [
    (8, lines("First token by target, p95", "From the instant at which the schedule wanted the request sent: a sender that falls behind "
              "does not make a target look better.", [series(quantile(0.95, FIRST, by="target"), "{{target}}")], "s")),
    (8, lines("Duration by target, p95", "Good answers, from the intended instant to their end.",
              [series(quantile(0.95, WHOLE, by="target"), "{{target}}")], "s")),
    (8, lines("Lag by target, p99", "How late requests were sent against the schedule.",
              [series(quantile(0.99, LAG, by="target"), "{{target}}")], "s",
              thresholds=steps((None, "transparent"), (0.005, "orange")))),
]


def build():
    return dashboard("replay", "Replay", "Runs of replays: requests, errors, spend, times and lag of each target, apart from traffic.", [
        (None, 4, NUMBERS), (None, 7, SIDE_BY_SIDE), (None, 8, FLOW), (None, 8, TIMES)])
