#!/usr/bin/env python3
"""Draws each dashboard from its JSON and real data, as Grafana lays it out at 1440 × 900 and further down.

    draw.py                        starts the rig of the tests, loads it for ten minutes, writes docs/img/dashboards-*.png
    draw.py --minutes 3            the same, shorter
    draw.py --prometheus URL       from a Prometheus that runs already, its last ten minutes

The pictures show what the panels would: layout, titles, units, legends, thresholds. They are no screenshots of Grafana.
Needs requirements-draw.txt.
"""

import argparse
import math
import re
import sys
import textwrap
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.patches import FancyBboxPatch, Rectangle
from PIL import Image

import boards
from prometheus import Prometheus

WIDTH, UNIT, GAP, HEAD = 1440, 30, 8, 76
DPI = 100
BACK, PANEL, EDGE, TEXT, DIM, GRID = "#111217", "#181b1f", "#2a2d33", "#ccccdc", "#8e8ea0", "#2b2e35"
PALETTE = ["#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#705da0", "#37872d", "#fade2a"]
NAMED = {"green": "#73bf69", "yellow": "#fade2a", "orange": "#ff9830", "red": "#f2495c", "dark-red": "#c4162a", "semi-dark-red": "#e02f44", "semi-dark-orange": "#ff780a",
         "blue": "#5794f2", "light-blue": "#8ab8ff", "purple": "#b877d9", "text": TEXT, "transparent": PANEL}
VIRIDIS = LinearSegmentedColormap.from_list("panel", ["#1c1f26", "#31446b", "#21908d", "#8fd744", "#fde725"])


# ----------------------------------------------------------------------------------------------------------------- units

def scaled(value, units, base=1000):
    at = 0
    while abs(value) >= base and at < len(units) - 1:
        value, at = value / base, at + 1
    return value, units[at]


def digits(value, decimals=None):
    if decimals is None:
        size = abs(value)
        decimals = 0 if size >= 100 or value == round(value) else 1 if size >= 10 else 2
    return f"{value:,.{decimals}f}"


def shown(value, unit, decimals=None):
    """A number as Grafana writes it in this unit."""
    if unit == "s":
        if value == 0:
            return "0 s"
        for factor, name in ((3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")):
            if abs(value) >= factor:
                return f"{digits(value / factor, decimals)} {name}"
        return f"{digits(value / 1e-9)} ns"
    if unit == "percentunit":
        return f"{digits(value * 100, decimals)}%"
    if unit == "currencyUSD":
        number, suffix = scaled(value, ["", "K", "M"])
        return f"${digits(number, 2 if decimals is None and number < 100 and not suffix else decimals)}{suffix}"
    if unit == "reqps":
        number, suffix = scaled(value, ["", "K", "M"])
        return f"{digits(number, decimals)}{suffix} req/s"
    if unit == "bytes":
        number, suffix = scaled(value, ["B", "KiB", "MiB", "GiB"], 1024)
        return f"{digits(number, decimals)} {suffix}"
    if unit.startswith("si:"):
        number, prefix = scaled(value, ["", "k", "M", "G"])
        return f"{digits(number, decimals)} {prefix}{unit[3:]}"
    if unit.startswith("suffix:"):
        return f"{digits(value, decimals)}{unit[7:]}"
    if unit == "locale":
        return f"{value:,.0f}"
    number, suffix = scaled(value, ["", " K", " Mil", " Bil"])
    return f"{digits(number, decimals)}{suffix}"


def colour_of(name):
    return NAMED.get(name, name)


def threshold(field, value):
    found = "text"
    for step in field["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            found = step["color"]
    return colour_of(found)


# ---------------------------------------------------------------------------------------------------------------- canvas

class Canvas:
    """A page in pixels, from the top left, on which panels are placed."""

    def __init__(self, rows):
        self.height = HEAD + rows * (UNIT + GAP) + GAP
        self.figure = plt.figure(figsize=(WIDTH / DPI, self.height / DPI), dpi=DPI, facecolor=BACK)

    def box(self, pos):
        column = (WIDTH - GAP) / 24
        left = GAP + pos["x"] * column
        top = HEAD + pos["y"] * (UNIT + GAP)
        return left, top, pos["w"] * column - GAP, pos["h"] * (UNIT + GAP) - GAP

    def axes(self, left, top, width, height):
        return self.figure.add_axes((left / WIDTH, 1 - (top + height) / self.height, width / WIDTH, height / self.height))

    def text(self, left, top, words, size=9, colour=TEXT, **how):
        return self.figure.text(left / WIDTH, 1 - top / self.height, words, size=size, color=colour,
                                va=how.pop("va", "center"), **how)

    def frame(self, left, top, width, height, face=PANEL):
        self.figure.add_artist(FancyBboxPatch(
            (left / WIDTH, 1 - (top + height) / self.height), width / WIDTH, height / self.height,
            boxstyle="square,pad=0", facecolor=face, edgecolor=EDGE, linewidth=0.6, transform=self.figure.transFigure,
            zorder=-5))

    def save(self, path):
        self.figure.savefig(path, dpi=DPI, facecolor=BACK)
        plt.close(self.figure)
        # A palette is enough for lines and letters, and makes the file a third of its size.
        Image.open(path).convert("RGB").quantize(160, dither=Image.Dither.NONE).save(path, optimize=True)


def fitted(words, width, size=9):
    """Words that fit `width` pixels at `size` points; letters are about 0.72 of their size wide at 100 dpi."""
    room = max(3, int(width / (size * 0.76)))
    return words if len(words) <= room else words[:room - 1] + "…"


# ---------------------------------------------------------------------------------------------------------------- panels

class Painter:
    def __init__(self, prometheus, start, end, variables):
        self.prometheus, self.start, self.end, self.variables = prometheus, start, end, variables
        self.step = max(2, int((end - start) / 180))

    def series(self, target):
        expr = boards.expand(target["expr"], self.variables)
        return self.prometheus.over(expr, self.start, self.end, self.step)

    def now(self, target):
        return self.prometheus.at(boards.expand(target["expr"], self.variables), self.end)

    def named(self, panel):
        """(name, points) of every series of a panel, with its legend filled in."""
        found = []
        for target in panel["targets"]:
            for labels, points in self.series(target):
                name = re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), target["legendFormat"])
                found.append((name, points))
        return found

    def colours(self, panel, names):
        fixed = {override["matcher"]["options"]: override["properties"][0]["value"]["fixedColor"]
                 for override in panel["fieldConfig"]["overrides"] if override["properties"][0]["id"] == "color"}
        return [colour_of(fixed[name]) if name in fixed else PALETTE[at % len(PALETTE)] for at, name in enumerate(names)]

    def paint(self, canvas, panel):
        left, top, width, height = canvas.box(panel["gridPos"])
        if panel["type"] == "row":
            canvas.text(left + 4, top + height / 2, f"▾  {panel['title']}", 10, TEXT)
            return
        canvas.frame(left, top, width, height)
        canvas.text(left + 9, top + 15, fitted(panel["title"], width - 16), 9.5, TEXT)
        inner = (left + 9, top + 30, width - 18, height - 38)
        getattr(self, panel["type"].replace("-", "_"))(canvas, panel, *inner)

    def stat(self, canvas, panel, left, top, width, height):
        field, target = panel["fieldConfig"]["defaults"], panel["targets"][0]
        if target["range"]:
            found = self.series(target)
            points = found[0][1] if found else []
            value = points[-1][1] if points else None
        else:
            found = self.now(target)
            points, value = [], found[0][1] if found else None
        colour = threshold(field, value) if value is not None else DIM
        if len(points) > 1:
            axes = canvas.axes(left - 8, top + height * 0.52, width + 16, height * 0.55)
            axes.fill_between(*zip(*points), color=colour, alpha=0.16, linewidth=0)
            axes.plot(*zip(*points), color=colour, linewidth=1.1, alpha=0.8)
            axes.set_xlim(points[0][0], points[-1][0])
            axes.set_ylim(0, max(max(value for _, value in points) * 1.15, 1e-12))
            axes.axis("off")
        text = shown(value, field["unit"], field.get("decimals")) if value is not None else "–"
        canvas.text(left + width / 2, top + height * 0.42, text, 25, colour, ha="center")

    def plain_axes(self, canvas, left, top, width, height):
        axes = canvas.axes(left + 52, top + 2, width - 56, height - 20)
        axes.set_facecolor(PANEL)
        axes.grid(color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(colors=DIM, labelsize=7.5, length=0, pad=3)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_xlim(self.start, self.end)
        every = 60 * max(1, math.ceil((self.end - self.start) / 60 / 5)) if self.end - self.start > 120 else 10
        ticks = [at for at in range(int(self.start // every + 1) * every, int(self.end), every)]
        axes.set_xticks(ticks, [time.strftime("%H:%M" if every >= 60 else "%H:%M:%S", time.gmtime(at)) for at in ticks])
        return axes

    def timeseries(self, canvas, panel, left, top, width, height):
        field = panel["fieldConfig"]["defaults"]
        found = self.named(panel)
        names = [name for name, _ in found]
        colours = self.colours(panel, names)
        rows = self.legend(canvas, names, colours, left, top + height, width)
        axes = self.plain_axes(canvas, left, top, width, height - rows * 15 - 4)
        if field["custom"]["stacking"]["mode"] == "normal":
            self.stacked(axes, found, colours)
        else:
            for (_, points), colour in zip(found, colours):
                axes.plot(*zip(*points), color=colour, linewidth=1.4, solid_joinstyle="round")
        self.exemplars(axes, panel)
        highest = axes.get_ylim()[1]
        if field["custom"].get("axisSoftMin") == 0:
            values = [value for _, points in found for _, value in points]
            axes.set_ylim(min([0, *values]), highest if any(values) else 1)
        if "max" in field:
            axes.set_ylim(top=field["max"] * 1.02)
        if field["custom"]["thresholdsStyle"]["mode"] != "off":
            for step in field["thresholds"]["steps"][1:]:
                if step["value"] < axes.get_ylim()[1]:
                    axes.axhline(step["value"], color=colour_of(step["color"] if step["color"] != "transparent" else "red"),
                                 linewidth=1, linestyle=(0, (4, 3)), alpha=0.8)
        axes.yaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5, integer=field.get("decimals") == 0))
        axes.yaxis.set_major_formatter(lambda value, _: shown(value, field["unit"], field.get("decimals")))
        if not found:
            canvas.text(left + width / 2, top + height / 2, "No data", 11, DIM, ha="center")

    def stacked(self, axes, found, colours):
        times = sorted({at for _, points in found for at, _ in points})
        floor = [0.0] * len(times)
        for (_, points), colour in zip(found, colours):
            values = dict(points)
            ceiling = [low + values.get(at, 0.0) for at, low in zip(times, floor)]
            axes.fill_between(times, floor, ceiling, color=colour, alpha=0.35, linewidth=0)
            axes.plot(times, ceiling, color=colour, linewidth=1)
            floor = ceiling

    def exemplars(self, axes, panel):
        """The dots: at most sixty, the highest of each stretch of time, as Grafana thins them."""
        for target in panel["targets"]:
            if target["exemplar"]:
                rows = self.prometheus.api("query_exemplars", query=boards.expand(target["expr"], self.variables),
                                           start=self.start, end=self.end)
                dots = [(float(dot["timestamp"]), float(dot["value"])) for row in rows for dot in row["exemplars"]]
                stretch = max(1.0, (self.end - self.start) / 60)
                best = {}
                for at, value in dots:
                    key = int(at / stretch)
                    if value > best.get(key, (0, -1.0))[1]:
                        best[key] = (at, value)
                high = axes.get_ylim()[1]
                kept = [(at, value) for at, value in best.values() if value <= high * 1.3]
                if kept:
                    axes.scatter(*zip(*kept), s=10, marker="D", facecolor="#5794f2", edgecolor="none", alpha=0.75, zorder=4)
                return

    def legend(self, canvas, names, colours, left, bottom, width):
        """Marks and names from the bottom up; returns how many rows they took, at most two."""
        placed, rows, x = [], [[]], 0
        for name, colour in zip(names, colours):
            room = 22 + len(name) * 6.3
            if x + room > width and rows[-1]:
                rows.append([])
                x = 0
            rows[-1].append((x, name, colour))
            x += room
        for at, row in enumerate(rows[:2]):
            y = bottom - (min(len(rows), 2) - at - 1) * 15 - 3
            for x, name, colour in row:
                canvas.figure.add_artist(Rectangle(((left + x) / WIDTH, 1 - (y + 1.5) / canvas.height), 12 / WIDTH,
                                                   3 / canvas.height, color=colour, transform=canvas.figure.transFigure))
                placed.append(canvas.text(left + x + 16, y, name, 7.5, TEXT))
        return min(len(rows), 2)

    def heatmap(self, canvas, panel, left, top, width, height):
        axes = self.plain_axes(canvas, left, top, width, height - 4)
        axes.grid(False)
        found = sorted(((float(labels["le"]), dict(points)) for labels, points in self.series(panel["targets"][0])),
                       key=lambda row: row[0])
        found = [(bound, points) for bound, points in found if math.isfinite(bound)]
        times = sorted({at for _, points in found for at in points})
        if len(times) < 2:
            canvas.text(left + width / 2, top + height / 2, "No data", 11, DIM, ha="center")
            return
        below = dict.fromkeys(times, 0.0)
        cells = []
        for _, points in found:
            cells.append([max(0.0, points.get(at, 0.0) - below[at]) for at in times])
            below = {at: points.get(at, below[at]) for at in times}
        used = [at for at, row in enumerate(cells) if max(row) > 0]
        low, high = max(0, min(used, default=0) - 1), max(used, default=0) + 1
        axes.pcolormesh(times, range(high - low), cells[low:high], cmap=VIRIDIS, norm=PowerNorm(0.5), shading="nearest")
        bounds = [bound for bound, _ in found][low:high]
        axes.set_yticks([at + 0.5 for at in range(len(bounds))], [shown(bound, "s") for bound in bounds])

    def state_timeline(self, canvas, panel, left, top, width, height):
        axes = self.plain_axes(canvas, left + 16, top, width - 16, height - 4)
        axes.grid(False)
        states = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
        found = self.named(panel)
        for at, (_, points) in enumerate(reversed(found)):
            for (begin, value), (end, _) in zip(points, [*points[1:], (self.end, 0)]):
                state = states[str(int(value))]
                axes.add_patch(Rectangle((begin, at + 0.12), end - begin, 0.76, color=colour_of(state["color"]), alpha=0.75,
                                         linewidth=0))
        axes.set_ylim(0, max(1, len(found)))
        axes.set_yticks([at + 0.5 for at in range(len(found))], [name for name, _ in reversed(found)])

    def table(self, canvas, panel, left, top, width, height):
        keys, columns, rows = self.cells(panel)
        names = [*keys, *(name for name, _ in columns)]
        widths = [max(1.35 if name in keys else 0.8, len(name) / 11) for name in names]
        edges = [left + width * sum(widths[:at]) / sum(widths) for at in range(len(names) + 1)]
        for at, name in enumerate(names):
            right = at >= len(keys)
            x = edges[at + 1] - 10 if right else edges[at] + 4
            canvas.text(x, top + 12, name, 8.5, NAMED["blue"], ha="right" if right else "left")
        room = int((height - 26) // 26)
        for line, (labels, values) in enumerate(rows[:room]):
            y = top + 38 + line * 26
            canvas.figure.add_artist(plt.Line2D([left / WIDTH, (left + width) / WIDTH],
                                                [1 - (y - 13) / canvas.height] * 2, color=GRID, linewidth=0.6))
            for at, key in enumerate(keys):
                canvas.text(edges[at] + 4, y, fitted(labels.get(key, ""), edges[at + 1] - edges[at]), 8.5,
                            NAMED["light-blue"] if at == len(keys) - 1 else TEXT)
            for at, (name, field) in enumerate(columns, start=len(keys)):
                value = values.get(name)
                text, colour = self.cell(value, field)
                canvas.text(edges[at + 1] - 10, y, text, 8.5, colour, ha="right")

    def cells(self, panel):
        """Keys, columns with their field settings, and rows, merged and sorted as the panel's transformations say."""
        options = panel["transformations"][1]["options"]
        overrides = {override["matcher"]["options"]: {row["id"]: row["value"] for row in override["properties"]}
                     for override in panel["fieldConfig"]["overrides"]}
        names = [options["renameByName"][f"Value #{target['refId']}"] for target in panel["targets"]]
        keys = [name for name in options["indexByName"] if name not in options["renameByName"]]
        rows = {}
        for name, target in zip(names, panel["targets"]):
            for labels, value in self.now(target):
                rows.setdefault(tuple(labels.get(key, "") for key in keys), {})[name] = value
        order = panel["options"]["sortBy"][0]["displayName"]
        merged = sorted(rows.items(), key=lambda row: -row[1].get(order, 0))
        return keys, [(name, overrides[name]) for name in names], [(dict(zip(keys, key)), row) for key, row in merged]

    def cell(self, value, field):
        if value is None:
            return "–", DIM
        for mapping in field.get("mappings", ()):
            state = mapping["options"].get(str(int(value)))
            if state:
                return state["text"], colour_of(state["color"])
        colour = threshold(field, value) if "thresholds" in field else TEXT
        return shown(value, field["unit"], field.get("decimals")), colour


def draw(prometheus, start, end, folder, providers=()):
    """All dashboards, of these providers or of all; the variable says which, as in Grafana."""
    filled = boards.variables(rate_window_s=30, range_s=int(end - start), provider="|".join(providers) or ".*")
    values = {"datasource": "Prometheus", "provider": " + ".join(providers) or "All"}
    painter = Painter(prometheus, start, end, filled)
    for name in boards.NAMES:
        board = boards.load(name)
        canvas = Canvas(max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"]))
        canvas.text(16, 22, board["title"], 13, TEXT)
        canvas.text(WIDTH - 16, 22, f"Last {round((end - start) / 60)} minutes", 9, DIM, ha="right")
        x = 16
        for variable in [shown for shown in board["templating"]["list"] if not shown["hide"]]:
            value = values.get(variable["name"], "All")
            canvas.frame(x, 42, 26 + 6.6 * len(variable["label"] + value), 24)
            canvas.text(x + 8, 54, variable["label"], 8, NAMED["light-blue"])
            canvas.text(x + 18 + 6.4 * len(variable["label"]), 54, value, 8)
            x += 36 + 6.6 * len(variable["label"] + value)
        for panel in board["panels"]:
            painter.paint(canvas, panel)
        path = folder / f"dashboards-{name}.png"
        canvas.save(path)
        print(f"{path.relative_to(boards.ROOT) if path.is_relative_to(boards.ROOT) else path}: {path.stat().st_size // 1024} KiB")


class Running(Prometheus):
    """A Prometheus that somebody else started."""

    def __init__(self, url):
        self.url = url


def main():
    arguments = argparse.ArgumentParser(description=textwrap.dedent(__doc__.split("\n", maxsplit=1)[0]))
    arguments.add_argument("--minutes", type=float, default=10)
    arguments.add_argument("--prometheus", help="URL of a Prometheus that already has the data")
    arguments.add_argument("--out", type=Path, default=boards.ROOT / "docs/img")
    chosen = arguments.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    if chosen.prometheus:
        end = time.time()
        draw(Running(chosen.prometheus), end - 60 * chosen.minutes, end, chosen.out)
        return
    from rig import Rig

    # The first half minute is left out: rates have no window yet, and connections are new.
    with Rig(seconds=60 * chosen.minutes + 30) as rig:
        # The provider `lab` does little else than fail, and would press every other line flat.
        draw(rig.prometheus, rig.loaded_until - 60 * chosen.minutes, rig.loaded_until, chosen.out,
             ("anthropic", "gemini", "local", "none", "openai"))


if __name__ == "__main__":
    sys.exit(main())
