"""Each line of a session, in each direction: what it carries, and how long things wait in it.

Pure; every call is told what time it is.  Two ends' clocks are never compared: only differences of
delays are used, so that any constant may be in them.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from math import inf, isfinite
from statistics import median_low
from typing import Literal

from p2c2g.lines.direction import Direction
from p2c2g.lines.least import Least

#: Peers whose lines are kept; one more drops the one heard of least lately.
MAX_PEERS = 1024
#: Seconds between two looks at what all lines have in common, and for which a peer counts there.
COMMON_EVERY, COMMON_SPAN = 0.05, 1.0
#: Seconds for which a ping of the gamer's counts, and peers of whom the middle one is believed
#: without it.
PING_SPAN, _MANY = 2.0, 3
#: Weight of the latest result in how busy a peer is and in what its results take as a rule, and
#: that of the latest ping in the rise.
_WEIGHT, _PING_WEIGHT = 1 / 16, 1 / 4
#: From which part of the time at work on a silent run says nothing of the line.
_BUSY = 0.9
#: Frames that are watched for an answer.
_WATCHED = 64
#: Seconds that clocks are read and told to.
_EXACT = 1e-4
#: Seconds that a figure of a stranger may be at most, either way: clocks begin anywhere.
_MOST = 1e10


@dataclass(frozen=True, slots=True)
class LineState:
    """What is known of one line in one direction.

    ``goodput`` is bytes a second that arrived lately, ``target`` those that may be sent without a
    queue that grows, None where no limit is known; ``least`` the seconds that it takes at least,
    ``rise`` those of waiting on top of it, smoothed.  ``burst`` is what it carried within bursts
    of late, in bytes a second: what it could take, roughly.
    """

    goodput: float | None
    target: float | None
    least: float | None
    rise: float
    state: Literal["unknown", "normal", "overuse", "underuse"]
    burst: float | None = None


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """The round trip to the broker, in seconds: the least of late, and what waits on top of it."""

    least: float
    rise: float


UNKNOWN = LineState(None, None, None, 0.0, "unknown")


class _Peer:
    """The lines of one peer: towards it and back."""

    __slots__ = ("busy", "down", "lost", "up", "usual", "waited_for")

    def __init__(self) -> None:
        self.up, self.down = Direction(), Direction()
        self.busy: float | None = None
        #: Runs that stayed silent.
        self.lost = 0
        #: When what has no answer yet was sent, and what an answer takes as a rule.
        self.waited_for: deque[float] = deque(maxlen=_WATCHED)
        self.usual = 0.0

    def answered(self, sent: float, took: float, busy: float) -> None:
        """Take note of an answer: older ones are not waited for any more."""
        while self.waited_for and self.waited_for[0] <= sent:
            self.waited_for.popleft()
        if self.busy is None:
            self.busy, self.usual = busy, took
        self.busy += _WEIGHT * (busy - self.busy)
        self.usual += _WEIGHT * (took - self.usual)

    @property
    def least(self) -> float | None:
        """Return half of both ways' least seconds, in which no clock's offset is left."""
        least = (self.up.least + self.down.least) / 2
        return max(0.0, least) if isfinite(least) else None


class _Common:
    """What the lines of all peers have in common, in one direction."""

    def __init__(self) -> None:
        self.line = Direction()
        #: When each peer was heard of, what waited in its line then, and what its bursts carried.
        self._heard: OrderedDict[str, tuple[float, float, float | None]] = OrderedDict()
        self._size = 0
        self._looked = float("-inf")

    def add(self, peer: str, its: Direction, size: int, now: float, most: float) -> None:
        self._heard[peer] = (now, its.waiting, its.burst)
        self._heard.move_to_end(peer)
        if len(self._heard) > MAX_PEERS:
            self._heard.popitem(last=False)
        self._size += size
        if now - self._looked < COMMON_EVERY:
            return
        self._looked = now
        while (oldest := next(iter(self._heard.values()))) and now - oldest[0] > COMMON_SPAN:
            self._heard.popitem(last=False)
        # The lower middle: neither one peer with a line of its own that is full, nor of three or
        # more one who lies, is taken for all.
        rise = median_low(rise for _, rise, _ in self._heard.values())
        if len(self._heard) < _MANY:
            rise = min(rise, most)
        bursts = [burst for _, _, burst in self._heard.values() if burst is not None]
        self.line.burst = median_low(bursts) if bursts else None
        self.line.group(now, rise, self._size, now)
        self._size = 0


class Lines:
    """The lines of one session.  Not thread-safe.

    The gamer's own line is what the lines of all peers have in common, and of a few peers no more
    than what its own pings to the broker wait.
    """

    def __init__(self) -> None:
        self._peers: OrderedDict[str, _Peer] = OrderedDict()
        self._up, self._down = _Common(), _Common()
        self._pings, self._ping_rise = Least(), 0.0
        self._pinged: tuple[float, float] | None = None  # When, and what waited.
        self._now = 0.0

    def __len__(self) -> int:
        return len(self._peers)

    def sent(self, peer: str, size: int, now: float) -> None:
        """Note that ``size`` bytes are sent to a peer."""
        self._now = max(self._now, now)
        lines = self._peers.get(peer)
        if lines is not None and (not lines.waited_for or lines.waited_for[-1] < now):
            lines.waited_for.append(now)

    def arrived(
        self, peer: str, up_bytes: int, down_bytes: int, sent: float, forward: float,
        waited: float, idle: float, work: float, back: float, now: float, *,
        is_prompt: bool = True,
    ) -> None:  # fmt: skip
        """Take the times of one result.

        Args:
            peer: whose.
            up_bytes: of its chunk as it was sent.
            down_bytes: of the result.
            sent: when the chunk was sent, in seconds of the session's clock.
            forward: seconds from there until the peer received it; any constant may be in it, such
                as what the clocks differ by.
            waited: seconds that it waited at the peer until it was begun.
            idle: seconds for which the slot had had nothing to do by then.
            work: seconds of work on it.
            back: seconds from its end to its arrival, with any constant in it.
            now: when it arrived, in seconds of the session's clock.
            is_prompt: whether somebody waited for it: else it may have come before it was taken.

        What cannot be is left out: strangers tell these.
        """
        numbers = (sent, forward, back, now)
        spans = (waited, idle, work, up_bytes, down_bytes)
        if not -_MOST < min(numbers) <= max(numbers) < _MOST or not 0 <= min(spans) <= _MOST:
            return
        if not isfinite(sum(numbers) + sum(spans)):
            return  # A NaN is neither less nor more.
        if not -_EXACT <= forward + back <= now - sent + _EXACT:
            return  # In both together no constant is left.
        self._now = max(self._now, now)
        lines = self._of(peer)
        lines.answered(sent, now - sent, work / (work + idle) if work + idle > 0 else 0.0)
        # Where the slot had nothing to do when it came, nothing but the line held it up: else it
        # may have waited at the broker until this peer asked for more.
        waited_for = idle >= waited
        round_trip = 2 * (lines.least or 0.0)
        lines.up.add(sent, forward, up_bytes, now, round_trip, is_sure=waited_for)
        lines.down.add(now - back, back, down_bytes, now, round_trip, is_sure=is_prompt)
        if lines.up.least + lines.down.least < 0:
            # No one offset fits both: a clock has jumped.
            lines.up.restart()
            lines.down.restart()
            return
        most = self._waits_at_most(now)
        self._up.add(peer, lines.up, up_bytes, now, most)
        self._down.add(peer, lines.down, down_bytes, now, most)

    def pinged(self, seconds: float, now: float) -> None:
        """Take a round trip of the gamer's own to the broker."""
        rise = max(0.0, seconds - self._pings.add(seconds, now))
        self._pinged = (now, rise)
        self._ping_rise += _PING_WEIGHT * (rise - self._ping_rise)

    def lost(self, peer: str, now: float) -> None:
        """Note that a run of a peer stays silent, or its connection is lost."""
        self._now = max(self._now, now)
        lines = self._peers.get(peer)
        if lines is None:
            return
        lines.lost += 1
        if lines.waited_for:
            lines.waited_for.popleft()
        if self.compute(peer) < _BUSY:
            lines.up.target.silent(now)
            lines.down.target.silent(now)

    def forget(self, peer: str) -> None:
        """Forget a peer that has left."""
        self._peers.pop(peer, None)

    def up(self, peer: str) -> LineState:
        """Return what is known of the way to a peer."""
        lines = self._peers.get(peer)
        return UNKNOWN if lines is None else self._state(lines.up, lines.least)

    def down(self, peer: str) -> LineState:
        """Return what is known of the way back from a peer."""
        lines = self._peers.get(peer)
        return UNKNOWN if lines is None else self._state(lines.down, lines.least)

    @property
    def own_up(self) -> LineState:
        """Return what is known of the gamer's own line, away from it."""
        return self._state(self._up.line, None)

    @property
    def own_down(self) -> LineState:
        """Return what is known of the gamer's own line, towards it."""
        return self._state(self._down.line, None)

    @property
    def own_round_trip(self) -> RoundTrip | None:
        """Return the gamer's own round trip to the broker; None where none was measured."""
        return RoundTrip(self._pings.value, self._ping_rise) if self._pings.is_known else None

    def overdue(self, peer: str, now: float) -> float:
        """Return by how many seconds a peer's oldest answer is later than they are as a rule.

        A line that breaks down shows here first: what is stuck in it has no times yet.
        """
        lines = self._peers.get(peer)
        if lines is None or not lines.waited_for:
            return 0.0
        return max(0.0, now - lines.waited_for[0] - lines.usual)

    def compute(self, peer: str) -> float:
        """Return for which part of the time a peer's slots work, 0 to 1."""
        lines = self._peers.get(peer)
        return 0.0 if lines is None or lines.busy is None else lines.busy

    def silent(self, peer: str) -> int:
        """Return how many runs of a peer stayed silent."""
        lines = self._peers.get(peer)
        return 0 if lines is None else lines.lost

    def peers(self) -> list[str]:
        """Return the peers whose lines are known, who was heard of least lately first."""
        return list(self._peers)

    def _waits_at_most(self, now: float) -> float:
        """Return the seconds that things wait in the gamer's own line, as far as its pings tell."""
        if self._pinged is None or now - self._pinged[0] > PING_SPAN:
            return inf
        return max(self._pinged[1], self._ping_rise)

    def _of(self, peer: str) -> _Peer:
        lines = self._peers.get(peer)
        if lines is None:
            lines = self._peers[peer] = _Peer()
            if len(self._peers) > MAX_PEERS:
                self._peers.popitem(last=False)
        else:
            self._peers.move_to_end(peer)
        return lines

    def _state(self, line: Direction, least: float | None) -> LineState:
        if not line.is_known:
            return UNKNOWN
        return LineState(
            goodput=line.goodput(self._now),
            target=line.target.allowed(line.queue),
            least=least,
            rise=line.rise,
            state=line.usage,
            burst=line.burst,
        )
