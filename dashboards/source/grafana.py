"""The parts a dashboard is made of, as Grafana's classic JSON: selectors, panels, variables, the grid.

Only what our dashboards use. Every panel gets a unit and a description, every query the data-source variable; the
grid is filled row by row, so that panels can't overlap.
"""

DOCS = "https://github.com/pinhole-gateway/pinhole/blob/main"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
RATE = "$__rate_interval"
RANGE = "$__range"

PROVIDER_MODEL = ("provider", "model")
# Metric → the labels by which the dashboard's variables filter it. A name that is not here can't be used.
FILTERS = {
    "pinhole_requests_total": PROVIDER_MODEL,
    "pinhole_tokens_total": PROVIDER_MODEL,
    "pinhole_cost_usd_total": PROVIDER_MODEL,
    "pinhole_request_duration_seconds": PROVIDER_MODEL,
    "pinhole_time_to_first_token_seconds": PROVIDER_MODEL,
    "pinhole_time_to_first_answer_token_seconds": PROVIDER_MODEL,
    "pinhole_time_per_output_token_seconds": PROVIDER_MODEL,
    "pinhole_stream_gap_max_seconds": PROVIDER_MODEL,
    "pinhole_stream_stalls_total": PROVIDER_MODEL,
    "pinhole_overhead_seconds": (),
    "pinhole_attempt_phase_seconds": ("provider",),
    "pinhole_requests_in_flight": ("provider",),
    "pinhole_upstream_attempts_total": PROVIDER_MODEL,
    "pinhole_errors_total": PROVIDER_MODEL,
    "pinhole_usage_missing_total": PROVIDER_MODEL,
    "pinhole_usage_malformed_total": ("provider",),
    "pinhole_usage_partial_total": PROVIDER_MODEL,
    "pinhole_unpriced_total": PROVIDER_MODEL,
    "pinhole_web_searches_total": PROVIDER_MODEL,
    "pinhole_tool_calls_total": PROVIDER_MODEL,
    "pinhole_provider_up": ("provider",),
    "pinhole_provider_rate_limit": ("provider",),
    "pinhole_provider_rate_limit_remaining": ("provider",),
    "pinhole_connections_opened_total": ("provider",),
    "pinhole_connections_reused_total": ("provider",),
    "pinhole_observations_lost_total": (),
    "pinhole_otlp_exports_total": (),
    "pinhole_log_lines_dropped_total": (),
    "pinhole_series": (),
    "pinhole_series_collapsed_total": (),
    "pinhole_price_list_timestamp_seconds": (),
    "pinhole_start_time_seconds": (),
    "pinhole_build_info": (),
    "pinhole_replay_running": (),
    "pinhole_replay_requests_total": (),
    "pinhole_replay_cost_usd_total": (),
    "pinhole_replay_time_to_first_token_seconds": (),
    "pinhole_replay_request_duration_seconds": (),
    "pinhole_replay_lag_seconds": (),
    "process_cpu_seconds_total": (),
    "process_resident_memory_bytes": (),
}

# Green to red for how bad, one hue for each thing that comes back on several dashboards.
COLOURS = {
    "complete": "green", "client_cancelled": "blue", "rejected": "yellow", "upstream_error": "orange",
    "upstream_reset": "red", "timeout": "purple", "gateway_error": "dark-red",
    "p50": "green", "p95": "orange", "p99": "red",
    "input": "blue", "input, uncached": "blue", "input, cache read": "light-blue", "input, cache write": "purple",
    "output": "green", "output, answer": "green", "output, reasoning": "yellow",
    "client": "blue", "gateway": "red", "upstream": "orange",
    "ok": "green", "cancelled": "blue", "client_error": "yellow", "rate_limited": "orange", "server_error": "red",
    "unreachable": "dark-red", "reset": "semi-dark-red", "invalid": "semi-dark-orange",
    "queue": "purple", "resolve": "blue", "connect": "light-blue", "tls": "yellow", "first_byte": "green",
}
# The values of labels that are closed sets, so that each has its colour before it is first seen.
CLOSED = {
    "{{outcome}}": ["complete", "client_cancelled", "rejected", "upstream_error", "upstream_reset", "timeout",
                    "gateway_error"],
    "{{source}}": ["client", "gateway", "upstream"],
    "{{result}}": ["ok", "client_error", "rate_limited", "server_error", "unreachable", "timeout", "reset", "invalid",
                   "cancelled"],
    "{{phase}}": ["queue", "resolve", "connect", "tls", "first_byte"],
}


# ---------------------------------------------------------------------------------------------------------- expressions

def select(metric, *matchers):
    """`metric{…}` with the dashboard's variables and the given matchers."""
    base = metric
    for suffix in ("_bucket", "_sum", "_count"):
        if base not in FILTERS:
            base = metric.removesuffix(suffix)
    labels = [f'{label}=~"${label}"' for label in ("instance", *FILTERS[base])]
    return f"{metric}{{{', '.join([*labels, *matchers])}}}"


def rate(metric, *matchers, by="", window=RATE):
    return total(f"rate({select(metric, *matchers)}[{window}])", by)


def increase(metric, *matchers, by="", window=RANGE):
    return total(f"increase({select(metric, *matchers)}[{window}])", by)


def total(expr, by=""):
    return f"sum by ({by}) ({expr})" if by else f"sum({expr})"


def quantile(q, metric, *matchers, by="", window=RATE):
    buckets = rate(f"{metric}_bucket", *matchers, by=", ".join(["le", *([by] if by else [])]), window=window)
    return f"histogram_quantile({q}, {buckets})"


def zero(expr, like=None):
    """`expr`, and 0 where it has no series: everywhere, or for each series of `like`."""
    return f"({expr} or 0 * {like})" if like else f"({expr} or vector(0))"


# By outcome, because an error told in the middle of a stream comes under 200; without statuses 4xx but 429.
FAILED = 'outcome=~"upstream_error|upstream_reset|timeout|gateway_error|rejected", status!~"4[013-9].|42[0-8]"'


def failed(window=RATE, by="", call="rate"):
    """Requests that failed through no fault of the client's, as `grafana/rules/recording.yml` counts them too."""
    return total(f"{call}({select('pinhole_requests_total', FAILED)}[{window}])", by)


def failed_share(window=RATE, by="", call="rate"):
    everything = total(f"{call}({select('pinhole_requests_total')}[{window}])", by)
    return f"{zero(failed(window, by, call), everything if by else None)} / {everything}"


# -------------------------------------------------------------------------------------------------------------- targets

def series(expr, legend, exemplar=False):
    """A query over the dashboard's time range."""
    return {"expr": expr, "legendFormat": legend, "range": True, "instant": False, "format": "time_series",
            "exemplar": exemplar}


def now(expr, legend=""):
    """A query at the end of the time range, for totals over it."""
    return {"expr": expr, "legendFormat": legend, "range": False, "instant": True, "format": "time_series",
            "exemplar": False}


def cells(expr):
    """As `now`, for a column of a table."""
    return {**now(expr), "format": "table"}


# --------------------------------------------------------------------------------------------------------------- panels

def steps(*pairs):
    """Thresholds: a colour from each value on; the first has no value."""
    return {"mode": "absolute", "steps": [{"color": colour, "value": value} for value, colour in pairs]}


PLAIN = steps((None, "text"))


def panel(kind, title, description, targets, unit, *, thresholds=None, defaults=None, options=None, overrides=(),
          transformations=(), decimals=None):
    field = {"unit": unit, "thresholds": thresholds or PLAIN, **(defaults or {})}
    if decimals is not None:
        field["decimals"] = decimals
    made = {
        "type": kind, "title": title, "description": description, "datasource": DATASOURCE,
        "fieldConfig": {"defaults": field, "overrides": list(overrides)},
        "options": options or {},
        "targets": [{"refId": chr(ord("A") + at), "datasource": DATASOURCE, "editorMode": "code", **target}
                    for at, target in enumerate(targets)],
    }
    if transformations:
        made["transformations"] = list(transformations)
    return made


def stat(title, description, target, unit, *, thresholds=None, decimals=None):
    """One number, with its course behind it when the query has one."""
    return panel(
        "stat", title, description, [target], unit, thresholds=thresholds, decimals=decimals,
        defaults={"color": {"mode": "thresholds"}, "noValue": "–"},
        options={"colorMode": "value", "graphMode": "area" if target["range"] else "none", "justifyMode": "auto",
                 "textMode": "value", "wideLayout": True, "orientation": "auto",
                 "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}})


def lines(title, description, targets, unit, *, stack=False, thresholds=None, maximum=None, minimum=0, link=None,
          decimals=None, log=False):
    """Lines over time; `stack` where the sum means something; `link` to another dashboard, by the series' label."""
    custom = {
        "drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1 if stack else 2,
        "fillOpacity": 35 if stack else 0, "showPoints": "never", "spanNulls": False, "axisSoftMin": minimum,
        "stacking": {"mode": "normal" if stack else "none", "group": "A"},
        "scaleDistribution": {"type": "log", "log": 10} if log else {"type": "linear"},
        "thresholdsStyle": {"mode": "dashed" if thresholds else "off"},
    }
    defaults = {"color": {"mode": "palette-classic"}, "custom": custom}
    if log:
        del custom["axisSoftMin"]
    if maximum is not None:
        defaults["max"] = maximum
    if link:
        label, uid, name = link
        url = f"/d/{uid}?${{__url_time_range}}&var-datasource=${{datasource}}&var-{label}=${{__field.labels.{label}}}"
        defaults["links"] = [{"title": f"{name}: ${{__field.labels.{label}}}", "url": url}]
    return panel(
        "timeseries", title, description, targets, unit, thresholds=thresholds, defaults=defaults, decimals=decimals,
        options={"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
                 "tooltip": {"mode": "multi", "sort": "desc"}},
        overrides=[{"matcher": {"id": "byName", "options": name},
                    "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": COLOURS[name]}}]}
                   for target in targets for name in CLOSED.get(target["legendFormat"], [target["legendFormat"]])
                   if name in COLOURS])


def quantiles(metric, *matchers):
    """Three lines, and the exemplars once: they are the same for each."""
    return [series(quantile(q, metric, *matchers), name, exemplar=name == "p99")
            for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))]


def heatmap(title, description, target, unit):
    """Buckets over time. The colour is the number of observations, the axis the bucket's bound."""
    return panel(
        "heatmap", title, description, [{**target, "format": "heatmap", "legendFormat": "{{le}}"}], unit,
        defaults={"custom": {"scaleDistribution": {"type": "linear"}}},
        options={"calculate": False, "cellGap": 1, "yAxis": {"axisPlacement": "left", "unit": unit, "reverse": False},
                 "rowsFrame": {"layout": "auto"}, "showValue": "never", "legend": {"show": False},
                 "tooltip": {"mode": "single", "yHistogram": True, "showColorScale": False},
                 "exemplars": {"color": "rgba(255,120,10,0.9)"},
                 "color": {"mode": "scheme", "scheme": "Viridis", "steps": 64, "exponent": 0.5, "fill": "dark-blue",
                           "scale": "exponential", "reverse": False},
                 "filterValues": {"le": 1e-9}})


def states(title, description, target, names):
    """A band for each series, coloured by value: `names` is value → (text, colour)."""
    return panel(
        "state-timeline", title, description, [target], "short",
        defaults={"color": {"mode": "thresholds"}, "custom": {"fillOpacity": 80, "lineWidth": 0},
                  "mappings": [{"type": "value", "options": {
                      str(value): {"text": text, "color": colour, "index": at}
                      for at, (value, (text, colour)) in enumerate(names.items())}}]},
        options={"showValue": "auto", "rowHeight": 0.8, "mergeValues": True, "alignValue": "left",
                 "legend": {"showLegend": False, "displayMode": "list", "placement": "bottom"},
                 "tooltip": {"mode": "single", "sort": "none"}})


def table(title, description, key, columns, *, sort=None, link=None):
    """A row for each value of the labels `key`; `columns` is (name, expression, unit, extra field properties)."""
    overrides = []
    renames = {f"Value #{chr(ord('A') + at)}": name for at, (name, *_) in enumerate(columns)}
    for name, _, unit, *extra in columns:
        properties = [{"id": "unit", "value": unit}]
        for properties_of in extra:
            properties += [{"id": of, "value": value} for of, value in properties_of.items()]
        overrides.append({"matcher": {"id": "byName", "options": name}, "properties": properties})
    for label in key:
        properties = [{"id": "custom.minWidth", "value": 110}]
        if link and link[0] == label:
            url = (f"/d/{link[1]}?${{__url_time_range}}&var-datasource=${{datasource}}"
                   f"&var-{label}=${{__data.fields.{label}}}")
            properties.append({"id": "links", "value": [{"title": f"{link[2]}: ${{__value.text}}", "url": url}]})
        overrides.append({"matcher": {"id": "byName", "options": label}, "properties": properties})
    order = {name: at for at, name in enumerate([*key, *renames])}
    made = panel(
        "table", title, description, [cells(expr) for _, expr, *_ in columns], "short",
        defaults={"color": {"mode": "thresholds"}, "noValue": "–",
                  "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False}},
        options={"showHeader": True, "cellHeight": "sm", "footer": {"show": False},
                 "sortBy": [{"displayName": sort or columns[0][0], "desc": True}]},
        overrides=overrides,
        transformations=[
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {"Time": True}, "indexByName": order,
                                           "renameByName": renames}}])
    return made


def coloured(*pairs):
    """A table cell whose text takes the colour of its threshold."""
    return {"thresholds": steps(*pairs), "custom.cellOptions": {"type": "color-text"}}


# ----------------------------------------------------------------------------------------------------------- dashboards

def variable(name, label, query, *, multi):
    made = {"name": name, "label": label, "hide": 0, "skipUrlSync": False}
    if name == "datasource":
        return {**made, "type": "datasource", "query": "prometheus", "regex": "", "refresh": 1, "multi": False,
                "includeAll": False, "current": {}, "options": []}
    return {**made, "type": "query", "datasource": DATASOURCE, "definition": query, "refresh": 2, "sort": 1, "regex": "",
            "query": {"qryType": 1, "query": query, "refId": f"variable-{name}"}, "multi": multi, "includeAll": multi,
            "allValue": ".*", "current": {"selected": True, "text": ["All"], "value": ["$__all"]}, "options": []}


def dashboard(name, title, description, rows):
    """`rows` is (heading or None, height, [(width, panel), …]); a heading gets a row of its own."""
    uid = f"pinhole-{name}"
    panels, top = [], 0
    for heading, height, row in rows:
        if heading:
            panels.append({"type": "row", "title": heading, "collapsed": False, "panels": [],
                           "gridPos": {"h": 1, "w": 24, "x": 0, "y": top}})
            top += 1
        left = 0
        for width, made in row:
            panels.append({**made, "gridPos": {"h": height, "w": width, "x": left, "y": top}, "links": [
                {"title": "What this shows", "url": f"{DOCS}/dashboards/README.md#{name}", "targetBlank": True}]})
            left += width
        assert left == 24, f"{title}: a row is {left} wide, not 24"
        top += height
    for at, made in enumerate(panels, start=1):
        made["id"] = at
    variables = [
        variable("datasource", "Data source", None, multi=False),
        variable("instance", "Gateway", "label_values(pinhole_build_info, instance)", multi=True),
        variable("provider", "Provider", 'label_values(pinhole_requests_total{instance=~"$instance"}, provider)',
                 multi=True),
        variable("model", "Model", 'label_values(pinhole_requests_total{instance=~"$instance", '
                 'provider=~"$provider"}, model)', multi=True)]
    # What no panel asks for is carried along to the next dashboard, but is no control here.
    asked = str(panels)
    for made in variables[2:]:
        made["hide"] = 0 if f"${made['name']}" in asked else 2
    return {
        "id": None, "uid": uid, "title": f"Pinhole · {title}", "description": description, "tags": ["pinhole"],
        "schemaVersion": 39, "version": 1, "editable": True, "graphTooltip": 1, "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"}, "refresh": "30s", "fiscalYearStartMonth": 0, "liveNow": False,
        "weekStart": "", "style": "dark",
        "annotations": {"list": [{
            "name": "Gateway started", "datasource": DATASOURCE, "enable": True, "hide": False, "iconColor": "blue",
            "expr": 'pinhole_start_time_seconds{instance=~"$instance"} * 1000', "useValueForTime": True,
            "titleFormat": "Pinhole started", "textFormat": "{{instance}}", "step": "60s"}]},
        "links": [
            {"type": "dashboards", "title": "Pinhole", "tags": ["pinhole"], "asDropdown": False, "includeVars": True,
             "keepTime": True, "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""},
            {"type": "link", "title": "Docs", "url": f"{DOCS}/docs/monitoring.md", "icon": "doc", "tags": [],
             "asDropdown": False, "includeVars": False, "keepTime": False, "targetBlank": True,
             "tooltip": "From scrape to dashboard, and what the numbers mean"}],
        "templating": {"list": variables},
        "panels": panels,
    }
