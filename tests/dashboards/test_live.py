"""Every query of the dashboards and every rule, against a real Prometheus that scraped a gateway under load."""

import re

import boards
import pytest
from prometheus import promtool

RATE_WINDOW_S = 15
OPENMETRICS = "application/openmetrics-text;version=1.0.0"

TARGETS = [pytest.param((name, panel["title"], target["refId"]), target, id=f"{name}: {panel['title']} {target['refId']}")
           for name in boards.NAMES for panel in boards.panels(boards.load(name)) for target in panel["targets"]]

# Queries that half a minute of good weather leaves empty, and why: dashboard, panel, query. They must parse all the same, and
# the gateway must declare their metrics.
HONESTLY_EMPTY = {
    ("tokens-cost", "Web searches by model", "A"): "the simulated providers run no searches",
    ("tokens-cost", "Usage missing, partial, malformed", "C"): "the simulated providers tell no malformed usage",
}

# Alerts that the load itself calls for, and why: alert, provider.
DESERVED = {
    ("PinholeProviderDown", "lab"): "half of what is asked of it is to fail",
    ("PinholeErrorBudgetFast", "lab"): "half of what is asked of it is to fail",
    ("PinholeErrorBudgetSlow", "lab"): "half of what is asked of it is to fail",
    ("PinholeUsageMissing", "local"): "it tells no usage",
}


def filled(rig, **chosen):
    return boards.variables(rate_window_s=RATE_WINDOW_S, range_s=max(1, int(rig.end - rig.start)), **chosen)


def values_of(rig, label):
    """The variable's values as Grafana puts several of them in."""
    found = {labels[label] for labels, _ in rig.prometheus.at(f"count by ({label}) (pinhole_requests_total)", rig.end)}
    return "|".join(re.escape(value).replace("\\-", "-") for value in sorted(found)).replace("\\", "\\\\")


def series(rig, selector):
    return rig.prometheus.over(selector, rig.start, rig.end, 1)


# ----------------------------------------------------------------------------------------------------------- dashboards

@pytest.mark.parametrize(("place", "target"), TARGETS)
def test_a_panels_query_finds_numbers(rig, place, target):
    ask = rig.prometheus.at if target["instant"] else lambda expr, end: rig.prometheus.over(expr, rig.start, end, 1)
    expr = boards.expand(target["expr"], filled(rig))
    found, without_zeros = ask(expr, rig.end), ask(boards.bare(expr), rig.end)
    if place in HONESTLY_EMPTY:
        assert not without_zeros, f"no longer empty: {expr}"
    else:
        assert found and without_zeros, f"no numbers: {expr}"


@pytest.mark.parametrize(("place", "target"), TARGETS)
def test_what_a_query_selects_exists(rig, place, target):
    """With providers and models named one by one: a filter by a label that a metric lacks selects nothing."""
    chosen = filled(rig, provider=values_of(rig, "provider"), model=values_of(rig, "model"))
    for selector in boards.selectors(target["expr"]):
        assert place in HONESTLY_EMPTY or series(rig, boards.expand(selector, chosen)), f"no series: {selector}"


def test_what_may_be_empty_is_there_and_declared():
    exprs = {target.values[0]: target.values[1]["expr"] for target in TARGETS}
    assert set(HONESTLY_EMPTY) <= set(exprs)
    declared = boards.metrics((boards.ROOT / "docs/telemetry.md").read_text())
    for place in HONESTLY_EMPTY:
        assert boards.metrics(exprs[place]) and boards.metrics(exprs[place]) <= declared, place


def test_zeros_are_taken_out_of_a_query():
    assert boards.bare("(sum(a) or vector(0)) / sum(b)") == "(sum(a)) / sum(b)"
    assert boards.bare("(a or b or 0 * sum by (x) (rate(c[5m]))) / d") == "(a or b) / d"
    assert boards.bare("60 * (sum(a) or vector(0)) - (b or 0 * sum(c))") == "60 * (sum(a)) - (b)"


@pytest.mark.parametrize("name", boards.NAMES)
def test_variables_find_their_values(rig, name):
    for variable in boards.load(name)["templating"]["list"][1:]:
        metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()
        metric = boards.expand(metric, filled(rig))
        assert rig.prometheus.at(f"count by ({label}) ({metric})", rig.end), variable["query"]["query"]


def test_exemplars_name_traces(rig):
    for metric in ("pinhole_time_to_first_token_seconds", "pinhole_request_duration_seconds", "pinhole_overhead_seconds"):
        found = rig.prometheus.api("query_exemplars", query=f"{metric}_bucket", start=rig.start, end=rig.end)
        traces = {dot["labels"].get("trace_id", "") for row in found for dot in row["exemplars"]}
        assert traces and all(re.fullmatch(r"[0-9a-f]{32}", trace) for trace in traces), f"{metric}: {traces}"


# ---------------------------------------------------------------------------------------------------------------- rules

def rules(rig):
    return [rule for group in rig.prometheus.api("rules")["groups"] for rule in group["rules"]]


def test_rules_run(rig):
    found = rules(rig)
    assert len(found) > 20
    for rule in found:
        assert rule["health"] == "ok", f"{rule['name']}: {rule.get('lastError')}"


def test_recording_rules_record(rig):
    for rule in rules(rig):
        if rule["type"] == "recording":
            assert series(rig, rule["name"]), f"{rule['name']} records nothing: {rule['query']}"


def test_an_error_in_the_middle_of_a_stream_is_a_failure(rig):
    told = 'pinhole_requests_total{provider="lab", status="200", outcome="upstream_error"}'
    rule = next(rule for rule in rules(rig) if rule["name"] == "provider:pinhole_requests_failed:rate5m")
    [failed] = boards.selectors(rule["query"])
    assert rig.count(f"sum({told})") == rig.count(f"sum({told} and {failed})") > 0


def test_what_alerts_select_exists(rig):
    for rule in rules(rig):
        if rule["type"] == "alerting":
            selectors = boards.selectors(rule["query"])
            assert selectors, f"nothing to look at in {rule['query']}"
            for selector in selectors:
                # An alert may look for a label value that good weather lacks; its metric must be there.
                metric = selector.split("{")[0]
                assert series(rig, metric), f"{rule['name']}: no series {metric}"


def test_no_alert_is_pending_or_fires_in_good_weather(rig):
    """Nearly all wait for minutes before they fire, so pending is what half a minute can show."""
    seen = {(alert["labels"]["alertname"], alert["labels"].get("provider")): f"{alert['state']}: {alert['annotations']['summary']}"
            for alert in rig.prometheus.api("alerts")["alerts"]}
    assert {what: said for what, said in seen.items() if what not in DESERVED} == {}
    # Proof that a pending alert would be seen.
    assert ("PinholeUsageMissing", "local") in seen


def test_deserved_alerts_exist():
    rules = (boards.ROOT / "grafana/rules/alerts.yml").read_text()
    for alert, _ in DESERVED:
        assert f"- alert: {alert}\n" in rules


# ----------------------------------------------------------------------------------------------------------- exposition

def test_every_request_is_counted_once(rig):
    assert rig.count("sum(pinhole_requests_total)") == rig.load.sent


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
def test_the_exposition_is_as_asked(rig, accept):
    kind, text = rig.exposition(accept)
    assert kind.startswith(accept.split(";", maxsplit=1)[0])
    assert text.endswith("# EOF\n") == (accept == OPENMETRICS)


def test_promtool_finds_no_fault_with_the_metrics(rig):
    good, said = promtool("check", "metrics", text=rig.exposition("text/plain")[1])
    assert good, said


# --------------------------------------------------------------------------------------------------------------- grafana/

@pytest.mark.parametrize("arguments", [
    ("check", "config", "prometheus.yml"), ("check", "rules", "rules/recording.yml", "rules/alerts.yml"),
    ("test", "rules", "rules/alerts_test.yml"), ("test", "rules", "rules/baseline_test.yml"),
], ids=" ".join)
def test_promtool_is_content(arguments):
    *words, last = arguments
    files = [str(boards.ROOT / "grafana" / word) if word.endswith(".yml") else word for word in (*words, last)]
    good, said = promtool(*files)
    assert good, said
