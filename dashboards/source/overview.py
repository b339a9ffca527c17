"""Is it well, how much is going through, and what does it cost? The first page; one screen without scrolling."""

from .grafana import (RANGE, RATE, coloured, dashboard, failed_share, increase, lines, now, quantile, quantiles, rate,
                      select, series, stat, steps, table, total, zero)

REQUESTS = "pinhole_requests_total"
SHARE = steps((None, "green"), (0.01, "orange"), (0.05, "red"))

NUMBERS = [
    (4, stat("Requests per second", "Requests answered each second, refusals included.",
             series(rate(REQUESTS), "requests"), "reqps")),
    (4, stat("Failed share", "Share of the requests in the time range that failed through no fault of the client's: "
             "providers' errors (also in the middle of a stream), resets, timeouts, the gateway's own errors, and refusals "
             "with 429 or 5xx.",
             now(failed_share(RANGE, call="increase")), "percentunit", thresholds=SHARE)),
    (4, stat("First token, p95", "95 of 100 streams showed their first content (text, reasoning or tool arguments) "
             "sooner than this.", series(quantile(0.95, "pinhole_time_to_first_token_seconds"), "p95"), "s",
             thresholds=steps((None, "green"), (2, "orange"), (10, "red")))),
    (4, stat("Tokens per second", "Input and output tokens that providers reported, each second.",
             series(rate("pinhole_tokens_total", 'type=~"input|output"'), "tokens"), "si:tok/s")),
    (4, stat("Spend in this range", "Estimated from the price list; models without a price count nothing here and stand "
             "under Tokens and cost.", now(increase("pinhole_cost_usd_total")), "currencyUSD")),
    (4, stat("In flight", "Requests being answered now.",
             series(total(select("pinhole_requests_in_flight")), "in flight"), "short", decimals=0)),
]

TRAFFIC = [
    (8, lines("Requests by outcome", "How each request ended: exactly one outcome for each.",
              [series(rate(REQUESTS, by="outcome"), "{{outcome}}")], "reqps", stack=True)),
    (8, lines("Failed share by provider", "As the number above, for each provider. 1 % is the budget that the shipped "
              "alerts watch.", [series(failed_share(by="provider"), "{{provider}}")], "percentunit",
              thresholds=SHARE, link=("provider", "pinhole-providers", "Providers"))),
    (8, lines("Duration", "From the request's head read to the last byte of the answer. The dots are examples: each opens its "
              "trace.", quantiles("pinhole_request_duration_seconds"), "s")),
]

VOLUME = [
    (8, lines("Tokens", "Input counts every token of the prompt, cached or not; output counts reasoning too.",
              [series(rate("pinhole_tokens_total", f'type="{kind}"'), kind) for kind in ("input", "output")], "si:tok/s")),
    (8, lines("Spend per hour by model", "What an hour at the present pace costs, estimated from the price list.",
              [series(f"3600 * {rate('pinhole_cost_usd_total', by='model')}", "{{model}}")], "currencyUSD", stack=True,
              link=("model", "pinhole-tokens-cost", "Tokens and cost"))),
    (8, lines("In flight by provider", "Requests being answered at the moment of each scrape.",
              [series(total(select("pinhole_requests_in_flight"), "provider"), "{{provider}}")], "short", decimals=0,
              link=("provider", "pinhole-providers", "Providers"))),
]

MODELS = [
    (16, table("Models", "Every model in the time range. A model's name opens its latency.", ("model",), [
        ("Requests", increase(REQUESTS, by="model"), "locale", {"decimals": 0}),
        ("Failed", failed_share(RANGE, "model", call="increase"), "percentunit",
         coloured((None, "text"), (0.01, "orange"), (0.05, "red"))),
        ("First token p95", quantile(0.95, "pinhole_time_to_first_token_seconds", by="model", window=RANGE), "s"),
        ("Duration p95", quantile(0.95, "pinhole_request_duration_seconds", by="model", window=RANGE), "s"),
        ("Input", increase("pinhole_tokens_total", 'type="input"', by="model"), "short"),
        ("Output", increase("pinhole_tokens_total", 'type="output"', by="model"), "short"),
        ("Spend", increase("pinhole_cost_usd_total", by="model"), "currencyUSD"),
    ], link=("model", "pinhole-latency", "Latency"))),
    (8, lines("Errors by kind", "Failures each second by their stable code; docs/errors.md says what each means and what "
              "to do.", [series(rate("pinhole_errors_total", by="kind"), "{{kind}}")], "reqps", stack=True)),
]

GATEWAY = [
    (6, lines("Gateway's overhead", "The gateway's own part of the time: the duration less every wait for a provider or the client's "
              "body. Not filtered by provider or model.",
              [series(quantile(q, "pinhole_overhead_seconds"), name, exemplar=q == 0.99)
               for q, name in ((0.5, "p50"), (0.99, "p99"))], "s")),
    (6, lines("Processor", "Processor seconds used each second, by gateway; 1 is one core.",
              [series(rate("process_cpu_seconds_total", by="instance"), "{{instance}}")], "short")),
    (6, lines("Memory", "Resident memory, by gateway.",
              [series(total(select("process_resident_memory_bytes"), "instance"), "{{instance}}")], "bytes")),
    (6, lines("Lost observations", "What the gateway saw and could not keep. Requests are never harmed by it, numbers "
              "are: anything above zero wants a look.",
              [series(zero(increase("pinhole_observations_lost_total", window=RATE)), "observations"),
               series(zero(increase("pinhole_log_lines_dropped_total", window=RATE)), "log lines")], "short",
              decimals=0)),
]


def build():
    return dashboard("overview", "Overview", "Traffic, errors, latency, tokens and spend of the gateway at a glance.", [
        (None, 4, NUMBERS), (None, 8, TRAFFIC), (None, 8, VOLUME), (None, 9, MODELS), ("The gateway itself", 7, GATEWAY)])
