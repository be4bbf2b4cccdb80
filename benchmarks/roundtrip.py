"""How long a task takes there and back, and how many a second: ours and everybody else's.

Run ``python benchmarks/roundtrip.py --help``; ``measuring.py`` says what is measured, and the
files in ``contenders`` how each contender is set up.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.contenders import CONTENDERS
from benchmarks.measuring import Case, Figures, Terms, run_case
from benchmarks.options import Parser, number, run, whole
from p2c2g.errors import P2C2GError

FLOOR = "redis"

EPILOG = """\
--json prints one object: {contender: {"p50_ms", "p95_ms", "p99_ms", "tasks_per_s"}}.  With
several values of --rtt or --kib there is one such object for each case, under keys such as
"rtt=20,kib=30".  A contender that cannot run is left out, with a line on standard error; where
it was asked for by name and no case of it could run, the command exits with 1.
"""


def table(case: Case, terms: Terms, results: dict[str, Figures]) -> Table:
    """Return the table of one case; the ratios to the floor come first."""
    view = Table(
        box=box.SIMPLE_HEAD,
        title=f"RTT {case.rtt:g} ms · {case.kib:g} KiB each way · {terms.work_ms:g} ms of work · "
        f"{terms.threads} threads (ideal {case.rtt + terms.work_ms:g} ms)",
        caption=f"×: how many times what {FLOOR}, the floor, takes or does",
    )
    view.add_column("contender")
    for heading in ("× p50", "× tasks/s", "p50 ms", "p95 ms", "p99 ms", "tasks/s"):
        view.add_column(heading, justify="right")
    floor = results.get(FLOOR)
    for name, got in results.items():
        ratios = (
            (f"{got.p50_ms / floor.p50_ms:.2f}", f"{got.tasks_per_s / floor.tasks_per_s:.2f}")
            if floor is not None
            else ("–", "–")
        )
        percentiles = (f"{ms:.1f}" for ms in (got.p50_ms, got.p95_ms, got.p99_ms))
        view.add_row(name, *ratios, *percentiles, f"{got.tasks_per_s:.0f}")
    return view


def arguments(argv: list[str]) -> argparse.Namespace:
    """Read the command line; contenders may stand before or after the options."""
    parser = Parser(
        prog="roundtrip.py",
        description="Compare the round trip of a small task across task queues.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "contenders",
        nargs="*",
        metavar="CONTENDER",
        help=f"{', '.join(CONTENDERS)}; all that are installed where none is named",
    )
    parser.add_argument(
        "--rtt",
        nargs="+",
        metavar="MS",
        default=[20.0],
        type=number("a round trip in milliseconds", 0, 10_000),
        help="round trip between broker and worker (default: 20)",
    )
    parser.add_argument(
        "--kib",
        nargs="+",
        metavar="N",
        default=[30.0],
        type=number("a size in KiB", 0.01, 16_384),
        help="size of the payload, each way (default: 30)",
    )
    parser.add_argument(
        "--work-ms",
        metavar="MS",
        default=5.0,
        type=number("a time in milliseconds", 0, 10_000),
        help="how long the task works (default: 5)",
    )
    parser.add_argument(
        "--threads",
        metavar="N",
        default=8,
        type=whole("a number of threads", 1, 64),
        help="threads of the worker (default: 8)",
    )
    parser.add_argument(
        "--seconds",
        metavar="S",
        default=4.0,
        type=number("a time in seconds", 0.1, 3600),
        help="for each of the two measures (default: 4)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    # So that --rtt does not swallow a contender that stands behind it.
    options = parser.parse_args(sorted(argv, key=lambda word: word not in CONTENDERS))
    unknown = [name for name in options.contenders if name not in CONTENDERS]
    if unknown:
        parser.error(f"there is no contender {unknown[0]!r}: choose from {', '.join(CONTENDERS)}.")
    return options


def main(argv: list[str]) -> int:
    """Measure, print, and return the exit status."""
    options = arguments(argv)
    terms = Terms(options.work_ms, options.threads, options.seconds)
    names = [name for name in CONTENDERS if name in (options.contenders or CONTENDERS)]
    cases = [Case(rtt, kib) for rtt in options.rtt for kib in options.kib]
    progress = Console(stderr=True, highlight=False, soft_wrap=True)
    results: dict[Case, dict[str, Figures]] = {case: {} for case in cases}
    for case in cases:
        for name in names:
            if progress.is_terminal:
                progress.print(f"{name}, {case} …", style="dim")
            try:
                results[case][name] = run_case(name, case, terms)
            except P2C2GError as error:
                progress.print(f"{name}, {case}: left out. {error}")
    if options.json:
        shown = {str(case): {n: asdict(f) for n, f in got.items()} for case, got in results.items()}
        print(json.dumps(shown if len(cases) > 1 else shown[str(cases[0])]))
    else:
        for case, got in results.items():
            if got:
                Console().print(table(case, terms, got))
    measured = {name for got in results.values() for name in got}
    return 0 if measured and set(options.contenders) <= measured else 1


if __name__ == "__main__":
    run(main)
