"""Where the time goes: first token, the tokens after it, pauses, the gateway's own part, the phases of an attempt."""

from .grafana import RATE, dashboard, heatmap, increase, lines, now, quantile, quantiles, rate, series, stat, steps, zero

FIRST = "pinhole_time_to_first_token_seconds"
ANSWER = "pinhole_time_to_first_answer_token_seconds"
TOKEN = "pinhole_time_per_output_token_seconds"
GAP = "pinhole_stream_gap_max_seconds"
OVERHEAD = "pinhole_overhead_seconds"
DURATION = "pinhole_request_duration_seconds"
PHASES = "pinhole_attempt_phase_seconds"
FIRST_BYTE = 'phase="first_byte"'
TO_MODEL = ("model", "pinhole-tokens-cost", "Tokens and cost")

NUMBERS = [
    (4, stat("First token, p50", "Half of the streams showed their first content sooner than this.",
             series(quantile(0.5, FIRST), "p50"), "s", thresholds=steps((None, "green"), (1, "orange"), (5, "red")))),
    (4, stat("First token, p95", "95 of 100 streams showed their first content sooner than this.",
             series(quantile(0.95, FIRST), "p95"), "s", thresholds=steps((None, "green"), (2, "orange"), (10, "red")))),
    (4, stat("First answer token, p95", "As before, but reasoning does not count: what a reader waits for.",
             series(quantile(0.95, ANSWER), "p95"), "s", thresholds=steps((None, "green"), (5, "orange"), (30, "red")))),
    (4, stat("Output tokens per second, p50", "Of one stream, after its first token: 1 divided by the median time for "
             "each output token.", series(f"1 / {quantile(0.5, TOKEN)}", "tokens"), "short", decimals=0)),
    (4, stat("Stalls in this range", "Waits in the middle of streams of more than ten times the stream's median, and "
             "more than 250 ms.", now(zero(increase("pinhole_stream_stalls_total"))), "short", decimals=0,
             thresholds=steps((None, "green"), (1, "orange")))),
    (4, stat("Overhead, p99", "The gateway's own part of the time: the duration less every wait for a provider or the "
             "client's body.",
             series(quantile(0.99, OVERHEAD), "p99"), "s",
             thresholds=steps((None, "green"), (0.001, "orange"), (0.01, "red")))),
]

FIRST_TOKEN = [
    (8, lines("Time to first token", "From the attempt sent to its first content of any kind: text, reasoning or tool "
              "arguments. An empty opening event is no token. The dots are examples: each opens its trace.",
              quantiles(FIRST), "s")),
    (8, lines("Time to first token, p95 by model", "A model's name opens its tokens and cost.",
              [series(quantile(0.95, FIRST, by="model"), "{{model}}", exemplar=True)], "s", link=TO_MODEL)),
    (8, heatmap("Time to first token, all of them", "How many streams fell into each bucket: two bands are two kinds of "
                "traffic, which a quantile hides.",
                series(increase(f"{FIRST}_bucket", by="le", window=RATE), "{{le}}", exemplar=True), "s")),
]

AFTER = [
    (8, lines("First answer token, p95 by model", "From the attempt sent to the first token of the answer itself, "
              "reasoning left out.", [series(quantile(0.95, ANSWER, by="model"), "{{model}}", exemplar=True)], "s",
              link=TO_MODEL)),
    (8, lines("Time per output token, p50 by model", "(last content − first content) ÷ (output tokens − 1), for "
              "streams of two tokens and more.",
              [series(quantile(0.5, TOKEN, by="model"), "{{model}}", exemplar=True)], "s", link=TO_MODEL)),
    (8, lines("Longest pause of a stream, p95 by model", "The longest gap between two pieces of content in each stream: "
              "what a reader sees as a hang.",
              [series(quantile(0.95, GAP, by="model"), "{{model}}", exemplar=True)], "s", link=TO_MODEL)),
]

WHOLE = [
    (8, lines("Duration, p95 by model", "From the request's head read to the last byte of the answer.",
              [series(quantile(0.95, DURATION, by="model"), "{{model}}", exemplar=True)], "s", link=TO_MODEL)),
    (8, lines("Duration, p95: streams and plain answers", "Streams last as long as their tokens take; compare each with "
              "its own kind.", [series(quantile(0.95, DURATION, f'stream="{flag}"'), name, exemplar=True)
                                for flag, name in (("true", "streams"), ("false", "plain answers"))], "s")),
    (8, lines("Stalls by model", "Waits of more than ten times the stream's median and 250 ms, each minute.",
              [series(f"60 * {rate('pinhole_stream_stalls_total', by='model')}", "{{model}}")], "suffix:/min",
              stack=True)),
]

OURS = [
    (8, lines("Gateway's overhead", "The gateway's own part of the time. Not filtered by provider or model.",
              quantiles(OVERHEAD), "s")),
    (8, lines("Attempt, mean by phase", "Where the time before the first byte goes. Means add up, so the height of the "
              "stack is the mean wait; a connection used again has no resolve, connect and tls.",
              [series(f"{rate(f'{PHASES}_sum', by='phase')} / ignoring (phase) group_left "
                      f"{rate(f'{PHASES}_count', FIRST_BYTE)}", "{{phase}}")], "s", stack=True)),
    (8, lines("Connecting, p95 by provider", "Time to connect, TLS not included, for attempts that opened a connection.",
              [series(quantile(0.95, PHASES, 'phase="connect"', by="provider"), "{{provider}}")], "s",
              link=("provider", "pinhole-providers", "Providers"))),
]


def build():
    return dashboard("latency", "Latency", "First token, tokens after it, pauses, and the gateway's own part of the time.", [
        (None, 4, NUMBERS), (None, 8, FIRST_TOKEN), (None, 8, AFTER), ("Whole answers", 8, WHOLE),
        ("The gateway and the way to the provider", 8, OURS)])
