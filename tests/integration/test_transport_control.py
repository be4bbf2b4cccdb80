"""Celery's own tools over the lane, and a stranger's Celery beside it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest
from celery import Celery

from p2c2g.messaging import names
from p2c2g.messaging.embedded import EmbeddedBroker
from tests.lane import PATIENCE, Lane, settings
from tests.pool import Worker


@pytest.fixture(scope="module")
def shared(
    broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Lane, Worker]]:
    with Lane(settings(broker.url), session="control") as lane:
        lane.client.flushall()
        lane.open()
        log = tmp_path_factory.mktemp("control") / "w.log"
        worker = Worker(lane.app, broker.url, log, "-Q", "cpu", "-c", "2", name="control")
        try:
            worker.start()
            yield lane, worker
        finally:
            worker.kill()


@pytest.fixture(scope="module")
def plain(broker: EmbeddedBroker) -> Iterator[Celery]:
    """A stock application that knows nothing of P2C2G."""
    with Celery("plain", broker=broker.url, backend=broker.url, set_as_current=False) as app:
        options = {"global_keyprefix": names.celerys()}
        app.conf.update(broker_transport_options=options, result_backend_transport_options=options)
        yield app


def asked(app: Celery, worker: Worker, command: str) -> Any:
    answers = getattr(
        app.control.inspect(destination=[worker.name], timeout=PATIENCE, limit=1), command
    )()
    assert answers is not None, f"nobody answered {command}"
    return answers[worker.name]


def test_inspect_answers_our_application(shared: tuple[Lane, Worker]) -> None:
    lane, worker = shared
    assert asked(lane.app, worker, "ping") == {"ok": "pong"}
    assert "lane.echo" in asked(lane.app, worker, "registered")
    queues = [queue["name"] for queue in asked(lane.app, worker, "active_queues")]
    assert queues == ["cpu", f"{worker.name}.dq2"]
    stats = asked(lane.app, worker, "stats")
    assert stats["pool"]["max-concurrency"] == 2
    assert stats["prefetch_count"] == 2


def test_inspect_sees_what_runs(shared: tuple[Lane, Worker]) -> None:
    lane, worker = shared
    (held,) = lane.send(task="lane.hold")
    assert lane.wait_started() == held
    (task,) = asked(lane.app, worker, "active")
    assert task["id"] == held
    assert task["args"] == "chunk"  # Its description, and not its picture.
    lane.release_held(1)
    lane.wait_for([held])
    lane.wait_until(lambda: asked(lane.app, worker, "active") == [])


def test_control_changes_the_worker(shared: tuple[Lane, Worker]) -> None:
    lane, worker = shared
    (answer,) = lane.app.control.rate_limit(
        "lane.add", "100/s", destination=[worker.name], reply=True, timeout=PATIENCE, limit=1
    )
    assert answer[worker.name]["ok"] == "new rate limit set successfully"


def test_a_revoked_chunk_does_not_run(shared: tuple[Lane, Worker]) -> None:
    lane, worker = shared
    revoked = f"{lane.session}.revoked.0"
    lane.app.control.revoke(revoked, destination=[worker.name], reply=True, timeout=PATIENCE)
    # The next id is ours to choose only through the application.
    lane.app.send_task("lane.add", (1, 1), task_id=revoked, queue="cpu")
    lane.round_trip()
    assert f"Discarding revoked task: lane.add[{revoked}]" in worker.log()


def test_a_stock_application_can_inspect_our_worker(
    shared: tuple[Lane, Worker], plain: Celery
) -> None:
    assert asked(plain, shared[1], "ping") == {"ok": "pong"}
    assert "lane.echo" in asked(plain, shared[1], "registered")


def test_a_stock_application_works_beside_us(
    shared: tuple[Lane, Worker],
    plain: Celery,
    broker: EmbeddedBroker,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    lane, _ = shared
    log = tmp_path_factory.mktemp("stock") / "w.log"
    stock = Worker(
        lane.app, broker.url, log, "-Q", "stock", "-P", "solo",
        name="stock", application="tests.stock_app",
    )  # fmt: skip
    try:
        stock.start()
        result = plain.send_task("stock.add", (3, 4), queue="stock")
        assert result.get(timeout=PATIENCE) == 7
        lane.round_trip()
        assert asked(lane.app, stock, "ping") == {"ok": "pong"}
        assert asked(plain, stock, "ping") == {"ok": "pong"}
    finally:
        stock.kill()


def test_an_answer_that_cannot_leave_costs_no_work(tmp_path: Path) -> None:
    """Its connection is the worker's own: who tried again would close what reads the chunks."""
    with EmbeddedBroker() as broker, Lane(settings(broker.url)) as lane:
        worker = Worker(lane.app, broker.url, tmp_path / "w.log", "-Q", "cpu")
        try:
            worker.start()
            worker.signal(signal.SIGSTOP)
            # The question lies before it when it goes on, and the broker has gone.
            assert lane.app.control.inspect(timeout=0.01).ping() is None
            broker.kill()
            worker.signal(signal.SIGCONT)
            deadline, pause = monotonic() + PATIENCE, Event()
            while "onnection to broker lost" not in worker.log():
                assert monotonic() < deadline, worker.log()
                pause.wait(0.02)
            broker.restart()
            lane.open()
            lane.round_trip_in_the_end()
            worker.wait_until_ready()
        finally:
            worker.kill()
