"""The dashboards as Grafana reads them: panels, and queries with every variable put in. No network here."""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("overview", "latency", "tokens-cost", "providers", "replay")
METRIC = re.compile(r"\b(?:pinhole|process)_[a-z0-9_]+\b")
# A metric or a recorded series with or without matchers, as it stands in an expression.
SELECTOR = re.compile(r"(?<![\w:$.\"])((?:pinhole|process)_[a-z0-9_]+|[a-z_]*:pinhole_[a-z0-9_:]+|pinhole:[a-z0-9_:]+|up)"
                      r"(\{[^}]*\})?(?![\w:(])")
HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


def load(name):
    return json.loads((ROOT / "dashboards" / f"{name}.json").read_text())


def panels(board):
    """All panels that show something; rows only divide."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expand(expr, variables):
    """The expression as Grafana sends it. Longest names first: `$__range_s` is not `$__range` with an `_s`."""
    for name in sorted(variables, key=len, reverse=True):
        expr = expr.replace("${%s}" % name, variables[name]).replace(f"${name}", variables[name])
    assert "$" not in expr, f"a variable that is not replaced: {expr}"
    return expr


def variables(*, instance=".*", provider=".*", model=".*", rate_window_s, range_s):
    return {"instance": instance, "provider": provider, "model": model, "__rate_interval": f"{rate_window_s}s",
            "__range": f"{range_s}s", "__range_s": str(range_s)}


def selectors(expr):
    """The selectors of an expression, each once."""
    return list(dict.fromkeys(name + matchers for name, matchers in SELECTOR.findall(expr)))


def metrics(text):
    """The metrics that a text names; a histogram under its own name."""
    return {HISTOGRAM.sub("", name) for name in METRIC.findall(text)}


def bare(expr):
    """The expression without the zeros put in where a query has no series: with them it always finds a number."""
    expr = expr.replace(" or vector(0)", "")
    while " or 0 * " in expr:
        start = end = expr.index(" or 0 * ")
        depth = 0
        while end < len(expr) and (depth or expr[end] != ")"):
            depth += {"(": 1, ")": -1}.get(expr[end], 0)
            end += 1
        expr = expr[:start] + expr[end:]
    return expr
