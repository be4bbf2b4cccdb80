"""The upscalers' plot of quality against time, and a page of crops for a person to judge."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.upscalers import FREE, TRUE, Adder, Row, answered
from p2c2g.media.frame import Pixels, Rect
from p2c2g.media.methods import NETWORKS
from p2c2g_training.measure import psnr
from p2c2g_training.pairs import Pair
from p2c2g_training.rivals import BASE

_OURS, _SOFT, _COOL = "#d1495b", "#6b7a86", "#30638e"
#: Large pixels along a crop's edge.
_EDGE = 128
#: What a page shows, in this order, where it was measured.
_SHOWN = ("Lanczos", "FSR", BASE, "waifu2x upconv_7_photo", *NETWORKS)


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draw dB over the best that costs nothing against milliseconds: games' dots and their mean."""
    best: dict[str, float] = {}
    for row in rows:
        if row.name in FREE:
            best[row.game] = max(best.get(row.game, 0), row.psnr)
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row.name not in ("nearest", "bilinear") and not row.game.endswith(TRUE):
            own = row.name.startswith("own ")
            name = f"the game's own {row.name.split()[1]}" if own else row.name
            points.setdefault(name, []).append((row.ms, row.psnr - best[row.game]))
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9, 5), layout="constrained")
        axes = figure.add_subplot()
        axes.axhline(0, color=_SOFT, linewidth=0.8)
        axes.axvline(16, color=_SOFT, linewidth=0.8, linestyle=":")
        axes.annotate("16 ms", (16, 0.01), xycoords=("data", "axes fraction"), color=_SOFT)
        for name, found in points.items():
            ours = name.startswith(("ml-", "the game's"))
            colour = _OURS if ours else _COOL
            ms = statistics.median(one for one, _ in found)
            mean = statistics.fmean(gain for _, gain in found)
            axes.scatter([ms] * len(found), [gain for _, gain in found], s=12, color=colour,
                         alpha=0.4, linewidths=0)  # fmt: skip
            axes.scatter([ms], [mean], s=46, color=colour)
            axes.annotate(name, (ms, mean), xytext=(7, -3), textcoords="offset points")
        axes.set_xscale("log")
        axes.set_xlabel("milliseconds on one thread, FSR by NumPy (logarithmic)")
        axes.set_ylabel("PSNR over the best that costs nothing, dB")
        axes.set_title("What it gains and what it costs: small dots are games, large ones means",
                       loc="left")  # fmt: skip
        figure.savefig(path, dpi=110)


def crops(games: Mapping[str, Sequence[Pair]], adders: Mapping[str, Adder], path: Path) -> None:
    """Draw, for the last frame of each game, its most detailed corner by each way."""
    columns = ["as drawn", *(name for name in _SHOWN if name in FREE or name in adders), "own net"]
    figure = Figure(figsize=(1.75 * len(columns), 2.0 * len(games)), layout="constrained")
    grid = figure.subplots(len(games), len(columns), squeeze=False)
    for line, (game, pairs) in zip(grid, games.items(), strict=True):
        one = pairs[-1]
        place = _detailed(one.large)
        for axes, name in zip(line, columns, strict=True):
            axes.set_axis_off()
            key = f"own ml-tiny of {game}" if name == "own net" else name
            if name == "as drawn":
                axes.set_title(f"{game}\nas drawn", fontsize=7)
                picture = one.large
            elif key in FREE or key in adders:
                picture = FREE[key](one.own) if key in FREE else answered(adders[key], one)
                axes.set_title(f"{name}\n{psnr(picture, one.large):.2f} dB (frame)", fontsize=7)
            else:
                continue
            crop = place.of(picture)[:, :, ::-1]
            axes.imshow(np.ascontiguousarray(crop), interpolation="nearest")
    figure.savefig(path, dpi=110, pil_kwargs={"optimize": True})


def _detailed(pixels: Pixels) -> Rect:
    """Return the square with the most edges."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    edges = np.abs(cv2.Laplacian(grey, cv2.CV_32F))
    mean = cv2.boxFilter(edges, -1, (_EDGE, _EDGE), anchor=(0, 0))
    inside = mean[: pixels.shape[0] - _EDGE, : pixels.shape[1] - _EDGE]
    y, x = np.unravel_index(int(inside.argmax()), inside.shape)
    return Rect(int(x) // 4 * 4, int(y) // 4 * 4, _EDGE, _EDGE)
