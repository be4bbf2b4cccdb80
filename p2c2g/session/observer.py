"""What happens in a session, for those who count, log or audit it.

The decision core calls these in the session and in the simulator alike, at the moment when it
decides, with its lock held: an observer keeps what it hears and returns at once.  Methods do
nothing here, so that one's own names only those that it needs::

    class Audit(Observer):
        def examination_ended(self, examination, agreed):
            ...

    Session(broker, config, sink, observers=[Audit()])
"""

from __future__ import annotations

from typing import Any

from p2c2g.media.frame import ChunkKey
from p2c2g.session.attempts import Decision, Verdict
from p2c2g.session.frames import FramePlan, Shown
from p2c2g.verify.examination import Examination


class Observer:
    """Hears what happens, and does nothing about it.  Seconds are of the session's clock."""

    def frame_submitted(self, number: int, *, sent: bool) -> None:
        """Hear of a frame, and whether its chunks go to the peers at all."""

    def frame_planned(self, number: int, plan: FramePlan) -> None:
        """Hear what is done with each chunk of a frame, where it is sent at all."""

    def frame_not_sent(self, number: int, error: str) -> None:
        """Hear that a frame's chunks could not be sent."""

    def run_sent(self, key: ChunkKey, attempt: int, peer: str, size: int) -> None:
        """Hear of a run that is sent with a chunk of ``size`` bytes.

        ``peer`` is empty where any peer of the capability queue may take it.
        """

    def result_arrived(self, key: ChunkKey, peer: str, size: int) -> None:
        """Hear of a result of ``size`` bytes, before it is judged; whatever comes of it follows."""

    def run_failed(
        self, key: ChunkKey, attempt: int | None, peer: str, error: str, decision: Decision
    ) -> None:
        """Hear of a run that ended in an error, and what follows."""

    def run_given_up(self, key: ChunkKey, attempt: int, peer: str) -> None:
        """Hear of a run that has been silent for too long."""

    def chunk_moved(self, key: ChunkKey, source: str, to: str) -> None:
        """Hear that a chunk is to change queues, from one peer's to another's."""

    def chunk_accepted(self, key: ChunkKey, peer: str, seconds: float, ran: str) -> None:
        """Hear of a chunk that has its result, ``seconds`` after it was sent.

        ``ran`` is the pipeline that was run, where the choice was the peer's.
        """

    def peer_knew(self, key: ChunkKey, peer: str) -> None:
        """Hear of a result that its peer knew already, as it tells."""

    def result_unused(self, key: ChunkKey, peer: str, verdict: Verdict) -> None:
        """Hear of a good result that came late, or second."""

    def frame_shown(self, shown: Shown[Any, Any]) -> None:
        """Hear of a frame that is let go, complete or with what has come."""

    def frame_passed_over(self, number: int) -> None:
        """Hear of a frame that is never shown: it was too old when a newer one was there."""

    def examination_ended(self, examination: Examination, *, agreed: bool | None) -> None:
        """Hear what an examination said; None where the answer was no picture, or an error."""

    def breaker_changed(self, peer: str, seconds: float) -> None:
        """Hear of a peer that is shut out for so many seconds, or (0) let in again."""

    def noticed(self, sentence: str, now: float) -> None:
        """Hear what those who watch should know from now on; empty where there is nothing more."""

    def peer_gone(self, peer: str) -> None:
        """Hear of a peer that has died or left."""
