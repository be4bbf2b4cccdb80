"""What is to be sent, and of what: the words that those who decide and those who send share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar


class Flight(Protocol):
    """A frame that has not been shown."""

    @property
    def number(self) -> int:
        """Return its number."""

    @property
    def deadline(self) -> float:
        """Return when it is shown at the latest, in seconds of the session's clock."""


class RunRequest(NamedTuple):
    """One run to be sent: the chunk's index, the run's number, the peer (any where empty)."""

    chunk: int
    attempt: int
    peer: str


F = TypeVar("F", bound=Flight)
#: Sends runs of one frame, in one write; tells whether they have left.
Send = Callable[[F, Sequence[RunRequest]], bool]
