"""One session: frames in, pictures out, with peers in between.

Two threads: the caller's, which captures, cuts, encodes and sends (:meth:`Session.submit`),
and the collector's, which takes results as they come, releases frames and hands them to the
sink.  They share the tables below one lock, held for microseconds.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from time import monotonic
from typing import Any
from uuid import uuid4

import numpy as np
import redis
from celery import Celery

from p2c2g.errors import BrokerUnavailableError
from p2c2g.media.chunker import Grid, cut, paint_base, plan_chunks
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Chunk, Frame, FrameState, Picture, Pixels, Size, Tile
from p2c2g.media.operations import Pipeline
from p2c2g.media.wire import ChunkHeader
from p2c2g.messaging.inbox import Inbox
from p2c2g.session.admission import Admission
from p2c2g.session.attempts import Attempts
from p2c2g.session.collector import Collector, Part
from p2c2g.session.dispatcher import Dispatcher
from p2c2g.session.reassembler import Pending, Reassembler
from p2c2g.session.tally import Tally

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """What a session does to every frame; checked when it is made.

    Args:
        size: of the source's frames.
        operations: the pipeline that the peers run.
        grid: how a frame is cut.
        codec: name of the codec, both ways.
        quality: of a lossy codec, 1 to 100.
        queue: the capability queue.
        deadline: seconds after its capture at which a frame is shown, whatever came back.
        fps: frames a second that the source is asked for; bounds what is outstanding.

    Raises:
        UsageError: the codec is unknown, or the grid does not fit the frame.
    """

    size: Size
    operations: Pipeline
    grid: Grid
    codec: str = "jpeg"
    quality: int = 85
    queue: str = "cpu"
    deadline: float = 0.1
    fps: float = 30.0

    def __post_init__(self) -> None:
        codec(self.codec)
        plan_chunks(self.operations.resolve(self.size), self.grid)

    @property
    def output(self) -> Size:
        """Return the size of the enhanced frames."""
        return self.operations.resolve(self.size).output

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """Return the chunks of every frame."""
        return plan_chunks(self.operations.resolve(self.size), self.grid)


@dataclass(slots=True)
class FrameInFlight:
    """A frame that is being put together: its source, what was sent, and its canvas."""

    frame: Frame
    payloads: tuple[bytes, ...]
    canvas: Pixels
    sent_at: list[float]
    was_sent: bool


class Session:
    """The gamer's side of the pool.

    Args:
        app: the Celery application.
        client: a client of the same broker, for the results stream.
        plan: what is done to each frame.
        sink: called with each picture in order, on the collector's thread; must not block.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        app: Celery,
        client: redis.Redis,
        plan: SessionPlan,
        sink: Callable[[Picture], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.id = uuid4().hex[:12]
        self.plan = plan
        self.tally = Tally()
        self.attempts = Attempts()
        self._chunks = plan.chunks
        self._codec = codec(plan.codec)
        self._sink = sink
        self._clock = clock
        self._lock = threading.Lock()
        self._frames: Reassembler[FrameInFlight, Part] = Reassembler()
        self._dispatcher = Dispatcher(app, self.id, plan.queue, clock)
        self._inbox = Inbox(client, self.id)
        self._collector = Collector(self)
        self.admission = Admission(ceil(plan.deadline * plan.fps) + 1, plan.deadline)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="p2c2g-collector", daemon=True)
        self._crash: BaseException | None = None

    def start(self) -> None:
        """Open the results stream and start collecting.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        self._inbox.open()
        self._thread.start()

    def submit(self, frame: Frame) -> None:
        """Cut, encode and send one frame; it will be shown, in order, by its deadline.

        Raises:
            RuntimeError: the collector has died; its error is the cause.
        """
        if self._crash is not None:
            raise RuntimeError("the collector has died") from self._crash
        payloads = tuple(
            self._codec.encode(cut(frame.pixels, chunk), self.plan.quality)
            for chunk in self._chunks
        )
        canvas = np.empty((self.plan.output.height, self.plan.output.width, 3), np.uint8)
        flight = FrameInFlight(frame, payloads, canvas, [0.0] * len(self._chunks), was_sent=False)
        now = self._clock()
        self.tally.captured = frame.number + 1
        with self._lock:
            send = self.admission.admit(frame.number, range(len(self._chunks)), now)
            was_idle = self._frames.next_deadline is None
            deadline = frame.captured_at + self.plan.deadline if send else now
            self._frames.open(frame.number, flight, len(self._chunks), deadline)
            if send:
                for chunk in self._chunks:
                    self.attempts.open((frame.number, chunk.index))
                flight.sent_at = [now] * len(self._chunks)
                flight.was_sent = True
        if send:
            self._send(frame.number, flight, [chunk.index for chunk in self._chunks], 1)
        if was_idle or not send:
            self._inbox.wake()  # The collector waits with no deadline, or a later one.

    def live(self) -> dict[str, Any]:
        """Return the figures of the last seconds."""
        return self.tally.live(self._clock(), len(self._frames))

    def close(self, due: int) -> None:
        """Show what is still in flight, end the collector and leave nothing at the broker.

        Args:
            due: frames that the source was due in all; those never submitted count as
                captured and dropped.
        """
        self._ending.set()
        self._inbox.wake()
        if self._thread.is_alive():
            self._thread.join(self.plan.deadline + 5)
        self.tally.captured = due
        self._dispatcher.close()
        self._inbox.close()

    # -- the collector's thread ----------------------------------------------------------

    def _run(self) -> None:
        try:
            while not (self._ending.is_set() and not len(self._frames)):
                self._turn()
        except BaseException as error:
            self._crash = error
            logger.exception("The collector died")
            raise

    def _turn(self) -> None:
        """Wait for results or the next deadline, take what came, release what may go."""
        with self._lock:
            deadline = self._frames.next_deadline
        timeout = None if deadline is None else max(0.0, deadline - self._clock())
        try:
            if self._inbox.wait(timeout):
                for arrival in self._inbox.read():
                    self._collector.take(arrival, self._clock())
                    self._release()
        except BrokerUnavailableError as error:
            logger.warning("%s Frames are shown from the base layer.", error)
            self._reopen()
        self._release()

    def _reopen(self) -> None:
        while not self._ending.is_set():
            try:
                self._inbox.open()
            except BrokerUnavailableError:
                self._release()
                self._ending.wait(0.02)
            else:
                return

    def _release(self) -> None:
        with self._lock:
            released = list(self._frames.release(self._clock()))
            for pending in released:
                for chunk in self._chunks:
                    self.attempts.close((pending.number, chunk.index))
                if pending.frame.was_sent:
                    self.admission.shown(complete=pending.complete, now=self._clock())
        for pending in released:
            self._show(pending)

    def _show(self, pending: Pending[FrameInFlight, Part]) -> None:
        flight = pending.frame
        for chunk in self._chunks:
            if chunk.index not in pending.parts:
                paint_base(flight.canvas, chunk, flight.frame.pixels)
        ready = self._clock()
        state = FrameState.COMPLETE if pending.complete else FrameState.DEGRADED
        captured = flight.frame.captured_at
        stages = None
        if pending.complete:
            last = max(pending.parts.values(), key=lambda part: part.arrived)
            stages = last.stages(flight.frame, ready)
        self.tally.shown(pending.number, state, captured, ready, stages)
        tiles = tuple(
            Tile(
                chunk,
                flight.payloads[chunk.index],
                part.payload if (part := pending.parts.get(chunk.index)) else None,
            )
            for chunk in self._chunks
        )
        self._sink(
            Picture(
                number=pending.number,
                state=state,
                source=self.plan.size,
                pixels=flight.canvas,
                tiles=tiles,
                codec=self.plan.codec,
                captured_at=captured,
                ready_at=ready,
            )
        )

    # -- both ----------------------------------------------------------------------------

    def flight(self, number: int) -> FrameInFlight | None:
        """Return a frame that is being put together, for the collector."""
        with self._lock:
            return self._frames.frame(number)

    def place(self, number: int, index: int, part: Part) -> None:
        """Put an accepted chunk into its frame, for the collector."""
        with self._lock:
            self._frames.place(number, index, part)

    def returned(self, key: tuple[int, int]) -> None:
        """Note that a chunk's task has ended, for the collector."""
        with self._lock:
            self.admission.returned(*key)

    def run_again(self, number: int, index: int, attempt: int) -> None:
        """Send another attempt of one chunk, for the collector."""
        flight = self.flight(number)
        if flight is not None:
            flight.sent_at[index] = self._clock()
            self._send(number, flight, [index], attempt)

    def _send(self, number: int, flight: FrameInFlight, indexes: list[int], attempt: int) -> None:
        messages = []
        for index in indexes:
            chunk = self._chunks[index]
            header = ChunkHeader(
                session=self.id,
                frame=number,
                chunk=index,
                attempt=attempt,
                codec=self.plan.codec,
                quality=self.plan.quality,
                operations=self.plan.operations.text,
                frame_size=self.plan.size,
                padded=chunk.padded,
                crop=chunk.crop,
            )
            messages.append((index, header.pack(), flight.payloads[index]))
        try:
            self._dispatcher.send(number, messages)
        except BrokerUnavailableError as error:
            logger.debug("Frame %d was not sent: %s", number, error)
            with self._lock:
                self.admission.forget(number)
            self.tally.failure("", type(error).__name__)
