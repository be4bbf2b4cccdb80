"""A worker that stops under load: every chunk is done once, or is in its queue again."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from p2c2g.messaging import names
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.testing.delay_proxy import DelayProxy
from tests.lane import Lane, by_port
from tests.pool import MakeWorker, Worker

#: Many times what is done before it stops, however late a busy machine tells it to.
CHUNKS = 1500
WORK = 0.02


@pytest.fixture
def proxy(broker: EmbeddedBroker) -> Iterator[DelayProxy]:
    with DelayProxy(HOST, broker.port) as opened:
        yield opened


def assert_all_accounted_for(lane: Lane, running: Worker, sent: list[str]) -> None:
    queued = lane.queued()
    # A result whose confirmation was late comes twice; its chunk is read once all the same.
    lane.wait_for(set(sent) - set(queued))
    done = set(lane.done())
    assert sorted([*done, *queued]) == sorted(sent)
    assert len(running.received()) == len(set(running.received()))
    assert done, "nothing was done before the end"
    assert queued, "the test wants a worker that stops with work left"
    assert lane.client.keys(names.queue_key(names.recall("*"))) == []


@pytest.mark.parametrize("rtt_ms", [0.0, 40.0])
def test_a_warm_shutdown_under_load_loses_nothing_and_does_nothing_twice(
    lane: Lane, worker: MakeWorker, broker: EmbeddedBroker, proxy: DelayProxy, rtt_ms: float
) -> None:
    proxy.rtt_ms = rtt_ms
    running = worker("-Q", "cpu", "-c", "8", url=by_port(broker.url, proxy.port))
    sent = lane.send(CHUNKS, WORK)
    lane.wait(60)
    running.signal(signal.SIGTERM)
    assert running.wait() == 0, running.log()
    assert_all_accounted_for(lane, running, sent)


def test_a_cold_shutdown_hands_back_what_has_not_started(
    lane: Lane, worker: MakeWorker, broker: EmbeddedBroker, proxy: DelayProxy
) -> None:
    proxy.rtt_ms = 40.0  # Far enough for many to be received and not started.
    running = worker("-Q", "cpu", "-c", "2", url=by_port(broker.url, proxy.port))
    sent = lane.send(CHUNKS, WORK)
    lane.wait(60)
    running.signal(signal.SIGQUIT)
    running.wait()
    assert_all_accounted_for(lane, running, sent)


def test_an_idle_worker_stops_at_once_and_a_second_takes_over(
    lane: Lane, worker: MakeWorker
) -> None:
    first = worker("-Q", "cpu", "-c", "8", name="first")
    lane.round_trip()
    first.signal(signal.SIGTERM)
    assert first.wait() == 0
    # A read that was left behind would swallow the next message.
    sent = lane.send(20)
    worker("-Q", "cpu", "-c", "8", name="second")
    assert set(lane.wait(21)) >= set(sent)
