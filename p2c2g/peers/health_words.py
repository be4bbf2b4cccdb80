"""What a session tells others of its peers, and how much of that is believed.

Anybody may write such a word (:mod:`p2c2g.peers.health` says what it is worth).
"""

from __future__ import annotations

from math import ceil
from statistics import median_low
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from p2c2g.messaging.labels import Name
from p2c2g.peers.book import MAX_TOLD, QUORUM
from p2c2g.peers.line_words import MAX_LINES, LineWord
from p2c2g.peers.messages import Count, Seconds, Share
from p2c2g.peers.sketch import BUCKETS, Sketch

#: Operations of a peer that are told apart; one more drops the one that was heard of least lately.
MAX_OPERATIONS = 8
#: Results that one other session's word is worth at most.
MOST_OF_A_WORD = 300
#: Where a quorum speaks, words are left out whose times are more than so many times the middle one,
#: or as much below it, or whose share in time is so far from the middle one.
FAR_TIMES, FAR_SHARE = 4.0, 0.3

VERSION: Final = 2
Bucket = Annotated[int, Field(ge=0, lt=BUCKETS)]
Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Operation = Annotated[str, Field(min_length=1, max_length=256)]


class HealthEntry(BaseModel):
    """The same as one session tells it: ``spread`` holds a sketch's weights."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    count: Count = 0
    failed: Count = 0
    on_time: Share = 1.0
    seconds_per_megapixel: Seconds = 0.0
    rtt: Seconds = 0.0
    spread: Annotated[dict[Bucket, Weight], Field(max_length=BUCKETS)] = {}


class Snapshot(BaseModel):
    """What one session has seen itself, by operation and peer, and of the peers' lines."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[2] = VERSION
    operations: Annotated[
        dict[Operation, Annotated[dict[Name, HealthEntry], Field(max_length=MAX_TOLD)]],
        Field(max_length=MAX_OPERATIONS),
    ] = {}
    lines: Annotated[dict[Name, LineWord], Field(max_length=MAX_LINES)] = {}


def capped(word: HealthEntry) -> HealthEntry:
    """Return a word that weighs no more than is allowed."""
    share = min(1.0, MOST_OF_A_WORD / max(1, word.count + word.failed))
    count = ceil(word.count * share)
    # As many in the sketch as it says: what is there twice over would weigh twice.
    weights = sum(word.spread.values())
    spread = min(1.0, count / weights) if weights else 1.0
    return word.model_copy(
        update={
            "count": count,
            "failed": round(word.failed * share),
            "spread": {bucket: weight * spread for bucket, weight in word.spread.items()},
        }
    )


def credible(words: list[HealthEntry]) -> list[HealthEntry]:
    """Leave out the words that are far from the middle one, where a quorum speaks."""
    if len(words) < QUORUM:
        return words
    figures = [(each.seconds_per_megapixel, _p95(each), each.rtt) for each in words]
    middles = [median_low(each) for each in zip(*figures, strict=True)]
    on_time = median_low(each.on_time for each in words)
    return [
        word
        for word, its in zip(words, figures, strict=True)
        if abs(word.on_time - on_time) <= FAR_SHARE
        and all(
            middle / FAR_TIMES <= figure <= middle * FAR_TIMES
            for figure, middle in zip(its, middles, strict=True)
        )
    ]


def _p95(word: HealthEntry) -> float:
    sketch = Sketch()
    sketch.merge(word.spread)
    return sketch.value
