"""The whole pipeline at a source's pace: latency, what became of the frames, and the cost.

Also how the cost grows with the chunks of a frame, the workers and the sessions.  There the load
is light on purpose (10 FPS of the pattern, 640x360 → 1280x720, and the deadline is long), so that
what is seen is what one more of them costs, not a queue.  Each point is one short run.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.player import Player, PlayRequest
from tests.pool import Pool

#: Who uses the processor.
ROLES = ("broker", "workers", "session")

SMALL, LARGE = "640x360", "1280x720"
OPERATIONS = "upscale:2,sharpen:0.5"


#: The rows that somebody promised something of.
TARGET_60 = f"{SMALL} ×2, 60 FPS"
TARGET_144 = f"{SMALL} pass, 144 FPS"


@dataclass(frozen=True, slots=True)
class Case:
    """One row: its name in the table and in the JSON, and what is played."""

    name: str
    order: PlayRequest


def cases(seconds: float) -> list[Case]:
    """Return the rows of the full benchmark, each of so many seconds."""
    order = PlayRequest(ops=OPERATIONS, seconds=seconds)
    rows = [
        Case(f"{size} ×2, {fps} FPS", replace(order, size=size, fps=float(fps)))
        for size in (SMALL, LARGE)
        for fps in (30, 60, 144)
    ]
    passing = replace(order, source="pattern", ops="pass", fps=144.0)
    return [*rows, Case(f"{SMALL} pass, 144 FPS", passing)]


def quick_cases(seconds: float) -> list[Case]:
    """Return the two rows that have a target."""
    return [case for case in cases(seconds) if case.name in (TARGET_60, TARGET_144)]


def stream(pool: Pool, players: Sequence[Player], order: PlayRequest) -> dict[str, Any]:
    """Play one order in each player at once.

    Returns:
        The first session's report without what does not change, the frames of all sessions
        added up, and ``cpu_ms``: processor milliseconds a frame shown, by role, all sessions
        together, and ``cpu_percent``: of one core, in the same way.

    Raises:
        UnavailableError: a session ended with an error.
    """
    for player in players:
        player.prepare(order)
    for player in players:
        player.answer()
    before = pool.cpu()
    for player in players:
        player.play()
    reports = [player.answer() for player in players]
    used = {role: seconds - before[role] for role, seconds in pool.cpu().items()}
    for name in reports[0]["cpu_s"]:
        used[name] = sum(report["cpu_s"][name] for report in reports)
    frames = {
        state: sum(report["frames"][state] for report in reports) for state in reports[0]["frames"]
    }
    shown = max(1, frames["complete"] + frames["degraded"])
    first = reports[0]
    worst = max(reports, key=lambda report: float(report["latency_ms"]["p99"]))
    result = {
        "frames": frames,
        "success_rate": frames["complete"] / max(1, frames["captured"]),
        "fps": first["fps"],
        # Of several sessions, the one whose slowest frames were the slowest.
        "latency_ms": worst["latency_ms"],
        "stages_ms": worst["stages_ms"],
        "errors": first["errors"],
        "cpu_ms": {role: round(seconds / shown * 1e3, 3) for role, seconds in used.items()},
        "cpu_percent": {
            role: round(seconds / order.seconds * 100, 1) for role, seconds in used.items()
        },
    }
    if "frames_per_s" in first:
        result["frames_per_s"] = round(sum(report["frames_per_s"] for report in reports), 1)
    return result


# -- how the cost grows -----------------------------------------------------------------------

#: Chunks a frame, as grids.
GRIDS = ("1x1", "2x1", "2x2", "4x2", "4x4", "8x4", "8x8")
WORKERS = (1, 2, 4, 8, 16)
SESSIONS = (1, 2, 4, 8)
QUICK_GRIDS, QUICK_WORKERS, QUICK_SESSIONS = ("1x1", "4x4"), (1, 2), (1, 2)

_ORDER = PlayRequest(source="pattern", size=SMALL, ops=OPERATIONS, fps=10.0, deadline_ms=2000.0)


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
