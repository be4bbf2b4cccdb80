"""The session's end of its stream: what arrives, and what it says of a broken connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import redis

from p2c2g.errors import BrokerUnavailableError
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.messaging.inbox import Arrival, Inbox
from p2c2g.testing.delay_proxy import DelayProxy
from tests.lane import PATIENCE, Lane, by_port, connections


@pytest.fixture
def inbox(lane: Lane) -> Iterator[Inbox]:
    opened = Inbox(lane.client, "inbox")
    opened.open()
    yield opened
    opened.close()


def add(client: redis.Redis, task_id: str, **fields: bytes | str) -> None:
    entry: dict[str, bytes | str] = {"id": task_id, "state": "SUCCESS", **fields}
    client.xadd("p2c2g.results.inbox", entry, nomkstream=True)  # type: ignore[arg-type]


def arrivals(inbox: Inbox, count: int) -> list[Arrival]:
    seen: list[Arrival] = []
    while len(seen) < count:
        assert inbox.wait(PATIENCE), f"{len(seen)} of {count} came"
        seen += inbox.read()
    return seen


def look_on(inbox: Inbox) -> None:
    """Read now and then, as a session does, for long enough to notice a silence."""
    for _ in range(50):
        inbox.wait(0.02)
        list(inbox.read())


def test_success_and_failure(lane: Lane, inbox: Inbox) -> None:
    add(lane.client, "one", header=b"\x00\xff", payload=b"p" * 200_000)
    add(lane.client, "two", state="FAILURE", error="CodecError: no", peer="p@x")
    one, two = arrivals(inbox, 2)
    assert one == Arrival("one", True, b"\x00\xff", b"p" * 200_000, "", "")
    assert two == Arrival("two", False, b"", b"", "CodecError: no", "p@x")


def test_a_foreign_entry_is_no_success(lane: Lane, inbox: Inbox) -> None:
    lane.client.xadd(inbox.key, {b"\xff": b"\xff", b"id": b"\xff"})
    (arrival,) = arrivals(inbox, 1)
    assert not arrival.succeeded


def test_many_come_in_order_and_once(lane: Lane, inbox: Inbox) -> None:
    with lane.client.pipeline() as pipe:
        for number in range(500):
            add(pipe, str(number))
        pipe.execute()
    assert [arrival.task_id for arrival in arrivals(inbox, 500)] == [*map(str, range(500))]
    assert list(inbox.read()) == []


def test_it_waits_no_longer_than_it_is_told(inbox: Inbox) -> None:
    assert not inbox.wait(0.01)
    assert list(inbox.read()) == []


def test_another_thread_may_wake_it(inbox: Inbox) -> None:
    waker = threading.Timer(0.05, inbox.wake)
    waker.start()
    assert not inbox.wait(PATIENCE)
    waker.join()
    # One wake-up ends one wait.
    assert not inbox.wait(0.01)


def test_the_stream_lives_as_long_as_its_session(lane: Lane) -> None:
    inbox = Inbox(lane.client, "inbox")
    inbox.open()
    assert 0 < lane.client.ttl(inbox.key) <= 30
    inbox.close()
    assert not lane.client.exists(inbox.key)
    add(lane.client, "late")
    assert not lane.client.exists(inbox.key)


def test_it_keeps_its_stream_alive(
    lane: Lane, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane.client.expire(inbox.key, 5)
    monkeypatch.setattr("p2c2g.messaging.inbox.REFRESH_INTERVAL", 0.0)
    assert list(inbox.read()) == []
    # The refresh goes its own way, so that no result waits behind it.
    while lane.client.ttl(inbox.key) <= 5:
        add(lane.client, "one")
        arrivals(inbox, 1)


def test_what_came_while_it_was_away_is_there_when_it_opens_again(lane: Lane, inbox: Inbox) -> None:
    for victim in connections(lane.client, "xreadgroup"):
        lane.client.client_kill_filter(_id=str(victim))
    with pytest.raises(BrokerUnavailableError):
        arrivals(inbox, 1)
    assert not inbox.wait(0.01)
    add(lane.client, "meanwhile")
    inbox.open()
    assert [arrival.task_id for arrival in arrivals(inbox, 1)] == ["meanwhile"]


def test_a_stream_that_vanished_is_an_error_and_opens_again(lane: Lane, inbox: Inbox) -> None:
    lane.client.delete(inbox.key)
    with pytest.raises(BrokerUnavailableError, match="went away"):
        arrivals(inbox, 1)
    inbox.open()
    add(lane.client, "new")
    assert [arrival.task_id for arrival in arrivals(inbox, 1)] == ["new"]


def test_opening_twice_keeps_one_connection(lane: Lane, inbox: Inbox) -> None:
    inbox.open()
    add(lane.client, "one")
    assert [arrival.task_id for arrival in arrivals(inbox, 1)] == ["one"]
    assert len(list(connections(lane.client, "xreadgroup"))) == 1


def test_a_broker_that_is_not_there_is_named(broker: EmbeddedBroker) -> None:
    with DelayProxy(HOST, broker.port) as proxy:
        port = proxy.port
    with redis.Redis.from_url(by_port(broker.url, port)) as client:
        inbox = Inbox(client, "inbox")
        with pytest.raises(BrokerUnavailableError, match="does not answer"):
            inbox.open()
        inbox.close()


def test_a_silent_broker_is_noticed(
    lane: Lane, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("p2c2g.messaging.inbox.SILENCE", 0.05)
    with (
        DelayProxy(HOST, broker.port) as proxy,
        redis.Redis.from_url(by_port(broker.url, proxy.port)) as client,
    ):
        inbox = Inbox(client, "inbox")
        inbox.open()
        proxy.pause()
        with pytest.raises(BrokerUnavailableError, match="no answer"):
            look_on(inbox)
        proxy.cut()
        proxy.resume()
        inbox.close()
