"""How many messages a worker takes: few where it is near, enough where it is far."""

from __future__ import annotations

from time import monotonic

import pytest

from p2c2g.messaging import names
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.testing.delay_proxy import DelayProxy
from tests.lane import PATIENCE, Lane, by_port
from tests.pool import MakeWorker


def taken_while_held(lane: Lane, held: int) -> int:
    """Return how many of ``held`` tasks leave the queue while the first of them runs."""
    lane.send(held, task="lane.hold")
    lane.wait_started()
    # Two answers are two turns of its loop: what it may ask for, it has asked for.
    for _ in range(2):
        lane.app.control.broadcast("ping", reply=True, limit=1, timeout=PATIENCE)
    return held - lane.client.llen(names.queue_key("cpu"))


def test_a_near_worker_does_not_hoard(lane: Lane, worker: MakeWorker) -> None:
    worker("-Q", "cpu", "-c", "1")
    lane.send(5, 0.4)  # Many times a round trip, on a busy machine too.
    lane.wait(5)
    assert taken_while_held(lane, 20) <= 2
    lane.release_held(20)
    lane.wait(25)


@pytest.mark.parametrize(("rtt_ms", "work", "least"), [(80.0, 0.005, 4)])
def test_a_far_worker_reads_ahead(
    lane: Lane,
    worker: MakeWorker,
    broker: EmbeddedBroker,
    rtt_ms: float,
    work: float,
    least: int,
) -> None:
    with DelayProxy(HOST, broker.port, rtt_ms=rtt_ms) as proxy:
        worker("-Q", "cpu", "-c", "1", url=by_port(broker.url, proxy.port))
        taken, deadline = 0, monotonic() + PATIENCE
        while taken <= least:
            # Fewer, where the machine stood still in one of the last chunks.
            assert monotonic() < deadline, taken
            lane.wait_for(lane.send(40, work))
            # More than it would take of a machine that made the line half as long again.
            taken = taken_while_held(lane, 50)
            lane.release_held(50)
            lane.wait(len(lane.entries) + 50)
            lane.client.delete("started")
        assert taken < 50
