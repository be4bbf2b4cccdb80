"""What a run leaves for the auditor: everything that happened, as plain data.

All times are seconds of the machine's monotonic clock.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.faults import Fault, Kind
from tests.chaos.records import Record

#: Frame number and chunk index.
Key = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Shown:
    """One picture, as the sink was given it.

    ``enhanced`` says of each chunk whether it is; ``thread`` is the sink's.  ``waited`` is for
    how many seconds, since its threads began, the session's process was ready to run and got no
    core; 0 where the system does not tell.
    """

    frame: int
    captured: float
    shown: float
    complete: bool
    enhanced: tuple[bool, ...]
    thread: str
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class Sent:
    """One run that the session asked for: its queue is the capability's or a peer's own."""

    key: Key
    attempt: int
    queue: str
    at: float


@dataclass(frozen=True, slots=True)
class Ran:
    """One record of a worker."""

    worker: str
    record: Record

    @property
    def key(self) -> Key:
        """Return the chunk."""
        return (self.record.frame, self.record.chunk)


@dataclass(frozen=True, slots=True)
class Injected:
    """One fault that was done: when it began and was over, and what messages it touched."""

    fault: Fault
    began: float
    ended: float
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class BreakerSeen:
    """A breaker's state as it was seen to change, and how often the session had opened it."""

    worker: str
    state: str
    opened: int
    at: float


@dataclass(slots=True)
class Recording:
    """One run.

    Args:
        chunks: of each frame.
        fps: frames a second that the source was asked for.
        deadline: seconds from a frame's capture to its showing, at the latest.
        due: frames that the source was due.
    """

    chunks: int
    fps: float
    deadline: float
    due: int = 0
    #: Frames that the session was given.
    submitted: list[int] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    #: Those that it passed over, since they were too old where a newer one could be shown.
    passed_over: list[int] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    #: Runs that were not sent, or perhaps not, since the broker was away: chunk and attempt.
    refused: set[tuple[Key, int]] = field(default_factory=set)
    ran: list[Ran] = field(default_factory=list)
    injected: list[Injected] = field(default_factory=list)
    breakers: list[BreakerSeen] = field(default_factory=list)
    #: Frames whose pixels are not what was captured, and why; those that nobody looked at.
    wrong: dict[int, str] = field(default_factory=dict)
    unseen: int = 0
    #: The session's own count, from its report, and what it still held after it was closed.
    counted: dict[str, int] = field(default_factory=dict)
    in_flight: dict[str, int] = field(default_factory=dict)
    #: Whatever was left behind, each as a sentence; and what was found and is no leak.
    left: list[str] = field(default_factory=list)
    tolerated: list[str] = field(default_factory=list)
    #: Threads that died, and processes that did not end as they should.
    crashes: list[str] = field(default_factory=list)
    #: How much later than asked a process of the machine was woken: (when, seconds).
    held_up: list[tuple[float, float]] = field(default_factory=list)

    #: The numbers of the inputs that a player sent all the while, and those that the game got.
    inputs: list[int] = field(default_factory=list)
    played: list[int] = field(default_factory=list)

    def duplicates(self) -> Counter[Key]:
        """Return how many copies of each chunk's messages we have made ourselves."""
        return Counter(
            key for done in self.injected if done.fault.kind is Kind.DUPLICATE for key in done.keys
        )
