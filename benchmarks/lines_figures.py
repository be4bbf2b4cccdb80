"""What one run over a line is worth, from the rows of what was shown (pure).

A row is number, seconds of capture, ready and shown, and a letter a chunk: 1 where it is enhanced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean, median
from typing import Any, TypeAlias

import numpy as np

#: Number, captured, ready, shown, chunks.
Row: TypeAlias = Sequence[Any]

#: Of a frame's chunks, this share makes it one that is enhanced, for "enhanced again".
ENHANCED = 0.5
#: By how much more than before a playout delay is not yet back: a share, and seconds.
BACK_SHARE, BACK_SECONDS = 1.25, 0.005


def since(rows: Iterable[Row], start: float, end: float = float("inf")) -> list[Row]:
    """Return the rows of frames captured from one moment until before another."""
    return [row for row in rows if start <= row[1] < end]


def percentile(values: Sequence[float], point: float) -> float:
    """Return a percentile in milliseconds of seconds; 0 of nothing."""
    return round(float(np.percentile(np.asarray(values), point)) * 1e3, 1) if values else 0.0


def flicker(rows: Sequence[Row]) -> float:
    """Return the changes between enhanced and base, a chunk a second."""
    if len(rows) < 2:
        return 0.0
    chunks = max(1, len(rows[0][4]))
    changes = sum(
        sum(one != other for one, other in zip(before[4], after[4], strict=False))
        for before, after in pairwise(rows)
    )
    span = rows[-1][3] - rows[0][3]
    return round(changes / chunks / span, 3) if span > 0 else 0.0


def share(row: Row) -> float:
    """Return which share of a frame's chunks is enhanced."""
    chunks = str(row[4])
    return chunks.count("1") / max(1, len(chunks))


def frames(rows: Sequence[Row], due: float) -> dict[str, float]:
    """Return what became of the frames, of which ``due`` were due."""
    latencies = [row[2] - row[1] for row in rows]
    playout = [row[3] - row[1] for row in rows]
    complete = sum("0" not in row[4] for row in rows)
    return {
        "complete": round(min(1.0, complete / max(1.0, due)), 4),
        "enhanced": round(min(1.0, sum(map(share, rows)) / max(1.0, due)), 4),
        "shown": round(min(1.0, len(rows) / max(1.0, due)), 4),
        "p50_ms": percentile(latencies, 50),
        "p99_ms": percentile(latencies, 99),
        "playout_p50_ms": percentile(playout, 50),
        "playout_p99_ms": percentile(playout, 99),
        "flicker": flicker(rows),
    }


def late(rows: Sequence[Row], deadline: float, slack: float = 0.005) -> int:
    """Return how many frames were shown so much after their deadline."""
    return sum(row[3] - row[1] > deadline + slack for row in rows)


def longest_bare(rows: Sequence[Row], start: float, end: float) -> float:
    """Return the longest time in which every frame shown was mostly base alone, in seconds.

    A stretch ends with the first frame of which :data:`ENHANCED` is enhanced, or at ``end``.
    """
    longest, bare_since = 0.0, None
    for row in since(rows, start, end):
        if share(row) >= ENHANCED:
            bare_since = None
            continue
        bare_since = row[3] if bare_since is None else bare_since
        longest = max(longest, row[3] - bare_since)
    return round(longest, 2)


def back_after(rows: Sequence[Row], before: Sequence[Row], moment: float) -> float | None:
    """Return how many seconds after a moment the playout delay is, and stays, as before.

    Args:
        rows: all of what was shown.
        before: of the time that was good.
        moment: since when it may be good again.

    Returns:
        None where it never is.
    """
    after = since(rows, moment)
    if not before or not after:
        return None
    usual = median(row[3] - row[1] for row in before)
    bound = usual * BACK_SHARE + BACK_SECONDS
    above = [row for row in after if row[3] - row[1] > bound]
    if not above:
        return 0.0
    if above[-1] is after[-1]:
        return None
    return round(float(above[-1][3]) - moment, 2)


def gain(decibels: Sequence[Sequence[float]], numbers: set[int]) -> float | None:
    """Return the mean of dB over the base of those frames; None where none was compared."""
    found = [shown - base for number, base, shown in decibels if number in numbers]
    return round(fmean(found), 3) if found else None


def bytes_at(curve: Mapping[float, float], decibels: float) -> float | None:
    """Return how many bytes a second a curve of dB by bytes takes for so many dB.

    It is followed in straight lines, and not beyond its ends but for its best: what is better
    than that counts as the best.
    """
    points = sorted((level, size) for size, level in curve.items())
    if not points or decibels < points[0][0]:
        return None
    levels, sizes = zip(*points, strict=True)
    return float(np.interp(decibels, levels, sizes))
