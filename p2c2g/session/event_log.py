"""Logs what happens in a session, as an observer of its decisions."""

from __future__ import annotations

import logging

from p2c2g.media.frame import ChunkKey
from p2c2g.session.attempts import Decision
from p2c2g.session.observer import Observer
from p2c2g.verify.examination import Examination

logger = logging.getLogger(__name__)


class EventLog(Observer):
    """Writes what an operator wants to know; the log itself never waits for its disk.

    Args:
        queue: the session's capability queue.
    """

    def __init__(self, queue: str) -> None:
        self._queue = queue

    def frame_not_sent(self, number: int, error: str) -> None:
        """Log a frame that could not be sent."""
        logger.debug("Frame %d was not sent: %s", number, error)

    def run_failed(
        self, key: ChunkKey, attempt: int | None, peer: str, error: str, decision: Decision
    ) -> None:
        """Log a run that ended in an error."""
        logger.warning(
            "Chunk %d of frame %d failed at peer %s: %s (%s)",
            key[1], key[0], peer, error, decision.value,
            extra={"frame": key[0], "chunk": key[1], "attempt": attempt, "peer": peer},
        )  # fmt: skip

    def examination_ended(self, examination: Examination, *, agreed: bool | None) -> None:
        """Log an examination that somebody did not pass."""
        peer, by = examination.peer, examination.by
        if agreed is None:
            logger.warning("Peer %s failed an examination.", peer)
        elif not agreed and by:
            logger.warning("Peers %s and %s differ in chunk %s.", peer, by, examination.key)
        elif not agreed:
            logger.warning("Peer %s differs from a known answer.", peer)

    def breaker_changed(self, peer: str, seconds: float) -> None:
        """Log a peer that is shut out, or let in again."""
        what = "leave" if seconds else "come back to"
        logger.warning("Peer %s is asked to %s the queue %r.", peer, what, self._queue)

    def peer_gone(self, peer: str) -> None:
        """Log a peer that has died or left."""
        logger.warning("Peer %s has gone; what it had goes to others.", peer)
