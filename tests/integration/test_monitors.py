"""What monitors such as Flower are told of a worker: that it lives, and of chunks where wanted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery.events.state import State

from p2c2g.messaging.broker import Broker
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.testing.delay_proxy import DelayProxy
from tests.lane import PATIENCE, Lane, by_port, settings
from tests.pool import MakeWorker

W = "w@test"


class Monitor:
    """Receives events as Flower does, and keeps what Celery's own state makes of them."""

    def __init__(self, app: Any) -> None:
        self.state = State()
        self.seen: list[str] = []
        self._changed = threading.Condition()
        self._connection = app.connection_for_read()
        self._receiver = app.events.Receiver(self._connection, handlers={"*": self._on_event})
        self._ready = threading.Event()
        self._receiver.on_consume_ready = lambda *_, **__: self._ready.set()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(PATIENCE)

    def _run(self) -> None:
        self._receiver.capture(limit=None, timeout=None, wakeup=False)
        self._connection.release()

    def _on_event(self, event: dict[str, Any]) -> None:
        with self._changed:
            self.state.event(event)
            self.seen.append(event["type"])
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), self.seen

    @property
    def is_alive(self) -> bool:
        return W in self.state.workers and bool(self.state.workers[W].alive)

    def close(self) -> None:
        self._receiver.should_stop = True
        self._thread.join()


@pytest.fixture
def monitor(lane: Lane, broker: EmbeddedBroker) -> Iterator[Monitor]:
    with Broker(settings(broker.url)) as side:
        opened = Monitor(side.app)
        yield opened
        opened.close()


def test_an_idle_worker_is_online_until_it_ends(worker: MakeWorker, monitor: Monitor) -> None:
    running = worker("-Q", "cpu", "--heartbeat-interval", "1")
    monitor.wait_for(lambda: monitor.seen.count("worker-heartbeat") >= 2 and monitor.is_alive)
    assert monitor.state.workers[W].freq == 1.5, "dead after three intervals"
    running.signal(signal.SIGTERM)
    assert running.wait() == 0
    monitor.wait_for(lambda: "worker-offline" in monitor.seen)
    assert not monitor.is_alive


@pytest.mark.parametrize(
    ("option", "told"), [("-E", True), ("--no-task-events", False)], ids=["asked", "never"]
)
def test_chunks_are_told_of_where_that_is_wanted(
    lane: Lane, worker: MakeWorker, monitor: Monitor, option: str, told: bool
) -> None:
    worker("-Q", "cpu", option, "--heartbeat-interval", "1")
    lane.app.control.enable_events()  # As Flower does every five seconds.
    monitor.wait_for(lambda: monitor.is_alive)
    lane.wait_for(lane.send(3))
    before = monitor.seen.count("worker-heartbeat")
    monitor.wait_for(lambda: monitor.seen.count("worker-heartbeat") >= before + 2)
    if told:
        monitor.wait_for(lambda: monitor.seen.count("task-succeeded") == 3)
    else:
        assert {each for each in monitor.seen if each.startswith("task-")} == set()


def test_without_a_heartbeat_nothing_is_told(
    lane: Lane, worker: MakeWorker, monitor: Monitor
) -> None:
    worker("-Q", "cpu", "--without-heartbeat")
    other = worker("-Q", "cpu", "--heartbeat-interval", "1", name="other")
    monitor.wait_for(lambda: monitor.seen.count("worker-heartbeat") >= 3)
    assert set(monitor.state.workers) == {other.name}


def test_who_was_cut_off_is_online_again(
    broker: EmbeddedBroker, lane: Lane, worker: MakeWorker, monitor: Monitor
) -> None:
    with DelayProxy(HOST, broker.port) as proxy:
        running = worker(
            "-Q", "cpu", "--heartbeat-interval", "1", url=by_port(broker.url, proxy.port)
        )
        monitor.wait_for(lambda: monitor.is_alive)
        proxy.pause()
        lane.wait_until(lambda: "connecting again" in running.log())
        proxy.resume()
        seen = len(monitor.seen)
        monitor.wait_for(lambda: "worker-heartbeat" in monitor.seen[seen:] and monitor.is_alive)
        assert "Traceback" not in running.log()
