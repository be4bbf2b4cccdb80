"""One run's figures as one picture of small panels, for the documents.

Colours are fixed: ours is the one warm line among cool and grey ones, the same in every panel.
Axes that span powers of ten are logarithmic, and say so by their ticks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.rungs import RUNGS
from benchmarks.streaming import ROLES
from p2c2g.session.tally import STAGES

Report = Mapping[str, Any]

_OURS = "#d1495b"
_INK, _SOFT, _GRID = "#22303c", "#6b7a86", "#e6eaed"
_CONTENDERS = {
    "p2c2g": _OURS,
    "celery": "#3a7d44",
    "redis": "#30638e",
    "zeromq": "#8a8fb5",
    "dramatiq": "#b08d57",
    "taskiq": "#8c8c8c",
    "ray": "#5fa8a0",
}
#: Cool where pixels are worked on, warm where a chunk is on its way or waits.
_STAGES = {
    "capture": "#9db4c0",
    "encode": "#5c8a97",
    "queue": "#edae49",
    "decode": "#3d6f86",
    "process": "#253d5b",
    "result": "#d1495b",
    "reassemble": "#b7b7a4",
}
_ROLES = dict(zip(ROLES, ("#edae49", "#253d5b", "#5fa8a0"), strict=True))
#: Milliseconds that the waterfall shows at most.
_WATERFALL = 100.0
#: Of all pictures of figures.
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": _SOFT,
    "axes.labelcolor": _SOFT,
    "axes.titlecolor": _INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlepad": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "text.color": _INK,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "legend.frameon": False,
    "legend.fontsize": 8,
}


def draw(report: Report, path: Path) -> None:
    """Write the picture of a run.

    Args:
        report: as ``bench.py`` writes it.
        path: of the PNG, which is replaced.
    """
    with mpl.rc_context(STYLE):
        layout = ConstrainedLayoutEngine(h_pad=0.14, w_pad=0.1)
        figure = Figure(figsize=(11.5, 12.5), layout=layout, dpi=130)
        rows: Any = figure.subfigures(3, 1, height_ratios=[1, 1.05, 0.95])
        left, right = rows[0].subplots(1, 2)
        _by_distance(left, report, "p50_ms", "Round trip, p50, in ms")
        _by_distance(right, report, "tasks_per_s", "Tasks a second, one worker")
        left, right = rows[1].subplots(1, 2)
        _ladder(left, report["ladder"])
        _waterfall(right, report["streams"])
        panels = rows[2].subplots(1, 3)
        _growth(panels, report["growth"])
        handles, labels = panels[0].get_legend_handles_labels()
        rows[2].legend(handles, labels, loc="outside lower center", ncols=5, handlelength=1.6)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def _plain(axes: Axes, which: str) -> None:
    """Label a logarithmic axis with plain numbers, without marks between them."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def _by_distance(axes: Axes, report: Report, field: str, title: str) -> None:
    kib = _middle(report["made"]["kib"])
    lines: dict[str, list[tuple[float, float]]] = {}
    for case, contenders in report["roundtrip"].items():
        rtt, size = (part.partition("=")[2] for part in case.split(","))
        if size == kib:
            for name, got in contenders.items():
                lines.setdefault(name, []).append((float(rtt), got[field]))
    ends = []
    for name, points in lines.items():
        x, y = zip(*points, strict=True)
        ours = name == "p2c2g"
        axes.plot(
            x, y, marker="o", markersize=5 if ours else 3.5, linewidth=2.6 if ours else 1.4,
            color=_CONTENDERS[name], zorder=3 if ours else 2, clip_on=False,
        )  # fmt: skip
        ends.append((y[-1], x[-1], name))
    axes.set_yscale("log")
    axes.set_title(title)
    axes.set_xlabel(f"round trip to the worker, ms   ({kib} KiB each way, 5 ms of work)")
    axes.set_xticks(sorted({x for points in lines.values() for x, _ in points}))
    _plain(axes, "y")
    _label_ends(axes, ends)


def _label_ends(axes: Axes, ends: list[tuple[float, float, str]]) -> None:
    """Write each line's name beside its end, apart enough to be read."""
    low, high = axes.get_ylim()
    for x in {x for _, x, _ in ends}:
        here = sorted((value, name) for value, end, name in ends if end == x)
        heights = _apart([log(value / low) / log(high / low) for value, _ in here], 0.055)
        for height, (_, name) in zip(heights, here, strict=True):
            axes.annotate(
                name, (x, low * (high / low) ** height), xytext=(8, 0),
                textcoords="offset points", va="center", color=_CONTENDERS[name],
                weight="bold" if name == "p2c2g" else "normal", fontsize=8.5,
                annotation_clip=False,
            )  # fmt: skip


def _apart(values: list[float], least: float) -> list[float]:
    """Push sorted values apart until neighbours differ by the least, about where they were."""
    for _ in range(200):
        for low, high in pairwise(range(len(values))):
            missing = least - (values[high] - values[low])
            if missing > 0:
                values[low] -= missing / 2
                values[high] += missing / 2
    return values


def _ladder(axes: Axes, ladder: Report) -> None:
    labels = {rung.name: rung.label for rung in RUNGS}
    names = list(ladder)
    rates = [ladder[name]["tasks_per_s"] for name in names]
    colours = ["#b8c4cc"] * (len(names) - 1) + [_OURS]
    bars = axes.barh(range(len(names)), rates, color=colours, height=0.62)
    for bar, name in zip(bars, names, strict=True):
        middle = bar.get_y() + bar.get_height() / 2
        axes.annotate(
            f"{ladder[name]['tasks_per_s']:.0f}/s · p50 {ladder[name]['p50_ms']:.0f} ms",
            (bar.get_width(), middle), xytext=(5, 0), textcoords="offset points",
            va="center", fontsize=8,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xlim(min(rates) / 2, max(rates) * 8)
    axes.set_yticks(range(len(names)), [_wrapped(labels[name]) for name in names], color=_INK)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    _plain(axes, "x")
    axes.set_title("The ladder: what each removal gives")
    axes.set_xlabel("tasks/s of one worker 20 ms away   (30 KiB, 5 ms of work)")


def _wrapped(text: str, width: int = 24) -> str:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def _waterfall(axes: Axes, streams: Report) -> None:
    names = list(streams)
    begins = [0.0] * len(names)
    for stage in STAGES:
        widths = [
            max(0.0, min(streams[name]["stages_ms"][stage]["p50"], _WATERFALL - begin))
            for name, begin in zip(names, begins, strict=True)
        ]
        axes.barh(
            range(len(names)), widths, left=begins, label=stage, color=_STAGES[stage], height=0.62
        )
        begins = [begin + width for begin, width in zip(begins, widths, strict=True)]
    # An overload would squeeze the rest: its bar is cut off, and its words say how long it is.
    limit = min(max(begins), _WATERFALL)
    for row, (name, total) in enumerate(zip(names, begins, strict=True)):
        got, end = streams[name], min(total, limit)
        axes.annotate(
            f"p99 {got['latency_ms']['p99']:.0f} ms · {got['success_rate']:.1%} complete",
            (end, row), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), [_wrapped(name, 22) for name in names], color=_INK)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, limit * 1.6)
    axes.set_xticks([tick for tick in axes.get_xticks() if tick <= limit])
    axes.set_title("Where a frame's time goes")
    axes.set_xlabel("ms, the median of each stage")
    axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.45, -0.12), handlelength=1)


def _growth(panels: Sequence[Axes], growth: Report) -> None:
    titles = {
        "chunks": "More chunks a frame",
        "workers": "More workers",
        "sessions": "More sessions",
    }
    lines: list[tuple[str, str, Any, str]] = [
        ("latency, p50", "latency_ms", "p50", _OURS),
        ("latency, p99", "latency_ms", "p99", _OURS),
        *((f"processor: {role}", "cpu_ms", role, colour) for role, colour in _ROLES.items()),
    ]
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        points = growth[name]
        for label, group, field, colour in lines:
            solid = field != "p99"
            axes.plot(
                [point["n"] for point in points], [point[group][field] for point in points],
                label=label, color=colour, marker="o", markersize=4 if solid else 3,
                linewidth=2.2 if field == "p50" else 1.4,
                linestyle="-" if solid else (0, (3, 2)),
            )  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks([point["n"] for point in points])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        _plain(axes, "y")
        axes.set_title(title)
        axes.set_xlabel(name)
    panels[0].set_ylabel("ms a frame")


def _middle(values: Sequence[str]) -> str:
    return values[len(values) // 2]
