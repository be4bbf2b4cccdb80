"""What a worker does with a message that it could not begin: foreign, or its own fault.

A foreign message can break Celery in many ways, from a missing header to a body of another shape.
None of them may end the worker, nor pass for a lost connection, which is what kombu takes a
``KeyError`` for.  A sound chunk that this worker could not begin is the worker's own fault: after
some in a row it must not seem to be ready.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery.worker import state

from p2c2g.errors import OwnFaultError
from p2c2g.messaging.errors import CONNECTION_ERRORS
from p2c2g.messaging.recalling import SOUND, SOURCE

logger = logging.getLogger(__name__)

#: Sound chunks in a row that a worker may fail to begin, before it ends.
MAX_FAULTS = 3


class Receiving:
    """Hands messages to Celery's handler.

    Args:
        handle: begins the task of a message.
    """

    def __init__(self, handle: Callable[[Any], Any]) -> None:
        self._handle = handle
        self._faults = 0

    def __call__(self, message: Any) -> None:
        """Begin one task.

        Raises:
            OwnFaultError: it was the last of some in a row that this worker could not begin.
        """
        try:
            self._handle(message)
        except (*CONNECTION_ERRORS, OwnFaultError):
            raise
        except Exception as error:  # noqa: BLE001 - see above
            self._forget(message)
            if message._raw.get(SOUND):
                self._fail(error)
            else:
                message.channel.refuse(
                    message._raw.get(SOURCE, ""),
                    f"it is no task: {type(error).__name__}: {error}.",
                )
        else:
            self._faults = 0

    @staticmethod
    def _forget(message: Any) -> None:
        """Take it off what is held, for which nobody else would."""
        if not message.acknowledged:
            message.ack()
        request = state.requests.get(str(message.headers.get("id")))
        if request is not None:
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
