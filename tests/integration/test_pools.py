"""The connections of a process: borrowed for a command, and no more kept than are needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from p2c2g.messaging import pools
from p2c2g.messaging.broker import Broker
from p2c2g.messaging.client import open_connection, redis_client
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.messaging.pools import PATIENCE
from tests.lane import Lane, settings


def count(lane: Lane) -> int:
    """Return the broker's connections, without this test's."""
    rows: Any = lane.client.client_list()
    return len(rows)


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    """One that nobody else is connected to."""
    with EmbeddedBroker() as started:
        yield started


@pytest.fixture
def before(lane: Lane) -> int:
    lane.client.ping()
    return count(lane)


def test_two_that_meet_have_two_and_one_is_kept(
    lane: Lane, broker: EmbeddedBroker, before: int
) -> None:
    client = redis_client(settings(broker.url), timeout=PATIENCE)
    try:
        pool = client.connection_pool
        borrowed = [pool.get_connection() for _ in range(3)]
        assert count(lane) == before + 3
        for each in borrowed:
            pool.release(each)
        lane.wait_until(lambda: count(lane) == before + 1)
        assert client.ping()
        assert count(lane) == before + 1
    finally:
        client.close()
    lane.wait_until(lambda: count(lane) == before)


def test_clients_and_channels_of_one_broker_share(
    lane: Lane, broker: EmbeddedBroker, before: int
) -> None:
    known = settings(broker.url)
    clients = [redis_client(known, timeout=PATIENCE) for _ in range(2)]
    with Broker(known) as side:
        connection = open_connection(side.app)
        for client in clients:
            client.ping()
        with connection.channel() as channel:
            channel.queue_declare("shared")
            assert count(lane) == before + 1
        connection.release()
        for client in clients:
            client.close()
            client.close()
    lane.wait_until(lambda: count(lane) == before)


def test_another_broker_or_patience_is_another_pool(broker: EmbeddedBroker) -> None:
    options = {"host": "h", "port": 1, "socket_timeout": 1.0}
    one, two = pools.take(options), pools.take({**options, "socket_timeout": 5.0})
    three, again = pools.take({**options, "ssl_cert_reqs": "none"}), pools.take(options)
    assert one is again
    assert len({id(one), id(two), id(three)}) == 3
    for pool in (one, two, three, again):
        pools.give(pool)
    assert pools.take(options) is not one


def test_answers_to_remote_control_keep_no_connection(lane: Lane, before: int) -> None:
    for _ in range(2):
        lane.app.control.ping(timeout=0.1)
    lane.wait_until(lambda: count(lane) <= before + 1)
