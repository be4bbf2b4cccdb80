"""Logs what happens in a session, as an observer of its decisions.

What a gamer should know is told once a peer, as a warning in words of the gamer's world; each
case, with its numbers, is for the log file.
"""

from __future__ import annotations

import logging
from enum import Enum

from p2c2g.media.frame import ChunkKey
from p2c2g.session.attempts import Decision
from p2c2g.session.observer import Observer
from p2c2g.verify.examination import Examination

logger = logging.getLogger(__name__)

#: Peers and kinds of event of which it is kept that they were told: strangers make up names.
MAX_TOLD = 256
#: How an error begins that is none of the peer's making: a session has left it out.
_UNTRUSTED = "Untrusted:"


class _Kind(Enum):
    """What is told once of a peer."""

    FAILED = "failed"  # it sent no picture of its chunk
    DIFFERED = "differed"  # its answer was not that of others
    LEFT_OUT = "left out"  # it gets no work for a while
    GONE = "gone"  # it has died or left


class EventLog(Observer):
    """Writes what happens; the log itself never waits for its disk.

    Args:
        queue: the session's capability queue.
    """

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._told: set[tuple[_Kind, str]] = set()

    def frame_not_sent(self, number: int, error: str) -> None:
        """Log a frame that could not be sent."""
        logger.debug("Frame %d was not sent: %s", number, error)

    def run_failed(
        self, key: ChunkKey, attempt: int | None, peer: str, error: str, decision: Decision
    ) -> None:
        """Log a run that ended in an error; that a peer is left out is told for itself."""
        logger.info(
            "Chunk %d of frame %d failed at peer %s: %s (%s)",
            key[1], key[0], peer, error, decision.value,
            extra={"frame": key[0], "chunk": key[1], "attempt": attempt, "peer": peer},
        )  # fmt: skip
        if not error.startswith(_UNTRUSTED):
            self._tell_once(_Kind.FAILED, peer, f"sent no usable picture ({error})")

    def examination_ended(self, examination: Examination, *, agreed: bool | None) -> None:
        """Log an examination that somebody did not pass."""
        peer, by = examination.peer, examination.by
        if agreed:
            return
        logger.info(
            "An examination by chunk %d of frame %d: peer %s %s.", *reversed(examination.key), peer,
            "sent no picture" if agreed is None else f"differs from {by or 'a known answer'}",
            extra={"peer": peer},
        )  # fmt: skip
        if agreed is None or not by:
            self._tell_once(_Kind.DIFFERED, peer, "was tested and did not give the right picture")
        else:
            self._tell_once(_Kind.DIFFERED, peer, f"and peer {by} made different pictures of one")

    def breaker_changed(self, peer: str, seconds: float) -> None:
        """Log a peer that is shut out, or let in again."""
        what = f"left out for {seconds:.1f} s" if seconds else "let in again"
        logger.info("Peer %s is %s (queue %r).", peer, what, self._queue, extra={"peer": peer})
        if seconds:
            self._tell_once(_Kind.LEFT_OUT, peer, "gets less work for now: it was late or wrong")

    def peer_gone(self, peer: str) -> None:
        """Log a peer that has died or left."""
        logger.info("Peer %s has gone; what it had goes to others.", peer, extra={"peer": peer})
        self._tell_once(_Kind.GONE, peer, "has left; others do its part")

    def noticed(self, sentence: str, now: float) -> None:
        """Log what those who watch are told."""
        if sentence:
            logger.info("%s.", sentence)

    def _tell_once(self, kind: _Kind, peer: str, what: str) -> None:
        event = (kind, peer)
        if peer and event not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(event)
            logger.warning("Peer %s %s.", peer, what)
