"""Providers side by side: who is up, fast, cheap, close to its limits, and what goes wrong with each."""

from .grafana import (RANGE, coloured, dashboard, failed_share, increase, lines, quantile, rate, select, series, states,
                      steps, table)

FIRST = "pinhole_time_to_first_token_seconds"
TOKEN = "pinhole_time_per_output_token_seconds"
CACHED, INPUT, BOTH = 'type="cache_read"', 'type="input"', 'type=~"input|output"'
LIMIT = "pinhole_provider_rate_limit"
TO_LATENCY = ("provider", "pinhole-latency", "Latency")

# Least headroom of any kind: the limit that is met first.
HEADROOM = f"min by (provider) ({select(f'{LIMIT}_remaining')} / {select(LIMIT)})"

SIDE_BY_SIDE = [
    (24, table("Side by side", "Each provider in the time range. A name opens its latency.", ("provider",), [
        ("Up", f"min by (provider) ({select('pinhole_provider_up')})", "short",
         {"mappings": [{"type": "value", "options": {"1": {"text": "up", "color": "green", "index": 0},
                                                     "0": {"text": "down", "color": "red", "index": 1}}}],
          "custom.cellOptions": {"type": "color-text"}}),
        ("Requests", increase("pinhole_requests_total", by="provider"), "locale", {"decimals": 0}),
        ("Failed", failed_share(RANGE, "provider", call="increase"), "percentunit",
         coloured((None, "text"), (0.01, "orange"), (0.05, "red"))),
        ("First token p50", quantile(0.5, FIRST, by="provider", window=RANGE), "s"),
        ("First token p95", quantile(0.95, FIRST, by="provider", window=RANGE), "s"),
        ("Tokens/s p50", f"1 / {quantile(0.5, TOKEN, by='provider', window=RANGE)}", "short", {"decimals": 0}),
        ("Longest pause p95", quantile(0.95, "pinhole_stream_gap_max_seconds", by="provider", window=RANGE), "s"),
        ("From cache", f"{increase('pinhole_tokens_total', CACHED, by='provider')} / "
         f"{increase('pinhole_tokens_total', INPUT, by='provider')}", "percentunit"),
        ("Spend", increase("pinhole_cost_usd_total", by="provider"), "currencyUSD"),
        ("Per million tokens", f"1e6 * {increase('pinhole_cost_usd_total', by='provider')} / "
         f"{increase('pinhole_tokens_total', BOTH, by='provider')}", "currencyUSD"),
        ("Headroom", HEADROOM, "percentunit", coloured((None, "red"), (0.1, "orange"), (0.25, "text"))),
    ], sort="Requests", link=TO_LATENCY)),
]

COMPARED = [
    (8, lines("Requests by provider", "Requests each second.",
              [series(rate("pinhole_requests_total", by="provider"), "{{provider}}")], "reqps", stack=True,
              link=TO_LATENCY)),
    (8, lines("Time to first token, p95 by provider", "The dots are examples: each opens its trace.",
              [series(quantile(0.95, FIRST, by="provider"), "{{provider}}", exemplar=True)], "s", link=TO_LATENCY)),
    (8, lines("Output tokens per second by provider", "Of one stream, after its first token: the median.",
              [series(f"1 / {quantile(0.5, TOKEN, by='provider')}", "{{provider}}")], "short", link=TO_LATENCY)),
]

WRONG = [
    (8, states("Up and down", "Down from an attempt that failed to connect, timed out, broke or was answered 5xx, until the next "
               "answer below 500.",
               series(f"min by (provider) ({select('pinhole_provider_up')})", "{{provider}}"),
               {1: ("up", "green"), 0: ("down", "red")})),
    (8, lines("Errors by provider and kind", "Failures each second by stable code; docs/errors.md says what each means.",
              [series(rate("pinhole_errors_total", by="provider, kind"), "{{provider}} {{kind}}")], "reqps", stack=True)),
    (8, lines("Errors by source", "Who was at fault: the client, the gateway or the provider.",
              [series(rate("pinhole_errors_total", by="source"), "{{source}}")], "reqps", stack=True)),
]

ROOM = [
    (8, lines("Attempts by result", "Calls of providers each second, by how they ended. More attempts than requests means "
              "retries.", [series(rate("pinhole_upstream_attempts_total", by="result"), "{{result}}")], "reqps",
              stack=True)),
    (8, lines("Rate-limit headroom", "What is left of each limit, as the provider's own answers say. At 0 it refuses.",
              [series(f"min by (provider, kind) ({select(f'{LIMIT}_remaining')} / {select(LIMIT)})",
                      "{{provider}} {{kind}}")], "percentunit", maximum=1,
              thresholds=steps((None, "red"), (0.1, "transparent")))),
    (8, lines("Connections used again", "Share of the attempts that found an open connection. Opening one costs "
              "one to three round trips.", [series(
                  f"{rate('pinhole_connections_reused_total', by='provider')} / "
                  f"({rate('pinhole_connections_reused_total', by='provider')} + "
                  f"{rate('pinhole_connections_opened_total', by='provider')})", "{{provider}}")], "percentunit",
              maximum=1, link=TO_LATENCY)),
]


def build():
    return dashboard("providers", "Providers", "Providers compared: state, errors, speed, price, rate limits.", [
        (None, 7, SIDE_BY_SIDE), (None, 8, COMPARED), (None, 8, WRONG), (None, 8, ROOM)])
