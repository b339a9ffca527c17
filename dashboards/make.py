#!/usr/bin/env python3
"""Writes the dashboards' JSON and the table of README.md from `source/`; `--check` only tells whether they are current.

    dashboards/make.py            after a change of source/
    dashboards/make.py --check    exit code 1 and the names of stale files
"""

import json
import pathlib
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))

from source import latency, overview, providers, replay, tokens_cost  # noqa: E402  (the path is set above)

HERE = pathlib.Path(__file__).parent
DASHBOARDS = {"overview": overview, "latency": latency, "tokens-cost": tokens_cost, "providers": providers,
              "replay": replay}
BEGIN, END = "<!-- made by make.py: begin -->\n", "<!-- made by make.py: end -->\n"
METRIC = re.compile(r"\b(?:pinhole|process)_[a-z0-9_]+")


def metrics_of(panel):
    """The metrics of a panel's queries in order of use; a histogram under its own name."""
    names = [name for target in panel["targets"] for name in METRIC.findall(target["expr"])]
    return list(dict.fromkeys(re.sub(r"_(bucket|count|sum)$", "", name) for name in names))


def page(built):
    """The part of README.md that follows from the dashboards: panel, what it shows, metrics."""
    parts = []
    for name, board in built.items():
        picture = f"../docs/img/dashboards-{name}.png"
        shown = f"![{board['title']}]({picture})\n\n" if (HERE / picture).exists() else ""
        parts.append(f"## {name}\n\n{board['description']} File: [{name}.json]({name}.json).\n\n{shown}"
                     "| panel | shows | metrics |\n|---|---|---|\n")
        for panel in board["panels"]:
            if panel["type"] != "row":
                metrics = ", ".join(f"`{metric}`" for metric in metrics_of(panel))
                parts.append(f"| {panel['title']} | {panel['description']} | {metrics} |\n")
        parts.append("\n")
    return "".join(parts).removesuffix("\n")


def files():
    built = {name: source.build() for name, source in DASHBOARDS.items()}
    made = {HERE / f"{name}.json": json.dumps(board, indent=2, ensure_ascii=False) + "\n" for name, board in built.items()}
    readme = HERE / "README.md"
    head, rest = readme.read_text().split(BEGIN)
    made[readme] = head + BEGIN + page(built) + END + rest.split(END)[1]
    return made


def main():
    stale = {path: text for path, text in files().items() if not path.exists() or path.read_text() != text}
    if sys.argv[1:] == ["--check"]:
        for path in stale:
            print(f"{path.relative_to(HERE.parent)} is not what its source makes; run dashboards/make.py")
        return 1 if stale else 0
    for path, text in stale.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
