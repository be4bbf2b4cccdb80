"""From stock Celery to the fast lane, one thing taken out a rung: what each removal gives.

Run ``python benchmarks/ladder.py --help``; ``rungs.py`` says what each rung is, and
``measuring.py`` how it is measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Case, Terms, measure
from benchmarks.options import Parser, number, run, whole
from benchmarks.rungs import RUNGS, contender

#: A peer 20 ms away that takes and gives 30 KiB and works 5 ms, on 8 threads.
CASE = Case(rtt=20.0, kib=30.0)
WORK_MS, THREADS = 5.0, 8

Tell = Callable[[str], None]


def ladder(case: Case, terms: Terms, tell: Tell) -> dict[str, dict[str, float]]:
    """Measure every rung; return ``{name: figures}`` from the lowest to the highest.

    Raises:
        UnavailableError: a rung gives no result.
    """
    result = {}
    for rung in RUNGS:
        tell(f"ladder: {rung.label}")
        result[rung.name] = asdict(measure(rung.label, contender(rung), case, terms))
    return result


def table(figures: Mapping[str, Mapping[str, Any]], title: str = "") -> Table:
    """Return the rungs as a table; each one's ratio to the lowest comes first."""
    view = Table(box=box.SIMPLE_HEAD, title=title)
    view.add_column("taken out, rung by rung")
    for heading in ("p50 ÷", "tasks/s ×", "p50 ms", "p99 ms", "tasks/s"):
        view.add_column(heading, justify="right")
    lowest = next(iter(figures.values()))
    for rung in RUNGS:
        got = figures[rung.name]
        view.add_row(
            rung.label,
            f"{lowest['p50_ms'] / got['p50_ms']:.1f}",
            f"{got['tasks_per_s'] / lowest['tasks_per_s']:.1f}",
            f"{got['p50_ms']:.1f}",
            f"{got['p99_ms']:.1f}",
            f"{got['tasks_per_s']:.0f}",
        )
    return view


def arguments(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        prog="ladder.py", description="Measure each rung from stock Celery to the fast lane."
    )
    distance = number("a round trip in milliseconds", 0, 10_000)
    size = number("a size in KiB", 0.01, 16_384)
    work = number("a time in milliseconds", 0, 10_000)
    seconds = number("a time in seconds", 0.1, 3600)
    parser.add_argument("--rtt", metavar="MS", default=CASE.rtt, type=distance)
    parser.add_argument("--kib", metavar="N", default=CASE.kib, type=size)
    parser.add_argument("--work-ms", metavar="MS", default=WORK_MS, type=work)
    parser.add_argument(
        "--threads", metavar="N", default=THREADS, type=whole("a number of threads", 1, 64)
    )
    parser.add_argument("--seconds", metavar="S", default=3.0, type=seconds)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Measure, print, and return the exit status."""
    options = arguments(argv)
    case = Case(options.rtt, options.kib)
    terms = Terms(options.work_ms, options.threads, options.seconds)
    progress = Console(stderr=True, highlight=False)
    figures = ladder(case, terms, lambda line: progress.print(line, style="dim"))
    if options.json:
        print(json.dumps(figures))
    else:
        title = f"RTT {case.rtt:g} ms · {case.kib:g} KiB · {terms.work_ms:g} ms of work"
        Console().print(table(figures, title))
    return 0


if __name__ == "__main__":
    run(main)
