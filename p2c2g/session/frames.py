"""What a session means to do with a frame, keeps of it until it is shown, and shows of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Generic, TypeVar

from p2c2g.media.recipe import Recipe

#: Seconds by which a frame may be shown after its moment and still be on time: a busy machine
#: wakes a thread late.
TOLERANCE = 0.010

#: A frame's own pixels, and a decoded result: the decision core hands them on unopened.
S = TypeVar("S")
P = TypeVar("P")


class Way(Enum):
    """What is done with one chunk of a frame."""

    SENT = "sent"  # to the peers
    KNOWN = "known"  # its residual is there already
    BOTH = "both"  # there, and asked for anew: shown until the better one comes
    SHARED = "shared"  # on its way already, for an earlier frame that shows the same there
    LEFT_OUT = "left out"  # the base layer alone, by choice


class Basis(Enum):
    """Why a residual that is there may be shown."""

    UNCHANGED = "unchanged"  # the chunk shows what it showed when that was made
    NEAR = "near"  # it shows nearly that
    CACHED = "cached"  # it shows what was seen some time ago


@dataclass(frozen=True, slots=True)
class FramePlan:
    """What is done with the chunks of one frame.

    ``recipe`` is that of the chunks which are sent, and ``ways`` has one for each chunk, by index.
    ``known`` are the parts that are there already, of all that are :attr:`Way.KNOWN` and
    :attr:`Way.BOTH`, and ``bases`` why.  ``keys`` are those of what the chunks show, empty where
    nobody has looked.  ``trickled`` are those which are sent only that examinations go on.
    """

    recipe: Recipe
    ways: tuple[Way, ...]
    known: Mapping[int, Part[Any]] = field(default_factory=dict)
    bases: Mapping[int, Basis] = field(default_factory=dict)
    keys: tuple[bytes, ...] = ()
    trickled: tuple[int, ...] = ()

    @property
    def sent(self) -> tuple[int, ...]:
        """Return the indices of the chunks that go to the peers."""
        return self._of(Way.SENT, Way.BOTH)

    @property
    def awaited(self) -> tuple[int, ...]:
        """Return the indices of those for which the frame waits: nothing is known of them."""
        return self._of(Way.SENT, Way.SHARED)

    @property
    def shared(self) -> tuple[int, ...]:
        """Return the indices of those that were sent with an earlier frame."""
        return self._of(Way.SHARED)

    def without(self, unsent: Collection[int]) -> FramePlan:
        """Return the same where some chunks are not sent after all: what is known is shown."""
        spared = {Way.SENT: Way.LEFT_OUT, Way.BOTH: Way.KNOWN}
        return replace(
            self,
            ways=tuple(
                spared.get(way, way) if index in unsent else way
                for index, way in enumerate(self.ways)
            ),
            trickled=tuple(index for index in self.trickled if index not in unsent),
        )

    def _of(self, *ways: Way) -> tuple[int, ...]:
        return tuple(index for index, way in enumerate(self.ways) if way in ways)


@dataclass(slots=True)
class FrameInFlight(Generic[S]):
    """A frame that has not been shown.

    ``payloads`` are the chunks that are sent, by index, and ``missing`` the indices of those that
    it waits for.  ``due`` and ``deadline`` are when it is shown with all that was planned, and with
    whatever came, in seconds of the session's clock, as are ``captured_at``, ``grabbed_at`` and
    ``completed_at``.
    """

    number: int
    source: S
    payloads: Mapping[int, bytes]
    plan: FramePlan
    captured_at: float
    grabbed_at: float
    due: float
    deadline: float
    was_sent: bool
    missing: set[int]
    completed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Part(Generic[P]):
    """An accepted chunk: its result, and the spans of its way in the session's seconds.

    ``residual`` is None where the payload has still to be decoded.  ``recipe`` is that by which it
    was sent, ``peer`` who made it, and ``ran`` the pipeline that was run where the choice was the
    peer's.
    """

    payload: bytes
    residual: P | None
    recipe: Recipe
    peer: str
    ran: str
    sent: float
    queue: float
    decode: float
    process: float
    result: float
    arrived: float


@dataclass(frozen=True, slots=True)
class Shown(Generic[S, P]):
    """A frame as it is shown: complete, or with the parts that came.

    ``parts`` are those that came and those that were known, and ``complete`` is whether each of
    its chunks has one.  ``ready_at`` is when it was ready and ``shown_at`` when it was let go, in
    seconds of the session's clock; ``stages`` are the seconds of each of
    :data:`p2c2g.session.tally.STAGES`, None where it did not wait for any chunk, or not all came.
    """

    frame: FrameInFlight[S]
    parts: Mapping[int, Part[P]]
    complete: bool
    ready_at: float
    shown_at: float
    stages: tuple[float, ...] | None


def stages_of(
    frame: FrameInFlight[S], parts: Mapping[int, Part[P]], ready: float
) -> tuple[float, ...]:
    """Return the seconds of each stage of a frame that was ready at ``ready``.

    They are those of the part that came last, of all of ``parts``.
    """
    last = max(parts.values(), key=lambda part: part.arrived)
    return (
        frame.grabbed_at - frame.captured_at,
        last.sent - frame.grabbed_at,
        last.queue,
        last.decode,
        last.process,
        last.result,
        ready - last.arrived,
    )
