"""How the cost grows: with the chunks of a frame, the workers and the sessions.

The load is light on purpose (10 FPS of 640x360 → 1280x720, and the deadline is long), so that
what is seen is what one more of them costs, not a queue.  Each point is one short run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.player import Order
from benchmarks.pool import Pool
from benchmarks.streaming import OPERATIONS, SMALL, play

#: Chunks a frame, as grids.
GRIDS = ("1x1", "2x1", "2x2", "4x2", "4x4", "8x4", "8x8")
WORKERS = (1, 2, 4, 8, 16)
SESSIONS = (1, 2, 4, 8)
QUICK_GRIDS, QUICK_WORKERS, QUICK_SESSIONS = ("1x1", "4x4", "8x8"), (1, 2, 4), (1, 4)

_ORDER = Order(size=SMALL, ops=OPERATIONS, fps=10.0, deadline_ms=2000.0)


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
        result["workers"] = []
        pool.grow(1)
        for count in workers:
            pool.grow(count)
            result["workers"] += _points([count], play(pool, 1, [replace(order, grid="2x2")]))
    with Pool() as pool:
        pool.grow(2)
        counts = [rows * cols for rows, cols in (map(int, grid.split("x")) for grid in grids)]
        runs = play(pool, 1, [replace(order, grid=grid) for grid in grids])
        result["chunks"] = _points(counts, runs)
        result["sessions"] = [
            point for count in sessions for point in _points([count], play(pool, count, [order]))
        ]
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
