"""The application that the lane's test workers run: ``celery -A tests.lane_app worker``.

Its tasks are small, so that what a test sees is the lane and not the work.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from celery import Celery

from p2c2g.celery import create_app
from p2c2g.messaging.client import redis_client
from p2c2g.settings import load
from tests.lazy_app import attribute

#: Seconds that a held task waits to be let go; a test that needs more has failed.
HOLD = 30


@dataclass(frozen=True, slots=True)
class Echo:
    """A result for the stream: who worked, and the payload that came."""

    hostname: str
    payload: bytes

    def header(self) -> bytes:
        return self.hostname.encode()

    def __repr__(self) -> str:
        return f"<echo {len(self.payload)} B>"


class RefusedError(Exception):
    """What a failing task raises."""


def build() -> Celery:
    """Return the application of the broker that the environment names."""
    application = create_app(load())
    application.conf.include = []

    @application.task(name="lane.echo", bind=True)
    def echo(self: Any, seconds: float, payload: bytes) -> Echo:
        time.sleep(seconds)  # The work.
        return Echo(self.request.hostname, payload)

    client = redis_client(load())

    @application.task(name="lane.hold", bind=True)
    def hold(self: Any, seconds: float, payload: bytes) -> Echo:
        client.rpush("started", self.request.id)
        # Looks a second long: a socket waits five.
        for _ in range(HOLD):
            if client.blpop(["gate"], timeout=1):
                break
        return Echo(self.request.hostname, payload)

    @application.task(name="lane.fail", throws=(RefusedError,))
    def fail(seconds: float, payload: bytes) -> None:
        raise RefusedError("not today")

    @application.task(name="lane.add")
    def add(x: int, y: int) -> int:
        return x + y

    return application


def __getattr__(name: str) -> Celery:
    """Build ``app`` when the worker asks for it; a test builds its own."""
    return attribute(globals(), build, name)
