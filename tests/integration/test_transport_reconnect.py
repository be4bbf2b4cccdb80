"""What comes back by itself after the broker, or a connection to it, was lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from kombu.exceptions import OperationalError

from p2c2g.errors import BrokerUnavailableError
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.messaging.inbox import Inbox
from p2c2g.messaging.places import places
from p2c2g.testing.delay_proxy import DelayProxy
from tests.lane import PATIENCE, Lane, by_port, connections, settings
from tests.pool import MakeWorker, Worker


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[tuple[EmbeddedBroker, Lane, Worker]]:
    """A broker that may be killed, a lane on it, and a worker."""
    with EmbeddedBroker() as broker, Lane(settings(broker.url)) as lane:
        worker = Worker(lane.app, broker.url, tmp_path / "w.log", "-Q", "cpu", "-c", "4")
        try:
            worker.start()
            yield broker, lane, worker
        finally:
            worker.kill()


def send_thrice(lane: Lane) -> None:
    for _ in range(3):
        lane.send()


def read_on(inbox: Inbox) -> None:
    while inbox.wait(PATIENCE):
        list(inbox.read())


def test_worker_producer_and_inbox_come_back_after_the_broker(
    fragile: tuple[EmbeddedBroker, Lane, Worker],
) -> None:
    broker, lane, worker = fragile
    inbox = Inbox(lane.client, places("inbox"))
    inbox.open()
    lane.round_trip()

    broker.kill()
    # The first may leave into a socket that nobody reads; the next cannot.
    with pytest.raises(OperationalError, match="broker"):
        send_thrice(lane)
    with pytest.raises(BrokerUnavailableError):
        read_on(inbox)
    with pytest.raises(BrokerUnavailableError):
        inbox.open()
    broker.restart()

    inbox.open()
    lane.open()
    lane.session = "inbox"
    lane.send(5)
    arrived: list[str] = []
    while len(arrived) < 5:
        assert inbox.wait(PATIENCE), worker.log()
        arrived += [arrival.task_id for arrival in inbox.read()]
    assert len(set(arrived)) == 5
    assert worker.process is not None
    assert worker.process.poll() is None
    inbox.close()


def test_a_killed_read_connection_is_replaced(lane: Lane, worker: MakeWorker) -> None:
    worker("-Q", "cpu", "-c", "2")
    lane.round_trip()
    for _ in range(3):
        victims = list(connections(lane.client, "brpop"))
        assert victims
        for victim in victims:
            lane.client.client_kill_filter(_id=str(victim))
        lane.round_trip_in_the_end()
    lane.wait_for(lane.send(50))


def test_chunks_are_not_done_twice_where_all_connections_are_killed(
    lane: Lane, worker: MakeWorker
) -> None:
    running = worker("-Q", "cpu", "-c", "2")
    sent = lane.send(200, 0.01)
    lane.wait(40)
    myself = lane.client.client_id()
    rows = lane.client.client_list()
    for row in rows:
        if int(row["id"]) != myself:
            lane.client.client_kill_filter(_id=row["id"])
    lane.round_trip_in_the_end()
    lane.wait_until(lambda: not lane.queued())
    lane.round_trip()  # Received after all others.
    # What was on its way in a killed connection is gone, and the dispatcher's deadline
    # brings it back.  A result whose confirmation was cut off may come twice; a chunk that
    # is *run* twice would be in the log twice.
    ids = running.received()
    assert len(ids) == len(set(ids))
    lost = set(sent) - set(ids)
    assert len(lost) <= 16


def test_a_worker_whose_way_is_cut_comes_back(
    lane: Lane, worker: MakeWorker, broker: EmbeddedBroker
) -> None:
    with DelayProxy(HOST, broker.port, rtt_ms=10.0) as proxy:
        running = worker("-Q", "cpu", "-c", "2", url=by_port(broker.url, proxy.port))
        assert running.process is not None
        lane.wait_for(lane.send(10, 0.01))  # Every thread of the pool has started.
        seen = psutil.Process(running.process.pid)
        threads = seen.num_threads()
        for _ in range(3):
            lane.round_trip_in_the_end()
            proxy.cut()
        lane.round_trip_in_the_end()
        # However often the connection was made, one thread measures the way.
        lane.wait_until(lambda: seen.num_threads() <= threads)
        running.signal(15)
        assert running.wait() == 0, running.log()
