"""What any kombu application may expect of the transport, also where something goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection, Consumer, Exchange, Producer, Queue

from p2c2g.errors import WireError
from p2c2g.messaging import names
from p2c2g.messaging.broker import Broker
from p2c2g.messaging.client import open_connection
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.testing.delay_proxy import DelayProxy
from tests.lane import PATIENCE, Lane, by_port, settings

#: A queue whose messages have another name in their routing keys.
QUEUE = Queue("parcels", Exchange("post", type="direct"), routing_key="to.me")
BODIES = {"bytes": ("msgpack", {"a": b"x"}), "text": ("json", {"a": "x"})}


@pytest.fixture
def connection(lane: Lane) -> Iterator[Connection]:
    opened = open_connection(lane.app)
    yield opened
    opened.release()


@pytest.fixture
def channel(connection: Connection) -> Any:
    return connection.default_channel


def publish(channel: Any, kind: str = "bytes", **headers: Any) -> None:
    serializer, body = BODIES[kind]
    Producer(channel, serializer=serializer).publish(
        body,
        exchange=QUEUE.exchange,
        routing_key=QUEUE.routing_key,
        declare=[QUEUE],
        headers=headers,
    )


def get(channel: Any) -> Any:
    message = QUEUE.bind(channel).get(accept=["msgpack", "json"])
    assert message is not None, "it is not there"
    return message


@pytest.mark.parametrize("kind", BODIES)
def test_what_is_requeued_comes_again_and_says_so(channel: Any, kind: str) -> None:
    publish(channel, kind, note="kept")
    first = get(channel)
    assert not first.delivery_info.get("redelivered")
    first.requeue()
    again = get(channel)
    assert again.delivery_info["redelivered"] is True
    assert again.headers["redelivered"] is True
    assert again.headers["note"] == "kept"
    assert again.delivery_info["routing_key"] == "to.me"
    assert again.payload == BODIES[kind][1]
    again.ack()
    assert QUEUE.bind(channel).get() is None


def test_a_consumer_that_waits_for_it_sees_it_redelivered(connection: Connection) -> None:
    seen: list[bool] = []

    def take(_body: object, message: Any) -> None:
        seen.append(bool(message.delivery_info.get("redelivered")))
        message.ack() if seen[-1] else message.requeue()

    publish(connection.default_channel)
    with Consumer(connection, [QUEUE], callbacks=[take], accept=["msgpack"]):
        while len(seen) < 2:
            connection.drain_events(timeout=PATIENCE)
    assert seen == [False, True]


def test_what_was_not_acknowledged_goes_back_with_the_connection(lane: Lane) -> None:
    with open_connection(lane.app) as opened:
        publish(opened.default_channel)
        get(opened.default_channel)
    with open_connection(lane.app) as opened:
        again = get(opened.default_channel)
        assert again.delivery_info["redelivered"] is True
        again.ack()


def nested(depth: int) -> Any:
    inner: Any = 0
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    ("kind", "header"),
    [
        ("bytes", [0] * 2000),
        ("bytes", {1: "a number for a key"}),
        ("bytes", nested(2000)),
        ("bytes", "x" * (2 << 20)),
        ("bytes", "\ud800"),
        ("text", {"__type__": "no such", "__value__": 1}),
    ],
    ids=["long", "keys", "deep", "heavy", "surrogate", "type"],
)
def test_headers_that_nobody_would_take_are_not_sent(
    lane: Lane, channel: Any, kind: str, header: Any
) -> None:
    with pytest.raises(WireError):
        publish(channel, kind, odd=header)
    assert lane.client.llen(names.queue_key(QUEUE.name)) == 0
    publish(channel, kind, even=[0] * 1000)
    get(channel).ack()


@pytest.mark.parametrize("error", [ValueError, KeyError, OSError])
def test_what_a_callback_raises_is_raised(connection: Connection, error: type[Exception]) -> None:
    def take(body: object, message: Any) -> None:
        message.ack()
        raise error("of the callback")

    publish(connection.default_channel)
    with (
        Consumer(connection, [QUEUE], callbacks=[take], accept=["msgpack"]),
        pytest.raises(error, match="of the callback"),
    ):
        connection.drain_events(timeout=PATIENCE)


def test_a_silent_broker_does_not_hold_up_a_close(broker: EmbeddedBroker) -> None:
    with (
        DelayProxy(HOST, broker.port) as proxy,
        Broker(settings(by_port(broker.url, proxy.port))) as side,
    ):
        app = side.app
        # Had it to wait for its sockets, this test would fail.
        app.conf.broker_transport_options |= {"socket_timeout": 600.0}
        opened = open_connection(app)
        channel = opened.default_channel
        consumer = Consumer(channel, [QUEUE], callbacks=[print])
        consumer.consume()
        with pytest.raises(TimeoutError):
            opened.drain_events(timeout=0.1)  # The reads are on their way.
        producer = Producer(channel, serializer="msgpack")
        proxy.pause()
        with producer.batch():
            producer.publish({}, exchange="", routing_key="parcels")
        closing = threading.Thread(target=opened.release, daemon=True)
        closing.start()
        closing.join(PATIENCE)
        assert not closing.is_alive()
