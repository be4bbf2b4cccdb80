"""Taskiq with taskiq-redis: the list queue, and results under keys.

The list queue (LPUSH, BRPOP) is its quickest broker, without acknowledgement, as the others
here.  Its messages are made of JSON values whatever the serializer, so bytes travel as base64.
``wait_result`` asks Redis again and again: every 200 ms by default, here every millisecond,
since the client sits next to the broker.  The task is an ordinary function, which taskiq runs
in its pool of threads.
"""

from __future__ import annotations

import asyncio
import base64
import subprocess
from typing import Any, ClassVar

from taskiq.api import run_receiver_task
from taskiq.exceptions import TaskiqResultTimeoutError
from taskiq.serializers import MSGPackSerializer
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

from benchmarks.contenders import Bench, Wait, start_worker, work, worker_terms
from p2c2g.system import processes

_ASK_EVERY = 0.001


def make_broker(url: str, work_ms: float = 0.0) -> tuple[Any, Any]:
    """Return the broker and its one task."""
    # BRPOP without an end: redis-py's own socket timeout of 5 s would cut it.
    results: Any = RedisAsyncResultBackend(
        url, serializer=MSGPackSerializer(), keep_results=False, result_ex_time=60
    )
    broker: Any = ListQueueBroker(url, socket_timeout=None)
    broker = broker.with_result_backend(results).with_serializer(MSGPackSerializer())

    def run(payload: str) -> str:
        data = base64.b64decode(payload)
        work(work_ms)
        return base64.b64encode(data).decode()

    return broker, broker.register_task(run, "bench:run")


class Taskiq:
    """Taskiq's receiver in one process; the client runs its own event loop."""

    remote: ClassVar[bool] = True

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._broker: Any = None
        self._worker: subprocess.Popen[bytes] | None = None

    def start(self, bench: Bench) -> None:
        """Start the worker and connect."""
        self._broker, self._task = make_broker(bench.broker_url)
        self._runner.run(self._broker.startup())
        self._worker = start_worker(__name__, bench, bench.far_broker_url)

    def submit(self, payload: bytes) -> Wait:
        """Send one task."""
        sent = self._runner.run(self._task.kiq(base64.b64encode(payload).decode()))

        def wait(timeout: float) -> bytes:
            try:
                result = self._runner.run(sent.wait_result(_ASK_EVERY, timeout))
            except TaskiqResultTimeoutError as error:
                raise TimeoutError from error
            result.raise_for_error()
            return base64.b64decode(result.return_value)

        return wait

    def stop(self) -> None:
        """End the worker and disconnect."""
        if self._worker is not None:
            processes.stop(self._worker)
        if self._broker is not None:
            self._runner.run(self._broker.shutdown())
        self._runner.close()


def main() -> None:
    """Run the worker: what ``taskiq worker --workers 1`` runs in its child."""
    url, threads, work_ms = worker_terms()
    broker, _ = make_broker(url, work_ms)
    asyncio.run(run_receiver_task(broker, sync_workers=threads, run_startup=True))


if __name__ == "__main__":
    main()
