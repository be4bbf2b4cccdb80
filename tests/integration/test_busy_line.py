"""A command stream that must not wait: what it refuses, and that nothing of it is torn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from p2c2g.messaging.client import redis_client
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.messaging.pipelining import DEAD_AFTER, BusyError, CommandStream
from p2c2g.testing.delay_proxy import DelayProxy
from tests.lane import PATIENCE, by_port, settings


@pytest.fixture
def proxy(broker: EmbeddedBroker) -> Iterator[DelayProxy]:
    with DelayProxy(HOST, broker.port) as opened:
        yield opened


@pytest.fixture
def far(broker: EmbeddedBroker, proxy: DelayProxy) -> Iterator[redis.Redis]:
    client = redis_client(settings(by_port(broker.url, proxy.port)), timeout=PATIENCE)
    yield client
    client.close()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def fill(stream: CommandStream, key: str) -> int:
    """Send megabytes until one more is refused; return how many have left."""
    for number in range(1000):
        try:
            stream.send([("RPUSH", key, b"%07d" % number + b"x" * (1 << 20))])
        except BusyError:
            return number
    raise AssertionError("a line that leads nowhere took a gigabyte")


def test_a_stalled_line_refuses_and_then_delivers_everything_whole(
    lane: object, proxy: DelayProxy, far: redis.Redis
) -> None:
    # By a clock that stands: a machine that does so too must not take the line for dead.
    stream = CommandStream(
        lambda: far.connection_pool, patience=PATIENCE, busy_after=60.0, clock=Clock()
    )
    stream.connect()
    proxy.pause()
    count = fill(stream, "heap")
    assert count > 0
    proxy.resume()
    while stream.unanswered:
        try:
            stream.send([])  # pushes on what is left
        except BusyError:
            continue
        stream.collect(leave=0)
    stream.close()
    items = far.lrange("heap", 0, -1)
    assert [int(item[:7]) for item in items] == list(range(count))  # type: ignore[union-attr]
    assert {len(item) for item in items} == {7 + (1 << 20)}  # type: ignore[union-attr]
    far.delete("heap")


def test_a_broker_that_does_not_answer_is_busy_and_then_dead(
    lane: object, proxy: DelayProxy, far: redis.Redis
) -> None:
    clock = Clock()
    stream = CommandStream(
        lambda: far.connection_pool, patience=PATIENCE, busy_after=0.1, clock=clock
    )
    stream.connect()
    proxy.pause()
    stream.send([("PING",)])
    stream.send([("PING",)])
    clock.now = 0.2
    with pytest.raises(BusyError, match="2 commands wait"):
        stream.send([("PING",)])
    clock.now = DEAD_AFTER + 0.1
    with pytest.raises(redis.TimeoutError, match="no reply"):
        stream.send([("PING",)])
    assert stream.unanswered == 0
    proxy.resume()
    stream.send([("PING",)])
    assert stream.collect(leave=0) == 1
    stream.close()
