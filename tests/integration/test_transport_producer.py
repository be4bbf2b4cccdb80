"""A session's batches: one write, no wait, and an error that says what happened."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from kombu.exceptions import OperationalError
from redis.connection import AbstractConnection

from p2c2g.messaging import envelope, names
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.messaging.pipelining import CommandStream
from p2c2g.testing.delay_proxy import DelayProxy
from tests.lane import PATIENCE, Lane, by_port, connections, settings


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[list[bytes]]:
    """What redis-py writes: one list of buffers a call, one system call a buffer."""
    seen: list[list[bytes]] = []
    stock = AbstractConnection.send_packed_command

    def recording(self: Any, command: Any, check_health: bool = True) -> None:
        seen.append([command] if isinstance(command, bytes) else list(command))
        stock(self, seen[-1], check_health=check_health)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", recording)
    return seen


def send_often(lane: Lane, times: int, payload: bytes) -> None:
    for _ in range(times):
        lane.send(payload=payload)


def test_a_batch_leaves_in_one_write(lane: Lane, writes: list[list[bytes]]) -> None:
    lane.send()  # The first one connects.
    writes.clear()
    sent = lane.send(20, payload=b"p" * 30_000)
    assert len(writes) == 1
    assert len(writes[0]) == 1
    assert writes[0][0].count(b"LPUSH") == 20
    lane.confirm()
    assert lane.queued() == [*sent[::-1], "s.1.0"]


def test_a_binary_body_costs_little_more_than_its_bytes(lane: Lane) -> None:
    payload = b"\xff" * 100_000
    lane.send(payload=payload)
    lane.confirm()
    (item,) = lane.client.lrange(names.queue_key("cpu"), 0, -1)
    assert len(payload) < len(item) < len(payload) + 1500
    assert envelope.unpack(item)["body"].count(b"\xff") >= len(payload)


def test_without_a_batch_each_message_is_confirmed(lane: Lane) -> None:
    lane.app.send_task("lane.echo", args=(0.0, b"p"), task_id="one", queue="cpu")
    assert lane.queued() == ["one"]


def test_a_batch_that_fails_half_way_leaves_nothing(lane: Lane) -> None:
    batch = lane.producer.batch()
    with batch:
        lane.app.send_task("lane.echo", args=(0.0, b"p"), queue="cpu", producer=lane.producer)
        batch.state.abort()  # As an exception in the middle does.
    lane.send()
    lane.confirm()
    assert len(lane.queued()) == 1


def test_a_refused_message_is_told_at_the_next_batch() -> None:
    limit = 6 << 20
    with EmbeddedBroker(maxmemory=limit) as broker, Lane(settings(broker.url)) as lane:
        with pytest.raises(OperationalError, match=r"refused a message.*maxmemory"):
            send_often(lane, 40, b"p" * 500_000)
        before = lane.client.llen(names.queue_key("cpu"))
        lane.client.delete(names.queue_key("cpu"))
        assert before > 0
        sent: list[str] = []
        while not sent:
            try:
                (newest,) = lane.send()
                lane.confirm()
                sent = [newest]
            except (OperationalError, redis.ResponseError) as error:
                # Each refusal is told once, and the last of them may come late.
                assert "maxmemory" in str(error)  # noqa: PT017
        assert lane.queued()[0] == sent[0]


def test_an_idle_connection_that_the_broker_closed_costs_nothing(lane: Lane) -> None:
    lane.send()
    lane.confirm()
    for victim in connections(lane.client, "lpush"):
        lane.client.client_kill_filter(_id=str(victim))
    sent = lane.send()
    lane.confirm()
    assert lane.queued()[0] == sent[0]


def test_what_is_unanswered_is_bounded(broker: EmbeddedBroker, lane: Lane) -> None:
    with (
        DelayProxy(HOST, broker.port) as proxy,
        redis.ConnectionPool.from_url(by_port(broker.url, proxy.port)) as pool,
    ):
        stream = CommandStream(lambda: pool, max_unanswered=10, patience=0.2)
        stream.send([("RPUSH", "k", "0")])
        stream.collect(leave=0, patience=PATIENCE)
        proxy.pause()
        for value in range(10):
            stream.send([("RPUSH", "k", value)])
        assert stream.unanswered == 10
        with pytest.raises(redis.TimeoutError, match=r"no reply within 0\.2 s"):
            stream.send([("RPUSH", "k", "one too many")])
        assert stream.unanswered == 0
        proxy.resume()
        stream.send([("RPUSH", "k", "last")])
        assert stream.collect(leave=0, patience=PATIENCE) == 1
        stream.close()
    assert lane.client.lindex("k", -1) is not None
    assert b"one too many" not in lane.client.lrange("k", 0, -1)
