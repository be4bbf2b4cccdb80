"""The whole pipeline: real session, real workers, real broker, on this machine.

Frames of the shipped clip (or of the pattern) are cut, encoded and sent by the session,
enhanced by two ``celery -A p2c2g worker`` processes, and put together again.  Measured:

* latency, what became of the frames, the stages of the way, and the processor by role, at 30,
  60 and 144 FPS, and with ``--growth`` how the cost grows (``streaming.py``);
* frames a second against plain processes that do the same work (``capacity.py``);
* what the dispatcher costs (``dispatching.py``).

Run ``python benchmarks/pipeline.py --help``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console

from benchmarks.capacity import capacities
from benchmarks.dispatching import dispatcher_cost
from benchmarks.measuring import Tell
from benchmarks.options import Parser, number, run
from benchmarks.player import Player
from benchmarks.streaming import cases, growth, quick_cases, stream
from benchmarks.tables import TABLES, view
from tests.pool import Pool

#: The tables of a run, in order.
_PARTS = ("streams", "stages", "capacity", "dispatcher")

EPILOG = """\
--json prints one object: {"streams": {name: figures}, "capacity": {name: figures},
"dispatcher": figures}, and with --growth {"growth": {"chunks" | "workers" | "sessions": points}}.
"""


def pipeline(seconds: float, *, quick: bool, tell: Tell) -> dict[str, Any]:
    """Measure streams, capacity and dispatcher; ``seconds`` for each single run.

    Raises:
        UnavailableError: a part of the pool does not start or ends with an error.
    """
    streams = {}
    with Pool() as pool, Player(pool.broker.url, pool.log) as player:
        pool.grow(2)
        for case in (quick_cases if quick else cases)(seconds):
            tell(f"pipeline: {case.name}")
            streams[case.name] = stream(pool, [player], case.order)
        tell("pipeline: frames a second against plain processes")
        capacity = capacities(pool, player, seconds, quick=quick)
        tell("pipeline: the dispatcher")
        dispatcher = dispatcher_cost(pool, seconds)
    return {"streams": streams, "capacity": capacity, "dispatcher": dispatcher}


def arguments(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        prog="pipeline.py",
        description="Measure the whole pipeline on this machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seconds",
        metavar="S",
        default=3.0,
        type=number("a time in seconds", 0.2, 3600),
        help="for each single run (default: 3)",
    )
    parser.add_argument("--quick", action="store_true", help="only what has a target")
    parser.add_argument("--growth", action="store_true", help="chunks, workers, sessions too")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Measure, print, and return the exit status."""
    options = arguments(argv)
    progress = Console(stderr=True, highlight=False)

    def tell(line: str) -> None:
        progress.print(line, style="dim")

    figures: Mapping[str, Any] = pipeline(options.seconds, quick=options.quick, tell=tell)
    if options.growth:
        tell("growth")
        figures = {**figures, "growth": growth(options.seconds, quick=options.quick)}
    if options.json:
        print(json.dumps(figures))
    else:
        for part in (*_PARTS, "growth") if options.growth else _PARTS:
            for table in TABLES[part](figures):
                Console().print(view(table))
    return 0


if __name__ == "__main__":
    run(main)
