"""A process with one real session: ``python -m tests.load.gamer``, for :mod:`tests.load.trial`.

It plays the reel at its pace, as ``p2c2g-capture run`` would, first to warm up, then to be
measured, and tells what that cost.
"""

from __future__ import annotations

import gc
import os
import statistics
import threading
import time
from dataclasses import replace
from typing import Any

import psutil

from benchmarks.child import Parent
from p2c2g.display.hub import Hub
from p2c2g.messaging.broker import Broker
from p2c2g.session.maintenance import Maintenance
from p2c2g.session.report import build_report
from p2c2g.session.session import Session
from p2c2g.settings import load
from p2c2g.system.malloc import keep_freed_memory
from p2c2g_capture.pacer import Pacer
from tests.load.broker import waited_seconds
from tests.load.terms import Reel, Terms

#: Seconds of frames that are played and not measured.
WARM_UP = 1.5
#: The name of the session's own connections at the broker, by which their bytes are counted.
NAME = "load-session"
#: A session's threads, by what they do.  The first encodes as well.
THREADS = {
    "sends": "MainThread",
    "collects": "p2c2g-collector",
    "shows": "p2c2g-player",
    "keeps": "p2c2g-maintenance",
}


class Rounds:
    """Times each look at the registry, on whichever thread it is."""

    def __init__(self) -> None:
        self._took: list[tuple[float, float]] = []
        look = Maintenance._look

        def timed(maintenance: Maintenance) -> None:
            began, used = time.monotonic(), time.thread_time()
            look(maintenance)
            self._took.append((time.monotonic() - began, time.thread_time() - used))

        Maintenance._look = timed  # type: ignore[method-assign]

    def take(self) -> dict[str, float]:
        """Return their count and medians: milliseconds, and those of the processor; begin again."""
        taken, self._took = self._took, []
        walls, used = zip(*taken, strict=True) if taken else ((0.0,), (0.0,))
        return {
            "count": len(taken),
            "p50_ms": round(statistics.median(walls) * 1e3, 3),
            "max_ms": round(max(walls) * 1e3, 3),
            "cpu_ms": round(statistics.median(used) * 1e3, 3),
        }


def cpu_seconds() -> dict[str, float]:
    """Return the processor seconds of this process and of the session's own threads.

    ``waits`` are the seconds for which its threads, together, wanted a core and had none.
    """
    used = {each.id: each.user_time + each.system_time for each in psutil.Process().threads()}
    threads = {
        thread.name: used.get(thread.native_id or 0, 0.0) for thread in threading.enumerate()
    }
    return {
        "session": time.process_time(),
        **{what: threads.get(name, 0.0) for what, name in THREADS.items()},
        "waits": waited_seconds(os.getpid()),
    }


def _play(terms: Terms, rounds: Rounds, parent: Parent | None) -> dict[str, Any]:
    """Play one session; the parent hears when frames begin and when they end."""
    plan = terms.plan()
    broker = Broker(load())
    broker.client.connection_pool.connection_kwargs["client_name"] = NAME
    hub = Hub()
    session = Session(broker, plan, hub.publish)
    with Reel(plan.size) as source:
        pacer = Pacer(source, terms.fps, terms.seconds)
        session.start()
        gc.collect()
        gc.freeze()
        if parent is not None:
            parent.answer("playing")
        rounds.take()
        before = cpu_seconds()
        submitted = 0
        for frame in pacer:
            session.submit(frame)
            submitted += 1
        used = {name: seconds - before[name] for name, seconds in cpu_seconds().items()}
        looks = rounds.take()
        if parent is not None:
            parent.answer("played")
            parent.order()
        session.close(pacer.due)
    hub.close()
    broker.close()
    return {
        **build_report(session, terms.as_json()),
        "submitted": submitted,
        "cpu_s": used,
        "rounds": looks,
        "memory": psutil.Process().memory_info().rss,
    }


def _obey() -> None:
    parent = Parent()
    rounds = Rounds()
    keep_freed_memory()
    for order in parent.orders():
        terms = Terms.read(order)
        _play(replace(terms, seconds=WARM_UP), rounds, None)
        parent.answer(_play(terms, rounds, parent))


if __name__ == "__main__":
    _obey()
