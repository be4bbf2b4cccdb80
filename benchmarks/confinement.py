"""What it costs that peers are strangers: the same session in an open pool and in one's own.

One broker for both, two real workers each, the same frames, in turn: own, open, open, own, own, …,
so that what else the machine does meets both alike.  In the open pool each principal has a login
with rights of its own, chunks and results are sealed and signed, and each peer answers by a stream
of its own.  Measured:

* a frame's way, one at a time, from its capture until its last part is there, and
* complete frames a second while some are out all the time, and the processor that a frame takes.

Run ``python benchmarks/confinement.py --help``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console
from rich.table import Table

from benchmarks.options import Parser, number, run, whole
from benchmarks.player import Player, PlayRequest
from p2c2g.messaging.broker import Broker
from p2c2g.settings.membership import VARIABLE
from p2c2g.settings.principal import Role
from tests.lane import settings
from tests.open_pool import SERVERS, OpenPool, OpenWorker
from tests.pool import HONEST, Worker, used_seconds, wait_until_ready

KINDS = ("own", "open")
#: What is measured, and what it is called.
ROWS = {
    "p50_ms": "p50, ms",
    "p95_ms": "p95, ms",
    "frames_per_s": "frames a second",
    "session_ms": "processor of the session, ms a frame",
    "workers_ms": "processor of the workers, ms a frame",
}
#: One at a time; and with some out all the time.
ALONE = PlayRequest(ops="upscale:2:bicubic", policy="predictive", window=1, deadline_ms=1000.0)
FLOOD = replace(ALONE, window=4)


def compare(server: str, rounds: int, seconds: float) -> dict[str, dict[str, list[float]]]:
    """Return by kind of pool the p50 and p95 of each round in ms, and frames a second.

    Args:
        server: one of :data:`tests.open_pool.SERVERS`.
        rounds: of each kind.
        seconds: of each single run.

    Raises:
        UnavailableError: a worker or a session ended with an error.
    """
    found: dict[str, dict[str, list[float]]] = {kind: {name: [] for name in ROWS} for kind in KINDS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="p2c2g-bench-")))
        pool = stack.enter_context(OpenPool(server, folder))
        own = stack.enter_context(Broker(settings(pool.broker.url)))
        options = ("-Q", "cpu", "-c", "1", "-l", "warning")
        workers: dict[str, list[Worker]] = {kind: [] for kind in KINDS}
        for count in (1, 2):
            log = folder / f"own{count}.log"
            workers["own"].append(
                Worker(
                    own.app, pool.broker.url, log, *options, "--without-heartbeat",
                    name=f"own{count}", application=HONEST, forked=False,
                )
            )  # fmt: skip
            peer = pool.join(Role.PEER, f"popen{count}")
            log = folder / f"open{count}.log"
            workers["open"].append(OpenWorker(pool, peer, log, *options, forked=False))
        gamer = pool.file(pool.join(Role.GAMER, "gamer1"))
        everybody = [each for some in workers.values() for each in some]
        for worker in everybody:
            stack.callback(worker.kill)
            worker.launch()
        wait_until_ready(everybody)
        said = stack.enter_context((folder / "players.log").open("w+b"))
        players = {
            "own": stack.enter_context(Player(pool.broker.url, said)),
            "open": stack.enter_context(Player("", said, {VARIABLE: str(gamer)})),
        }
        for turn in range(rounds):
            for kind in KINDS if turn % 2 == 0 else reversed(KINDS):
                alone = _play(players[kind], replace(ALONE, seconds=seconds))
                before = _used(workers[kind])
                flood = _play(players[kind], replace(FLOOD, seconds=seconds))
                frames = max(1, flood["frames"]["complete"])
                worked = _used(workers[kind]) - before
                found[kind]["session_ms"].append(1e3 * flood["cpu_s"]["session"] / frames)
                found[kind]["workers_ms"].append(1e3 * worked / frames)
                found[kind]["p50_ms"].append(alone["latency_ms"]["p50"])
                found[kind]["p95_ms"].append(alone["latency_ms"]["p95"])
                found[kind]["frames_per_s"].append(flood["frames_per_s"])
        if denied := pool.denials():
            raise AssertionError(f"the broker denied something: {denied}")
    return found


def confinement(rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return by kind of pool the median of the rounds of each row of :data:`ROWS`.

    Raises:
        UnavailableError: a worker or a session ended with an error.
    """
    found = compare(SERVERS[-1], rounds, seconds)
    return {kind: {name: median(got) for name, got in rows.items()} for kind, rows in found.items()}


def _used(workers: Iterable[Worker]) -> float:
    """Return the processor seconds that workers have used so far."""
    return sum(used_seconds(each.process.pid) for each in workers if each.process is not None)


def _play(player: Player, order: PlayRequest) -> dict[str, Any]:
    player.prepare(order)
    player.answer()
    player.play()
    report: dict[str, Any] = player.answer()
    return report


def table(found: dict[str, dict[str, list[float]]]) -> Table:
    """Return the medians, and what the open pool costs."""
    view = Table("median of rounds", "own", "open", "more")
    for name, words in ROWS.items():
        own, strangers = (median(found[kind][name]) for kind in KINDS)
        more = f"{100 * (strangers / own - 1):+.1f} %"
        if name.endswith("_ms"):
            more += f", {strangers - own:+.2f} ms"
        view.add_row(words, f"{own:.2f}", f"{strangers:.2f}", more)
    return view


def arguments(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        prog="confinement.py",
        description="Compare an open pool with one's own, on one broker of this machine.",
    )
    parser.add_argument(
        "--server", choices=SERVERS, default="valkey", help="the broker (default: valkey)"
    )
    parser.add_argument(
        "--rounds", metavar="N", default=5, type=whole("a number of rounds", 1, 1000),
        help="of each kind of pool (default: 5)",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", metavar="S", default=3.0, type=number("a time in seconds", 1, 3600),
        help="of each single run, two a round (default: 3)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object with each round")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Measure, print, and return the exit status."""
    options = arguments(argv)
    found = compare(options.server, options.rounds, options.seconds)
    if options.json:
        print(json.dumps(found))
    else:
        Console().print(table(found))
    return 0


if __name__ == "__main__":
    run(main)
