"""The pool's application, which tells the broker what it refused: ``celery -A tests.refusing_app``.

A worker's log says the first of many equal sentences, and how many there were a second later.
"""

from __future__ import annotations

from typing import Any

from celery import Celery

from p2c2g.celery import create_app
from p2c2g.messaging.client import redis_client
from p2c2g.messaging.reading import ReadingChannel
from p2c2g.settings import load
from tests.lazy_app import attribute

#: The list of the reasons.
REFUSED = "test.refused"


def build() -> Celery:
    """Return the application of the broker that the environment names."""
    client, refuse = redis_client(load()), ReadingChannel.refuse

    def tell(channel: Any, queue: str, reason: str, size: int = 0) -> None:
        refuse(channel, queue, reason, size)
        client.rpush(REFUSED, reason)

    ReadingChannel.refuse = tell  # type: ignore[method-assign]
    return create_app(load())


def __getattr__(name: str) -> Celery:
    """Build ``app`` when the worker asks for it; a test only wants the names."""
    return attribute(globals(), build, name)
