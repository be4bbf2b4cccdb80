"""How much of the gamer's line a session may use, and the wall that holds it to that.

Pure.  Who chooses quality has the limits as a target (:class:`Limits`) and should keep below them;
a chunk for which there is no room all the same is not sent and stays base: nothing is queued.  What
goes up is known when it is sent.  What comes down is in others' hands, so it is bounded by what is
asked for: each run is a promise of as many bytes as its form brought of late, until its result is
here.  What the sockets have really carried, all else included, corrects both.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from p2c2g.lines.least import Least
from p2c2g.media.residual import Form
from p2c2g.timing.held import BURST, FILL, SPAN, HeldRate

#: Bytes of a megabit a second, in a second.
MEGABIT = 125_000
#: Bytes around a chunk's picture, and around a result's, until the sockets tell.
AROUND_CHUNK, AROUND_RESULT = 1024, 400
#: Bytes of a result of a form of which nothing came of late; less where the limit is small.
UNKNOWN = 16 << 10
#: Seconds for which a promise waits, and for which a form's sizes are remembered.
PATIENCE, MEMORY = 2.0, 5.0
#: Part of the shortest time of late that any result takes: a way may become shorter.
SURE = 0.8
#: Weight of the newest size.
_SMOOTHING = 0.1
#: Forms of which sizes are kept; the one that came longest ago is forgotten.
_FORMS = 32
#: Seconds over which what is no picture is counted, and the weight of the newest count.
_TOLD_APART, _TOLD_WEIGHT = 1.0, 0.3
#: The part of the chunks refused in the last seconds above which that is said.
_SAID_ABOVE = 0.02

#: Frame, chunk and attempt.
Run = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes a second that may go up to the broker and come down from it; None for no limit."""

    up: float | None = None
    down: float | None = None

    def __bool__(self) -> bool:
        return self != Limits()

    @classmethod
    def of_mbps(cls, up: float | None, down: float | None) -> Limits:
        """Return limits that are given in megabits a second."""
        return cls(*(None if each is None else each * MEGABIT for each in (up, down)))


NO_LIMITS = Limits()


def in_mbps(rate: float) -> float:
    """Return bytes a second in megabits, as somebody has given them."""
    return round(rate / MEGABIT, 6)


@dataclass(slots=True)
class _Sizes:
    """How many bytes the results of one form have of late."""

    mean: float
    spread: float = 0.0
    at: float = 0.0

    def add(self, size: int, now: float) -> None:
        self.spread += _SMOOTHING * (abs(size - self.mean) - self.spread)
        self.mean += _SMOOTHING * (size - self.mean)
        self.at = now


@dataclass(slots=True)
class _Promise:
    form: Form
    size: float
    at: float


class Throttle:
    """The wall: grants runs while there is room, and keeps count of what went and came.

    Args:
        limits: the session's.
        interval: seconds from one frame to the next, as far as it is known.
    """

    def __init__(self, limits: Limits, interval: float = 0.0) -> None:
        self.limits = limits
        # A frame's chunks come at once: what was left before them, less than half of a bucket, and
        # what the time since has brought must both find room in it.
        burst = max(BURST, 2 * interval)
        self._up = HeldRate(limits.up, burst) if limits.up else None
        self._down = HeldRate(limits.down, burst) if limits.down else None
        self._promises: OrderedDict[Run, _Promise] = OrderedDict()
        self._sizes: OrderedDict[Form, _Sizes] = OrderedDict()
        #: The shortest time that a result has taken of late.
        self._least = Least()
        #: What was noted since the sockets were last looked at, and what they had carried then.
        self._noted = [0.0, 0.0]
        self._carried: tuple[int, int] | None = None
        #: Bytes a second that are no pictures: since when they are counted, how many have come of
        #: everything and of pictures, and how many it were of late.
        self._counted_at: float | None = None
        self._all, self._pictures, self._other = [0, 0], [0, 0], [0.0, 0.0]
        #: Runs for which there was no room, and by direction.
        self.refused = {"up": 0, "down": 0}
        self._lately: OrderedDict[int, list[int]] = OrderedDict()
        self._at = self._began = 0.0

    @property
    def is_on(self) -> bool:
        """Tell whether there is any limit."""
        return self._up is not None or self._down is not None

    def carried(self, up: int, down: int, now: float) -> None:
        """Note how many bytes the sockets have carried in all, of whatever.

        Said before each frame, once the one before it has been sent.
        """
        if not self.is_on:
            return
        if self._carried is None:
            self._began = now
        else:
            for index, (side, total) in enumerate(((self._up, up), (self._down, down))):
                more = total - self._carried[index] - self._noted[index]
                if side is not None and more:
                    side.note(more, now)
        self._carried, self._noted = (up, down), [0.0, 0.0]
        self._tell_apart((up, down), now)

    @property
    def targets(self) -> tuple[float, float]:
        """Return how many bytes a second of pictures fit up and down; inf without a limit.

        The wall takes a little less than the limits, and all else that the line carries.
        """
        up, down = (
            inf if side is None else max(side.rate * FILL - other, MEGABIT / 100)
            for side, other in zip((self._up, self._down), self._other, strict=True)
        )
        return up, down

    def fits(self, size: int, form: Form, now: float) -> bool:
        """Tell whether there is room for a run whose picture has ``size`` bytes.

        ``form`` is that of the residual that will come back.
        """
        return not self.is_on or not self._short(size, form, now)

    def take(self, run: Run, size: int, form: Form, now: float) -> None:
        """Take up the room of a run that is sent."""
        self._pictures[0] += size
        if self._up is not None:
            self._up.note(size + AROUND_CHUNK, now)
            self._noted[0] += size + AROUND_CHUNK
        if self._down is not None:
            promise = self._promises[run] = _Promise(form, self.expected(form, now), now)
            self._down.promise(promise.size, now)

    def grant(self, run: Run, size: int, form: Form, now: float) -> bool:
        """Take up room for a run, or say that there is none, and count that."""
        if not self.is_on:
            return True
        counts = self._lately.setdefault(int(now), [0, 0])
        counts[0] += 1
        short = self._short(size, form, now)
        if short:
            self.refused[short] += 1
            counts[1] += 1
            return False
        self.take(run, size, form, now)
        return True

    def grant_all(
        self, number: int, payloads: Mapping[int, bytes], form: Form, now: float
    ) -> dict[int, bytes]:
        """Return those of a frame's chunks for whose first runs there is room, and take it up."""
        return {
            index: payload
            for index, payload in payloads.items()
            if self.grant((number, index, 1), len(payload), form, now)
        }

    def resend(self, size: int, now: float) -> bool:
        """Take up room for a picture that goes up once more, or say that there is none."""
        if self._up is None:
            return True
        if not self._up.fits(size + AROUND_CHUNK, now):
            return False
        self._up.note(size + AROUND_CHUNK, now)
        self._noted[0] += size + AROUND_CHUNK
        return True

    def withdraw(self, run: Run, size: int) -> None:
        """Give up the room of a run that was granted and did not leave."""
        self._pictures[0] -= size
        if self._up is not None:
            self._up.note(-(size + AROUND_CHUNK), self._at)
            self._noted[0] -= size + AROUND_CHUNK
        promise = self._promises.pop(run, None)
        if promise is not None and self._down is not None:
            self._down.keep(promise.size, 0.0, self._at)

    def withdraw_all(self, number: int, payloads: Mapping[int, bytes]) -> None:
        """Give up the room of a frame's first runs."""
        for index, payload in payloads.items():
            self.withdraw((number, index, 1), len(payload))

    def came(self, run: Run, size: int, now: float) -> None:
        """Note a result of ``size`` bytes, whatever becomes of it."""
        self._pictures[1] += size
        if self._down is None:
            return
        promise = self._promises.pop(run, None)
        whole = float(size + AROUND_RESULT)
        self._down.keep(promise.size if promise else 0.0, whole, now)
        self._noted[1] += whole
        if promise is not None:
            self._least.add(max(now - promise.at, 0.0), now)
            sizes = self._sizes.pop(promise.form, None) or _Sizes(size)
            sizes.add(size, now)
            self._sizes[promise.form] = sizes
            if len(self._sizes) > _FORMS:
                self._sizes.popitem(last=False)

    def expected(self, form: Form, now: float) -> float:
        """Return how many bytes a result of this form is expected to have, on the wire."""
        sizes = self._sizes.get(form)
        if sizes is not None and now - sizes.at <= MEMORY:
            return sizes.mean + sizes.spread + AROUND_RESULT
        rate = self._down.rate if self._down is not None else float("inf")
        return min(UNKNOWN, rate * BURST / 2) + AROUND_RESULT

    def sentence(self, now: float) -> str:
        """Return what there is to say, without its end: that the wall is hit; else nothing."""
        asked, refused = (sum(each) for each in zip(*self._recent(now), strict=True))
        if not asked or refused <= _SAID_ABOVE * asked:
            return ""
        allowed = [f"{side.rate / MEGABIT:g} Mbit/s {name}" for name, side in self._sides()]
        return f"Some of the picture stays as it is: you allow {' and '.join(allowed)}"

    def live(self, now: float) -> dict[str, Any]:
        """Return the limits in Mbit/s, and how much of each was used in the last two seconds."""
        return {
            name: {"mbps": in_mbps(side.rate), "used": round(side.share(now), 3)}
            for name, side in self._sides()
        }

    def figures(self, now: float) -> dict[str, Any]:
        """Return for a report how much of each limit was used, on average and at most.

        ``fullest`` is of two seconds; ``refused`` counts the chunks for which there was no room.
        """
        passed = max(now - self._began, SPAN)
        return {
            name: {
                "mbps": in_mbps(side.rate),
                "used": round(side.total / (side.rate * passed), 3),
                "fullest": round(side.fullest, 3),
                "refused": self.refused[name],
            }
            for name, side in self._sides()
        }

    def _sides(self) -> list[tuple[str, HeldRate]]:
        sides = ("up", self._up), ("down", self._down)
        return [(name, side) for name, side in sides if side is not None]

    def _tell_apart(self, carried: tuple[int, int], now: float) -> None:
        """Learn now and then how much of what is carried is no picture."""
        if self._counted_at is not None and now - self._counted_at < _TOLD_APART:
            return
        for index in range(2) if self._counted_at is not None else ():
            passed = now - (self._counted_at or 0.0)
            other = (carried[index] - self._all[index] - self._pictures[index]) / passed
            self._other[index] += _TOLD_WEIGHT * (max(0.0, other) - self._other[index])
        self._counted_at, self._all, self._pictures = now, list(carried), [0, 0]

    def _short(self, size: int, form: Form, now: float) -> str:
        """Return by which direction a run has no room; empty where it has."""
        self._forget(now)
        if self._up is not None and not self._up.fits(size + AROUND_CHUNK, now):
            return "up"
        after = SURE * self._least.value if self._least.is_known else 0.0
        if self._down is not None and not self._down.fits(self.expected(form, now), now, after):
            return "down"
        return ""

    def _recent(self, now: float) -> list[list[int]]:
        while self._lately and next(iter(self._lately)) < now - SPAN - 1:
            self._lately.popitem(last=False)
        return list(self._lately.values()) or [[0, 0]]

    def _forget(self, now: float) -> None:
        self._at = now
        self._recent(now)
        while self._promises:
            run, promise = next(iter(self._promises.items()))
            if now - promise.at <= PATIENCE:
                return
            del self._promises[run]
            if self._down is not None:
                self._down.keep(promise.size, 0.0, now)
