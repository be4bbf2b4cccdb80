"""How long a task takes there and back, and how many a second: ours and everybody else's.

With ``--ladder``, each rung from stock Celery to the fast lane instead: what each thing that is
taken out gives.  Run ``python benchmarks/roundtrip.py --help``; ``measuring.py`` says what is
measured, the files in ``contenders`` how each contender is set up, and ``rungs.py`` what each
rung is.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console

from benchmarks.contenders import CONTENDERS
from benchmarks.measuring import FAR, THREADS, WORK_MS, Case, Terms, compare
from benchmarks.options import Parser, number, run, whole
from benchmarks.rungs import climb
from benchmarks.tables import contenders, ladder, view

EPILOG = """\
--json prints one object: {contender: {"p50_ms", "p95_ms", "p99_ms", "tasks_per_s"}}.  With
several values of --rtt or --kib there is one such object for each case, under keys such as
"rtt=20,kib=30".  A contender that cannot run is left out, with a line on standard error; where
it was asked for by name and no case of it could run, the command exits with 1.
"""


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
        "--ladder", action="store_true", help="the rungs from stock Celery to the fast lane instead"
    )
    parser.add_argument(
        "--rtt",
        nargs="+",
        metavar="MS",
        default=[FAR.rtt],
        type=number("a round trip in milliseconds", 0, 10_000),
        help=f"round trip between broker and worker (default: {FAR.rtt:g})",
    )
    parser.add_argument(
        "--kib",
        nargs="+",
        metavar="N",
        default=[FAR.kib],
        type=number("a size in KiB", 0.01, 16_384),
        help=f"size of the payload, each way (default: {FAR.kib:g})",
    )
    parser.add_argument(
        "--work-ms",
        metavar="MS",
        default=WORK_MS,
        type=number("a time in milliseconds", 0, 10_000),
        help=f"how long the task works (default: {WORK_MS:g})",
    )
    parser.add_argument(
        "--threads",
        metavar="N",
        default=THREADS,
        type=whole("a number of threads", 1, 64),
        help=f"threads of the worker (default: {THREADS})",
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
    if options.ladder and options.contenders:
        parser.error("--ladder measures its rungs and no contender: give one or the other.")
    return options


def main(argv: list[str]) -> int:
    """Measure, print, and return the exit status."""
    options = arguments(argv)
    terms = Terms(options.work_ms, options.threads, options.seconds)
    names = [name for name in CONTENDERS if name in (options.contenders or CONTENDERS)]
    cases = [Case(rtt, kib) for rtt in options.rtt for kib in options.kib]
    progress = Console(stderr=True, highlight=False, soft_wrap=True)

    def tell(line: str) -> None:
        progress.print(line, style="dim")

    results = {
        case: climb(case, terms, tell) if options.ladder else compare(names, case, terms, tell)
        for case in cases
    }
    if options.json:
        shown = {str(case): got for case, got in results.items()}
        print(json.dumps(shown if len(cases) > 1 else shown[str(cases[0])]))
    else:
        for case, got in results.items():
            title = f"{case.told} · {terms.told} (ideal {case.rtt + terms.work_ms:g} ms)"
            for table in ladder({"ladder": got}) if options.ladder else [contenders(title, got)]:
                Console().print(view(table._replace(title=title)))
    measured = {name for got in results.values() for name in got}
    return 0 if measured and set(options.contenders) <= measured else 1


if __name__ == "__main__":
    run(main)
