"""Every query of the dashboards and every rule, against a real Prometheus that scraped a gateway under load."""

import re

import boards
import pytest
from prometheus import promtool

RATE_WINDOW_S = 15
OPENMETRICS = "application/openmetrics-text;version=1.0.0"

TARGETS = [pytest.param(panel, target, id=f"{name}: {panel['title']} {target['refId']}")
           for name in boards.NAMES for panel in boards.panels(boards.load(name)) for target in panel["targets"]]

# Series that half a minute of good weather does not have, and why. A panel over them must parse all the same, and the
# gateway must declare them.
HONESTLY_EMPTY = {
    "pinhole_web_searches_total": "the simulated providers run no searches",
    "pinhole_usage_malformed_total": "the simulated providers tell no malformed usage",
}


def filled(rig, **chosen):
    return boards.variables(rate_window_s=RATE_WINDOW_S, range_s=max(1, int(rig.end - rig.start)), **chosen)


def values_of(rig, label):
    """The variable's values as Grafana puts several of them in."""
    found = {labels[label] for labels, _ in rig.prometheus.at(f"count by ({label}) (pinhole_requests_total)", rig.end)}
    return "|".join(re.escape(value).replace("\\-", "-") for value in sorted(found)).replace("\\", "\\\\")


def empty_for_a_reason(expr):
    return [reason for name, reason in HONESTLY_EMPTY.items() if name in expr]


def series(rig, selector):
    return rig.prometheus.over(selector, rig.start, rig.end, 1)


# ----------------------------------------------------------------------------------------------------------- dashboards

@pytest.mark.parametrize(("panel", "target"), TARGETS)
def test_a_panels_query_finds_numbers(rig, panel, target):
    expr = boards.expand(target["expr"], filled(rig))
    if target["instant"]:
        found = rig.prometheus.at(expr, rig.end)
    else:
        found = series(rig, expr)
    assert found or empty_for_a_reason(expr), f"no numbers: {expr}"


@pytest.mark.parametrize(("panel", "target"), TARGETS)
def test_what_a_query_selects_exists(rig, panel, target):
    """With providers and models named one by one: a filter by a label that a metric lacks selects nothing."""
    chosen = filled(rig, provider=values_of(rig, "provider"), model=values_of(rig, "model"))
    for selector in boards.selectors(target["expr"]):
        assert series(rig, boards.expand(selector, chosen)) or empty_for_a_reason(selector), f"no series: {selector}"


def test_what_may_be_empty_is_declared():
    assert set(HONESTLY_EMPTY) <= boards.metrics((boards.ROOT / "docs/telemetry.md").read_text())


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


def test_what_alerts_select_exists(rig):
    for rule in rules(rig):
        if rule["type"] == "alerting":
            selectors = boards.selectors(rule["query"])
            assert selectors, f"nothing to look at in {rule['query']}"
            for selector in selectors:
                # An alert may look for a label value that good weather lacks; its metric must be there.
                metric = selector.split("{")[0]
                assert series(rig, metric) or empty_for_a_reason(metric), f"{rule['name']}: no series {metric}"


def test_no_alert_fires_in_good_weather(rig):
    firing = [f"{alert['labels']['alertname']}: {alert['annotations']['summary']}"
              for alert in rig.prometheus.api("alerts")["alerts"] if alert["state"] == "firing"]
    assert firing == []


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
