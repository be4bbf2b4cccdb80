"""A light peer: a real one's connections and words, with a pause in place of the work.

Real in it are the transport (reads sent ahead, and called back when it ends), the envelope,
the chunk's and the result's header, the result's three commands and the thread that sends
them, the enrolment, and the beats, each on its peer's own connection.  Pretended are the work,
which is a timer, and its outcome, which was made beforehand.  Left out is Celery's worker: its
event loop, its pool, its remote control and its measuring of the round trip.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from time import monotonic_ns
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

from celery import Celery, states
from kombu import Consumer, Exchange, Queue

from p2c2g.errors import ChunkError, WireError
from p2c2g.media.wire import ChunkHeader, ResultHeader
from p2c2g.messaging.client import redis_client
from p2c2g.messaging.names import own_queue
from p2c2g.messaging.results import SESSION_OF
from p2c2g.messaging.writer import ResultWriter
from p2c2g.peers.messages import Capabilities, Enrolment
from p2c2g.peers.registry import Registry
from p2c2g.settings import Settings
from p2c2g_workers.heart import Heart
from p2c2g_workers.peer import Peer
from p2c2g_workers.tasks import EnhancedChunk

logger = logging.getLogger(__name__)

#: Seconds that one wait for messages lasts, unless something comes.  The broker answers reads
#: with nothing about as often.
LOOK_EVERY = 1.0
#: Seconds that the last results have to leave.
FLUSH_TIMEOUT = 30.0


class LightPeer:
    """One peer of one slot: three threads that nearly always wait.

    Args:
        app: the Celery application; the peers of one process share it.
        settings: of the same broker.
        id: its node name.
        queue: the capability queue.
        seconds_per_chunk: seconds that it pretends to work on a chunk.
        answers: the honest result of each chunk, by its payload.
        capabilities: what it tells of itself.
    """

    def __init__(
        self,
        app: Celery,
        settings: Settings,
        id: str,  # noqa: A002 - the registry's word
        queue: str,
        seconds_per_chunk: float,
        answers: Mapping[bytes, bytes],
        capabilities: Capabilities,
    ) -> None:
        self._app = app
        self._id = id
        self._service = seconds_per_chunk
        self._answers = answers
        #: Chunks answered, and those that nobody has an answer for.
        self.served = self.strange = 0
        #: Why it ended before it was told to; empty of one that did not.
        self.failure = ""
        self._busy = 0
        self._ending = threading.Event()
        self._client = redis_client(settings)
        self._writer = ResultWriter(lambda: self._client.connection_pool)
        self._peer = Peer(in_flight=lambda: self._busy, load=lambda: 0.0)
        enrolment = Enrolment(
            id=id,
            instance=uuid4().hex,
            queues=(queue,),
            interval=settings.worker.beat_interval,
            capabilities=capabilities,
        )
        self._heart = Heart(
            Registry(self._client), self._peer, lambda: enrolment, self._refused, control=False
        )
        self._queues = [
            Queue(name, Exchange("", type="direct"), routing_key=name)
            for name in (queue, own_queue(id))
        ]
        self._thread = threading.Thread(target=self._run, name=f"peer {id}", daemon=True)

    def start(self) -> None:
        """Connect, enrol and take chunks; the registry tells when it is ready."""
        self._thread.start()

    def end(self) -> None:
        """Ask it to finish what it has and to leave, without waiting for it."""
        self._peer.drain()
        self._ending.set()

    def join(self, timeout: float) -> None:
        """Wait until it has left."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._refused("It has not left.", 1)

    def _refused(self, why: str, _: int) -> None:
        self.failure = self.failure or why
        self._ending.set()

    def _run(self) -> None:
        try:
            with self._app.connection_for_read() as connection:
                channel = connection.default_channel
                consumer = Consumer(
                    channel, self._queues, on_message=self._take, accept=["msgpack"],
                    prefetch_count=1,
                )  # fmt: skip
                with consumer:
                    self._peer.consuming(True)
                    self._heart.start()
                    while not self._ending.is_set():
                        try:
                            connection.drain_events(timeout=LOOK_EVERY)
                        except TimeoutError:
                            continue
                    channel.stop_reading()
        except Exception as error:
            logger.exception("Peer %s has died", self._id)
            self._refused(f"{type(error).__name__}: {error}", 1)
        finally:
            if not self._writer.close(FLUSH_TIMEOUT):
                self._refused("Its last results have not left.", 1)
            self._heart.leave()
            self._client.close()

    def _take(self, message: Any) -> None:
        message.ack()
        self._busy = 1
        task: str = message.headers["id"]
        session = task.partition(".")[0]
        request = SimpleNamespace(**{SESSION_OF: session}, hostname=self._id)
        result: EnhancedChunk | ChunkError
        try:
            (header, payload), _, _ = message.decode()
            result, state = self._enhance(header, payload), states.SUCCESS
            self.served += 1
        except ChunkError as error:
            result, state = error, states.FAILURE
            self.strange += 1
        commands = self._app.backend.commands(task, result, state, request=request)
        if commands is not None:
            self._writer.put(commands)
        self._busy = 0

    def _enhance(self, header: bytes, payload: bytes) -> EnhancedChunk:
        """Pretend what ``p2c2g_workers.tasks.enhance`` does.

        Raises:
            ChunkError: the header cannot be read, or nobody has enhanced this picture.
        """
        started = monotonic_ns()
        chunk = ChunkHeader.unpack(header)
        answer = self._answers.get(payload)
        if answer is None:
            raise WireError(f"{chunk}: no answer was made for its picture.")
        self._wait(self._service)
        done = monotonic_ns()
        self._peer.served((done - started) / 1e9)
        result = ResultHeader(
            frame=chunk.frame,
            chunk=chunk.chunk,
            attempt=chunk.attempt,
            peer=self._id,
            started_us=started // 1000,
            decode_us=0,
            process_us=(done - started) // 1000,
            done_us=done // 1000 + 1,
        )
        return EnhancedChunk(result, result.pack(), answer)

    @staticmethod
    def _wait(seconds: float) -> None:
        threading.Event().wait(seconds)
