"""What a session does in an overload: latency and flicker, with the controller and without it.

The same pool on this machine, two ``celery -A p2c2g worker`` processes, is asked for what it can do
and for more than that.  Run ``python benchmarks/overload.py --help``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Tell
from benchmarks.options import Parser, number, run
from benchmarks.player import Player, PlayRequest
from tests.pool import Pool

#: The cases: what is played, and frames a second that the pool can do, and cannot.
CASES = {
    "640x360 ×2": (PlayRequest(grid="2x4"), 15.0, 60.0),
    "853x479 ×3": (PlayRequest(size="853x479", ops="upscale:3,sharpen:0.5", grid="3x5"), 2.0, 10.0),
    "1280x720 ×2": (PlayRequest(size="1280x720", grid="4x4"), 4.0, 30.0),
}


def overload(seconds: float, names: list[str], tell: Tell) -> dict[str, Any]:
    """Measure each case unloaded, and overloaded without and with the controller.

    Raises:
        UnavailableError: a part of the pool does not start or ends with an error.
    """
    found: dict[str, Any] = {}
    with Pool() as pool, Player(pool.broker.url, pool.log) as player:
        pool.grow(2)
        for name in names:
            request, idle, busy = CASES[name]
            for way, fps, steady in (
                ("unloaded", idle, True),
                ("overload, everything asked for", busy, False),
                ("overload, steady", busy, True),
            ):
                tell(f"overload: {name}, {way}")
                changed = {"fps": fps, "seconds": seconds, "steady": steady}
                found[f"{name}, {way}"] = _played(player, PlayRequest(**(_as(request) | changed)))
    return found


def _as(request: PlayRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in PlayRequest.__dataclass_fields__}


def _played(player: Player, request: PlayRequest) -> dict[str, Any]:
    player.prepare(request)
    player.answer()
    player.play()
    report = player.answer()
    latency = report["latency_ms"]
    return {
        "fps": request.fps,
        "p50": latency["p50"],
        "p99": latency["p99"],
        "enhanced": report["enhanced"],
        "flicker": report["flicker"],
        "complete": report["success_rate"],
        "late": report["shown"]["late"],
        "steady": report["steady"],
    }


def main(argv: list[str]) -> int:
    """Measure, print, and return the exit status."""
    parser = Parser(prog="overload.py", description="Measure what an overload does.")
    parser.add_argument(
        "--seconds", metavar="S", default=8.0, type=number("a time in seconds", 1, 3600),
        help="for each single run (default: 8)",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="the first case alone")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options: argparse.Namespace = parser.parse_args(argv)
    progress = Console(stderr=True, highlight=False)
    names = list(CASES)[:1] if options.quick else list(CASES)
    figures = overload(options.seconds, names, lambda line: progress.print(line, style="dim"))
    if options.json:
        print(json.dumps(figures))
        return 0
    table = Table("", "FPS", "p50 ms", "p99 ms", "chunks enhanced", "flicker")
    for name, each in figures.items():
        table.add_row(
            name, f"{each['fps']:g}", f"{each['p50']:.1f}", f"{each['p99']:.1f}",
            f"{each['enhanced']:.0%}", f"{each['flicker']:.2f}",
        )  # fmt: skip
    Console().print(table)
    return 0


if __name__ == "__main__":
    run(main)
