"""After known traffic every witness tells the same numbers, to the token and to the nanodollar: the script's own sums,
`/metrics`, the store's tables and reports, the spans behind a real collector, and the log.

Each comparison is a table: a row for each sum, a column for each witness; the rows that differ are printed.
"""

import csv
import io
import json
import re
import sqlite3
import subprocess
import urllib.request
from collections import Counter
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
import traffic
from attempts import attempts
from station import ADDRESS, PINHOLE, Collector, Gateway, Simulator, Sink, eventually, status_of
from traffic import KINDS, tokens

SERIES = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
SPAN_NAMES = {
    "input": "gen_ai.usage.input_tokens",
    "output": "gen_ai.usage.output_tokens",
    "cache_read": "gen_ai.usage.cache_read.input_tokens",
    "cache_write": "gen_ai.usage.cache_write.input_tokens",
    "reasoning": "gen_ai.usage.reasoning.output_tokens",
}


class Run:
    """One gateway after the script has been sent, and what each witness says."""

    def __init__(self, include, folder):
        script = Path(folder) / "script.toml"
        script.write_text(traffic.script())
        self.running = []
        sim = self.start(Simulator("--script", str(script)))
        self.sink = self.start(Sink())
        collector = self.start(Collector(self.sink))
        self.gateway = self.start(
            Gateway(
                sim,
                traffic.config(include),
                environment={
                    "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.grpc}",
                    "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                    "OTEL_TRACES_SAMPLER": "always_on",
                    "OTEL_BSP_SCHEDULE_DELAY": "50",
                },
            )
        )
        known = (sim.url, self.gateway.url)
        self.ops = self.gateway.wait_for(
            lambda line: next(
                (url for url in ADDRESS.findall(line) if url not in known and status_of(f"{url}/metrics") == 200), None
            )
        )
        self.data = self.gateway.folder.name
        self.calls = traffic.run(self.gateway.url, include)
        self.by_id = {call.id: call for call in self.calls}
        self.settle()

    def start(self, program):
        self.running.append(program)
        return program

    def stop(self):
        for program in reversed(self.running):
            program.stop()

    def settle(self):
        """Waits until every witness has heard of every exchange, and reads them all."""
        spanned = [call for call in self.calls if call.spanned]
        self.hears("the store", self.calls, lambda: [row["id"] for row in self.sql("SELECT id FROM exchanges")])
        self.hears("the log", self.calls, self.log)
        self.hears("the collector, in server spans,", self.calls, lambda: self.spans_of("server"))
        self.hears("the collector, in GenAI spans,", spanned, lambda: self.spans_of("call"))
        whole = len(self.calls)
        eventually(f"{whole} exchanges in /metrics", lambda: sum(self.scrape("pinhole_requests_total").values()) >= whole)
        self.rows = {row["id"]: row for row in self.sql("SELECT * FROM exchanges")}
        words = {row["id"]: row["text"] for row in self.sql("SELECT id, text FROM words")}
        self.attempts = [
            {**attempt, "id": dashed(row["hex"].lower())}
            for row in self.sql("SELECT hex(id) AS hex, detail FROM exchange_records")
            for attempt in attempts(row["detail"], words)
        ]
        self.lines = self.log()
        self.servers, self.spans = self.spans_of("server"), self.spans_of("call")

    def hears(self, witness, calls, ids):
        """Waits until a witness has told of all these calls; else says which it never told of."""
        unheard = list(calls)

        def is_complete():
            known = set(ids())
            unheard[:] = [call for call in calls if call.id not in known]
            return not unheard

        try:
            eventually(witness, is_complete)
        except AssertionError:
            named = [f"{call.api} {call.model} {call.outcome} {call.id}" for call in unheard[:10]]
            pytest.fail(f"{witness} never told of {len(unheard)} of {len(calls)} exchanges: {named}", pytrace=False)

    def sql(self, text):
        with sqlite3.connect(f"file:{self.data}/pinhole.db?mode=ro", uri=True) as store:
            store.row_factory = sqlite3.Row
            return [dict(row) for row in store.execute(text)]

    def get(self, path):
        with urllib.request.urlopen(self.ops + path, timeout=10) as answer:
            return answer.read().decode()

    def scrape(self, name, **wanted):
        """A counter's series: labels as a sorted tuple → number, of those that have the labels `wanted`."""
        found = {}
        for series, labels, value in SERIES.findall(self.get("/metrics")):
            labels = dict(LABEL.findall(labels))
            if series == name and wanted.items() <= labels.items():
                found[tuple(sorted(labels.items()))] = Decimal(value)
        return found

    def metric(self, name, *labels, factor=1, **wanted):
        """A counter summed by the labels named."""
        sums = Counter()
        for series, value in self.scrape(name, **wanted).items():
            series = dict(series)
            sums[tuple(series[label] for label in labels)] += int(value * factor)
        return +sums

    def spans_of(self, kind):
        """The server spans, or the GenAI spans, by the exchange's id; each exchange has at most one."""
        wanted = "pinhole.outcome" if kind == "server" else "gen_ai.operation.name"
        spans = [span for span in self.sink.spans() if wanted in span.attributes]
        found = {span.attributes["pinhole.exchange.id"]: span for span in spans}
        assert len(found) == len(spans), "an exchange has two spans of one kind"
        return found

    def log(self):
        lines = [json.loads(line) for line in list(self.gateway.lines) if line.startswith("{")]
        found = [line for line in lines if "outcome" in line]
        assert len({line["id"] for line in found}) == len(found), "an exchange has two lines"
        return {line["id"]: line for line in found}

    def report(self, by):
        """`pinhole usage --json`: the groups, and the total."""
        arguments = [PINHOLE, "usage", "--data-dir", self.data, "--by", by, "--json"]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=True)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        groups = [line for line in lines if line["kind"] == "group"]
        assert len(groups) == len(lines) - 1, f"nothing is left out by {by}"
        return groups, lines[-1]

    def attempt_tokens(self, counted):
        """Tokens of the stored attempts by provider and model, told or estimated."""
        sums = Counter()
        for row in self.attempts:
            for kind in KINDS:
                estimated = row.get(f"estimated_{kind}_tokens")
                of_row = estimated if counted == "estimated" else row[f"{kind}_tokens"] if estimated is None else 0
                if of_row:
                    sums[(row["provider"], row["model_label"], kind)] += of_row
        return sums

    def told(self, call):
        """What counts as told by the provider. Of an answer that broke off, the output told so far counts where it is
        not less than what was seen; the gateway's own row says whether it was."""
        usage = dict(call.told or {})
        if call.partial and self.rows[call.id]["usage_source"] == "estimated":
            row = next(row for row in self.attempts if row["id"] == call.id)
            if row["estimated_output_tokens"] is not None:
                assert row["estimated_output_tokens"] > usage.pop("output", -1)
        return usage


def dashed(text):
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def total(parts):
    sums = Counter()
    for part in parts:
        sums.update(part)
    return +sums


def agree(what, **witnesses):
    """Fails with a table of the sums on which the witnesses differ."""
    groups = sorted({group for sums in witnesses.values() for group in sums}, key=repr)
    assert groups, f"{what}: nothing was summed at all"
    differing = [group for group in groups if len({sums.get(group, 0) for sums in witnesses.values()}) > 1]
    if differing:
        head = ["", *(name.replace("_", " ") for name in witnesses)]
        rows = [[" ".join(map(str, group)), *(str(sums.get(group, 0)) for sums in witnesses.values())] for group in differing]
        widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]]
        pytest.fail(f"{what}: {len(differing)} of {len(groups)} sums differ\n" + "\n".join(lines), pytrace=False)


def nanodollars(dollars):
    return int((Decimal(str(dollars)) * 1_000_000_000).to_integral_value(ROUND_HALF_UP))


@pytest.fixture(scope="module", params=["never", "when_missing"])
def run(request, tmp_path_factory):
    found = None
    try:
        found = Run(request.param, tmp_path_factory.mktemp("agreement"))
        yield found
    finally:
        if found:
            found.stop()


@pytest.fixture(scope="module")
def prices():
    """The price list, in dollars for a million tokens, by model."""
    done = subprocess.run([PINHOLE, "prices", "show", "--json"], capture_output=True, text=True, timeout=20, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    wanted = {"openai": "openai", "anthropic": "anthropic", "google": "gemini"}
    return {(wanted[row["basis"]], row["model"]): row for row in rows if row.get("basis") in wanted and "model" in row}


def cost_of(prices, pair, usage):
    """What an answer costs in nanodollars; none without a price."""
    price = prices.get(pair)
    if not price or not usage:
        return None
    tiers = [tier for tier in price.get("tiers", []) if (usage.get("input") or 0) > tier["above"]]
    price = {**price, **tiers[-1]} if tiers else price

    def of(kind, whole):
        return Decimal(price.get(kind, price.get(whole, "0")))

    count = {kind: usage.get(kind) or 0 for kind in KINDS}
    read, written, thought = count["cache_read"], count["cache_write"], count["reasoning"]
    dollars = read * of("cache_read", "input") + written * of("cache_write", "input")
    dollars += (count["input"] - read - written) * of("input", "input")
    dollars += thought * of("reasoning", "output") + (count["output"] - thought) * of("output", "output")
    return int((dollars * 1_000).to_integral_value(ROUND_HALF_UP))


def test_the_traffic_is_what_it_is_meant_to_be(run):
    """Guards the other tests: every dialect told every kind it has, some answers broke, some told nothing."""
    assert len(run.by_id) == len(run.calls) > 200 and len({call.pair for call in run.calls}) > 15
    sums = total(tokens(call.told, (call.api,)) for call in run.calls)
    for api in ("chat", "responses", "messages", "gemini"):
        written = {"cache_write"} if api == "messages" else {"reasoning"}
        for kind in {"input", "output", "cache_read"} | written:
            assert sums[(api, kind)] > 0, f"no {kind} in {api}"
    assert any(call.coding == "gzip" and call.told for call in run.calls)
    assert sums[("embeddings", "input")] > 0 and sums[("completions", "output")] > 0
    assert sum(call.partial for call in run.calls) > 20 and sum(call.missing for call in run.calls) > 5
    hidden = [call for call in run.calls if not call.asks]
    assert hidden and not any(event.get("usage") for call in hidden for event in call.seen)


def test_tokens_that_providers_told(run):
    report, whole = run.report("provider,model")
    page = json.loads(run.get("/api/usage?by=provider,model"))
    table = list(csv.DictReader(io.StringIO(run.get("/api/usage.csv?by=provider,model"))))

    def reported(groups):
        return total(
            {(row["provider"], row["model"], kind): int(row[f"{kind}_tokens"]) for kind in KINDS}
            for row in groups
            if row["provider"]
        )

    script = total(tokens(run.told(call), call.pair) for call in run.calls)
    agree(
        "tokens told by providers",
        script=script,
        metrics=run.metric("pinhole_tokens_total", "provider", "model", "type", source="provider"),
        attempts=run.attempt_tokens("provider"),
        usage_report=reported(report),
        api_usage=reported(page["groups"]),
        usage_csv=reported(table),
    )
    by_kind = {(kind,): sum(count for group, count in script.items() if group[-1] == kind) for kind in KINDS}
    agree("totals", script=by_kind, report={(kind,): whole[f"{kind}_tokens"] for kind in KINDS})


def test_answers_that_told_everything(run):
    """Exchange by exchange and in sum: what the client was told is in the public view, on the span and in the log."""
    whole = [call for call in run.calls if call.billed and run.rows[call.id]["usage_source"] == "provider"]
    assert {call.id for call in whole} >= {call.id for call in run.calls if call.billed and not call.is_estimated}
    row_of = run.rows.get

    def of_span(call):
        attributes = run.spans[call.id].attributes
        return {kind: attributes.get(name) for kind, name in SPAN_NAMES.items()}

    def of_columns(row):
        return {kind: row.get(f"{kind}_tokens") for kind in KINDS}

    def witnesses(group):
        return {
            "script": total(tokens(call.told, group(call)) for call in whole),
            "view": total(tokens(of_columns(row_of(call.id)), group(call)) for call in whole),
            "spans": total(tokens(of_span(call), group(call)) for call in whole),
            "log": total(tokens(of_columns(run.lines[call.id]), group(call)) for call in whole),
        }

    agree("tokens of whole answers", **witnesses(lambda call: call.pair))
    agree("tokens of single exchanges", **witnesses(lambda call: (*call.pair, call.api, call.outcome, call.id)))
    sources = total({(source,): 1} for source in [run.spans[call.id].attributes["pinhole.usage.source"] for call in whole])
    assert sources == {("provider",): len(whole)}
    assert not any("usage_source" in run.lines[call.id] for call in whole)


def test_estimated_tokens_stand_apart(run):
    report, _ = run.report("provider,model")
    kinds = ("input", "output")
    reported = total(
        {(row["provider"], row["model"], kind): row[f"estimated_{kind}_tokens"] for kind in kinds} for row in report
    )
    agree(
        "estimated tokens",
        metrics=run.metric("pinhole_tokens_total", "provider", "model", "type", source="estimated"),
        attempts=run.attempt_tokens("estimated"),
        usage_report=reported,
    )
    assert all(run.rows[call.id]["output_tokens"] > 0 for call in run.calls if call.partial), "partial, never zero"
    guessed = {id for id, row in run.rows.items() if row["usage_source"] == "estimated"}
    assert guessed <= {call.id for call in run.calls if call.is_estimated}
    assert guessed >= {call.id for call in run.calls if call.missing}

    def summed(tokens_of):
        return total(tokens({kind: tokens_of(id, kind) for kind in KINDS}, run.by_id[id].pair) for id in guessed)

    agree(
        "tokens of exchanges that were estimated, at least in part",
        view=summed(lambda id, kind: run.rows[id][f"{kind}_tokens"]),
        spans=summed(lambda id, kind: run.spans[id].attributes.get(SPAN_NAMES[kind])),
        log=summed(lambda id, kind: run.lines[id].get(f"{kind}_tokens")),
    )
    labelled = {id for id, span in run.spans.items() if span.attributes.get("pinhole.usage.source") == "estimated"}
    assert labelled == guessed == {id for id, line in run.lines.items() if line.get("usage_source") == "estimated"}


def test_cost(run, prices):
    report, _ = run.report("provider,model")
    script, unpriced = Counter(), Counter()
    for call in run.calls:
        if not call.billed:
            continue
        row = run.rows[call.id]
        # Tokens that the gateway counted are taken from it: the price is what is compared.
        counted = {kind: row[f"{kind}_tokens"] for kind in KINDS} if row["usage_source"] == "estimated" else call.told
        cost = cost_of(prices, call.pair, counted)
        unpriced[call.pair] += cost is None
        script[call.pair] += cost or 0
        assert (row["cost_nanousd"] is None) == (cost is None), f"{call}: {row}"
    by_id = run.by_id
    agree(
        "cost in nanodollars",
        script=+script,
        metrics=run.metric("pinhole_cost_usd_total", "provider", "model", factor=1_000_000_000),
        attempts=total({(row["provider"], row["model_label"]): row["cost_nanousd"] or 0} for row in run.attempts),
        view=total({by_id[id].pair: row["cost_nanousd"] or 0} for id, row in run.rows.items()),
        spans=total({by_id[id].pair: span.attributes.get("pinhole.cost.nanousd", 0)} for id, span in run.spans.items()),
        log=total({by_id[id].pair: nanodollars(line.get("cost_usd", 0))} for id, line in run.lines.items()),
        usage_report=total({(row["provider"], row["model"]): row["cost_nanousd"]} for row in report),
    )
    agree(
        "answers without a price",
        script=+unpriced,
        metrics=run.metric("pinhole_unpriced_total", "provider", "model"),
        usage_report=total({(row["provider"], row["model"]): row["unpriced"]} for row in report),
    )
    heads = [call for call in run.calls if call.cost_header is not None]
    assert len(heads) > 50 and {call.api for call in heads} >= {"chat", "responses", "messages", "gemini", "embeddings"}
    agree(
        "cost in the head of an answer",
        header={(call.api, call.id): nanodollars(call.cost_header) for call in heads},
        view={(call.api, call.id): run.rows[call.id]["cost_nanousd"] for call in heads},
    )


def test_requests_and_how_they_ended(run):
    report, whole = run.report("provider,model")
    by_id = run.by_id
    agree(
        "exchanges by outcome",
        script=total({(*call.pair, call.outcome): 1} for call in run.calls),
        metrics=run.metric("pinhole_requests_total", "provider", "model", "outcome"),
        view=total({(*by_id[id].pair, row["outcome"]): 1} for id, row in run.rows.items()),
        spans=total({(*by_id[id].pair, span.attributes["pinhole.outcome"]): 1} for id, span in run.servers.items()),
        log=total({(*by_id[id].pair, line["outcome"]): 1} for id, line in run.lines.items()),
    )
    agree(
        "exchanges by status",
        script=total({(str(call.status),): 1} for call in run.calls),
        metrics=run.metric("pinhole_requests_total", "status"),
        view=total({(str(row["status"]),): 1} for row in run.rows.values()),
    )
    pairs = {(row["provider"] or "none", row["model"] or "other"): row for row in report}
    failed = ("upstream_error", "upstream_reset", "timeout", "rejected")
    agree(
        "exchanges in the report",
        script=total({(*call.pair, "requests"): 1, (*call.pair, "errors"): call.outcome in failed} for call in run.calls),
        usage_report=total({(*pair, name): row[name] for name in ("requests", "errors")} for pair, row in pairs.items()),
    )
    assert whole["requests"] == len(run.calls) == len(run.rows) == len(run.lines) == len(run.servers)
    assert whole["attempts"] == len(run.attempts) == sum(run.metric("pinhole_upstream_attempts_total", "result").values())


def test_answers_without_usage_and_with_part_of_it(run):
    report, _ = run.report("provider,model")
    for name in ("missing", "partial"):
        agree(
            f"{name} usage",
            script=total({call.pair: getattr(call, name)} for call in run.calls),
            metrics=run.metric(f"pinhole_usage_{name}_total", "provider", "model"),
            attempts=total({(row["provider"], row["model_label"]): row[name]} for row in run.attempts),
            usage_report=total({(row["provider"], row["model"]): row[name]} for row in report),
        )
    partial = {call.id for call in run.calls if call.partial}
    assert partial == {id for id, span in run.spans.items() if span.attributes.get("pinhole.usage.partial")}
    assert partial == {id for id, line in run.lines.items() if line.get("usage_partial")}
    agree(
        "bad numbers",
        script=total({(call.provider, call.oddity): 1} for call in run.calls if call.oddity),
        metrics=run.metric("pinhole_usage_malformed_total", "provider", "kind"),
    )


@pytest.mark.parametrize("by", ["session", "key", "agent", "dialect", "tag", "tag:team", "day"])
def test_reports_by_other_things(run, by):
    groups, whole = run.report(by)
    page = json.loads(run.get(f"/api/usage?by={by}"))
    assert page["groups"] == groups_without_kind(groups)
    days = {id: row["started_at_us"] // 86_400_000_000 for id, row in run.rows.items()}
    named = {
        "session": lambda call: call.session,
        "key": lambda call: call.key,
        "agent": lambda call: traffic.AGENTS[call.agent],
        "dialect": lambda call: run.rows[call.id]["dialect"],
        "tag": lambda call: call.tag and f"team={call.tag}",
        "tag:team": lambda call: call.tag,
        "day": lambda call: days[call.id],
    }[by]
    calls = [call for call in run.calls if "tag" not in by or call.tag]

    def summed(call):
        usage = {f"{kind}_tokens": run.told(call).get(kind) or 0 for kind in KINDS}
        sums = {**usage, "requests": 1, "cost_nanousd": run.rows[call.id]["cost_nanousd"] or 0}
        sums |= {"missing": call.missing, "partial": call.partial}
        return {(name if by != "day" else "all", kind): sums[kind] for kind in sums for name in [named(call)]}

    names = [*(f"{kind}_tokens" for kind in KINDS), "requests", "cost_nanousd", "missing", "partial"]
    agree(
        f"usage by {by}",
        script=total(summed(call) for call in calls),
        report=total({(row[by] if by != "day" else "all", kind): row[kind] for kind in names} for row in groups),
    )
    assert len(groups) == len({named(call) for call in calls})
    everything = total({(kind,): whole[kind] for kind in names} for whole in [whole])
    per_model = run.report("provider,model")[1]
    agree(f"the total by {by}", total=everything, by_model={(kind,): per_model[kind] for kind in names})


def groups_without_kind(groups):
    return [{name: value for name, value in row.items() if name != "kind"} for row in groups]


def test_the_winner_is_in_the_view_and_nothing_was_lost(run):
    assert set(run.spans) == {call.id for call in run.calls if call.spanned}
    last = {}
    for row in sorted(run.attempts, key=lambda row: row["n"]):
        last[row["id"]] = row
    columns = [*(f"{kind}_tokens" for kind in KINDS), "usage_source", "provider", "model"]
    for id, row in run.rows.items():
        attempt = last.get(id, {})
        assert {name: row[name] for name in columns} == {name: attempt.get(name) for name in columns}, run.by_id[id]
        assert row["attempts"] == sum(attempt["id"] == id for attempt in run.attempts)
    assert run.metric("pinhole_observations_lost_total", "what", "reason") == {}
    assert run.metric("pinhole_log_lines_dropped_total") == {}
    assert run.metric("pinhole_capture_exchanges_total", "result") == {("stored",): len(run.calls)}
