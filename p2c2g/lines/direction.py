"""One direction of one line: groups what arrives, and asks trend and target about it."""

from __future__ import annotations

from collections import deque
from functools import partial
from statistics import median

from p2c2g.lines.least import Least
from p2c2g.lines.rate import DRAIN, STANDING, Target
from p2c2g.lines.trend import Trend, Usage

#: Seconds within which what leaves belongs together: a frame's chunks leave at once.
BURST = 0.005
#: Seconds over which what arrives is measured, and those of it when a queue grows: what came before
#: that says nothing of the line as it is.  Where there may have been a pause, it is longer.
RATE_SPAN, GROWING_SPAN, PAUSED_SPAN = 0.5, 0.12, 1.5
#: Seconds over which the goodput is measured that is shown, in so many parts.
GOODPUT_SPAN, _PARTS = 1.0, 10
#: Seconds between the first and the last of a burst so that its rate is believed, and bursts of
#: which the middle one counts.
_BURST_LEAST, _BURSTS = 0.002, 9
#: Times what arrives that the latest burst carried, no longer ago than so many seconds, so that a
#: queue which does not stand yet is taken for a machine's that stood still.
_FAR_MORE, _FRESH = 3.0, 1.0
#: Weight of the latest group in the rise; of one after a pause, more.
_RISE_WEIGHT, _RISE_SPAN = 0.25, 0.4


class Direction:
    """One direction of one line."""

    def __init__(self) -> None:
        self.target = Target()
        self.usage: Usage = "normal"
        #: Seconds of waiting: smoothed, and of the latest group.
        self.rise = self.waiting = 0.0
        #: Bytes a second within bursts.
        self.burst: float | None = None
        self._latest_burst, self._burst_at = 0.0, float("-inf")
        self._bursts: deque[float] = deque(maxlen=_BURSTS)
        self._least, self._trend = Least(), Trend()
        self._group: _Group | None = None
        self._grouped_at = float("-inf")
        #: When groups had arrived (the receiver's clock), and their bytes.
        self._groups: deque[tuple[float, int]] = deque(maxlen=64)
        self._parts: deque[tuple[int, int]] = deque(maxlen=_PARTS + 1)

    @property
    def is_known(self) -> bool:
        """Tell whether anything has arrived."""
        return bool(self._parts)

    @property
    def least(self) -> float:
        """Return the least delay, with the clocks' constant; inf where there was none."""
        return self._least.value

    @property
    def queue(self) -> float:
        """Return the seconds that everything has waited lately."""
        return self._trend.standing(self._least.value)

    def restart(self) -> None:
        """Forget the delays: a clock has jumped."""
        self._least = Least()
        self._trend.restart()
        self._group = None
        self._groups.clear()
        self.rise = self.waiting = 0.0

    def add(
        self, left: float, delay: float, size: int, now: float, round_trip: float = 0.0, *,
        is_sure: bool = True,
    ) -> None:  # fmt: skip
        """Take one message.

        Args:
            left: when it left, in seconds of the sender's clock.
            delay: seconds until it arrived, with the clocks' constant.
            size: its bytes.
            now: when that was heard here, in seconds of the session's clock.
            round_trip: seconds until a change shows.
            is_sure: whether only the line held it up.
        """
        self._note(size, now)
        group = self._group
        if group is not None and left < group.left - BURST:
            group.late += size  # A straggler: what came of its group was told.
            return
        arrived = left + delay
        if group is None or left > group.left + BURST:
            if group is not None:
                self._close(group, now)
            group = self._group = _Group(left, arrived, size)
        else:
            group.add(arrived, size)
        # What was held up elsewhere as well says at least that no more than that waits here.
        if not is_sure and delay - self._least.value >= self.waiting:
            return
        if not group.is_judged:
            group.is_judged = True
            self._judge(arrived, delay, now, round_trip)
        elif delay < self._least.value + self.waiting:
            self.waiting = max(0.0, delay - self._least.add(delay, now))
            self._trend.add(arrived, delay)

    def group(self, arrived: float, delay: float, size: int, now: float) -> None:
        """Take a whole group: what arrived until ``arrived``, and the delay that it shows."""
        self._note(size, now)
        self._judge(arrived, delay, now, 0.0)
        self._groups.append((arrived, size))

    def goodput(self, now: float) -> float:
        """Return the bytes a second that arrived lately."""
        part = GOODPUT_SPAN / _PARTS
        newest = int(now / part)
        counted = [size for at, size in self._parts if newest - _PARTS < at <= newest]
        return sum(counted) / GOODPUT_SPAN

    def _note(self, size: int, now: float) -> None:
        at = int(now / (GOODPUT_SPAN / _PARTS))
        if self._parts and self._parts[-1][0] >= at:
            self._parts[-1] = (self._parts[-1][0], self._parts[-1][1] + size)
        else:
            self._parts.append((at, size))

    def _close(self, group: _Group, now: float) -> None:
        """Take what a group says of the rate."""
        spread = group.last - group.first
        rate = (group.size - group.first_size) / max(spread, _BURST_LEAST)
        # Of a short one it is only known that the line takes at least so much.
        if rate > 0 and (spread >= _BURST_LEAST or rate > (self.burst or 0.0)):
            self._latest_burst, self._burst_at = rate, now
            self._bursts.append(rate)
            self.burst = median(self._bursts)
        size = group.size + group.late
        if not self._groups or group.last > self._groups[-1][0]:
            self._groups.append((group.last, size))
        else:
            self._groups[-1] = (self._groups[-1][0], self._groups[-1][1] + size)

    def _judge(self, arrived: float, delay: float, now: float, round_trip: float) -> None:
        """Take what the first of a group says of the queue: what waited before it."""
        self.waiting = max(0.0, delay - self._least.add(delay, now))
        pause = max(0.0, now - self._grouped_at)
        weight = min(1.0, max(_RISE_WEIGHT, pause / _RISE_SPAN))
        self._grouped_at = now
        self.rise += weight * (self.waiting - self.rise)
        usage = self._trend.add(arrived, delay)
        if usage == "overuse" and self._has_room(now):
            usage = "normal"
        self.usage = self.target.step(
            usage, partial(self._arriving_now, now=now), self.burst, self.queue, round_trip, now
        )

    def _has_room(self, now: float) -> bool:
        """Tell whether the latest burst went through as no full line would let it."""
        if now - self._burst_at > _FRESH or self.queue >= DRAIN * STANDING:
            return False
        arriving = self._arriving(RATE_SPAN)
        return arriving is not None and self._latest_burst > _FAR_MORE * arriving

    def _arriving_now(self, usage: Usage, now: float) -> float | None:
        """Return the bytes a second that arrive of late, by what the queue does."""
        usual = self._arriving(RATE_SPAN)
        if usage == "normal" or usual is None:
            return usual
        if usage == "overuse" and now - self._burst_at <= _FRESH and self._latest_burst > usual:
            # Where a burst went through faster, the pause before it was nothing that the line did.
            return max(usual, self._arriving(PAUSED_SPAN) or usual)
        return min(usual, self._arriving(GROWING_SPAN) or usual)

    def _arriving(self, span: float) -> float | None:
        """Return the bytes a second of the latest groups over so many seconds; None of too few."""
        groups = self._groups
        latest = groups[-1][0] if groups else 0.0
        size, last = 0, len(groups) - 1
        # What arrived with the first of them took the time before it, which nobody knows.
        for count, (at, its) in enumerate(reversed(groups)):
            if count and (count == last or latest - at >= span):
                return size / (latest - at) if latest > at else None
            size += its
        return None


class _Group:
    """What left at once: its first arrival says what waited before it, the rest what it took."""

    __slots__ = ("first", "first_size", "is_judged", "last", "late", "left", "size")

    def __init__(self, left: float, arrived: float, size: int) -> None:
        self.left = left
        self.first = self.last = arrived
        self.size = self.first_size = size
        self.late = 0
        self.is_judged = False

    def add(self, arrived: float, size: int) -> None:
        self.size += size
        self.last = max(self.last, arrived)
        if arrived < self.first:
            self.first, self.first_size = arrived, size
