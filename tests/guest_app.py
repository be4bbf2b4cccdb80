"""A worker whose time of day a test sets: ``celery -A tests.guest_app worker --hours 8-17``.

The clock is a key at the broker; noon where there is none.  The owner is quiet for a second
before the guest works again, and what else this machine does is not looked at.
"""

from __future__ import annotations

from datetime import time
from time import thread_time

from celery import Celery

from p2c2g.messaging.client import redis_client
from p2c2g.settings import load
from p2c2g_workers import guest, guest_policy, owner
from p2c2g_workers.carried import TASKS
from tests import lane_app
from tests.lane_app import Echo, whose
from tests.lazy_app import attribute
from tests.metered import MeterLog

#: The key that holds the time of day, such as 20:00.
CLOCK = "test.clock"
#: Seconds of quiet after which a guest works again.
QUIET = 1.0


def build() -> Celery:
    """Return the lane's application with a task that uses the CPU."""
    MeterLog.begin()
    application = lane_app.build()
    client = redis_client(load())

    def clock() -> time:
        told = client.get(CLOCK)
        return time.fromisoformat(told.decode()) if isinstance(told, bytes) else time(12)

    guest.local_clock = clock
    guest_policy.QUIET = QUIET
    guest_policy.OTHERS_MOST = 1.0
    owner.INTERVAL = 0.1

    TASKS["lane.burn"] = whose

    @application.task(name="lane.burn")
    def burn(seconds: float, payload: bytes) -> Echo:
        end = thread_time() + seconds
        while thread_time() < end:
            sum(range(1000))
        return Echo("", payload)

    return application


def __getattr__(name: str) -> Celery:
    """Build ``app`` when the worker asks for it."""
    return attribute(globals(), build, name)
