"""Celery's request, as a worker that serves strangers needs it."""

from __future__ import annotations

from time import monotonic
from typing import Any

from celery.exceptions import InvalidTaskError
from celery.worker.request import Request as StockRequest

from p2c2g.messaging.recalling import SOUND
from p2c2g_workers.method_chooser import RECEIVED


class Request(StockRequest):
    """Celery's request, which refuses a body at which a pool's thread would fail.

    A request that fails there before the task begins never ends for Celery: it would count as
    running, and take one of the worker's slots, for good.
    """

    def __init__(self, message: Any, *args: Any, **kwargs: Any) -> None:
        try:
            super().__init__(message, *args, **kwargs)
            arguments, keywords, embedded = self._payload
        except (TypeError, ValueError) as error:
            raise InvalidTaskError(
                f"its body does not have the three parts of a task: {error}"
            ) from error
        if not (
            isinstance(arguments, list | tuple)
            and isinstance(keywords, dict)
            and isinstance(embedded, dict | None)
        ):
            raise InvalidTaskError("its body is not a list and two mappings")
        message._raw[SOUND] = True
        # From here the task, perhaps in another process, computes how much time it has left.
        self._request_dict[RECEIVED] = monotonic()

    def info(self, safe: bool = False) -> Any:
        """Describe it for ``celery inspect active`` and Flower, without its picture."""
        return super().info(safe=True)
