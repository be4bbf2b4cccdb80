"""What a worker does with a message that it could not begin: foreign, or its own fault.

A foreign message can break Celery in many ways, from a missing header to a body of another shape,
and have it do what nobody may ask for (:mod:`p2c2g_workers.carried`).  None of them may end the
worker, nor pass for a lost connection, which is what kombu takes a ``KeyError`` for.  A sound
chunk that this worker could not begin is the worker's own fault: after some in a row it must not
seem to be ready.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.worker import state

from p2c2g.errors import OwnFaultError, WireError
from p2c2g.messaging.errors import CONNECTION_ERRORS
from p2c2g.messaging.recalling import SESSION, SOUND, SOURCE
from p2c2g_workers import carried

logger = logging.getLogger(__name__)

#: Sound chunks in a row that a worker may fail to begin, before it ends.
MAX_FAULTS = 3


class Receiving:
    """Hands messages to Celery's handler.

    Args:
        handle: begins the task of a message.
        read: returns the body of one from this queue and the session that waits for its result;
            raises WireError where it is none that the queue carries.
    """

    def __init__(
        self,
        handle: Callable[[Any], Any],
        read: Callable[[Any, str], tuple[list[Any], str]] = carried.read,
    ) -> None:
        self._handle = handle
        self._read = read
        self._faults = 0

    def __call__(self, message: Any) -> None:
        """Begin one task.

        Raises:
            OwnFaultError: it was the last of some in a row that this worker could not begin.
        """
        source = message._raw.get(SOURCE, "")
        try:
            body, session = self._read(message, source)
        except WireError as error:
            self._forget(message)
            message.channel.refuse(source, f"it is no task: {error}.")
            return
        message._raw[SESSION] = session
        # Read once, and within bounds; Celery takes this one.
        message._decoded_cache = body
        try:
            self._handle(message)
        except (*CONNECTION_ERRORS, OwnFaultError):
            raise
        except Exception as error:  # noqa: BLE001 - see above
            self._forget(message)
            if message._raw.get(SOUND):
                self._fail(error)
            else:
                message.channel.refuse(source, f"it is no task: {type(error).__name__}: {error}.")
        else:
            self._faults = 0

    @staticmethod
    def _forget(message: Any) -> None:
        """Take it off what is held, for which nobody else would."""
        if not message.acknowledged:
            message.ack()
        request = state.requests.get(str(message.headers.get("id")))
        # By that id another may be at work.
        if request is not None and request.message is message:
            state.task_ready(request)

    def _fail(self, error: Exception) -> None:
        """Note that this worker cannot start what it was rightly sent; its sender tries another."""
        self._faults += 1
        logger.error("This worker could not start a chunk: %r", error, exc_info=error)
        if self._faults >= MAX_FAULTS:
            raise OwnFaultError(
                f"This worker could not start {self._faults} chunks in a row, the last because of "
                f"{type(error).__name__}: {error}."
            ) from error
