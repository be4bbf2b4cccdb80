"""How much is asked for, what that takes, and what there is enough for.

Pure.  A session that has too little of something gives up, in this order, as much as it must:
better methods, the quality of residuals and of what is sent, chunks, and frames.  What does not
relieve what is short stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from math import inf

#: Of so many frames one is enhanced at the least.
EVERY_MOST = 8


class Resource(Enum):
    """What there can be too little of."""

    WORK = "the peers' time"
    UP = "the line to the peers"
    DOWN = "the line back"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the last half second.

    Args:
        fps: frames a second that could be enhanced.
        sent: share of the chosen chunks that are sent at all: the others are known.
        done: chunks a second that came back.
        flows: whether they came all the while; else nothing follows from their number.
        queued: whether a queue stands.
        refused: share of chunks that found no room.
        late: share of the chunks that were not back in time, again and again; 0 where that was
            once.
        methods: what a chunk costs the peers by method, best first; above 0.
        residuals: bytes of a residual by rung, best first.
        sources: bytes of a chunk as it is sent by rung, best first.
        up, down: bytes a second that the lines take; inf where unknown.
        up_full, down_full: whether a queue stands in that line.
        finest: the best rung that may be used of what goes over a line; 0 where nothing is said:
            better ones would take too much time on it.
        fixed: lines of which that is a limit that somebody set: there is no more to be found.
        fair: chunks a second that are this session's part of the peers; inf where nobody else has
            any.
        taken: whether all of the peers' time is taken.
    """

    fps: float
    sent: float = 1.0
    done: float = 0.0
    flows: bool = True
    queued: bool = False
    refused: float = 0.0
    late: float = 0.0
    methods: Sequence[float] = (1.0,)
    residuals: Sequence[float] = (1.0,)
    sources: Sequence[float] = (1.0,)
    up: float = inf
    down: float = inf
    up_full: bool = False
    down_full: bool = False
    finest: Mapping[Resource, int] = field(default_factory=dict)
    fixed: frozenset[Resource] = frozenset()
    fair: float = inf
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Levels:
    """How much is asked for: rungs (0 is the best), chunks, and of how many frames one."""

    chunks: int
    method: int = 0
    residual: int = 0
    source: int = 0
    every: int = 1


def needs(levels: Levels, facts: Facts) -> dict[Resource, float]:
    """Return what is taken a second: of the peers' time, and bytes of each line."""
    chunks = levels.chunks * facts.fps / levels.every * facts.sent
    return {
        Resource.WORK: chunks * facts.methods[levels.method],
        Resource.UP: chunks * facts.sources[levels.source],
        Resource.DOWN: chunks * facts.residuals[levels.residual],
    }


def fit(best: Levels, facts: Facts, have: dict[Resource, float]) -> Levels:
    """Return the most that there is enough for: nothing of it better than ``best``.

    Args:
        best: where to begin.
        facts: what things cost.
        have: how much there is of what is short; of all else there is enough.
    """
    costs = (
        (Resource.WORK, "method", facts.methods),
        (Resource.DOWN, "residual", facts.residuals),
        (Resource.UP, "source", facts.sources),
    )
    frames = facts.fps * facts.sent / best.every
    chunks: float = best.chunks
    for what, name, rungs in costs:
        if what in have and frames > 0:
            least = min(rungs[getattr(best, name) :])
            chunks = min(chunks, have[what] / (frames * least) if least > 0 else inf)
    every = best.every
    if chunks < 1:
        # Not even one of each of those frames.
        every = round(every / max(chunks, every / EVERY_MOST))
    found = replace(best, chunks=max(1, int(chunks)), every=max(every, best.every))
    for what, name, rungs in costs:
        if what in have:
            present = getattr(best, name)
            a_chunk = have[what] / (found.chunks * facts.fps * facts.sent / found.every or 1.0)
            fits = (at for at in range(present, len(rungs)) if rungs[at] <= a_chunk)
            cheapest = min(range(present, len(rungs)), key=rungs.__getitem__)
            found = replace(found, **{name: next(fits, cheapest)})
    return found
