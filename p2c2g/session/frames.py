"""What a session keeps of a frame until it is shown, and what is shown of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

#: Seconds by which a frame may be shown after its moment and still be on time: a busy machine
#: wakes a thread late.
TOLERANCE = 0.010

#: A frame's own pixels, and a decoded result: the decision core hands them on unopened.
S = TypeVar("S")
P = TypeVar("P")


@dataclass(slots=True)
class FrameInFlight(Generic[S]):
    """A frame that has not been shown.

    ``payloads`` are its chunks as they are sent, by index, and ``missing`` counts those without
    a result.  ``due`` and ``deadline`` are when it is shown complete, and whatever came, in
    seconds of the session's clock, as are ``captured_at``, ``grabbed_at`` and ``completed_at``.
    """

    number: int
    source: S
    payloads: tuple[bytes, ...]
    captured_at: float
    grabbed_at: float
    due: float
    deadline: float
    was_sent: bool
    missing: int
    completed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Part(Generic[P]):
    """An accepted chunk: its result, and the spans of its way in the session's seconds."""

    payload: bytes
    residual: P
    sent: float
    queue: float
    decode: float
    process: float
    result: float
    arrived: float


@dataclass(frozen=True, slots=True)
class Shown(Generic[S, P]):
    """A frame as it is shown: complete, or with the parts that came.

    ``ready_at`` is when it was ready and ``shown_at`` when it was let go, in seconds of the
    session's clock; ``stages`` are the seconds of each of :data:`p2c2g.session.tally.STAGES`,
    None where it is not complete.
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
    """Return the seconds of each stage of a complete frame, which was ready at ``ready``.

    They are those of the part that came last.
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
