"""The result backend: Celery's own Redis backend, and a stream for the session that waits.

A chunk's result is one write of three commands: ``SET`` with expiry and ``PUBLISH`` of its
state, so that ``AsyncResult`` works as ever, and ``XADD`` of state, header and picture to
the stream that the task's ``reply_to`` names.  There is no ``GET`` before it: the session,
not the backend, decides which of two results counts.

Results leave from a thread of their own, in order, so that the pool's thread is free for
the next chunk while the broker is a round trip away.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol, runtime_checkable

import redis
from celery.backends.redis import RedisBackend
from redis.exceptions import ResponseError

from p2c2g.messaging.pipelining import CONNECTION_ERRORS, CommandStream

logger = logging.getLogger(__name__)

#: A results stream's key begins so; a ``reply_to`` that does not is not a stream of ours.
STREAM_PREFIX = "p2c2g.results."
#: Entries that a stream keeps, oldest dropped: some seconds of results.
STREAM_LENGTH = 1024
#: Results waiting to leave, oldest dropped: none of them is worth more than a deadline.
MAX_WAITING = 512
#: Seconds after which a finished result is of no use to any session.
RESULT_LIFETIME = 2.0
#: Seconds between attempts to reach a broker that is away.
RETRY_INTERVAL = 0.1
#: Seconds after the last result at which its reply is looked for.
CONFIRM_INTERVAL = 0.05


@runtime_checkable
class StreamResult(Protocol):
    """A task's return value that goes to a results stream."""

    def header(self) -> bytes:
        """Return the packed result header."""

    @property
    def payload(self) -> bytes:
        """Return the encoded picture."""


def stream_key(session: str) -> str:
    """Return the key of a session's results stream."""
    return STREAM_PREFIX + session


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One result's commands, and when it was finished."""

    commands: tuple[tuple[Any, ...], ...]
    finished_at: float


class ResultWriter:
    """A thread that sends results in order, and again where the broker went away.

    What waits is bounded by :data:`MAX_WAITING`, dropping the oldest, and what is older than
    :data:`RESULT_LIFETIME` is dropped rather than sent.  Results leave without waiting for
    the replies to earlier ones; one whose reply was lost with its connection is sent again,
    and its reader knows the duplicate by its attempt.
    """

    def __init__(
        self,
        pool: Callable[[], redis.ConnectionPool],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._stream = CommandStream(pool)
        self._clock = clock
        self._waiting: deque[Outgoing] = deque()
        self._unconfirmed: deque[Outgoing] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self.dropped = 0

    def put(self, commands: tuple[tuple[Any, ...], ...]) -> None:
        """Hand over one result; never blocks."""
        with self._changed:
            self._waiting.append(Outgoing(commands, self._clock()))
            if len(self._waiting) > MAX_WAITING:
                self._waiting.popleft()
                self.dropped += 1
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="p2c2g-results", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def close(self, timeout: float = 3.0) -> None:
        """Send what waits, for at most ``timeout`` seconds, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._waiting and not self._closing:
                    self._changed.wait(CONFIRM_INTERVAL if self._unconfirmed else None)
                batch = self._take()
                closing = self._closing
            try:
                self._send(batch)
                self._confirm(wait=closing)
            except ResponseError as error:
                # The broker is there and refuses, for instance because it is full.
                logger.warning("The broker refused a result: %s", error)
                self._confirm_answered()
            except CONNECTION_ERRORS as error:
                logger.warning("Results wait for the broker: %s", error)
                self._keep_for_later()
                with self._changed:
                    self._changed.wait(RETRY_INTERVAL)
            if closing and not self._waiting and not self._unconfirmed:
                self._stream.close()
                return

    def _take(self) -> list[Outgoing]:
        oldest = self._clock() - RESULT_LIFETIME
        batch = [outgoing for outgoing in self._waiting if outgoing.finished_at >= oldest]
        self.dropped += len(self._waiting) - len(batch)
        self._waiting.clear()
        return batch

    def _send(self, batch: list[Outgoing]) -> None:
        if batch:
            self._unconfirmed.extend(batch)
            self._stream.send([command for result in batch for command in result.commands])

    def _confirm(self, *, wait: bool) -> None:
        self._stream.collect(leave=0 if wait else None)
        self._confirm_answered()

    def _confirm_answered(self) -> None:
        outstanding = sum(len(result.commands) for result in self._unconfirmed)
        while self._unconfirmed:
            outstanding -= len(self._unconfirmed[0].commands)
            if outstanding < self._stream.unanswered:
                break
            self._unconfirmed.popleft()

    def _keep_for_later(self) -> None:
        with self._changed:
            self._waiting.extendleft(reversed(self._unconfirmed))
            self._unconfirmed.clear()
            while len(self._waiting) > MAX_WAITING:
                self._waiting.popleft()
                self.dropped += 1


class FrameResultBackend(RedisBackend):  # type: ignore[misc]
    """Celery's Redis result backend, and the results streams of sessions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # redis-py's client makes its pool at first use, in the process that uses it.
        self.writer = ResultWriter(lambda: self.client.connection_pool)

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Subscribe to nothing: a session reads its stream, and ``AsyncResult`` asks later."""

    def store_result(
        self,
        task_id: str,
        result: Any,
        state: str,
        traceback: Any = None,
        request: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Store a state; a chunk's end goes to its session's stream as well.

        Never blocks for a chunk, and never raises for a broker that is away: the result
        waits, and is dropped once no session can want it.
        """
        stream = getattr(request, "reply_to", None) or ""
        if not stream.startswith(STREAM_PREFIX) or state not in self.READY_STATES:
            return super().store_result(
                task_id, result, state, traceback=traceback, request=request, **kwargs
            )
        told = result
        if isinstance(result, StreamResult):
            told = repr(result)
            fields = (b"header", result.header(), b"payload", result.payload)
        else:
            told = self.encode_result(result, state)
            peer = getattr(request, "hostname", None) or ""
            fields = (b"error", f"{type(result).__name__}: {result}"[:1000], b"peer", peer)
        meta = self._get_result_meta(
            result=told, state=state, traceback=traceback, request=request
        )
        meta["task_id"] = task_id
        key, encoded = self.get_key_for_task(task_id), self.encode(meta)
        expiry = int(self.expires or 60)
        # NOMKSTREAM: a session that has gone took its stream with it.
        entry = ("XADD", stream, "NOMKSTREAM", "MAXLEN", "~", STREAM_LENGTH, "*")
        self.writer.put(
            (
                (*entry, b"id", task_id, b"state", state, *fields),
                ("SET", key, encoded, "EX", expiry),
                ("PUBLISH", key, encoded),
            )
        )
        return result
