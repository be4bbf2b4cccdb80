"""The rungs from stock Celery to the fast lane, each with one thing more taken out.

Every rung is a whole application with the same task, made of configuration and small
subclasses; the last is the project's own, as ``contenders/p2c2g.py`` has it.  They are
measured like contenders.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import Any, ClassVar

from celery import Celery
from celery.backends.redis import RedisBackend
from celery.exceptions import TimeoutError as CeleryTimeoutError
from kombu.transport import redis as stock

from benchmarks.contenders import Bench, Wait, start_worker, work, worker_terms
from benchmarks.contenders import p2c2g as lane
from benchmarks.measuring import Case, Tell, Terms, measure
from p2c2g.messaging import channel as lane_channel
from p2c2g.messaging import names
from p2c2g.messaging import transport as lane_transport
from p2c2g.messaging.results import STREAM_LENGTH, StreamResult
from p2c2g.system import processes

_RUNG = "BENCH_RUNG"
_QUIET = ["--without-gossip", "--without-mingle", "--without-heartbeat"]


class StreamBackend(RedisBackend):  # type: ignore[misc]
    """Celery's backend without the question before, and with the stream: one round trip.

    The pool's thread waits for it.
    """

    def on_task_call(self, producer: Any, task_id: str) -> None:
        """Subscribe to nothing."""

    def store_result(
        self,
        task_id: str,
        result: Any,
        state: str,
        traceback: Any = None,
        request: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Store a state, and add the result to the stream that waits for it."""
        stream = getattr(request, "reply_to", None) or ""
        if not (isinstance(result, StreamResult) and names.is_results(stream)):
            return super().store_result(
                task_id, result, state, traceback=traceback, request=request, **kwargs
            )
        meta = self._get_result_meta(result=None, state=state, traceback=None, request=request)
        meta["task_id"] = task_id
        key, encoded = self.get_key_for_task(task_id), self.encode(meta)
        fields = {"id": task_id, "state": state, "header": b"", "payload": result.payload}
        with self.client.pipeline(transaction=False) as pipe:
            pipe.xadd(stream, fields, maxlen=STREAM_LENGTH, nomkstream=True)
            pipe.set(key, encoded, ex=60)
            pipe.publish(key, encoded)
            pipe.execute()
        return result


class OneReadChannel(lane_channel.Channel):
    """The lane's channel, binary envelope and all, that asks for one message at a time."""

    @property
    def credit(self) -> int:
        """Return one where nothing is asked for yet."""
        return min(super().credit, 1 - self.reads)


class OneReadTransport(stock.Transport):  # type: ignore[misc]
    """Stock reading of the lane's messages."""

    Channel = OneReadChannel
    read_ahead = 1
    running = staticmethod(lane_transport._none_running)


@dataclass(frozen=True, slots=True)
class Rung:
    """One step: its name in the JSON, and what it takes out, in words for the table."""

    name: str
    label: str


RUNGS = (
    Rung("stock", "stock Celery: prefork pool, JSON, AsyncResult.get"),
    Rung("threads", "threads pool"),
    Rung("stream", "results by a stream, no AsyncResult"),
    Rung("no_ack", "no acknowledgement to the broker"),
    Rung("binary", "binary envelope"),
    Rung("ahead", "reads sent ahead"),
    Rung("writer", "results from a thread of their own: the fast lane"),
)
_ORDER = [rung.name for rung in RUNGS]


def make_app(name: str, url: str, work_ms: float) -> Celery:
    """Return a rung's application with the benchmark's task."""
    reached = _ORDER.index(name)
    if reached >= _ORDER.index("ahead"):
        app = lane.make_app(url, work_ms)
        if name == "ahead":
            app.backend_cls = f"{__name__}:StreamBackend+{url}"
        return app
    if name == "binary":
        app = lane.make_app(url, work_ms)
        app.backend_cls = f"{__name__}:StreamBackend+{url}"
        app.conf.update(
            broker_transport=f"{__name__}:OneReadTransport",
            worker_consumer="celery.worker.consumer:Consumer",
            worker_prefetch_multiplier=4,
        )
        app.steps["consumer"].clear()  # A peer's own, which need the peer's consumer.
        return app
    app = Celery("bench", broker=url, backend=url, set_as_current=False)
    app.conf.update(task_default_queue="cpu", result_expires=60)
    streams = reached >= _ORDER.index("stream")
    if streams:
        app.conf.result_backend = f"{__name__}:StreamBackend+{url}"
    if name == "no_ack":
        app.conf.broker_transport_options = {"ack_emulation": False}

    def run(payload: bytes) -> Any:
        work(work_ms)
        return lane.Echo(payload) if streams else payload

    app.task(name=lane.TASK, shared=False)(run)
    return app


class StockRung:
    """A rung whose client is Celery's own: ``delay`` and ``AsyncResult.get``."""

    remote: ClassVar[bool] = True

    def __init__(self, name: str) -> None:
        self._name = name
        self._app: Any = None
        self._worker: subprocess.Popen[bytes] | None = None

    def start(self, bench: Bench) -> None:
        """Start the worker; the client connects with its first task."""
        self._app = make_app(self._name, bench.broker_url, bench.work_ms)
        self._worker = start_worker(__name__, bench, bench.far_broker_url, {_RUNG: self._name})

    def submit(self, payload: bytes) -> Wait:
        """Send one task."""
        result = self._app.tasks[lane.TASK].delay(payload)

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


class StreamRung(lane.P2C2G):
    """A rung whose client sends and reads as the session does."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def make_app(self, bench: Bench) -> Celery:
        """Return the application whose transport this rung's worker understands."""
        return make_app(self._name, bench.broker_url, bench.work_ms)

    def start_worker(self, bench: Bench) -> subprocess.Popen[bytes]:
        """Start this rung's worker."""
        return start_worker(__name__, bench, bench.far_broker_url, {_RUNG: self._name})


def contender(rung: Rung) -> StockRung | StreamRung:
    """Return what runs a rung's task."""
    early = _ORDER.index(rung.name) < _ORDER.index("stream")
    return StockRung(rung.name) if early else StreamRung(rung.name)


def climb(case: Case, terms: Terms, tell: Tell) -> dict[str, dict[str, float]]:
    """Measure every rung; return ``{name: figures}`` from the lowest to the highest.

    Raises:
        UnavailableError: a rung gives no result.
    """
    result: dict[str, dict[str, float]] = {}
    for rung in RUNGS:
        tell(f"ladder: {rung.label}")
        result[rung.name] = measure(rung.label, contender(rung), case, terms)
    return result


def main() -> None:
    """Run a rung's worker."""
    url, threads, work_ms = worker_terms()
    name = os.environ[_RUNG]
    app = make_app(name, url, work_ms)
    app.set_current()
    arguments = ["worker", "-Q", "cpu", "-c", str(threads), "-l", "WARNING"]
    if name != "stock":
        arguments += ["-P", "threads"]
    if _ORDER.index(name) < _ORDER.index("ahead"):
        arguments += _QUIET
    app.worker_main(arguments)


if __name__ == "__main__":
    main()
