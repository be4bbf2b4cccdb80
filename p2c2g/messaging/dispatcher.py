"""Sends chunks to their queue as Celery tasks: those of one frame in one write.

Sending never waits: where the broker is away or its line is full, the chunks are not sent,
and the caller is told at once.  Connecting waits, and is for a thread that may.

In a pool of one's own the broker moves a chunk from one queue to another in one step.  In an open
pool nobody has scripts there: a chunk is *withdrawn*, and sent again where it was still there.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from celery import Celery
from kombu import Queue
from redis import ResponseError

from p2c2g.errors import BrokerUnavailableError
from p2c2g.messaging import names
from p2c2g.messaging.client import SOCKET_TIMEOUT, Client, open_connection
from p2c2g.messaging.errors import translated
from p2c2g.messaging.limits import MAX_BODY
from p2c2g.messaging.pipelining import BusyError
from p2c2g.messaging.places import Places
from p2c2g.messaging.publishing import (
    Kept,
    QueueBound,
    anonymous_queue,
    move_messages,
    tune_producer,
    withdraw_messages,
)

logger = logging.getLogger(__name__)

#: Chunks in a capability queue, shared by all sessions: some frames of each.  Drop policy:
#: the oldest, which all sessions gave up first.
QUEUE_LENGTH = 256
#: Chunks there at least, while nothing comes back: what is older waits for nobody.
QUEUE_LEAST = 8
#: Chunks in one peer's own queue.  Drop policy: the oldest.
DIRECT_LENGTH = 16
#: Seconds after its last chunk at which a queue that nobody reads is gone.
QUEUE_LIFETIME = 10
DIRECT_LIFETIME = 3
#: Direct queues whose names are kept; one more forgets them all.
_MAX_QUEUES = 1024

#: Chunk index, packed header, payload, and the peer to whose own queue it goes; the capability
#: queue where empty.
Message = tuple[int, bytes, bytes, str]

_TASK_ID = re.compile(r"[^.]+\.(0|[1-9][0-9]{0,15})\.(0|[1-9][0-9]{0,4})")


def task_id(session: str, frame: int, chunk: int) -> str:
    """Return the one task id of a chunk, the same for each of its attempts."""
    return f"{session}.{frame}.{chunk}"


def parse_task_id(text: str) -> tuple[int, int] | None:
    """Return frame number and chunk index of a task id, or None where it is none of ours.

    Strict, since strangers write it: what it reads, :func:`task_id` would write just so.
    """
    match = _TASK_ID.fullmatch(text)
    return (int(match[1]), int(match[2])) if match else None


class Dispatcher:
    """The sending side of one session.  Thread-safe.

    Args:
        app: the Celery application.
        session: the session's id.
        places: where its chunks go.
        busy_after: seconds without the broker's answer after which nothing more is sent.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        app: Celery,
        session: str,
        places: Places,
        busy_after: float = 0.1,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._app = app
        self._session = session
        self._places = places
        self._busy_after = busy_after
        self._clock = clock
        #: What was sent to somebody's queue of late, where only its sender can take it back.
        self._kept = None if places.shared_queue else Kept()
        self._lock = threading.Lock()
        self._producer: Any = None
        self._broken: list[Any] = []
        self._queues: dict[str, Queue] = {}
        #: Chunks that the capability queue may hold.
        self.queue_length = QUEUE_LENGTH

    @property
    def is_connected(self) -> bool:
        """Tell whether there is a connection, as far as anybody knows."""
        return self._producer is not None

    def connect(self) -> None:
        """Connect, where there is no connection; waits for the broker a second at most.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        with self._lock:
            broken, self._broken = self._broken, []
            is_connected = self._producer is not None
        for producer in broken:
            _release(producer)
        if is_connected:
            return
        with translated():
            connection = open_connection(self._app, SOCKET_TIMEOUT)
            try:
                producer = self._app.amqp.Producer(connection)
                tune_producer(producer, self._bound, self._busy_after, self._kept)
                if hasattr(producer.channel, "stream"):
                    producer.channel.stream.connect()
            except BaseException:
                connection.release()
                raise
        with self._lock:
            self._producer = producer

    def send(self, frame: int, messages: Sequence[Message]) -> None:
        """Send chunks of one frame, in one write; never waits for the broker.

        Raises:
            BrokerUnavailableError: they were not sent, or nobody can tell.  None is sent where one
                is longer than any peer takes.
        """
        longest = max((len(payload) for _, _, payload, _ in messages), default=0)
        if longest > MAX_BODY:
            raise BrokerUnavailableError(
                f"A chunk of frame {frame} has {longest} bytes, where at most {MAX_BODY} can be "
                "sent: cut frames into more chunks, or lower the quality."
            )
        with self._sending() as producer, producer.batch():
            for index, header, payload, peer in messages:
                self._app.send_task(
                    names.ENHANCE_TASK,
                    args=(header, payload),
                    task_id=task_id(self._session, frame, index),
                    queue=self._queue_of(self._places.queue(peer)),
                    # Nothing to declare: a round trip for each new queue.
                    declare=[],
                    producer=producer,
                    # Else a repr of the picture is sent in the headers.
                    argsrepr=f"<frame {frame} chunk {index}>",
                    kwargsrepr="",
                    add_to_parent=False,
                )

    def move(self, moves: Sequence[tuple[int, int, str, str]]) -> None:
        """Move chunks that still wait in one peer's own queue to another's.

        The broker does it in one step and only where the chunk is still there, so that no
        chunk is with two peers; what has been taken stays where it is.  Never waits; on
        another transport than ours it does nothing.

        Args:
            moves: frame, chunk, the peer that has it and the one that is to get it.

        Raises:
            BrokerUnavailableError: they were not asked for, or nobody can tell.
        """
        with self._sending() as producer:
            move_messages(
                producer,
                [
                    (
                        self._places.queue(source),
                        self._places.queue(to),
                        task_id(self._session, frame, chunk),
                    )
                    for frame, chunk, source, to in moves
                ],
                DIRECT_LIFETIME,
            )

    @property
    def moves_by_sending(self) -> bool:
        """Tell whether a chunk changes queues by :meth:`withdraw` and being sent again."""
        return self._kept is not None

    def withdraw(self, client: Client, chunks: Sequence[tuple[int, int, str]]) -> list[bool]:
        """Take chunks back that still wait in a peer's queue; waits for the broker.

        Args:
            client: the broker's.
            chunks: frame, chunk, and the peer that has it.

        Returns:
            Of each whether it was still there.  What was sent long ago counts as not there.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        if self._kept is None:
            return [False] * len(chunks)
        with translated():
            return withdraw_messages(
                client,
                self._kept,
                [
                    (self._places.queue(peer), task_id(self._session, frame, chunk))
                    for frame, chunk, peer in chunks
                ],
            )

    @contextmanager
    def _sending(self) -> Iterator[Any]:
        """Give the producer; a connection that fails meanwhile is one to be renewed."""
        with self._lock:
            producer = self._producer
            if producer is None:
                raise BrokerUnavailableError("The broker is away.")
            try:
                with translated():
                    yield producer
            except BrokerUnavailableError as error:
                # A broker that is slow or full is still there; a batch wraps what it met.
                cause = error.__cause__
                if not isinstance(cause, BusyError | ResponseError):
                    cause = cause.__cause__ if cause else None
                if not isinstance(cause, BusyError | ResponseError):
                    self._producer = None
                    self._broken.append(producer)
                raise

    def close(self) -> None:
        """Close the connection once what was sent has been taken."""
        with self._lock:
            broken = [*self._broken, self._producer] if self._producer else self._broken
            self._producer, self._broken = None, []
        for producer in broken:
            _release(producer)

    def _queue_of(self, name: str) -> Queue:
        queue = self._queues.get(name)
        if queue is None:
            if len(self._queues) >= _MAX_QUEUES:
                self._queues.clear()
            queue = self._queues[name] = anonymous_queue(name)
        return queue

    def _bound(self, queue: str) -> QueueBound:
        if queue == self._places.shared_queue:
            return QueueBound(self.queue_length, QUEUE_LIFETIME)
        return QueueBound(DIRECT_LENGTH, DIRECT_LIFETIME)


def _release(producer: Any) -> None:
    try:
        with translated("The connection did not close in order"):
            producer.connection.release()
    except BrokerUnavailableError as error:
        logger.debug("%s", error)
