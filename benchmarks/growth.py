"""How the cost grows: with the chunks of a frame, the workers and the sessions.

The load is light on purpose (10 FPS of the pattern, 640x360 → 1280x720, and the deadline is
long), so that what is seen is what one more of them costs, not a queue.  Each point is one
short run.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from benchmarks.player import Player, RunRequest
from benchmarks.pool import Pool
from benchmarks.streaming import OPERATIONS, SMALL, stream

#: Chunks a frame, as grids.
GRIDS = ("1x1", "2x1", "2x2", "4x2", "4x4", "8x4", "8x8")
WORKERS = (1, 2, 4, 8, 16)
SESSIONS = (1, 2, 4, 8)
QUICK_GRIDS, QUICK_WORKERS, QUICK_SESSIONS = ("1x1", "4x4"), (1, 2), (1, 2)

_ORDER = RunRequest(source="pattern", size=SMALL, ops=OPERATIONS, fps=10.0, deadline_ms=2000.0)


def growth(seconds: float, *, quick: bool) -> dict[str, list[dict[str, Any]]]:
    """Return the points of each curve: what grew (``n``), and the figures of the run.

    Raises:
        UnavailableError: a worker or a session ended with an error.
    """
    order = replace(_ORDER, seconds=seconds)
    grids = QUICK_GRIDS if quick else GRIDS
    workers = QUICK_WORKERS if quick else WORKERS
    sessions = QUICK_SESSIONS if quick else SESSIONS
    result: dict[str, list[dict[str, Any]]] = {}
    with Pool() as pool:
        with Player(pool.broker.url, pool.log) as player:
            runs = []
            for count in workers:
                pool.grow(count)
                runs.append(stream(pool, [player], replace(order, grid="2x2")))
        result["workers"] = _points(workers, runs)
    with Pool() as pool:
        pool.grow(2)
        with Player(pool.broker.url, pool.log) as player:
            runs = [stream(pool, [player], replace(order, grid=grid)) for grid in grids]
        counts = [rows * cols for rows, cols in (map(int, grid.split("x")) for grid in grids)]
        result["chunks"] = _points(counts, runs)
        with ExitStack() as stack:
            players = [
                stack.enter_context(Player(pool.broker.url, pool.log)) for _ in range(max(sessions))
            ]
            runs = [stream(pool, players[:count], order) for count in sessions]
        result["sessions"] = _points(sessions, runs)
    return result


def _points(counts: Sequence[int], runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "n": count,
            "latency_ms": run["latency_ms"],
            "cpu_ms": run["cpu_ms"],
            "frames": run["frames"],
        }
        for count, run in zip(counts, runs, strict=True)
    ]
