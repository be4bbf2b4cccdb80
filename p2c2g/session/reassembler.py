"""Puts frames together, in order and on schedule.

Pure: no thread, no clock; every call is told what time it is.  A frame is released when it
is complete and due, or at its deadline with whatever came; never before an earlier frame, and
never twice.  One that nobody took in time is passed over as soon as a newer one may go: the
newest wins.  What aiortc's jitter buffer does for packets, this does for chunks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
F = TypeVar("F")


@dataclass(slots=True)
class Pending(Generic[F, T]):
    """A frame in the making: ``parts`` by chunk index, of ``count`` chunks.

    ``placed`` are those that came, and ``awaited`` those that have still to; of the other parts
    one is there already, or none is wanted.  From ``expires`` on it is too old to be shown where a
    newer one may be.
    """

    number: int
    frame: F
    count: int
    deadline: float
    due: float = float("-inf")
    expires: float = float("inf")
    parts: dict[int, T] = field(default_factory=dict)
    awaited: set[int] = field(default_factory=set)
    placed: set[int] = field(default_factory=set)

    @property
    def complete(self) -> bool:
        """Tell whether all that was waited for is there."""
        return not self.awaited

    @property
    def whole(self) -> bool:
        """Tell whether every chunk is there."""
        return len(self.parts) == self.count

    @property
    def release_at(self) -> float:
        """Return when it may go, unless an earlier frame is still there."""
        return min(self.due, self.deadline) if self.complete else self.deadline


class Reassembler(Generic[F, T]):
    """The frames in the making, oldest first.

    Args:
        limit: frames that a release leaves behind at most, 1 or more.  A frame more lets
            the oldest go early, so the bound drops nothing: that frame is shown with what
            it has.

    Raises:
        ValueError: a limit below 1.
    """

    def __init__(self, limit: int = 256) -> None:
        if limit < 1:
            raise ValueError(f"limit={limit} cannot be: give 1 or more")
        self._limit = limit
        self._pending: OrderedDict[int, Pending[F, T]] = OrderedDict()
        self._last = -1

    def __len__(self) -> int:
        return len(self._pending)

    def open(
        self,
        number: int,
        frame: F,
        count: int,
        deadline: float,
        due: float = float("-inf"),
        expires: float = float("inf"),
        *,
        awaited: Collection[int] | None = None,
        known: Mapping[int, T] | None = None,
    ) -> None:
        """Expect a frame of ``count`` chunks.

        Args:
            number: the frame's.
            frame: whatever is to be given back with it.
            count: of its chunks.
            deadline: when it is shown with whatever came.
            due: when it is shown if it is complete; at once where it is later complete.
            expires: from when on it is passed over for a newer one that may be shown.
            awaited: the indices of those that it waits for; all where None.
            known: parts that are there already; one that comes takes the place of its own.

        Raises:
            ValueError: its number is not above all earlier ones and -1, or it has no chunk.
        """
        newest = next(reversed(self._pending), self._last)
        if number <= newest:
            raise ValueError(f"frame {number} came after frame {newest}")
        if count < 1:
            raise ValueError(f"frame {number} has {count} chunks: give 1 or more")
        self._pending[number] = Pending(
            number, frame, count, deadline, due, expires, dict(known or {}),
            set(range(count) if awaited is None else awaited),
        )  # fmt: skip

    def place(self, number: int, index: int, part: T) -> bool:
        """Put a chunk into its frame.

        Returns:
            False where nothing was placed: the frame is gone, this chunk came already, or it has
            no chunk of that index.
        """
        pending = self._pending.get(number)
        if pending is None or index in pending.placed or not 0 <= index < pending.count:
            return False
        pending.parts[index] = part
        pending.placed.add(index)
        pending.awaited.discard(index)
        return True

    def frame(self, number: int) -> F | None:
        """Return a frame in the making, or None where it has been released."""
        pending = self._pending.get(number)
        return None if pending is None else pending.frame

    def pass_over(self, now: float) -> list[Pending[F, T]]:
        """Give up the oldest frames, where they have expired and a newer one may go at ``now``.

        What is left begins with the oldest that may go and has not expired, or else with the
        newest that may go.
        """
        if not self._pending or next(iter(self._pending.values())).expires > now:
            return []
        ready = [each for each in self._pending.values() if each.release_at <= now]
        if not ready:
            return []
        first = next((each for each in ready if each.expires > now), ready[-1])
        given_up = [each for each in self._pending.values() if each.number < first.number]
        for each in given_up:
            del self._pending[each.number]
            self._last = each.number
        return given_up

    def release(self, now: float) -> Iterator[Pending[F, T]]:
        """Give the frames that may be shown at ``now``, in order.

        Each frame goes as it is taken from the iterator, so what is not taken stays.
        """
        while self._pending:
            oldest = next(iter(self._pending.values()))
            overfull = len(self._pending) > self._limit
            if not (oldest.release_at <= now or overfull):
                return
            self._pending.popitem(last=False)
            self._last = oldest.number
            yield oldest

    def flush(self) -> Iterator[Pending[F, T]]:
        """Give every frame that is left, in order; the session is ending."""
        yield from self.release(float("inf"))

    def hasten(self, number: int, deadline: float) -> None:
        """Bring a frame's deadline forward: nothing of it will come."""
        pending = self._pending.get(number)
        if pending is not None:
            pending.deadline = min(pending.deadline, deadline)

    def hasten_all(self, deadline: float) -> None:
        """Bring the deadlines of all frames forward: nothing will come at all."""
        for number in self._pending:
            self.hasten(number, deadline)

    @property
    def next_release(self) -> float | None:
        """Return when the oldest frame may go, as things stand, or None where there is none."""
        if not self._pending:
            return None
        return next(iter(self._pending.values())).release_at
