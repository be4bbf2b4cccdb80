"""What an examination is, and whether its answer is the picture that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from p2c2g.errors import ChunkError
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Pixels
from p2c2g.peers.breaker import TRIAL_TIMEOUT
from p2c2g.session.attempts import ChunkKey
from p2c2g.session.config import FrameInFlight, SessionConfig
from p2c2g.verify.agreement import same_picture
from p2c2g.verify.checks import Checker

#: Seconds after which an examination has not been answered.
TIMEOUT = 2.0


@dataclass(frozen=True, slots=True)
class BreakerTrial:
    """A run that is to show whether a peer is to be trusted again."""

    key: ChunkKey
    attempt: int
    flight: FrameInFlight

    def is_over(self, now: float) -> bool:
        """Tell whether nobody waits for it any more."""
        return now > self.flight.deadline + TRIAL_TIMEOUT


@dataclass(frozen=True, slots=True)
class Examination:
    """A run whose answer is compared with another.

    ``picture`` is what was sent, ``answer`` the answer to it of the peer ``by``, empty where it
    is a canary, and ``ran`` the pipeline by which that was made; ``frame`` is the frame that a
    copy was cut from.
    """

    key: ChunkKey
    attempt: int
    peer: str
    picture: bytes
    answer: bytes
    by: str
    until: float
    frame: Pixels | None
    ran: str = ""

    @property
    def sent_at(self) -> float:
        """Return when it was sent, in seconds of the session's clock."""
        return self.until - TIMEOUT


class Comparer(Protocol):
    """Tells whether an answer to an examination is the same picture as the one that is known."""

    def agree(self, examination: Examination, answer: bytes) -> bool:
        """Tell whether it is.

        Raises:
            ChunkError: it is no picture of its chunk in the first place.
        """


class PictureComparer:
    """Compares the answers to one session's chunks.  Without state: any thread may ask.

    Args:
        plan: the session's.
    """

    def __init__(self, plan: SessionConfig) -> None:
        self._chunks = plan.chunks
        self._codec = codec(plan.codec)
        self._checker = Checker(plan.codec, plan.quality, plan.operations.resolve(plan.size))

    def agree(self, examination: Examination, answer: bytes) -> bool:
        """Tell whether an answer is the same picture as the one that is known.

        Raises:
            ChunkError: it is no picture of its chunk in the first place.
        """
        if answer == examination.answer:
            return True
        chunk = self._chunks[examination.key[1]]
        pixels = self._decode(chunk.index, answer)
        if examination.frame is not None:
            self._checker.check(examination.frame, chunk, pixels)
        return same_picture(self._decode(chunk.index, examination.answer), pixels)

    def _decode(self, index: int, answer: bytes) -> Pixels:
        size = self._chunks[index].target.size
        if self._codec.size_of(answer) != size:
            raise ChunkError(f"its picture is not of {size}.")
        pixels = np.empty((size.height, size.width, 3), np.uint8)
        self._codec.decode(answer, out=pixels)
        return pixels
