"""The residual's curves: what a net gains over the base, against bytes up and down."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.options import Parser, new_file

_SOFT = "#6b7a86"


def curve(rows: Sequence[dict[str, Any]], prefix: str, ending: str) -> list[tuple[float, float]]:
    """Return bytes up and down, and dB over the base, of each way of a name; the games' means."""
    bases = {row["game"]: row["psnr"] for row in rows if row["name"] == "base"}
    found = []
    for name in dict.fromkeys(row["name"] for row in rows):
        if name.startswith(prefix) and name.endswith(ending):
            own = [row for row in rows if row["name"] == name]
            gain = statistics.fmean(row["psnr"] - bases[row["game"]] for row in own)
            found.append((statistics.fmean(row["up"] + row["down"] for row in own), gain))
    return sorted(found)


def panel(axes: Axes, title: str, curves: dict[str, list[tuple[float, float]]]) -> None:
    """Draw some curves; the first is what the others are compared with."""
    for at, (name, points) in enumerate(curves.items()):
        axes.plot(*zip(*points, strict=True), "o-", label=name, color=f"C{at}", markersize=3)
    axes.axhline(0, color=_SOFT, linewidth=0.8)
    axes.set(title=title, xlabel="KiB a frame, up and down", xlim=(0, None))
    axes.legend(frameon=False)


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the picture; ``rows`` are those of the tables ``sweep`` and ``added``."""
    style: dict[Any, Any] = {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(11, 4), layout="constrained", dpi=130)
        up, kind = figure.subplots(1, 2, sharey=True)
        qualities = [*dict.fromkeys(row["name"][4:6] for row in rows if row["name"][:4] == "420 ")]
        panel(
            up,
            "JPEG both ways, one curve a quality of the way up",
            {quality: curve(rows, f"420 {quality}: jpeg", " luma") for quality in qualities},
        )
        panel(
            kind,
            "what comes back, 85 up",
            {
                "JPEG, luma": curve(rows, "420 85: jpeg", " luma"),
                "JPEG, colour": curve(rows, "420 85: jpeg", " colour"),
                "JPEG, luma, up 4:4:4": curve(rows, "444 85: jpeg", " luma"),
                "JPEG, luma, gain 2": curve(rows, "420 85: jpeg", " x2"),
                "WebP, luma": curve(rows, "420 85: webp", " luma"),
                "AVIF, luma": curve(rows, "420 85: avif", " luma"),
            },
        )
        up.set_ylabel("dB over the base alone")
        figure.savefig(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw what ``residual.py`` measured."""
    parser = Parser(prog="residual_plot", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", type=Path, nargs="+", help="residual.json of the tables")
    parser.add_argument("--out", type=new_file(".png"), default=Path("docs/images/residual.png"))
    options = parser.parse_args(arguments)
    rows = [row for file in options.files for row in json.loads(file.read_text())]
    draw(rows, options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
