"""Dramatiq over Redis, with its default middleware and its Redis results.

Bytes do not go into its default JSON, so both ways use its ``PickleEncoder``, which is the
cheaper one as well; here nobody else can reach the broker.  Its worker polls Redis with a
growing pause while there is nothing to do, which shows in the latency: that is its design.
"""

from __future__ import annotations

import subprocess
import threading
from typing import Any, ClassVar

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.encoder import PickleEncoder
from dramatiq.results import Results, ResultTimeout
from dramatiq.results.backends import RedisBackend

from benchmarks.contenders import Bench, Wait, start_worker, work, worker_terms
from p2c2g.system import processes


def make_actor(url: str, work_ms: float = 0.0) -> tuple[Any, Any]:
    """Return the broker and its one actor."""
    dramatiq.set_encoder(PickleEncoder())
    make_broker: Any = RedisBroker
    make_results: Any = Results
    broker = make_broker(url=url)
    broker.add_middleware(make_results(backend=RedisBackend(url=url, encoder=PickleEncoder())))
    # A message finds its result backend through the global broker.
    dramatiq.set_broker(broker)

    def run(payload: bytes) -> bytes:
        work(work_ms)
        return payload

    as_actor = dramatiq.actor(actor_name="bench", broker=broker, store_results=True)
    return broker, as_actor(run)


class Dramatiq:
    """Dramatiq's worker threads in one process."""

    remote: ClassVar[bool] = True

    def __init__(self) -> None:
        self._broker: Any = None
        self._worker: subprocess.Popen[bytes] | None = None

    def start(self, bench: Bench) -> None:
        """Start the worker; the client connects with its first message."""
        self._broker, self._actor = make_actor(bench.broker_url)
        self._worker = start_worker(__name__, bench, bench.far_broker_url)

    def submit(self, payload: bytes) -> Wait:
        """Send one message."""
        message = self._actor.send(payload)

        def wait(timeout: float) -> bytes:
            try:
                return bytes(message.get_result(block=True, timeout=int(timeout * 1000)))
            except ResultTimeout as error:
                raise TimeoutError from error

        return wait

    def stop(self) -> None:
        """End the worker and disconnect."""
        if self._worker is not None:
            processes.stop(self._worker)
        if self._broker is not None:
            self._broker.close()


def main() -> None:
    """Run the worker: what ``dramatiq --processes 1 --threads N`` runs in its child."""
    url, threads, work_ms = worker_terms()
    broker, _ = make_actor(url, work_ms)
    dramatiq.Worker(broker, worker_threads=threads).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
