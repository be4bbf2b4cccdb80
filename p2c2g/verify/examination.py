"""What an examination is, and whether its answer is the one that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from p2c2g.media.frame import Chunk, ChunkKey
from p2c2g.media.recipe import Recipe
from p2c2g.peers.breaker import TRIAL_TIMEOUT
from p2c2g.verify.agreement import same_residual
from p2c2g.verify.results import ResultReader

#: Seconds after which an examination has not been answered.
TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class BreakerTrial:
    """A run that is to show whether a peer is to be trusted again.

    ``deadline`` is its frame's, in seconds of the session's clock, ``source`` the frame itself,
    which nobody here opens, and ``recipe`` that by which the frame was sent.
    """

    key: ChunkKey
    attempt: int
    peer: str
    deadline: float
    source: Any
    recipe: Recipe

    def is_over(self, now: float) -> bool:
        """Tell whether nobody waits for it any more."""
        return now > self.deadline + TRIAL_TIMEOUT


@dataclass(frozen=True, slots=True)
class Examination:
    """A run whose answer is compared with another.

    ``picture`` is what was sent, ``known`` the answer to it of the peer ``by``, empty where it
    is a canary, and ``ran`` the pipeline by which that was made; ``source`` is the frame that a
    copy was cut from, None for a canary; nobody here opens it.  ``recipe`` is that of both answers.
    """

    key: ChunkKey
    attempt: int
    peer: str
    picture: bytes
    known: bytes
    by: str
    until: float
    source: Any
    recipe: Recipe
    ran: str = ""

    @property
    def sent_at(self) -> float:
        """Return when it was sent, in seconds of the session's clock."""
        return self.until - TIMEOUT


@dataclass(frozen=True, slots=True)
class Compare:
    """Compare the answer to an examination with the one that is known: slow, and not urgent."""

    examination: Examination
    answer: bytes


class Comparer(Protocol):
    """Tells whether an answer to an examination agrees with the one that is known."""

    def agree(self, examination: Examination, answer: bytes) -> bool:
        """Tell whether it is.

        Raises:
            ChunkError: it is no residual of its chunk in the first place.
        """


class ResidualComparer:
    """Compares the answers to one session's chunks.  Without state: any thread may ask.

    Args:
        reader: of the session's results.
        chunks: of its frames.
    """

    def __init__(self, reader: ResultReader, chunks: Sequence[Chunk]) -> None:
        self._reader = reader
        self._chunks = chunks

    def agree(self, examination: Examination, answer: bytes) -> bool:
        """Tell whether an answer agrees with the one that is known.

        Raises:
            ChunkError: it is no residual of its chunk in the first place.
        """
        if answer == examination.known:
            return True
        chunk, source = self._chunks[examination.key[1]], examination.source
        recipe = examination.recipe
        residual = (
            self._reader.decode(chunk, answer, recipe)
            if source is None
            else self._reader.read(chunk, answer, source, recipe)
        )
        return same_residual(self._reader.decode(chunk, examination.known, recipe), residual)
