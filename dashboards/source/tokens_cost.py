"""What is used and what it costs: by model and type, the cache's share, the pace, and how far the numbers can be trusted."""

from .grafana import RANGE, RATE, dashboard, increase, lines, now, rate, series, stat, steps, table, zero

TOKENS = "pinhole_tokens_total"
COST = "pinhole_cost_usd_total"
BOTH = 'type=~"input|output"'
ESTIMATED = 'source="estimated"'
COMPLETE = 'outcome="complete"'
TO_LATENCY = ("model", "pinhole-latency", "Latency")


def tokens(kind, by="", window=RATE, of=rate):
    return of(TOKENS, f'type="{kind}"', by=by, window=window)


def share(part, whole, **how):
    return f"{tokens(part, **how)} / {tokens(whole, **how)}"


MONTH_LEFT = "((days_in_month() - day_of_month() + 1) * 86400 - hour() * 3600 - minute() * 60)"
IN_RANGE = {"window": RANGE, "of": increase}

NUMBERS = [
    (4, stat("Tokens in this range", "Input and output tokens.", now(increase(TOKENS, BOTH)), "short")),
    (4, stat("Spend in this range", "Estimated from the price list, in US dollars.", now(increase(COST)), "currencyUSD")),
    (4, stat("30 days at this pace", "The spend of the time range, stretched to 30 days.",
             now(f"{increase(COST)} / $__range_s * 86400 * 30"), "currencyUSD")),
    (4, stat("Still to come this month", "What the rest of the calendar month (UTC) costs at the pace of the time range.",
             now(f"{increase(COST)} / $__range_s * scalar({MONTH_LEFT})"), "currencyUSD")),
    (4, stat("Input from cache", "Share of the input tokens that providers read from their prompt cache.",
             now(share("cache_read", "input", **IN_RANGE)), "percentunit")),
    (4, stat("Estimated tokens", "Share of the tokens that no provider reported and the gateway counted itself. High means "
             "the numbers here are no bill.",
             now(f"{zero(increase(TOKENS, BOTH, ESTIMATED))} / "
                 f"{increase(TOKENS, BOTH)}"), "percentunit",
             thresholds=steps((None, "green"), (0.05, "orange"), (0.25, "red")))),
]

KINDS = [
    (8, lines("Tokens by type", "Each token once: input is split into cached and uncached, output into answer and "
              "reasoning.", [
                  series(f"{tokens('input')} - {zero(tokens('cache_read'))} - {zero(tokens('cache_write'))}",
                         "input, uncached"),
                  series(tokens("cache_read"), "input, cache read"),
                  series(tokens("cache_write"), "input, cache write"),
                  series(f"{tokens('output')} - {zero(tokens('reasoning'))}", "output, answer"),
                  series(tokens("reasoning"), "output, reasoning")], "si:tok/s", stack=True)),
    (8, lines("Tokens by model", "Input and output tokens each second.",
              [series(rate(TOKENS, BOTH, by="model"), "{{model}}")], "si:tok/s", stack=True,
              link=TO_LATENCY)),
    (8, lines("Input from cache by model", "Share of a model's input that its provider read from the prompt cache.",
              [series(share("cache_read", "input", by="model"), "{{model}}")], "percentunit", maximum=1,
              link=TO_LATENCY)),
]

SPEND = [
    (8, lines("Spend per hour by model", "What an hour at the present pace costs.",
              [series(f"3600 * {rate(COST, by='model')}", "{{model}}")], "currencyUSD", stack=True, link=TO_LATENCY)),
    (8, lines("Forecast: a month of 30 days", "What a month costs at three paces. A gateway that has run for less than the "
              "hour or the day shows too little for it.", [
                  series(f"2592000 * {rate(COST, window=window)}", name)
                  for window, name in ((RATE, "at the pace of now"), ("1h", "of the last hour"), ("1d", "of the last day"))],
              "currencyUSD")),
    (8, lines("Price of a million tokens by model", "Spend divided by input and output tokens together: cache and mix "
              "included, so the same model may differ between users.",
              [series(f"1e6 * {rate(COST, by='model')} / {rate(TOKENS, BOTH, by='model')}",
                      "{{model}}")], "currencyUSD", link=TO_LATENCY)),
]

MODELS = [
    (16, table("Models", "Every model in the time range. Cached is a part of input, reasoning a part of output.",
               ("provider", "model"), [
        ("Input", tokens("input", by="provider, model", **IN_RANGE), "short"),
        ("Cached", share("cache_read", "input", by="provider, model", **IN_RANGE), "percentunit"),
        ("Output", tokens("output", by="provider, model", **IN_RANGE), "short"),
        ("Reasoning", share("reasoning", "output", by="provider, model", **IN_RANGE), "percentunit"),
        ("Spend", increase(COST, by="provider, model"), "currencyUSD"),
        ("Per request", f"{increase(COST, by='provider, model')} / "
         f"{increase('pinhole_requests_total', COMPLETE, by='provider, model')}", "currencyUSD",
         {"decimals": 4}),
    ], sort="Spend", link=TO_LATENCY)),
    (8, lines("Reasoning by model", "Share of a model's output that is reasoning: billed, and never shown to the reader.",
              [series(share("reasoning", "output", by="model"), "{{model}}")], "percentunit", maximum=1,
              link=TO_LATENCY)),
]

TRUST = [
    (6, lines("Usage missing, partial, malformed", "Answers each minute whose usage was absent, cut off with the stream, "
              "or not to be believed. What could be counted is in the totals as estimated.", [
                  series(f"60 * {zero(rate(f'pinhole_usage_{name}_total'))}", name)
                  for name in ("missing", "partial", "malformed")], "suffix:/min")),
    (6, lines("Answers without a price", "Answers each minute of models that the price list does not know. They cost "
              "something and count nothing; `model_cost_map` gives them a price.",
              [series(f"60 * {rate('pinhole_unpriced_total', by='model')}", "{{model}}")], "suffix:/min")),
    (6, lines("Tool calls by model", "Calls of tools that models asked for, each minute.",
              [series(f"60 * {rate('pinhole_tool_calls_total', by='model')}", "{{model}}")], "suffix:/min", stack=True)),
    (6, lines("Web searches by model", "Searches that providers ran and bill beside the tokens, each minute.",
              [series(f"60 * {rate('pinhole_web_searches_total', by='model')}", "{{model}}")], "suffix:/min", stack=True)),
]


def build():
    about = "Tokens and spend by model and type, pace, and how far to trust them."
    return dashboard("tokens-cost", "Tokens and cost", about, [
        (None, 4, NUMBERS), (None, 8, KINDS), (None, 8, SPEND), (None, 8, MODELS), ("What the totals leave out, and what else was called", 7, TRUST)])
