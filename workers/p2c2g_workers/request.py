"""Celery's request, as a worker that serves strangers needs it.

It carries where the result goes, which follows from where the message came from and from what was
checked of it, and never from a place that a message names.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from celery.worker.request import Request as StockRequest

from p2c2g.messaging import open_names
from p2c2g.messaging.recalling import SESSION, SOUND, SOURCE
from p2c2g.messaging.results import QUEUE_OF, SESSION_OF
from p2c2g_workers.method_chooser import RECEIVED


class Request(StockRequest):
    """Celery's request of a message that has been checked (:mod:`p2c2g_workers.carried`).

    One that failed in a pool's thread before the task begins would never end for Celery: it would
    count as running, and take one of the worker's slots, for good.
    """

    def __init__(self, message: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(message, *args, **kwargs)
        message._raw[SOUND] = True
        self._request_dict |= {
            QUEUE_OF: message._raw.get(SOURCE, ""),
            SESSION_OF: message._raw.get(SESSION, ""),
        }
        # From here the task, perhaps in another process, computes how much time it has left.
        self._request_dict[RECEIVED] = monotonic()

    def info(self, safe: bool = False) -> Any:
        """Describe it for ``celery inspect active`` and Flower, without its picture."""
        return super().info(safe=True)


def whose(request: Any) -> str:
    """Return whose chunk a task's request is: a gamer's, or in a pool of one's own a session's.

    Empty where nobody's is known.
    """
    gamer = open_names.sender_of(getattr(request, QUEUE_OF, "") or "")
    return gamer or str(getattr(request, SESSION_OF, "") or "")
