"""A falling line over time: its rate, the playout delay, how much is enhanced, and dB."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.plot import STYLE

#: As in benchmarks/plot.py: ours is the warm line.
_COLOURS = {"before": "#8c8c8c", "now": "#d1495b"}
_PANELS = (
    ("mbps", "to the peer, Mbit/s"),
    ("playout_ms", "playout delay, ms"),
    ("enhanced", "share of chunks enhanced"),
    ("gain_db", "dB over the base"),
)


def draw(falls: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write the picture.

    Args:
        falls: what ``lines_cases.fall`` gave, by version.
        path: of the PNG, which is replaced.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.5, 8.5), layout="constrained", dpi=130)
        panels: list[Axes] = list(figure.subplots(len(_PANELS), 1, sharex=True))
        for axes, (name, title) in zip(panels, _PANELS, strict=True):
            for version, got in falls.items():
                _line(axes, name, version, got)
            axes.set_title(title)
            axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        panels[0].legend(loc="upper right", ncols=2)
        panels[-1].set_xlabel("seconds")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def _line(axes: Axes, name: str, version: str, got: Mapping[str, Any]) -> None:
    series = got["series"]
    if name == "gain_db":
        at, values = zip(*series[name], strict=True) if series[name] else ((), ())
    else:
        at, values = series["at"], series[name]
    axes.plot(
        at, values, label=version, color=_COLOURS[version], drawstyle="default",
        linewidth=2.0 if version == "now" else 1.3, marker="o" if name == "gain_db" else "",
        markersize=2.5,
    )  # fmt: skip
    if version == "now" or version not in _COLOURS:
        axes.axvspan(got["fell_s"], got["rose_s"], color="#e6eaed", zorder=0)
