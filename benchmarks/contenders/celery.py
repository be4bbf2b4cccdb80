"""Stock Celery over Redis, set up as its documentation recommends where latency counts.

From "Optimizing" and "Workers": the threads pool (the task releases the lock), early
acknowledgement (the default), a high prefetch for short tasks, no rate limits, no gossip,
mingle or heartbeat, no events.  From "Calling": msgpack for bytes, both ways.  Results by the
Redis backend and ``AsyncResult.get``, which it pushes by PUBLISH.  Everything else is default:
this is what somebody gets who reads the manual well.
"""

from __future__ import annotations

import subprocess
from typing import Any, ClassVar

from celery import Celery
from celery.exceptions import TimeoutError as CeleryTimeoutError

from benchmarks.contenders import Bench, Wait, start_worker, work, worker_terms
from p2c2g.system import processes


def make_app(url: str, work_ms: float = 0.0) -> tuple[Any, Any]:
    """Return the Celery app and its one task."""
    app = Celery("bench", broker=url, backend=url)
    app.conf.update(
        task_serializer="msgpack",
        result_serializer="msgpack",
        accept_content=["msgpack"],
        task_acks_late=False,
        task_ignore_result=False,
        worker_prefetch_multiplier=64,
        worker_disable_rate_limits=True,
        result_expires=60,
        worker_hijack_root_logger=False,
    )

    def run(payload: bytes) -> bytes:
        work(work_ms)
        return payload

    return app, app.task(name="bench.run", shared=False)(run)


class StockCelery:
    """Celery with its own transport and result backend."""

    remote: ClassVar[bool] = True

    def __init__(self) -> None:
        self._app: Any = None
        self._worker: subprocess.Popen[bytes] | None = None

    def start(self, bench: Bench) -> None:
        """Start the worker; the client connects with its first task."""
        self._app, self._task = make_app(bench.broker_url)
        self._worker = start_worker(__name__, bench, bench.far_broker_url)

    def submit(self, payload: bytes) -> Wait:
        """Send one task."""
        result = self._task.delay(payload)

        def wait(timeout: float) -> bytes:
            try:
                return bytes(result.get(timeout=timeout))
            except CeleryTimeoutError as error:
                raise TimeoutError from error

        return wait

    def stop(self) -> None:
        """End the worker and disconnect."""
        if self._worker is not None:
            processes.stop(self._worker)
        if self._app is not None:
            self._app.backend.result_consumer.stop()
            self._app.close()


def main() -> None:
    """Run the worker."""
    url, threads, work_ms = worker_terms()
    app, _ = make_app(url, work_ms)
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING"]
    app.worker_main(["worker", "-P", "threads", "-c", str(threads), *quiet])


if __name__ == "__main__":
    main()
