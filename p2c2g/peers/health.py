"""What one session has seen of each peer: in time or not, how fast, how far.

Pure; every call is told what time it is.  Figures are kept by peer and by operation, since a
peer that is fast at one may be slow at another; an operation is the pipeline's text, such as
``upscale:2,sharpen:0.5``.  Means are exponentially weighted: the latest fifty results make most
of the share in time, the latest sixteen of the times.

Other sessions' word (:meth:`Health.merge`) stands in for results that this one does not have
yet: it is worth as many results as are missing to :data:`ENOUGH`, and nothing after that.  Anybody
may write such a word, so each is worth a few hundred results at most
(:mod:`p2c2g.peers.health_words`); fewer than a quorum of them stand in only where this session has
no result at all; and of a quorum, those that are far from the middle are left out, and all where
the rest is far from what was seen here.  What they told is never told on: no rumour feeds on
itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from math import ceil

from p2c2g.peers.book import MAX_TOLD, QUORUM, PeerBook
from p2c2g.peers.health_words import (
    FAR_TIMES,
    MAX_OPERATIONS,
    HealthEntry,
    Snapshot,
    capped,
    credible,
)
from p2c2g.peers.sketch import Sketch

#: Weight of the latest outcome in the share in time, and of the latest result in the times.
OUTCOME_WEIGHT = 1 / 50
TIME_WEIGHT = 1 / 16
#: Results or failures of its own after which a session heeds no other's word.
ENOUGH = 20
#: Seconds that any single figure is cut off at.
MAX_SECONDS = 1e3


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one peer at one operation.

    ``count`` results came back; ``failed`` were an error, no picture of their chunk, or too late
    for anybody; ``on_time`` is the share of both that came back in time.
    ``seconds_per_megapixel`` of the result is a mean, ``seconds_per_megapixel_p95`` the 95th
    percentile; ``rtt`` is seconds of a round trip without work.
    """

    count: int
    failed: int
    on_time: float
    seconds_per_megapixel: float
    seconds_per_megapixel_p95: float
    rtt: float


@dataclass(slots=True)
class Seen:
    """What was seen of one peer at one operation."""

    count: int = 0
    failed: int = 0
    on_time: float = 0.0
    seconds_per_megapixel: float = 0.0
    rtt: float = 0.0
    sketch: Sketch = field(default_factory=Sketch)

    def ended(self, on_time: float) -> None:
        """Take one outcome into the share in time."""
        # The first outcomes are a plain mean, or the very first would weigh for long.
        weight = max(1 / (self.count + self.failed), OUTCOME_WEIGHT)
        self.on_time += weight * (on_time - self.on_time)

    def add(self, told: HealthEntry) -> None:
        """Add what another session told: a mean by the number of results."""
        outcomes, more = self.count + self.failed, told.count + told.failed
        if more:
            self.on_time += more / (outcomes + more) * (told.on_time - self.on_time)
        if told.count:
            part = told.count / (self.count + told.count)
            self.seconds_per_megapixel += part * (
                told.seconds_per_megapixel - self.seconds_per_megapixel
            )
            self.rtt += part * (told.rtt - self.rtt)
        self.count += told.count
        self.failed += told.failed
        self.sketch.merge(told.spread)


class Health:
    """What a session has seen of its peers.  Not thread-safe.

    Args:
        book: the session's peers.
    """

    def __init__(self, book: PeerBook) -> None:
        self._book = book
        self._others: tuple[Snapshot, ...] = ()
        # What they told of one peer at one operation, put together when it is asked for.
        self._told: dict[tuple[str, str], tuple[Seen | None, int]] = {}

    def result(
        self,
        peer: str,
        operation: str,
        megapixels: float,
        seconds_per_chunk: float,
        rtt: float,
        *,
        on_time: bool,
        now: float,
    ) -> None:
        """Note a result.

        Args:
            peer: whose.
            operation: the pipeline's text.
            megapixels: of the result, in 10⁶ pixels, above 0.
            seconds_per_chunk: seconds that the peer worked on it.
            rtt: seconds of its round trip, without that work and without waiting.
            on_time: whether it came before it was given up and its frame was shown.
            now: seconds of the caller's clock.
        """
        seen = self._seen(peer, operation, now)
        seen.count += 1
        seen.ended(float(on_time))
        each = min(max(seconds_per_chunk / megapixels, 0.0), MAX_SECONDS)
        weight = max(1 / seen.count, TIME_WEIGHT)
        seen.seconds_per_megapixel += weight * (each - seen.seconds_per_megapixel)
        seen.rtt += weight * (min(max(rtt, 0.0), MAX_SECONDS) - seen.rtt)
        seen.sketch.add(each)

    def failed(self, peer: str, operation: str, now: float) -> None:
        """Note a run of a peer that ended in an error, or in no picture of its chunk."""
        seen = self._seen(peer, operation, now)
        seen.failed += 1
        seen.ended(0.0)

    def of(self, peer: str, operation: str) -> Record | None:
        """Return what is known of a peer at an operation, or None."""
        mine = self._book.get(peer)
        own = mine.operations.get(operation) if mine else None
        told = None
        if self._others and (own is None or own.count + own.failed < ENOUGH):
            told, sessions = self._told_of(peer, operation)
            if own and told and (sessions < QUORUM or not _are_alike(own, told)):
                told = None
        if told is not None:
            known = _both(own, told) if own else told
        elif own is not None:
            known = own
        else:
            return None
        return Record(
            count=known.count,
            failed=known.failed,
            on_time=known.on_time,
            seconds_per_megapixel=known.seconds_per_megapixel,
            seconds_per_megapixel_p95=known.sketch.value,
            rtt=known.rtt,
        )

    def peers(self) -> list[str]:
        """Return the peers of which anything was seen; by this session itself last."""
        own = {peer.name: None for peer in self._book if peer.operations}
        told = {
            peer: None
            for snapshot in self._others
            for peers in snapshot.operations.values()
            for peer in peers
            if peer not in own
        }
        return [*told, *own]

    def operations(self, peer: str) -> list[str]:
        """Return the operations at which a peer is known, the one it did most often first."""
        counts: Counter[str] = Counter()
        mine = self._book.get(peer)
        for operation, seen in mine.operations.items() if mine else ():
            counts[operation] += seen.count
        for snapshot in self._others:
            for operation, peers in snapshot.operations.items():
                if peer in peers:
                    counts[operation] += peers[peer].count
        return sorted(counts, key=lambda operation: (-counts[operation], operation))

    # -- what sessions tell each other ------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Return what this session itself has seen, the peer heard of last first."""
        operations: dict[str, dict[str, HealthEntry]] = {}
        seen_here = (each for each in reversed(self._book) if each.operations)
        for peer in islice((each for each in seen_here if each.has_valid_name), MAX_TOLD):
            for operation, seen in reversed(peer.operations.items()):
                if operation in operations or len(operations) < MAX_OPERATIONS:
                    operations.setdefault(operation, {})[peer.name] = HealthEntry(
                        count=seen.count,
                        failed=seen.failed,
                        on_time=_short(seen.on_time),
                        seconds_per_megapixel=_short(seen.seconds_per_megapixel),
                        rtt=_short(seen.rtt),
                        spread=seen.sketch.weights(),
                    )
        return Snapshot(operations=operations)

    def merge(self, others: Iterable[Snapshot]) -> None:
        """Take what other sessions have seen, in place of what they told before."""
        self._others = tuple(others)
        self._told.clear()

    # -- inside -----------------------------------------------------------------------------

    def _told_of(self, peer: str, operation: str) -> tuple[Seen | None, int]:
        """Return what others say, put together, and how many of them."""
        told = self._told.get((peer, operation))
        if told is None:
            words = [
                word
                for snapshot in self._others
                if (word := snapshot.operations.get(operation, {}).get(peer)) is not None
            ]
            seen = None
            for word in credible([capped(each) for each in words]):
                seen = seen or Seen()
                seen.add(word)
            self._told[peer, operation] = told = (seen, len(words))
        return told

    def _seen(self, peer: str, operation: str, now: float) -> Seen:
        operations = self._book.heard(peer, now).operations
        seen = operations.pop(operation, None) or Seen()
        if len(operations) >= MAX_OPERATIONS:
            del operations[next(iter(operations))]
        operations[operation] = seen
        return seen


def _both(own: Seen, told: Seen) -> Seen:
    """Return own results and as much of others' word as is missing to :data:`ENOUGH`."""
    missing = ENOUGH - own.count - own.failed
    share = min(1.0, missing / max(1, told.count + told.failed))
    both = Seen(own.count, own.failed, own.on_time, own.seconds_per_megapixel, own.rtt)
    both.sketch.merge(own.sketch.weights())
    both.add(
        HealthEntry(
            count=ceil(told.count * share),
            failed=round(told.failed * share),
            on_time=told.on_time,
            seconds_per_megapixel=told.seconds_per_megapixel,
            rtt=told.rtt,
            spread={bucket: weight * share for bucket, weight in told.sketch.weights().items()},
        )
    )
    return both


def _are_alike(own: Seen, told: Seen) -> bool:
    """Tell whether what others say is near what was seen here."""
    return not own.count or all(
        mine / FAR_TIMES <= its <= mine * FAR_TIMES
        for mine, its in (
            (own.seconds_per_megapixel, told.seconds_per_megapixel),
            (own.sketch.value, told.sketch.value),
        )
    )


def _short(number: float) -> float:
    """Return a number with as many digits as matter."""
    return float(f"{number:.4g}")
