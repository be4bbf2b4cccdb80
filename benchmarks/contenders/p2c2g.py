"""P2C2G's fast lane: Celery with our transport and our results stream.

The application is the project's own, with a task of the benchmark's in place of the
enhancement: ``create_app``'s transport (binary envelope, reads sent ahead, no acknowledgement
to the broker), the worker's own consumer, ``FrameResultBackend`` on the way back and the
session's ``Inbox`` at the client.  One chunk is one task, sent as the dispatcher sends it.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from time import monotonic
from typing import Any, ClassVar

from celery import Celery

from benchmarks.contenders import Bench, Wait, start_worker, work, worker_terms
from p2c2g.celery import create_app
from p2c2g.messaging import names
from p2c2g.messaging.client import redis_client
from p2c2g.messaging.inbox import Inbox
from p2c2g.messaging.places import places
from p2c2g.settings import BrokerSettings, Settings
from p2c2g.system import processes
from p2c2g_workers import carried
from p2c2g_workers.consumer import Consumer

_SESSION = "bench"
TASK = "bench.run"


def make_settings(url: str) -> Settings:
    """Return the project's settings for one broker."""
    return Settings(broker=BrokerSettings(url=url))


@dataclass(frozen=True, slots=True, repr=False)
class Echo:
    """A result as the backend's stream wants it."""

    payload: bytes

    def header(self) -> bytes:
        """Return an empty header."""
        return b""


def make_app(url: str, work_ms: float) -> Celery:
    """Return the project's app with the benchmark's task."""
    app = create_app(make_settings(url))
    app.conf.include = []
    app.conf.worker_consumer = Consumer
    carried.TASKS[TASK] = lambda *_: _SESSION

    def run(payload: bytes) -> Echo:
        work(work_ms)
        return Echo(payload)

    app.task(name=TASK, shared=False)(run)
    return app


class P2C2G:
    """The fast lane, from producer to inbox."""

    remote: ClassVar[bool] = True

    def __init__(self) -> None:
        self._sent = 0
        self._done: dict[str, bytes] = {}
        self._inbox: Inbox | None = None
        self._connection: Any = None
        self._worker: subprocess.Popen[bytes] | None = None

    def start(self, bench: Bench) -> None:
        """Open the inbox, connect the producer and start the worker."""
        settings = make_settings(bench.broker_url)
        self._app = self.make_app(bench)
        self._inbox = Inbox(redis_client(settings), places(_SESSION))
        self._inbox.open()
        self._connection = self._app.connection_for_write()
        self._producer = self._app.amqp.Producer(self._connection)
        self._worker = self.start_worker(bench)

    def make_app(self, bench: Bench) -> Celery:
        """Return the client's application."""
        return create_app(make_settings(bench.broker_url))

    def start_worker(self, bench: Bench) -> subprocess.Popen[bytes]:
        """Start the worker."""
        return start_worker(__name__, bench, bench.far_broker_url)

    def submit(self, payload: bytes) -> Wait:
        """Send one task as the dispatcher does."""
        self._sent += 1
        task_id = f"{_SESSION}.{self._sent}.0"
        with self._producer.batch():
            self._app.send_task(
                TASK,
                args=(payload,),
                task_id=task_id,
                queue="cpu",
                reply_to=names.results(_SESSION),  # For the rungs before ours.
                producer=self._producer,
                argsrepr="<chunk>",
                kwargsrepr="",
                add_to_parent=False,
            )
        return lambda timeout: self._take(task_id, timeout)

    def _take(self, task_id: str, timeout: float) -> bytes:
        assert self._inbox is not None
        deadline = monotonic() + timeout
        while task_id not in self._done:
            left = deadline - monotonic()
            if left <= 0:
                raise TimeoutError
            if self._inbox.wait(left):
                self._done.update(
                    (arrival.task_id, arrival.payload) for arrival in self._inbox.read()
                )
        return self._done.pop(task_id)

    def stop(self) -> None:
        """End the worker and disconnect."""
        if self._worker is not None:
            processes.stop(self._worker)
        if self._inbox is not None:
            self._inbox.close()
        if self._connection is not None:
            self._connection.release()


def main() -> None:
    """Run the worker."""
    url, threads, work_ms = worker_terms()
    app = make_app(url, work_ms)
    app.set_current()
    app.worker_main(["worker", "-Q", "cpu", "-c", str(threads), "-l", "WARNING"])


if __name__ == "__main__":
    main()
