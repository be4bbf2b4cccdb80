"""Whether this process's chunks come sealed: not in a pool of one's own, and always in an open one.

One a process, as Celery's tasks are; the worker's step of enrolment says which before any chunk
is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from p2c2g.errors import WireError
from p2c2g.messaging import open_names
from p2c2g.sealing.identity import Identity, text_of
from p2c2g.sealing.peer_end import PeerEnd
from p2c2g.settings.membership import Membership


class Opened(Protocol):
    """A chunk as it was before it was sealed."""

    @property
    def picture(self) -> bytes:
        """Return the encoded picture."""

    def answer(self, header: bytes, residual: bytes) -> bytes:
        """Return the answer as it is sent, by its packed header and the encoded residual."""


class Opener(Protocol):
    """How chunks come.  Thread-safe."""

    def open(self, queue: str, header: bytes, payload: bytes) -> Opened:
        """Return a chunk that was read from a queue.

        Raises:
            WireError: it is not sealed for this worker by that queue's gamer, or came before.
        """

    def told(self) -> tuple[str, str]:
        """Return what the enrolment tells: the key and its signature; empty where there is none."""


@dataclass(frozen=True, slots=True, repr=False)
class _AsItIs:
    picture: bytes

    def answer(self, header: bytes, residual: bytes) -> bytes:
        return residual


class Plain:
    """Chunks as they are."""

    def open(self, queue: str, header: bytes, payload: bytes) -> Opened:
        """Return the payload as a picture."""
        return _AsItIs(payload)

    def told(self) -> tuple[str, str]:
        """Return nothing."""
        return "", ""


class Sealed:
    """Chunks sealed for this worker.

    Args:
        end: its keys.
    """

    def __init__(self, end: PeerEnd) -> None:
        self._end = end

    def open(self, queue: str, header: bytes, payload: bytes) -> Opened:
        """Return a chunk that the gamer sealed whose queue it was read from.

        Raises:
            WireError: it did not, or not for this worker, or it came before.
        """
        gamer = open_names.sender_of(queue)
        if not gamer:
            raise WireError("a chunk came by a queue that is no gamer's.")
        return self._end.open(gamer, header, payload)

    def told(self) -> tuple[str, str]:
        """Return the key that chunks are sealed for, and the peer's signature over it."""
        return text_of(self._end.public), text_of(self._end.signature)


def opener_for(membership: Membership | None, instance: str) -> Opener:
    """Return how chunks come to a worker that starts.

    Args:
        membership: the peer's in an open pool; None in a pool of one's own.
        instance: of the worker, as it enrols.

    Raises:
        UsageError: the membership has no signing key.
    """
    if membership is None:
        return PLAIN
    identity = Identity.from_text(membership.signing_key.get_secret_value())
    return Sealed(PeerEnd(membership.prefix, membership.id, instance, identity))


PLAIN: Final = Plain()
_current: Opener = PLAIN


def get() -> Opener:
    """Return how chunks come to this process."""
    return _current


def use(opener: Opener) -> None:
    """Have chunks opened so from the next one on."""
    global _current
    _current = opener
