"""How much a line may be sent: less where its queue grows, carefully more where it does not.

Additive and multiplicative increase, multiplicative decrease, as Google's congestion control does
it; with three differences.  No limit is known until a queue has grown once: a session that sends
little must not be taken for a narrow line.  What a line carried in one burst says how far away its
limit is, so that the way up is short after it became wide again.  And a queue that only stands is
given way to as well, for as long as that helps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from p2c2g.lines.trend import Usage

#: Of what arrived lately, what may be sent when a queue has grown, and where one only stands.
DECREASE, EASE = 0.85, 0.95
#: A target is never raised beyond so many times of what arrived.
BEYOND: Final = 1.5
#: Bytes a second that may always be sent.
FLOOR: Final = 4_000.0
#: By how much a target grows in a second: usually, near to where the limit was, where bursts carry
#: more (others may be between them), and where they carry far more than when the limit was met.
GROWTH, GROWTH_NEAR, GROWTH_ROOM, GROWTH_WIDER = 1.15, 1.03, 1.25, 2.5
_NEAR, _ROOM, _WIDER = 0.05, 1.2, 2.0
#: Seconds for which a limit counts that was met.
_LASTS = 10.0
#: Seconds until a decrease shows an effect, beside the round trip: there is no other before, unless
#: what arrives is less than this part of what was hoped for.
RESPONSE, _USED = 0.5, 0.8
#: Seconds of waiting above which a queue that does not even grow counts as overuse, and the part of
#: them from which it is to be drained.
STANDING, STANDING_MOST, DRAIN = 0.08, 2.0, 0.25
_STANDING_AGAIN = 1.0
#: The least part of a target that may be sent while a queue drains, and the queue of that, by what
#: counts as overuse.
_DRAIN_LEAST, _DRAIN_SPAN = 0.3, 2.5
#: Times that a queue is given way to; where that has not shortened it to this part, others fill it.
_STRIKES, _SHORTER = 4, 0.7
_MOST_GROWN = 1.0


class Patience:
    """How long a queue is borne: longer where giving way does not shorten it."""

    def __init__(self) -> None:
        #: Seconds that count as overuse.
        self.most = STANDING
        self._before: deque[float] = deque(maxlen=_STRIKES)

    def look(self, queue: float) -> None:
        """Take note of a queue; who filled it has gone where there is none."""
        if queue < DRAIN * STANDING:
            self.most = STANDING
            self._before.clear()

    def gave_way(self, queue: float) -> None:
        """Take note that less was sent for the sake of a queue of so many seconds."""
        before = self._before
        before.append(queue)
        if len(before) == _STRIKES and queue > _SHORTER * before[0]:
            self.most = min(2 * max(self.most, queue), STANDING_MOST)
            before.clear()


class Target:
    """The target of one line."""

    def __init__(self) -> None:
        #: Bytes a second; None while no limit is known.
        self.value: float | None = None
        #: What arrived when the limit was met, and what bursts carried at least since then.
        self._limit: float | None = None
        self._burst: float | None = None
        self._is_wider = False
        self._patience = Patience()
        self._at: float | None = None
        self._lowered_at = float("-inf")

    def step(
        self, usage: Usage, arriving_by: Callable[[Usage], float | None], burst: float | None,
        queue: float, round_trip: float, now: float,
    ) -> Usage:  # fmt: skip
        """Take what a group said.

        Args:
            usage: what the queue does.
            arriving_by: returns the bytes a second that arrive of late, by what the queue does;
                None where nobody knows yet.
            burst: bytes a second within bursts of late, likewise.
            queue: seconds of waiting.
            round_trip: seconds until a change shows.
            now: seconds of the caller's clock.

        Returns:
            What the queue does, also by its length alone.
        """
        elapsed = 0.0 if self._at is None else min(max(now - self._at, 0.0), _MOST_GROWN)
        self._at = now
        if burst is not None and self._burst is not None:
            self._burst = min(self._burst, burst)
        self._patience.look(queue)
        stands = queue >= self._patience.most
        if self.value is None and usage != "overuse" and not stands:
            return usage  # As on most lines, most of the time.
        arriving = arriving_by(usage)
        if arriving is not None:
            if usage == "overuse":
                self._give_way(arriving, burst, round_trip, now)
            elif usage == "underuse" and self.value is not None:
                # What arrives while a queue drains is what the line takes.
                if queue >= DRAIN * self._patience.most and DECREASE * arriving > self.value:
                    self.value, self._limit = DECREASE * arriving, arriving
            elif usage == "normal" and queue >= DRAIN * self._patience.most:
                self._ease(arriving, burst, queue, round_trip, now)
            elif usage == "normal" and self.value is not None:
                if now - self._lowered_at > _LASTS:
                    self._limit = None
                self.value = max(self.value, self._raised(self.value, arriving, burst, elapsed))
        return "overuse" if stands and usage == "normal" else usage

    def silent(self, now: float) -> None:
        """Halve it where nothing comes back any more, at most once a second."""
        if self.value is not None and now - self._lowered_at >= _STANDING_AGAIN:
            self._lower(self.value / 2, None, None, now)

    def allowed(self, queue: float) -> float | None:
        """Return what may be sent while things wait for so many seconds: less, so that it drains.

        None while no limit is known.
        """
        if self.value is None:
            return None
        part = 1 - (queue / self._patience.most - DRAIN) / _DRAIN_SPAN
        return self.value * min(1.0, max(_DRAIN_LEAST, part))

    def _give_way(
        self, arriving: float, burst: float | None, round_trip: float, now: float
    ) -> None:
        """Send less, since a queue grows."""
        is_far_less = self.value is not None and arriving < _USED * self.value
        if is_far_less or now - self._lowered_at >= RESPONSE + round_trip:
            self._lower(DECREASE * arriving, arriving, burst, now)

    def _ease(
        self, arriving: float, burst: float | None, queue: float, round_trip: float, now: float
    ) -> None:
        """Send a little less, since a queue stands; where it is long, also without a limit."""
        if now - self._lowered_at < max(_STANDING_AGAIN, RESPONSE + round_trip):
            return
        if self.value is None:
            if queue < self._patience.most:
                return
        elif arriving < _USED * self.value:
            return  # It is hardly ours.
        self._lower(EASE * arriving, arriving, burst, now)
        self._patience.gave_way(queue)

    def _lower(self, to: float, limit: float | None, burst: float | None, now: float) -> None:
        self._lowered_at = now
        to = max(FLOOR, to)
        if self.value is not None and to >= self.value:
            return  # It is less already; what is known of the limit stays.
        self.value = to
        self._limit, self._burst = limit, burst
        self._is_wider = False

    def _raised(self, value: float, arriving: float, burst: float | None, elapsed: float) -> float:
        growth, limit = GROWTH, self._limit
        if burst is not None and self._burst is not None and burst > _WIDER * self._burst:
            self._is_wider = True
        if limit is not None and (self._is_wider or value > (1 + _NEAR) * limit):
            self._limit = limit = None
        if limit is not None and value > (1 - _NEAR) * limit:
            growth = GROWTH_NEAR
        elif burst is not None and burst * DECREASE > _ROOM * value:
            growth = GROWTH_WIDER if self._is_wider else GROWTH_ROOM
        raised: float = min(value * growth**elapsed, BEYOND * arriving)
        return raised
