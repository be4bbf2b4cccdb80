"""How many messages a worker takes: few where it is near, enough where it is far."""

from __future__ import annotations

import pytest

from p2c2g.messaging import names
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.testing.delay_proxy import DelayProxy
from tests.lane import Lane, by_port
from tests.pool import MakeWorker


def taken_while_held(lane: Lane, held: int) -> int:
    """Return how many of ``held`` tasks leave the queue while the first of them runs."""
    lane.send(held, task="lane.hold")
    lane.wait_started()
    # Two answers are two turns of its loop: what it may ask for, it has asked for.
    for _ in range(2):
        lane.app.control.broadcast("ping", reply=True, limit=1, timeout=30)
    return held - lane.client.llen(names.queue_key("cpu"))


def test_a_near_worker_does_not_hoard(lane: Lane, worker: MakeWorker) -> None:
    worker("-Q", "cpu", "-c", "1")
    lane.send(5, 0.05)
    lane.wait(5)
    assert taken_while_held(lane, 20) <= 2
    lane.release_held(20)
    lane.wait(25)


@pytest.mark.parametrize(("rtt_ms", "work", "least"), [(40.0, 0.005, 4)])
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
        lane.send(20, work)
        lane.wait(20)
        taken = taken_while_held(lane, 32)
        assert least < taken < 32
        lane.release_held(32)
        lane.wait(52)
