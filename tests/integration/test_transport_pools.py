"""Celery's pools over the lane: each starts, works, and stops with its results sent."""

from __future__ import annotations

import signal

import psutil
import pytest

from p2c2g.messaging import names
from tests.lane import PATIENCE, Lane
from tests.pool import MakeWorker


@pytest.mark.parametrize("pool", ["solo", "threads", "processes"])
def test_a_pool_starts_works_and_stops(lane: Lane, worker: MakeWorker, pool: str) -> None:
    running = worker("-Q", "cpu", "-P", pool, "-c", "2")
    lane.wait_for(lane.send(20, 0.005))
    assert lane.app.control.inspect(timeout=PATIENCE, limit=1).active() is not None
    assert lane.app.send_task("lane.add", (1, 2), queue="cpu").get(timeout=PATIENCE) == 3
    sent = lane.send(60, 0.02)
    lane.wait(30)
    running.signal(signal.SIGTERM)
    # A process of the prefork pool (which Celery's command has as "processes") may wait 30 s
    # for a parent that has stopped listening: billiard's own guarantee.
    assert running.wait(2 * PATIENCE) == 0, running.log()
    left = lane.queued()
    assert set(left) <= set(sent)
    lane.wait_for(set(sent) - set(left))
    if pool != "processes":
        # Those tell a parent that stops of what they have begun, and it may not hear it: what
        # they were at is then done and handed back too.  A session takes the first result.
        assert not set(left) & set(lane.done())
        assert len(running.received()) == len(set(running.received()))
    assert lane.client.keys(names.queue_key(names.recall("*"))) == []


def test_a_thread_pool_needs_few_connections(lane: Lane, worker: MakeWorker) -> None:
    running = worker("-Q", "cpu", "-c", "8")
    lane.wait_for(lane.send(50, 0.005))
    assert running.process is not None
    process = psutil.Process(running.process.pid)
    # Reads, remote control, results, and one for all commands; another where two meet, and for a
    # moment one more on a busy machine.
    lane.wait_until(lambda: len(process.net_connections(kind="tcp")) <= 5)
