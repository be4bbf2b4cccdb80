"""The application that the lane's test workers run: ``celery -A tests.lane_app worker``.

Its tasks are small, so that what a test sees is the lane and not the work.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celery import Celery

from p2c2g.celery import create_app
from p2c2g.messaging import writer
from p2c2g.messaging.client import redis_client
from p2c2g.messaging.dispatcher import parse_task_id
from p2c2g.settings import load
from p2c2g_workers.carried import TASKS
from tests.lazy_app import attribute

#: Seconds that a held task waits to be let go; a test that needs more has failed.
HOLD = 120
#: Seconds for which the writer keeps a result, where a test says how many.
KEPT = "LANE_RESULTS_KEPT"


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


def whose(name: str, _arguments: list[Any], _keywords: dict[str, Any]) -> str:
    """Return the session that an id names, where it is one of a chunk."""
    return name.partition(".")[0] if parse_task_id(name) else ""


def build() -> Celery:
    """Return the application of the broker that the environment names."""
    application = create_app(load())
    application.conf.include = []
    TASKS.update(
        dict.fromkeys(("lane.echo", "lane.hold", "lane.until", "lane.fail", "lane.add"), whose)
    )

    @application.task(name="lane.echo", bind=True)
    def echo(self: Any, seconds: float, payload: bytes) -> Echo:
        time.sleep(seconds)  # The work.
        return Echo(self.request.hostname, payload)

    if seconds_kept := os.environ.get(KEPT):
        writer.RESULT_LIFETIME = float(seconds_kept)
    client = redis_client(load(), timeout=5.0)

    @application.task(name="lane.hold", bind=True)
    def hold(self: Any, seconds: float, payload: bytes) -> Echo:
        client.rpush("started", self.request.id)
        # Looks a second long: a socket waits five.
        for _ in range(HOLD):
            if client.blpop(["gate"], timeout=1):
                break
        return Echo(self.request.hostname, payload)

    @application.task(name="lane.until", bind=True)
    def until(self: Any, _seconds: float, path: bytes) -> Echo:
        # Of a file: the way to the broker is what is cut.
        while not Path(path.decode()).exists():
            time.sleep(0.01)
        return Echo(self.request.hostname, path)

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
