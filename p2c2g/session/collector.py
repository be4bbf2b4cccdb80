"""Takes results as they come: judges them, decodes them into their frame, or has them rerun."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from p2c2g.errors import ChunkError, CodecError, UsageError, WireError
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Chunk, Pixels
from p2c2g.media.operations import Pipeline
from p2c2g.media.wire import ResultHeader
from p2c2g.messaging.inbox import Arrival
from p2c2g.peers.breaker import Breakers, State
from p2c2g.peers.peer_clock import PeerClock
from p2c2g.session.admission import Admission
from p2c2g.session.attempts import Attempts, ChunkKey, Verdict
from p2c2g.session.config import FrameInFlight, Part, SessionConfig
from p2c2g.session.dispatcher import parse_task_id
from p2c2g.session.player import Player
from p2c2g.session.runs import Runs
from p2c2g.session.sender import Sender
from p2c2g.session.tally import Tally
from p2c2g.verify.checks import Checker
from p2c2g.verify.examination import BreakerTrial, Examination
from p2c2g.verify.examiner import Examiner

logger = logging.getLogger(__name__)

#: Peers whose clocks are followed; one more drops the oldest.
_MAX_CLOCKS = 1024


class Collector:
    """Judges arrivals on behalf of one session.  Belongs to one thread.

    Args:
        plan: the session's.
        attempts: the one table.
        admission: is told what has come back.
        breakers: is told how each peer did.
        runs: judges, and sends what is run again.
        examiner: is told what peers answer to its examinations.
        sender: sends these.
        player: gets the parts.
        tally: counts.
        lock: guards all of these.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        plan: SessionConfig,
        attempts: Attempts,
        admission: Admission,
        breakers: Breakers,
        runs: Runs[FrameInFlight],
        examiner: Examiner,
        sender: Sender,
        player: Player,
        tally: Tally,
        lock: threading.Lock,
        clock: Callable[[], float],
    ) -> None:
        self._plan = plan
        self._chunks = plan.chunks
        self._codec = codec(plan.codec)
        self._checker = Checker(plan.codec, plan.quality, plan.operations.resolve(plan.size))
        self._attempts = attempts
        self._admission = admission
        self._breakers = breakers
        self._runs = runs
        self._examiner = examiner
        self._sender = sender
        self._player = player
        self._tally = tally
        self._lock = lock
        self._clock = clock
        self._clocks: OrderedDict[str, PeerClock] = OrderedDict()

    def take(self, arrival: Arrival, now: float) -> None:
        """Deal with one arrival at ``now``."""
        key = parse_task_id(arrival.task_id)
        if key is None or not 0 <= key[1] < len(self._chunks):
            logger.warning("Threw away a result of task %r: no chunk of ours", arrival.task_id)
            return
        header: ResultHeader | None = None
        peer = arrival.peer
        probe: BreakerTrial | None = None
        try:
            if arrival.succeeded:
                header = ResultHeader.unpack(arrival.header)
                peer = header.peer
            with self._lock:
                examination = self._examiner.take(peer, key, header.attempt) if header else None
                if header is not None and examination is not None:
                    self._note(examination, header, arrival.payload, now)
                    return
                self._admission.returned(*key)
                probe = self._examiner.take_probe(peer, key)
                trusted = probe is not None or self._breakers.state(peer, now) is State.CLOSED
                flight = self._player.flight(key[0])
            if header is None:
                self._fail(key, None, peer, arrival.error, probe, now)
                return
            if (header.frame, header.chunk) != key:
                raise WireError(f"a result of task {arrival.task_id} speaks of another chunk.")
            if not self._is_allowed(header.ran):
                raise WireError("a result was made in another way than was asked for.")
            if not trusted:
                self._fail(key, header.attempt, peer, "Untrusted: its breaker is open", None, now)
                return
            if probe is not None:
                self._examine(probe, arrival.payload, peer, now)
            self._judge(key, header, arrival.payload, flight, now)
        except ChunkError as error:
            attempt = header.attempt if header else None
            self._fail(key, attempt, peer, f"{type(error).__name__}: {error}", probe, now)

    def _judge(
        self,
        key: ChunkKey,
        header: ResultHeader,
        payload: bytes,
        flight: FrameInFlight | None,
        now: float,
    ) -> None:
        if flight is None:
            self._accept(key, header, None, None, now)
            return
        with flight.painting:
            part = None
            # A frame that was shown meanwhile belongs to those who look at it.
            if not flight.closed and not self._attempts.is_done(key):
                chunk = self._chunks[key[1]]
                self._decode(payload, chunk, flight, chunk.target.of(flight.canvas))
                part = self._part(key, header, payload, now)
            self._accept(key, header, flight, part, now)

    def _decode(self, payload: bytes, chunk: Chunk, flight: FrameInFlight, out: Pixels) -> None:
        """Decode a result into ``out`` and check it.

        Raises:
            ChunkError: it is not a picture of this chunk.
        """
        size = self._codec.size_of(payload)
        if size != chunk.target.size:
            raise CodecError(f"a result is {size} where {chunk.target.size} was asked for.")
        self._codec.decode(payload, out=out)
        self._checker.check(flight.frame.pixels, chunk, out)

    def _note(
        self, examination: Examination, header: ResultHeader, payload: bytes, now: float
    ) -> None:
        """Take the answer to an examination: no part of any picture.  The lock is held."""
        if (header.frame, header.chunk) != examination.key or not self._is_allowed(header.ran):
            self._examiner.failed(examination, now)
            return
        self._examiner.put(examination, payload, header.ran)
        seconds_per_chunk = (header.done_us - header.started_us) / 1e6
        took = now - examination.sent_at
        self._runs.examined(header.chunk, header.peer, seconds_per_chunk, took, now)

    def _is_allowed(self, ran: str) -> bool:
        """Tell whether a peer may have run what it says: empty is just what was asked for."""
        asked = self._plan.operations
        if not ran:
            return not asked.is_open
        try:
            return asked.allows(Pipeline.parse(ran))
        except UsageError:
            return False

    def _examine(self, probe: BreakerTrial, payload: bytes, peer: str, now: float) -> None:
        """Judge a probe by itself: in time and a picture of its chunk, whoever was first."""
        chunk = self._chunks[probe.key[1]]
        scratch = np.empty((chunk.target.height, chunk.target.width, 3), np.uint8)
        self._decode(payload, chunk, probe.flight, scratch)
        with self._lock:
            self._breakers.tried(peer, now, good=now <= probe.flight.deadline)

    def _part(self, key: ChunkKey, header: ResultHeader, payload: bytes, now: float) -> Part | None:
        with self._lock:
            runs = self._attempts.runs(key)
        if not runs:
            return None
        sent = runs[min(max(header.attempt, 1), len(runs)) - 1].sent_at
        started, done = header.started_us / 1e6, header.done_us / 1e6
        queue, back = self._clock_of(header.peer).spans(sent, started, done, now)
        decode, process = header.decode_us / 1e6, header.process_us / 1e6
        return Part(
            payload=payload,
            sent=sent,
            queue=queue,
            decode=decode,
            process=process,
            result=done - started - decode - process + back,
            arrived=now,
        )

    def _accept(
        self,
        key: ChunkKey,
        header: ResultHeader,
        flight: FrameInFlight | None,
        part: Part | None,
        now: float,
    ) -> None:
        peer = header.peer
        seconds_per_chunk = (header.done_us - header.started_us) / 1e6
        size = len(part.payload) if part is not None else 0
        with self._lock:
            verdict = self._runs.succeeded(key, header.attempt, peer, seconds_per_chunk, size, now)
            if verdict is not Verdict.ACCEPTED or flight is None or part is None:
                return
            examination = self._examiner.accepted(
                flight, key[1], peer, part.payload, now, header.ran
            )
            self._player.place(*key, part, self._clock())
        if examination is not None:
            self._sender.send_picture(key[0], *examination)
        # A peer's own queue is a way, not a capability.
        queue = header.queue if header.queue == self._plan.queue else self._plan.queue
        self._tally.chunk(peer, queue, now - part.sent, header.ran)

    def _fail(
        self,
        key: ChunkKey,
        attempt: int | None,
        peer: str,
        error: str,
        probe: BreakerTrial | None,
        now: float,
    ) -> None:
        with self._lock:
            examination = self._examiner.take(peer, key, attempt)
            if examination is not None:
                self._examiner.failed(examination, now)
                return
            if probe is not None:
                self._breakers.tried(peer, now, good=False)
        decision = self._runs.failed(key, attempt, peer, now, is_probe=probe is not None)
        if decision is None:
            return
        self._tally.failure(peer, error)
        logger.warning(
            "Chunk %d of frame %d failed at peer %s: %s (%s)",
            key[1], key[0], peer, error, decision.value,
            extra={"frame": key[0], "chunk": key[1], "attempt": attempt, "peer": peer},
        )  # fmt: skip

    def _clock_of(self, peer: str) -> PeerClock:
        clock = self._clocks.get(peer)
        if clock is None:
            if len(self._clocks) >= _MAX_CLOCKS:
                self._clocks.popitem(last=False)
            clock = self._clocks[peer] = PeerClock()
        return clock
