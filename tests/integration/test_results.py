"""The result backend: streams for sessions, AsyncResult for everybody, nothing lost in a gap."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery.result import AsyncResult

from p2c2g.messaging import names
from p2c2g.messaging import writer as writing
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.messaging.writer import MAX_WAITING, RESULT_LIFETIME, ResultWriter
from p2c2g.testing.delay_proxy import DelayProxy
from tests.lane import PATIENCE, Lane, by_port
from tests.lane_app import KEPT
from tests.pool import MakeWorker, Worker


def state_of(lane: Lane, task_id: str) -> AsyncResult:
    return AsyncResult(task_id, app=lane.app)


# -- what is stored -----------------------------------------------------------------------


def test_a_chunk_s_end_is_told_twice(lane: Lane, worker: MakeWorker) -> None:
    running = worker("-Q", "cpu", "-c", "1")

    payload = bytes(range(256)) * 400
    entry = lane.round_trip(payload=payload)
    assert entry[b"state"] == b"SUCCESS"
    assert entry[b"header"] == running.name.encode()
    assert entry[b"payload"] == payload
    told = state_of(lane, entry[b"id"].decode())
    assert told.get(timeout=PATIENCE) == f"<echo {len(payload)} B>"
    assert told.state == "SUCCESS"

    entry = lane.round_trip(task="lane.fail")
    assert entry[b"state"] == b"FAILURE"
    assert entry[b"error"] == b"RefusedError: not today"
    assert entry[b"peer"] == running.name.encode()
    assert b"payload" not in entry
    told = state_of(lane, entry[b"id"].decode())
    lane.wait_until(lambda: told.state == "FAILURE")
    assert "not today" in str(told.result)
    # It says so for a minute, and no longer.
    assert 0 < lane.client.ttl(f"{names.celerys()}celery-task-meta-{told.id}") <= 60

    # One worker with one thread works in order, and its results come in order.
    sent = lane.send(100)
    lane.wait_for(sent)
    # One whose confirmation was late comes twice.
    assert list(dict.fromkeys(lane.done()))[2:] == sent


def test_a_stream_that_is_gone_is_not_made_again(lane: Lane, worker: MakeWorker) -> None:
    worker("-Q", "cpu", "-c", "1")
    lane.client.delete(lane.stream)
    (sent,) = lane.send()
    assert state_of(lane, sent).get(timeout=PATIENCE) == "<echo 7 B>"
    assert not lane.client.exists(lane.stream)


@pytest.mark.parametrize("reply_to", [None, "somewhere.else"])
def test_other_tasks_go_the_stock_way(lane: Lane, worker: MakeWorker, reply_to: str | None) -> None:
    worker("-Q", "cpu", "-c", "1")
    options = {"reply_to": reply_to} if reply_to else {}
    result = lane.app.send_task("lane.add", (2, 2), queue="cpu", **options)
    assert result.get(timeout=PATIENCE) == 4
    assert not lane.client.exists("somewhere.else")
    assert lane.client.xlen(lane.stream) == 0


# -- a gap in the connection ----------------------------------------------------------------


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A file: once it is there, what :func:`far` has begun ends."""
    return tmp_path / "gate"


@pytest.fixture
def far(
    lane: Lane, worker: MakeWorker, broker: EmbeddedBroker, gate: Path
) -> Iterator[tuple[DelayProxy, Worker]]:
    """A worker behind a proxy, which runs eight chunks now."""
    with DelayProxy(HOST, broker.port) as proxy:
        running = worker(
            "-Q", "cpu", "-c", "8", url=by_port(broker.url, proxy.port),
            environment={KEPT: str(PATIENCE)},
        )  # fmt: skip
        lane.send(8, task="lane.until", payload=str(gate).encode())
        lane.wait_until(lambda: running.log().count(" received") == 8)
        yield proxy, running


@pytest.mark.parametrize("cut", [False, True])
def test_results_of_a_gap_arrive_after_it(
    lane: Lane, far: tuple[DelayProxy, Worker], gate: Path, cut: bool
) -> None:
    proxy, running = far
    proxy.pause()
    gate.touch()
    lane.wait_until(lambda: running.log().count(" succeeded") == 8)
    assert lane.entries == []
    if cut:
        proxy.cut()  # What was on its way is gone, and was never confirmed.
    proxy.resume()
    # One whose confirmation was late comes twice.
    lane.wait_until(lambda: len(set(lane.done())) == 8)


def test_a_stopping_worker_sends_its_last_result(
    lane: Lane, far: tuple[DelayProxy, Worker], gate: Path
) -> None:
    proxy, running = far
    proxy.rtt_ms = 300.0
    gate.touch()
    lane.wait_until(lambda: running.log().count(" succeeded") == 8)
    running.signal(signal.SIGTERM)
    assert running.wait() == 0, running.log()
    # What was sent is there in the end, and twice where its confirmation was late.
    lane.wait_until(lambda: len(set(lane.done())) == 8)


# -- the writer -------------------------------------------------------------------------------


def pushed(value: int) -> tuple[tuple[Any, ...], ...]:
    return (("RPUSH", "written", str(value)),)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have results be of use for as long as a busy machine may need."""
    monkeypatch.setattr(writing, "RESULT_LIFETIME", PATIENCE)


@pytest.mark.usefixtures("patient")
def test_the_writer_outlives_its_broker() -> None:
    with EmbeddedBroker() as broker, redis.Redis.from_url(broker.url) as client:
        writer = ResultWriter(lambda: redis.ConnectionPool.from_url(broker.url))
        writer.put(pushed(1))
        assert client.blpop(["written"], timeout=PATIENCE)
        broker.kill()
        for value in range(2, 12):
            writer.put(pushed(value))
        broker.restart()
        assert writer.close(PATIENCE)
        written: list[bytes] = client.lrange("written", 0, -1)  # type: ignore[assignment]
        # The first one's answer may have died with the broker: then it is written once more.
        assert written[written[:1] == [b"1"] :] == [str(value).encode() for value in range(2, 12)]
        assert writer.dropped == 0
        # It starts again where a late result comes.
        writer.put(pushed(12))
        assert writer.close(PATIENCE)
        assert client.rpop("written") == b"12"


def test_the_writer_drops_the_oldest_of_too_many_and_what_is_too_old() -> None:
    now = [100.0]
    asked = threading.Event()

    def nowhere() -> redis.ConnectionPool:
        asked.set()
        raise redis.ConnectionError("away")

    writer = ResultWriter(nowhere, clock=lambda: now[0])
    for value in range(MAX_WAITING + 88):
        writer.put(pushed(value))
    assert asked.wait(PATIENCE)
    now[0] += RESULT_LIFETIME + 0.1
    assert writer.close(PATIENCE)
    assert writer.dropped == MAX_WAITING + 88


@pytest.mark.usefixtures("patient")
def test_a_refused_result_does_not_take_others_with_it(broker: EmbeddedBroker, lane: Lane) -> None:
    lane.client.set("a text", "x")
    writer = ResultWriter(lambda: redis.ConnectionPool.from_url(broker.url))
    for value in range(20):
        writer.put(pushed(value))
        writer.put((("RPUSH", "a text", "no list"), *pushed(100 + value)))
    assert writer.close(PATIENCE)
    written = {int(value) for value in lane.client.lrange("written", 0, -1)}
    assert written == {*range(20), *range(100, 120)}
    assert writer.dropped == 0


@pytest.mark.usefixtures("patient")
def test_a_silent_broker_is_left_for_a_new_connection(
    broker: EmbeddedBroker, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "SILENCE", 0.2)
    with DelayProxy(HOST, broker.port) as proxy:
        url = by_port(broker.url, proxy.port)
        writer = ResultWriter(lambda: redis.ConnectionPool.from_url(url))
        writer.put(pushed(1))
        # Twice, where the answer to the first took so long.
        lane.wait_until(lambda: lane.client.llen("written"))
        proxy.pause()
        writer.put(pushed(2))
        # The connection is given up: nothing tells that from outside but a second one.
        lane.wait_until(lambda: proxy.connections >= 2)
        proxy.cut()
        proxy.resume()
        assert writer.close(PATIENCE)
    assert b"2" in lane.client.lrange("written", 0, -1)
