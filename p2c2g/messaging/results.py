"""The result backend: Celery's own Redis backend, and a stream for the session that waits.

A chunk's result is one write of three commands: ``SET`` with expiry and ``PUBLISH`` of its
state, so that ``AsyncResult`` works as ever, and ``XADD`` of state, header and picture to
the stream that is the session's, or this peer's for that session (:func:`~p2c2g.messaging.places
.place`).  In an open pool it is the last of them alone: there is a stream for each peer, and nobody
else may know.  There is no ``GET`` before it: the session, not the backend, decides which of two
results counts.

Nobody waits for the broker's replies, so that the pool's thread is free for the next chunk
while the broker is a round trip away: :mod:`p2c2g.messaging.writer` sends results in order.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import redis
from celery.backends.redis import RedisBackend, SentinelBackend
from celery.states import FAILURE

from p2c2g.errors import WireError
from p2c2g.messaging.limits import MAX_BODY
from p2c2g.messaging.parser import BoundedParser
from p2c2g.messaging.places import place
from p2c2g.messaging.writer import Commands, ResultWriter
from p2c2g.settings.broker_url import redacted

logger = logging.getLogger(__name__)

#: What a request says of where its result goes: the queue that its message came from, and the
#: session that waits; nothing where none does.
QUEUE_OF, SESSION_OF = "p2c2g_queue", "p2c2g_session"
#: Entries that a stream keeps, and about how many bytes; the oldest are dropped.  Some seconds of
#: results: a session that stands still must not fill the broker.
STREAM_LENGTH = 1024
STREAM_BYTES = 16 << 20
#: Entries that it keeps however large they are: of a frame or two.
STREAM_LEAST = 32


@runtime_checkable
class StreamResult(Protocol):
    """A task's return value that goes to a results stream."""

    def header(self) -> bytes:
        """Return the packed result header."""

    @property
    def payload(self) -> bytes:
        """Return the encoded picture."""


class _Writers:
    """One writer for each application of this process, whichever of its threads asks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writers: WeakKeyDictionary[Any, ResultWriter] = WeakKeyDictionary()

    def of(self, app: Any, pool: Callable[[], redis.ConnectionPool]) -> ResultWriter:
        """Return the application's writer; ``pool`` is for a new one."""
        with self._lock:
            writer = self._writers.get(app)
            if writer is None:
                writer = self._writers[app] = ResultWriter(pool)
            return writer

    def pop(self, app: Any) -> ResultWriter | None:
        """Forget the application's writer and return it, or None."""
        with self._lock:
            return self._writers.pop(app, None)


_writers = _Writers()


def _renew_writers() -> None:
    """Start a forked child without its parent's writers: their threads are not here."""
    global _writers
    _writers = _Writers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_writers)


def flush_results(app: Any, timeout: float = 3.0) -> None:
    """Wait, for at most ``timeout`` seconds, until all results of an application have left."""
    writer = _writers.pop(app)
    if writer is not None and not writer.close(timeout):
        logger.warning("Some results have not left within %g s.", timeout)


class FrameResultBackend(RedisBackend):
    """Celery's Redis result backend, and the results streams of sessions."""

    def open(self) -> None:
        """Connect for results now, so that the first one need not wait for it."""
        self._writer().open()

    def _add_driver_info(self) -> None:
        self.connparams["driver_info"] = None  # In an open pool nobody has the right.

    def as_uri(self, include_password: bool = False) -> str:
        """Return the URL for people; Celery's own mistakes an address of IPv6 for a word."""
        url = str(self.url or "")
        return url if include_password else redacted(url)

    def _get_pool(self, **params: Any) -> Any:
        """Return the connections by which states are asked for, which strangers may write too."""
        return super()._get_pool(**{"parser_class": BoundedParser, **params})

    def _writer(self) -> ResultWriter:
        return _writers.of(self.app, lambda: self.client.connection_pool)

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
        commands = self.commands(task_id, result, state, traceback, request)
        if commands is None:
            if is_open_pool(self.app):
                return result  # Nobody may ask for it.
            return super().store_result(
                task_id, result, state, traceback=traceback, request=request, **kwargs
            )
        self._writer().put(commands)
        return result

    def commands(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None
    ) -> Commands | None:
        """Return what a chunk's end tells the broker; None of what goes to no stream of ours.

        Args:
            task_id: the chunk's.
            result: a :class:`StreamResult`, or the exception of a failure.
            state: Celery's.
            traceback: of a failure, as text.
            request: says where it goes (:data:`QUEUE_OF`, :data:`SESSION_OF`), and has the peer's
                ``hostname``.
        """
        session = getattr(request, SESSION_OF, "")
        if not session or state not in self.READY_STATES:
            return None
        stream = place(getattr(request, QUEUE_OF, ""), session)
        if isinstance(result, StreamResult) and len(result.payload) > MAX_BODY:
            state, result = (
                FAILURE,
                WireError(
                    f"its result has {len(result.payload)} bytes, where at most {MAX_BODY} may be: "
                    "send smaller chunks."
                ),
            )
        if isinstance(result, StreamResult):
            told = repr(result)
            payload = result.payload
            fields: tuple[bytes | str, ...] = (
                b"header", result.header(), b"payload", payload,
            )  # fmt: skip
            length = stream_length(len(payload))
        else:
            told, length = self.encode_result(result, state), STREAM_LENGTH
            peer = getattr(request, "hostname", None) or ""
            fields = (b"error", f"{type(result).__name__}: {result}"[:1000], b"peer", peer)
        # NOMKSTREAM: a session that has gone took its stream with it.
        entry = (
            "XADD", stream, "NOMKSTREAM", "MAXLEN", "~", length, "*",
            b"id", task_id, b"state", state, *fields,
        )  # fmt: skip
        if is_open_pool(self.app):
            return (entry,)
        meta = self._get_result_meta(result=told, state=state, traceback=traceback, request=request)
        meta["task_id"] = task_id
        key, encoded = self.get_key_for_task(task_id), self.encode(meta)
        expiry = int(self.expires or 60)
        return (
            entry,
            ("SET", key, encoded, "EX", expiry),
            ("PUBLISH", key, encoded),
        )


def is_open_pool(app: Any) -> bool:
    """Tell whether an application is a principal's of an open pool."""
    return getattr(app, "principal", None) is not None


def stream_length(size: int) -> int:
    """Return how many entries a stream may keep, by the size of the newest one in bytes."""
    return max(STREAM_LEAST, min(STREAM_LENGTH, STREAM_BYTES // max(size, 1)))


class SentinelFrameResultBackend(FrameResultBackend, SentinelBackend):
    """The same behind Redis Sentinel, for ``sentinel://`` URLs."""
