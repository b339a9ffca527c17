"""The JSON as Grafana 10 to 12 take it, read as plain files: ids, grid, units, descriptions, variables, names of metrics."""

import itertools
import re
import subprocess
import sys

import boards
import pytest

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
DOCS = "https://github.com/pinhole-gateway/pinhole/blob/main/"
PANELS = [pytest.param(name, panel, id=f"{name}: {panel['title']}")
          for name in boards.NAMES for panel in boards.panels(boards.load(name))]


def declared():
    """Every metric of the generated reference page."""
    return boards.metrics((boards.ROOT / "docs/telemetry.md").read_text())


def texts_that_name_metrics():
    folders = ("dashboards/*.json", "dashboards/README.md", "grafana/rules/*.yml", "docs/monitoring.md", "docs/alerts.md")
    return [path for folder in folders for path in sorted(boards.ROOT.glob(folder))]


def test_the_json_is_what_its_source_makes():
    done = subprocess.run([sys.executable, "-B", str(boards.ROOT / "dashboards/make.py"), "--check"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", boards.NAMES)
def test_a_dashboard_imports_as_it_is(name):
    board = boards.load(name)
    assert board["id"] is None and board["uid"] == f"pinhole-{name}" and len(board["uid"]) <= 40
    assert 36 <= board["schemaVersion"] <= 42
    assert "__inputs" not in board, "an import must not ask for anything"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    titles = [panel["title"] for panel in boards.panels(board)]
    assert len(titles) == len(set(titles))
    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names == ["datasource", "instance", "provider", "model"]
    for variable in board["templating"]["list"][1:]:
        assert variable["datasource"] == DATASOURCE
        assert variable["multi"] and variable["includeAll"] and variable["allValue"] == ".*"
        asked = any(f"${variable['name']}" in target["expr"] for panel in boards.panels(board) for target in panel["targets"])
        assert (variable["hide"] == 0) == asked, f"{variable['name']} is a control that does nothing, or is hidden"
    for annotation in board["annotations"]["list"]:
        assert annotation["datasource"] == DATASOURCE


@pytest.mark.parametrize("name", boards.NAMES)
def test_panels_fill_the_grid_and_do_not_overlap(name):
    panels = boards.load(name)["panels"]
    taken = {}
    for panel in panels:
        pos = panel["gridPos"]
        assert pos["x"] >= 0 and pos["x"] + pos["w"] <= 24, panel["title"]
        for cell in itertools.product(range(pos["x"], pos["x"] + pos["w"]), range(pos["y"], pos["y"] + pos["h"])):
            assert cell not in taken, f"{panel['title']} lies on {taken[cell]}"
            taken[cell] = panel["title"]
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    assert len(taken) == 24 * height, "a hole in the grid moves panels up when Grafana loads it"


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_a_panel_says_what_it_shows(name, panel):
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["datasource"] == DATASOURCE
    assert defaults["unit"], "no unit"
    assert len(panel["description"]) > 20 and panel["description"].endswith((".", "?")), "no sentence that describes it"
    assert [link["url"].startswith(DOCS) for link in panel["links"]] == [True]
    refs = [target["refId"] for target in panel["targets"]]
    assert refs and len(refs) == len(set(refs))
    for target in panel["targets"]:
        assert target["datasource"] == DATASOURCE
        for selector in boards.selectors(target["expr"]):
            assert 'instance=~"$instance"' in selector, f"not filtered by gateway: {selector}"
    for step in defaults["thresholds"]["steps"][1:]:
        assert step["value"] is not None


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_latency_over_time_has_exemplars(name, panel):
    over_time = panel["type"] in ("timeseries", "heatmap")
    exact = re.compile(r"(first_token|first_answer_token|per_output_token|gap_max|duration|overhead)_seconds_bucket")
    if over_time and any(exact.search(target["expr"]) for target in panel["targets"]) and "1 / " not in panel["targets"][0]["expr"]:
        # Runs of replays keep none: a panel that asks for them shows an option that does nothing.
        runs = any("pinhole_replay_" in target["expr"] for target in panel["targets"])
        assert any(target["exemplar"] for target in panel["targets"]) != runs, f"{name}: {panel['title']}"


def test_links_lead_somewhere():
    uids = {boards.load(name)["uid"] for name in boards.NAMES}
    for name in boards.NAMES:
        text = (boards.ROOT / f"dashboards/{name}.json").read_text()
        assert set(re.findall(r"/d/([\w-]+)", text)) <= uids
        for path in re.findall(re.escape(DOCS) + r"([^\"#]+)", text):
            assert (boards.ROOT / path).exists(), f"{name}: {path}"


@pytest.mark.parametrize("path", texts_that_name_metrics(), ids=lambda path: path.name)
def test_every_metric_named_is_declared(path):
    unknown = {name for name in boards.metrics(path.read_text()) if name not in declared()}
    # Recorded series carry a metric's name between colons; promtool and the live run check those.
    recorded = set(re.findall(r":(pinhole_[a-z0-9_]+)[:{ ]", (boards.ROOT / "grafana/rules/recording.yml").read_text()))
    assert unknown - recorded == set(), f"{path.name} names metrics that the gateway does not have"


def test_every_alert_has_a_paragraph_and_two_tests():
    rules = (boards.ROOT / "grafana/rules/alerts.yml").read_text()
    alerts = re.findall(r"- alert: (\w+)", rules)
    pages = re.findall(r"^## (\w+)$", (boards.ROOT / "docs/alerts.md").read_text(), re.MULTILINE)
    assert sorted(alerts) == sorted(pages)
    tests = "".join(path.read_text() for path in boards.ROOT.glob("grafana/rules/*_test.yml"))
    for alert in alerts:
        assert f"docs/alerts.md#{alert.lower()}\n" in rules
        cases = re.findall(rf"alertname: {alert}\n.*\n +exp_alerts:( \[\])?", tests)
        assert "" in cases and " []" in cases, f"{alert} needs a case that fires and one that does not"


def test_the_compose_file_pins_versions_and_mounts_what_exists():
    text = (boards.ROOT / "grafana/compose.yaml").read_text()
    images = re.findall(r"image: (\S+)", text)
    assert len(images) == 4
    for image in images:
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", image), image
    mounts = re.findall(r"^ +- (\.\.?/[^:]+):", text, re.MULTILINE)
    assert mounts
    for mount in mounts:
        assert (boards.ROOT / "grafana" / mount).exists(), mount
    provisioned = (boards.ROOT / "grafana/provisioning/dashboards/pinhole.yaml").read_text()
    folder = re.search(r"path: (\S+)", provisioned)[1]
    assert f"../dashboards:{folder}:ro" in text


def test_an_exemplar_opens_its_trace_in_a_data_source_that_is_there():
    text = (boards.ROOT / "grafana/provisioning/datasources/pinhole.yaml").read_text()
    uids = re.findall(r"^ +uid: (\S+)", text, re.MULTILINE)
    assert re.findall(r"name: trace_id\n +datasourceUid: (\S+)", text) == [uid for uid in uids if uid == "tempo"]
