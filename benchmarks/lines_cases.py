"""What is played over which lines, and what comes of it as figures.

Each part takes a way to play (:class:`~benchmarks.lines_rig.Rig`'s) and returns plain figures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from benchmarks.lines_figures import (
    back_after,
    bytes_at,
    frames,
    gain,
    late,
    longest_bare,
    percentile,
    share,
    since,
)
from benchmarks.lines_player import Run
from benchmarks.lines_rig import GAMER, Change, Played, Rig, Way
from p2c2g.testing.delay_line import (
    Direction,
    Samples,
    Shape,
    Traffic,
    losses,
    lte,
    most_within,
)

#: Next to the broker: a line that nobody notices.
NEAR = Way.of(2000, 2000, rtt_ms=0.0)
PEER = "peer1"
#: The line of which the issue of home lines promises something.
HOME = "peer at 20/5"


@dataclass(frozen=True, slots=True)
class Case:
    """One row: whose line is like what."""

    name: str
    who: str
    way: Way


def _phone(seed: int) -> Way:
    down, up = (
        Shape(trace=lte(mbps * 1e6, 60.0, seed + at), delay_ms=25, jitter_ms=8, queue_ms=300)
        for at, mbps in enumerate((20, 6))
    )
    return Way(down, up)


#: Whose line, down and up in Mbit/s, round trip 30 ms and a queue of 100 ms where nothing else is
#: said.  A phone's has 50 ms, and rates that wander about 20 and 6.
CASES = (
    Case("peer at 100/40", PEER, Way.of(100, 40, queue_ms=100)),
    Case("peer at 50/10", PEER, Way.of(50, 10, queue_ms=100)),
    Case(HOME, PEER, Way.of(20, 5, queue_ms=100)),
    Case("gamer at 50/10", GAMER, Way.of(50, 10, queue_ms=100)),
    Case("gamer at 20/5", GAMER, Way.of(20, 5, queue_ms=100)),
    Case("peer at 8/2, a queue of 2 s", PEER, Way.of(8, 2, queue_ms=2000)),
    Case("peer on a phone's line", PEER, _phone(11)),
    Case(
        "peer at 50/10, losses",
        PEER,
        Way.of(50, 10, queue_ms=100, jitter_ms=5, stalls=losses(60.0, every=2.5, seed=4)),
    ),
)


def lines_of(case: Case) -> dict[str, Way]:
    """Return everybody's line in a case."""
    return {GAMER: NEAR, PEER: NEAR} | {case.who: case.way}


def measured(played: Played, who: str) -> dict[str, Any]:
    """Return the figures of a run from where it settled, over ``who``'s line."""
    rows = since(played.rows, played.settled, played.ended)
    span = played.ended - played.settled
    traffic = played.traffic[who]
    return {
        **frames(rows, span * played.fps),
        "late": late(rows, played.deadline),
        "gain_db": gain(played.decibels, {row[0] for row in rows}),
        **{
            f"mbps_{way}": round(
                traffic[way].between(played.settled, played.ended) * 8e-6 / span, 3
            )
            for way in ("up", "down")
        },
        "peer_cpu": round(played.cpu_s / span, 4),
        "idle": round(played.idle, 2),
    }


def line(rig: Rig, case: Case, order: Run) -> dict[str, Any]:
    """Play over one line."""
    rig.reline(lines_of(case))
    return measured(rig.play(order), case.who)


# -- a line that falls --------------------------------------------------------------------------

#: Mbit/s before and after, and while it has fallen, of each direction.
FALL_FROM, FALL_TO = 40, 4


def fallen(mbps: float) -> Way:
    """Return the peer's line while it carries so much."""
    return Way.of(mbps, mbps, queue_ms=200)


def fall(rig: Rig, order: Run) -> dict[str, Any]:
    """Play over a peer's line that falls after a third of the time, and is back after two thirds.

    Returns:
        Figures, and series by seconds since the first frame for the plot.
    """
    third = order.seconds / 3
    wide, narrow = map(fallen, (FALL_FROM, FALL_TO))
    rig.reline({GAMER: NEAR, PEER: wide})
    played = rig.play(order, [Change(third, PEER, narrow), Change(2 * third, PEER, wide)])
    fell, rose = (moment for moment, _ in played.changes)
    rows, before = played.rows, since(played.rows, fell - third / 2, fell)
    zero, step = played.began, 0.25
    bins = [zero + at * step for at in range(int(order.seconds / step))]
    down = played.traffic[PEER]["down"].arrived
    captured = {row[0]: row[1] for row in rows}
    return {
        "late": late(rows, played.deadline),
        "lost": played.due - len(rows),
        "again_s": longest_bare(rows, fell, rose),
        "back_s": back_after(rows, before, rose),
        "flicker": frames(since(rows, fell + 1.0, rose), 1)["flicker"],
        "idle": round(played.idle, 2),
        "fell_s": round(fell - zero, 2),
        "rose_s": round(rose - zero, 2),
        "series": {
            "at": [round(start - zero, 3) for start in bins],
            "mbps": [
                round(sum(n for at, n in down if start <= at < start + step) * 8e-6 / step, 3)
                for start in bins
            ],
            "playout_ms": [
                percentile([row[3] - row[1] for row in since(rows, start, start + step)], 50)
                for start in bins
            ],
            "enhanced": [
                round(fmean([share(row) for row in found]), 3) if found else 0.0
                for found in (since(rows, start, start + step) for start in bins)
            ],
            "gain_db": [
                [round(captured[number] - zero, 3), round(shown - base, 3)]
                for number, base, shown in played.decibels
                if number in captured
            ],
        },
    }


# -- what else is promised ----------------------------------------------------------------------


def overload(rig: Rig, order: Run) -> dict[str, Any]:
    """Ask for twice what a peer next door can do, and for a quarter of it.

    The ratio is None where not even that quarter was enhanced: nothing follows from it.
    """
    rig.reline({GAMER: NEAR, PEER: NEAR})
    # With time enough, so that what is complete is all that the peer could do.
    capacity = rig.capacity(replace(order, deadline_ms=2000.0, seconds=min(3.0, order.seconds)))
    found = {
        name: measured(rig.play(replace(order, fps=min(120.0, max(1.0, factor * capacity)))), PEER)
        for name, factor in (("unloaded", 0.25), ("overloaded", 2.0))
    }
    idle, full = found["unloaded"], found["overloaded"]
    return {
        "capacity": round(capacity, 1),
        **found,
        # Two sessions of which neither gets anything wait equally long for nothing.
        "p50_ratio": round(full["p50_ms"] / max(0.1, idle["p50_ms"]), 2)
        if idle["enhanced"] >= 0.9
        else None,
        "flicker": full["flicker"],
    }


def patient(order: Run) -> Run:
    """Return it where bytes count and not time: no frame has too little, nothing is given up."""
    return replace(
        order, fps=6.0, seconds=2 * order.seconds, deadline_ms=2000.0, ops="upscale:2:ml-tiny",
        steady=False,
    )  # fmt: skip


def still(rig: Rig, order: Run) -> dict[str, Any]:
    """Play a moving picture and one that stands, for twice as long: what comes at first is over."""
    rig.reline({GAMER: NEAR, PEER: Way.of(100, 40)})
    longer = replace(order, still=True, seconds=2 * order.seconds)
    moving, stands = (measured(rig.play(each), PEER) for each in (order, longer))
    idle = rig.idle_cpu(order.seconds / 2)
    total = [got["mbps_up"] + got["mbps_down"] for got in (moving, stands)]
    return {
        "moving": moving,
        "still": stands,
        "idle_cpu": round(idle, 4),
        "bytes_ratio": round(total[1] / max(1e-9, total[0]), 4),
        "cpu_ratio": round(stands["peer_cpu"] / max(1e-9, moving["peer_cpu"]), 4),
    }


#: Qualities of chunks and of residuals, of which the curve of fixed settings is made.
FIXED = ((80, 75), (60, 55), (35, 35))


def curve(rig: Rig, order: Run) -> list[tuple[float, float]]:
    """Return Mbit/s and dB over the base of fixed settings, over a line that is wide enough."""
    rig.reline({GAMER: NEAR, PEER: Way.of(100, 40)})
    points = []
    for quality, residual_quality in FIXED:
        fixed = replace(patient(order), quality=quality, residual_quality=residual_quality)
        found = measured(rig.play(fixed), PEER)
        points.append((found["mbps_up"] + found["mbps_down"], found["gain_db"] or 0.0))
    return points


def saved(points: Sequence[tuple[float, float]], got: Mapping[str, Any]) -> float | None:
    """Return which share of the bits of fixed settings was saved at the same dB over the base."""
    if got["gain_db"] is None:
        return None
    fixed = bytes_at(dict(points), got["gain_db"])
    used = got["mbps_up"] + got["mbps_down"]
    return None if not fixed else round(1 - used / fixed, 3)


#: Mbit/s that a gamer gives up and down, and a peer each way, where it is looked at whether that
#: is kept: less than is wanted.
GAMERS, PEERS = (3.0, 1.0), 3.0


def limits(order: Run) -> dict[str, float]:
    """Return by which share the most of any two seconds is over each limit that was asked for."""
    near = {GAMER: NEAR, PEER: NEAR}
    found = {}
    with Rig(near) as rig:
        traffic = rig.play(replace(order, limit_mbps=GAMERS)).traffic[GAMER]
        for way, mbps in zip(("up", "down"), GAMERS, strict=True):
            found[f"gamer {way}, {mbps:g} Mbit/s"] = over(_of(traffic, way), mbps * 1e6)
    with Rig(near, options=("--max-mbps", f"{PEERS:g}")) as rig:
        traffic = rig.play(order).traffic[PEER]
        for way in ("up", "down"):
            found[f"peer {way}, {PEERS:g} Mbit/s"] = over(_of(traffic, way), PEERS * 1e6)
    return found


def _of(traffic: Mapping[Direction, Traffic], way: str) -> Samples:
    return traffic["up"].sent if way == "up" else traffic["down"].arrived


def over(samples: Sequence[tuple[float, int]], bps: float, seconds: float = 2.0) -> float:
    """Return by which share the most of any two seconds is more than a limit, or less (below 0)."""
    return round(most_within(samples, seconds) * 8 / (bps * seconds) - 1, 3)
