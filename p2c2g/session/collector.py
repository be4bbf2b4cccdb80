"""Takes results as they come: judges them, decodes them into their frame, or has them rerun."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2c2g.errors import ChunkError, CodecError, WireError
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Frame
from p2c2g.media.wire import ResultHeader
from p2c2g.messaging.inbox import Arrival
from p2c2g.session.attempts import Decision, Verdict
from p2c2g.session.dispatcher import parse_task_id
from p2c2g.session.peerclock import PeerClock

if TYPE_CHECKING:
    from p2c2g.session.session import FrameInFlight, Session

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """An accepted chunk: its payload and the times of its way, in the session's seconds."""

    payload: bytes
    sent: float
    queue: float
    decode: float
    process: float
    result: float
    arrived: float

    def stages(self, frame: Frame, ready: float) -> tuple[float, ...]:
        """Return the seconds of each stage of :data:`p2c2g.session.tally.STAGES`."""
        return (
            frame.grabbed_at - frame.captured_at,
            self.sent - frame.grabbed_at,
            self.queue,
            self.decode,
            self.process,
            self.result,
            ready - self.arrived,
        )


class Collector:
    """Judges arrivals on behalf of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._codec = codec(session.plan.codec)
        self._clocks: dict[str, PeerClock] = {}
        self._chunks = session.plan.chunks

    def take(self, arrival: Arrival, now: float) -> None:
        """Deal with one arrival at ``now``."""
        key = parse_task_id(arrival.task_id)
        if key is None or not 0 <= key[1] < len(self._chunks):
            logger.warning("Threw away a result of task %r: no chunk of ours", arrival.task_id)
            return
        self._session.returned(key)
        flight = self._session.flight(key[0])
        header: ResultHeader | None = None
        try:
            if not arrival.succeeded:
                self._fail(key, None, arrival.peer, arrival.error)
                return
            header = ResultHeader.unpack(arrival.header)
            if (header.frame, header.chunk) != key:
                raise WireError(f"a result of task {arrival.task_id} speaks of another chunk.")
            if flight is not None and not self._session.attempts.is_done(key):
                self._decode(arrival.payload, key[1], flight)
            self._accept(key, header, arrival.payload, flight, now)
        except ChunkError as error:
            self._fail(
                key,
                header.attempt if header else None,
                header.peer if header else arrival.peer,
                f"{type(error).__name__}: {error}",
            )

    def _decode(self, payload: bytes, index: int, flight: FrameInFlight) -> None:
        target = self._chunks[index].target
        size = self._codec.size_of(payload)
        if size != target.size:
            raise CodecError(f"a result is {size} where {target.size} was asked for.")
        self._codec.decode(payload, out=target.of(flight.canvas))

    def _accept(
        self,
        key: tuple[int, int],
        header: ResultHeader,
        payload: bytes,
        flight: FrameInFlight | None,
        now: float,
    ) -> None:
        verdict = self._session.attempts.succeed(key, header.attempt)
        if verdict is not Verdict.ACCEPTED or flight is None:
            return
        sent = flight.sent_at[key[1]]
        started, done = header.started_us / 1e6, header.done_us / 1e6
        clock = self._clocks.setdefault(header.peer, PeerClock())
        queue, back = clock.spans(sent, started, done, now)
        decode, process = header.decode_us / 1e6, header.process_us / 1e6
        part = Part(
            payload=payload,
            sent=sent,
            queue=queue,
            decode=decode,
            process=process,
            result=done - started - decode - process + back,
            arrived=now,
        )
        self._session.tally.chunk(header.peer, header.queue, now - sent)
        self._session.place(*key, part)

    def _fail(self, key: tuple[int, int], attempt: int | None, peer: str, error: str) -> None:
        attempts = self._session.attempts
        current = attempts.attempt_of(key)
        if current is None:
            attempts.late += 1
            return
        self._session.tally.failure(peer, error)
        decision = attempts.fail(key, attempt if attempt is not None else current)
        logger.warning(
            "Chunk %d of frame %d failed at peer %s: %s (%s)",
            key[1], key[0], peer, error, decision.value,
        )  # fmt: skip
        if decision is Decision.RETRY:
            self._session.run_again(*key, current + 1)
