"""One direction of a line as its bytes see it: a queue before a bottleneck, and then the way.

Pure: no socket, and what time it is it is told.  What a sender gives stands in the queue, leaves
it at the rate of the bottleneck, and is due at the other end after the delay.  Nothing is lost
and nothing overtakes: as with TCP, a loss is seen as a silence of one or more retransmission
timeouts and the burst after it, and what finds no room in the queue makes its sender wait.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import exp
from random import Random
from typing import Any, Final, Generic, Literal, Self, TypeVar

from p2c2g.errors import UsageError

#: Away from who dials through the proxy, and towards that one.
Direction = Literal["up", "down"]

#: Bytes in flight that a direction holds where nothing else is said: enough for 400 MB/s at a
#: round trip of 40 ms.
DEEP: Final = 8 << 20
#: Bytes of one packet: the least room that a sender is asked to fill.
PACKET: Final = 1448
#: With a rate, bytes leave in pieces of this many seconds of it, at least one packet.
_PIECE_SECONDS: Final = 0.001
#: Bits a second, the least that a line has: a silence is a stall.
LEAST_BPS: Final = 1000.0
#: Seconds that traffic is counted in, and how many of those are kept.  Policy: the oldest go.
BIN: Final = 0.01
_BINS: Final = 60_000
#: Seconds of TCP's least retransmission timeout (Linux), which doubles each time.
RTO: Final = 0.2


@dataclass(frozen=True, slots=True)
class Shape:
    """What one direction is like.

    Args:
        bps: bits a second; None sets no limit.
        delay_ms: from one end to the other.
        queue_bytes: how many wait before the bottleneck at most; None for 8 MiB.
        queue_ms: the same in milliseconds of the rate of the moment; the smaller counts.
        jitter_ms: by how much the delay is longer at most, evenly by chance.
        trace: rates that follow each other, each ``(seconds, bits a second)``, over and over;
            it takes the place of ``bps``.
        stalls: silences, each ``(seconds from now, seconds)``; what is due then comes after it
            at once.
        seed: of the jitter's chance.

    Raises:
        UsageError: a number out of its range.
    """

    bps: float | None = None
    delay_ms: float = 0.0
    queue_bytes: int | None = None
    queue_ms: float | None = None
    jitter_ms: float = 0.0
    trace: tuple[tuple[float, float], ...] = ()
    stalls: tuple[tuple[float, float], ...] = ()
    seed: int = 1

    def __post_init__(self) -> None:
        rates = [rate for _, rate in self.trace] + ([] if self.bps is None else [self.bps])
        if not all(rate >= LEAST_BPS for rate in rates):
            raise UsageError(f"A line of {min(rates):g} bits/s cannot be: give 1000 or more.")
        if not all(seconds > 0 for seconds, _ in self.trace):
            raise UsageError("Each part of a trace takes more than 0 seconds.")
        for name in ("delay_ms", "jitter_ms"):
            if not 0 <= getattr(self, name) <= 60_000:
                raise UsageError(f"{name}={getattr(self, name)} cannot be: give 0 to 60000.")
        for name in ("queue_bytes", "queue_ms"):
            if (value := getattr(self, name)) is not None and not value > 0:
                raise UsageError(f"{name}={value} cannot be: give more than 0, or None.")
        if not all(at >= 0 and length > 0 for at, length in self.stalls):
            raise UsageError("A stall begins at 0 seconds or later, and takes more than 0.")

    @classmethod
    def parse(cls, told: dict[str, Any]) -> Self:
        """Return it from what ``dataclasses.asdict`` made of it, by way of JSON."""
        pairs = {name: tuple((a, b) for a, b in told[name]) for name in ("trace", "stalls")}
        return cls(**told | pairs)

    @property
    def has_rate(self) -> bool:
        """Tell whether there is a bottleneck."""
        return self.bps is not None or bool(self.trace)


Owner = TypeVar("Owner")


class Line(Generic[Owner]):
    """One direction, shared by all its connections, of which each piece belongs to one.

    Args:
        shape: what it is like.
        now: seconds of the clock that all other times are of.
    """

    def __init__(self, shape: Shape, now: float) -> None:
        self._queue: deque[tuple[Owner, bytes]] = deque()
        self._queued = 0
        #: Bytes of the first in the queue that have still to leave, from which moment on, and
        #: when it will have left.
        self._left, self._since, self._done = 0.0, now, now
        #: What has left the bottleneck, until somebody takes it; and what is on its way.
        self._gone: list[tuple[Owner, bytes, float]] = []
        self._on_way: deque[tuple[float, int]] = deque()
        self._on_way_bytes = 0
        self._last_due = float("-inf")
        self._take_shape(shape, now)

    def reshape(self, shape: Shape, now: float) -> None:
        """Be like that from now on; what is on its way keeps the time when it is due."""
        self._advance(now)
        if self._queue:
            self._left = max(1e-6, self._left - self._carried(self._since, now))
        self._since = now
        self._take_shape(shape, now)
        self._look_at_first()

    def _take_shape(self, shape: Shape, now: float) -> None:
        self.shape = shape
        self._began = now
        self._ends = list(accumulate(seconds for seconds, _ in shape.trace))
        self._stalls = [(now + at, now + at + length) for at, length in shape.stalls]
        self._random = Random(shape.seed)  # noqa: S311 - the same each time on purpose

    def room(self, now: float) -> int:
        """Return how many bytes more may be put into the queue now."""
        if not self.shape.has_rate:
            return DEEP
        rate, _ = self._rate_at(now)
        depth = float(DEEP if self.shape.queue_bytes is None else self.shape.queue_bytes)
        if self.shape.queue_ms is not None:
            depth = min(depth, self.shape.queue_ms / 1e3 * rate)
        depth = max(depth, PACKET)
        while self._on_way and self._on_way[0][0] <= now:
            self._on_way_bytes -= self._on_way.popleft()[1]
        # In a stall TCP's window fills: what the way holds and the queue, and no more.
        way = rate * (self.shape.delay_ms + self.shape.jitter_ms) / 1e3
        return int(max(0.0, depth - self._queued - max(0.0, self._on_way_bytes - way)))

    def put(self, owner: Owner, data: bytes, now: float) -> None:
        """Take bytes from their sender; none of them are the end of its stream."""
        self._advance(now)
        size = len(data)
        if self.shape.has_rate:
            size = max(PACKET, int(self._rate_at(now)[0] * _PIECE_SECONDS))
        was_idle = not self._queue
        for start in range(0, len(data), size) if data else (0,):
            piece = data[start : start + size] if data else data
            self._queue.append((owner, piece))
        self._queued += len(data)
        if was_idle:
            self._since = now
            self._look_at_first()
            self._advance(now)

    def take(self, now: float) -> list[tuple[Owner, bytes, float]]:
        """Return what has left the bottleneck until now, each piece with when it is due."""
        self._advance(now)
        gone, self._gone = self._gone, []
        return gone

    @property
    def next_at(self) -> float | None:
        """Return when the next piece leaves the bottleneck; None where none waits."""
        return self._done if self._queue else None

    # -- inside -----------------------------------------------------------------------------------

    def _look_at_first(self) -> None:
        """Say when the first in the queue leaves, of which nothing has left so far or a part."""
        if self._queue:
            self._left = self._left if self._left > 0 else float(len(self._queue[0][1]))
            self._done = self._leaves(self._since, self._left)

    def _advance(self, now: float) -> None:
        while self._queue and self._done <= now:
            owner, piece = self._queue.popleft()
            self._queued -= len(piece)
            due = self._due(self._done)
            self._gone.append((owner, piece, due))
            if self.shape.has_rate:
                self._on_way.append((due, len(piece)))
                self._on_way_bytes += len(piece)
            self._since, self._left = self._done, 0.0
            self._look_at_first()

    def _due(self, left: float) -> float:
        due = left + self.shape.delay_ms / 1e3
        if self.shape.jitter_ms:
            due += self._random.uniform(0, self.shape.jitter_ms / 1e3)
        for start, end in self._stalls:
            if start <= due < end:
                due = end
        self._last_due = max(self._last_due, due)
        return self._last_due

    def _rate_at(self, now: float) -> tuple[float, float]:
        """Return bytes a second, and until when that holds."""
        if not self._ends:
            bps = self.shape.bps
            return (float("inf") if bps is None else bps / 8), float("inf")
        offset = (now - self._began) % self._ends[-1]
        at = bisect_right(self._ends, offset) % len(self._ends)
        # A moment at least: floats may put ``now`` just before its end.
        return self.shape.trace[at][1] / 8, now + max(1e-6, self._ends[at] - offset)

    def _leaves(self, since: float, size: float) -> float:
        """Return when so many bytes have left that begin to leave at ``since``."""
        while True:
            rate, until = self._rate_at(since)
            done = since + size / rate
            if done <= until:
                return done
            size -= rate * (until - since)
            since = until

    def _carried(self, since: float, now: float) -> float:
        """Return how many bytes may leave between two moments."""
        total = 0.0
        while since < now and self.shape.has_rate:
            rate, until = self._rate_at(since)
            until = min(until, now)
            total += rate * (until - since)
            since = until
        return total


# -- what lines are like ------------------------------------------------------------------------


def lte(
    mean_bps: float, seconds: float = 60.0, seed: int = 1, step: float = 0.1, spread: float = 0.45
) -> tuple[tuple[float, float], ...]:
    """Return a trace such as a phone's: it wanders about a mean, and fades now and then.

    The logarithm of the rate is drawn back to its mean within about two seconds; every ten
    seconds or so it falls to a tenth for a fraction of one, as where a phone changes its cell.
    The mean of the rates is ``mean_bps`` but for the fades.
    """
    random = Random(seed)  # noqa: S311 - likewise
    level, fade, rates = random.gauss(0, spread), 0, []
    back = exp(-step / 2.0)
    for _ in range(max(1, round(seconds / step))):
        level = level * back + random.gauss(0, spread) * (1 - back**2) ** 0.5
        if fade == 0 and random.random() < step / 10.0:
            fade = random.randint(2, 6)
        rate = mean_bps * exp(level - spread**2 / 2) * (0.1 if fade else 1.0)
        fade = max(0, fade - 1)
        rates.append((step, max(LEAST_BPS, rate)))
    return tuple(rates)


def losses(
    seconds: float, every: float = 5.0, seed: int = 1, rto: float = RTO
) -> tuple[tuple[float, float], ...]:
    """Return stalls as lost packets cause them: most of one timeout, some of two or three.

    Args:
        seconds: how long they go on.
        every: seconds between two, on average.
        seed: of their chance.
        rto: seconds of the first timeout; each later one takes twice as long.
    """
    random = Random(seed)  # noqa: S311 - likewise
    found, now = [], 0.0
    while (now := now + random.expovariate(1 / every)) < seconds:
        times = 1 + (random.random() < 0.3) + (random.random() < 0.1)
        length = rto * (2**times - 1)
        found.append((now, length))
        now += length
    return tuple(found)


# -- what went over it --------------------------------------------------------------------------

#: Bytes by the moment at which each hundredth of a second begins.
Samples = Sequence[tuple[float, int]]


class Meter:
    """Counts bytes by time.  Bounded: ten minutes of traffic are kept."""

    def __init__(self) -> None:
        self.total = 0
        self._bins: deque[list[int]] = deque(maxlen=_BINS)

    def count(self, size: int, now: float) -> None:
        """Note that so many bytes passed."""
        self.total += size
        at = int(now / BIN)
        if self._bins and self._bins[-1][0] >= at:
            self._bins[-1][1] += size
        else:
            self._bins.append([at, size])

    @property
    def samples(self) -> list[tuple[float, int]]:
        """Return what is kept, in the order of time."""
        return [(at * BIN, size) for at, size in self._bins]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went one way: as it was taken from the senders, and as it was handed over."""

    sent: Samples = field(repr=False)
    arrived: Samples = field(repr=False)

    def between(self, start: float, end: float) -> int:
        """Return the bytes that were sent from one moment until before another."""
        return sum(size for at, size in self.sent if start <= at < end)


def most_within(samples: Iterable[tuple[float, int]], seconds: float) -> int:
    """Return the most bytes of any so many seconds, to a hundredth."""
    window: deque[tuple[float, int]] = deque()
    total = most = 0
    for at, size in samples:
        window.append((at, size))
        total += size
        while window[0][0] <= at - seconds + BIN / 2:
            total -= window.popleft()[1]
        most = max(most, total)
    return most
