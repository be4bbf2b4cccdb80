"""The session's end of its stream: what arrives, and what it says of a broken connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import redis

from p2c2g.errors import BrokerUnavailableError
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.messaging.inbox import Arrival, Inbox
from p2c2g.messaging.places import places
from p2c2g.testing.delay_proxy import DelayProxy
from tests.brokers import free_port
from tests.lane import PATIENCE, Lane, by_port, connections


@pytest.fixture
def mute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a broker that brings nothing say nothing, however long this machine stands still."""
    monkeypatch.setattr("p2c2g.messaging.inbox._BLOCK_MS", int(2000 * PATIENCE))
    monkeypatch.setattr("p2c2g.messaging.inbox.SILENCE", 2 * PATIENCE)


@pytest.fixture
def inbox(lane: Lane) -> Iterator[Inbox]:
    opened = Inbox(lane.client, places("inbox"))
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
    lane.client.xadd(inbox.keys[0], {b"\xff": b"\xff", b"id": b"\xff"})
    (arrival,) = arrivals(inbox, 1)
    assert not arrival.succeeded


def test_many_come_in_order_and_once(lane: Lane, inbox: Inbox) -> None:
    with lane.client.pipeline() as pipe:
        for number in range(500):
            add(pipe, str(number))
        pipe.execute()
    assert [arrival.task_id for arrival in arrivals(inbox, 500)] == [*map(str, range(500))]
    assert list(inbox.read()) == []


def test_large_ones_that_wait_come_a_few_at_a_time(lane: Lane) -> None:
    """All at once they would be more than a reply may have, and none would come."""
    inbox = Inbox(lane.client, places("inbox"))
    inbox.open()
    inbox.wait(0.01)
    with lane.client.pipeline(transaction=True) as pipe:
        for number in range(40):
            add(pipe, str(number), payload=b"p" * (1 << 20))
        pipe.execute()
    came = arrivals(inbox, 40)
    inbox.close()
    assert [arrival.task_id for arrival in came] == [*map(str, range(40))]


def test_an_entry_that_is_longer_than_any_may_be_is_not_kept(lane: Lane, inbox: Inbox) -> None:
    parts: dict[str, bytes] = {f"part{number}": b"x" * (8 << 20) for number in range(6)}
    add(lane.client, "junk", **parts)
    with pytest.raises(BrokerUnavailableError, match=r"more than .* bytes.*proto-max-bulk-len"):
        arrivals(inbox, 1)
    inbox.open()
    add(lane.client, "one")
    assert [arrival.task_id for arrival in arrivals(inbox, 1)] == ["one"]


@pytest.mark.usefixtures("mute")
def test_it_waits_no_longer_than_it_is_told(inbox: Inbox) -> None:
    assert not inbox.wait(0.01)
    assert list(inbox.read()) == []


@pytest.mark.usefixtures("mute")
def test_another_thread_may_wake_it(inbox: Inbox) -> None:
    waker = threading.Timer(0.05, inbox.wake)
    waker.start()
    assert not inbox.wait(PATIENCE)
    waker.join()
    # One wake-up ends one wait.
    assert not inbox.wait(0.01)


def test_the_stream_lives_as_long_as_its_session(lane: Lane) -> None:
    inbox = Inbox(lane.client, places("inbox"))
    inbox.open()
    assert 0 < lane.client.ttl(inbox.keys[0]) <= 30
    inbox.close()
    assert not lane.client.exists(inbox.keys[0])
    add(lane.client, "late")
    assert not lane.client.exists(inbox.keys[0])


def test_it_keeps_its_stream_alive(
    lane: Lane, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane.client.expire(inbox.keys[0], 25)  # A machine that stands still must not lose it.
    monkeypatch.setattr("p2c2g.messaging.inbox.REFRESH_INTERVAL", 0.0)
    assert list(inbox.read()) == []
    # The refresh goes its own way, so that no result waits behind it.
    while lane.client.ttl(inbox.keys[0]) <= 25:
        add(lane.client, "one")
        arrivals(inbox, 1)


def test_what_came_while_it_was_away_is_there_when_it_opens_again(lane: Lane, inbox: Inbox) -> None:
    # Its reads leave by a connection of their own, and nobody waits until they have arrived.
    lane.wait_until(lambda: list(connections(lane.client, "xreadgroup")))
    for victim in connections(lane.client, "xreadgroup"):
        lane.client.client_kill_filter(_id=str(victim))
    with pytest.raises(BrokerUnavailableError):
        arrivals(inbox, 1)
    assert not inbox.wait(0.01)
    add(lane.client, "meanwhile")
    inbox.open()
    assert [arrival.task_id for arrival in arrivals(inbox, 1)] == ["meanwhile"]


def test_a_stream_that_vanished_is_there_again(lane: Lane, inbox: Inbox) -> None:
    lane.client.delete(inbox.keys[0])
    while not lane.client.exists(inbox.keys[0]):
        assert inbox.wait(PATIENCE)
        assert list(inbox.read()) == []
    add(lane.client, "new")
    assert [arrival.task_id for arrival in arrivals(inbox, 1)] == ["new"]


def test_opening_twice_keeps_one_connection(lane: Lane, inbox: Inbox) -> None:
    inbox.open()
    add(lane.client, "one")
    assert [arrival.task_id for arrival in arrivals(inbox, 1)] == ["one"]
    assert len(list(connections(lane.client, "xreadgroup"))) == 1


def test_a_broker_that_is_not_there_is_named(broker: EmbeddedBroker) -> None:
    with redis.Redis.from_url(by_port(broker.url, free_port())) as client:
        inbox = Inbox(client, places("inbox"))
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
        inbox = Inbox(client, places("inbox"))
        inbox.open()
        proxy.pause()
        with pytest.raises(BrokerUnavailableError, match="no answer"):
            look_on(inbox)
        proxy.cut()
        proxy.resume()
        inbox.close()
