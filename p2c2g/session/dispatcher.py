"""Sends chunks to their queue as Celery tasks: those of one frame in one write."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from p2c2g.celery import ENHANCE_TASK
from p2c2g.errors import BrokerUnavailableError
from p2c2g.messaging.pipelining import CONNECTION_ERRORS
from p2c2g.messaging.results import stream_key

logger = logging.getLogger(__name__)

#: Seconds between attempts to reach a broker that is away.
RECONNECT_INTERVAL = 0.25

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
    """The sending side of one session.  Thread-safe."""

    def __init__(
        self,
        app: Celery,
        session: str,
        queue: str,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._app = app
        self._session = session
        self._queue = queue
        self._clock = clock
        self._reply_to = stream_key(session)
        self._lock = threading.Lock()
        self._producer: Any = None
        self._retry_at = 0.0

    def send(self, frame: int, messages: Sequence[tuple[int, bytes, bytes]]) -> None:
        """Send chunks of one frame.

        Args:
            frame: the frame's number.
            messages: chunk index, packed header and payload of each.

        Raises:
            BrokerUnavailableError: they were not sent, or nobody can tell.
        """
        with self._lock:
            try:
                producer = self._connected()
                with producer.batch():
                    for index, header, payload in messages:
                        self._app.send_task(
                            ENHANCE_TASK,
                            args=(header, payload),
                            task_id=task_id(self._session, frame, index),
                            queue=self._queue,
                            reply_to=self._reply_to,
                            producer=producer,
                            # Else a repr of the picture travels in the headers.
                            argsrepr=f"<frame {frame} chunk {index}>",
                            kwargsrepr="",
                            add_to_parent=False,
                        )
            except (*CONNECTION_ERRORS, OperationalError) as error:
                self._disconnect()
                raise BrokerUnavailableError(f"The broker does not answer: {error}.") from error

    def close(self) -> None:
        """Close the connection once what was sent has been taken."""
        with self._lock:
            self._disconnect()

    def _connected(self) -> Any:
        if self._producer is None:
            now = self._clock()
            if now < self._retry_at:
                raise OperationalError("waiting to reach it again")
            self._retry_at = now + RECONNECT_INTERVAL
            connection = self._app.connection_for_write()
            try:
                connection.connect()
                self._producer = self._app.amqp.Producer(connection)
            except BaseException:
                connection.release()
                raise
        return self._producer

    def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            producer.connection.release()
        except (*CONNECTION_ERRORS, OperationalError) as error:
            logger.debug("The connection did not close in order: %s", error)
