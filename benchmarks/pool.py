"""A pool on this machine: a broker and real ``celery -A p2c2g worker`` processes.

Also who used how much of the processor: the broker, each worker, and the processes that hold
a session, which tell it of themselves (``player.py``).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import IO, Self

import psutil

from p2c2g.celery import create_app
from p2c2g.errors import UnavailableError
from p2c2g.messaging.client import redis_client
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.settings import BrokerSettings, Settings
from p2c2g.system import processes

_ROOT = Path(__file__).resolve().parents[1]
#: Seconds for a worker's start; sixteen at once on two cores take a while.
_START_TIMEOUT = 90.0


def environment(url: str) -> dict[str, str]:
    """Return the environment of a process of the pool whose broker is at ``url``."""
    folders = [str(_ROOT / name) for name in (".", "workers", "capture")]
    path = os.pathsep.join(filter(None, [*folders, os.environ.get("PYTHONPATH")]))
    return {**os.environ, "P2C2G_BROKER_URL": url, "PYTHONPATH": path}


class Pool:
    """A broker with any number of workers, as a context manager.

    Each worker runs one chunk at a time (``-c 1``), as the demo's do where there are as many
    peers as cores.  Events are off: they are for Flower.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            #: Takes what the workers print.
            self.log = stack.enter_context(tempfile.TemporaryFile())
            self.broker = stack.enter_context(EmbeddedBroker())
            self.settings = Settings(broker=BrokerSettings(url=self.broker.url))
            self.app = create_app(self.settings)
            self.client = redis_client(self.settings)
            stack.callback(self.client.close)
            self._broker_id = int(self.client.info("server")["process_id"])
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def workers(self) -> int:
        """Return how many workers run."""
        return len(self._workers)

    def grow(self, workers: int) -> None:
        """Start workers until there are so many, and wait until each answers.

        Raises:
            UnavailableError: they do not start; the message ends with their last words.
        """
        while len(self._workers) < workers:
            command = [
                *(sys.executable, "-m", "celery", "-A", "p2c2g", "worker", "-Q", "cpu"),
                *("-n", f"peer{len(self._workers) + 1}@bench", "-c", "1", "-l", "warning"),
                "--without-heartbeat",
            ]
            worker = processes.start(
                command, env=environment(self.broker.url), stdout=self.log, stderr=self.log
            )
            self._workers.append(worker)
            self._stack.callback(processes.stop, worker)
        deadline = monotonic() + _START_TIMEOUT
        found = 0
        with self.app.connection_for_write() as connection:
            while found < workers:
                if monotonic() > deadline or any(w.poll() is not None for w in self._workers):
                    raise UnavailableError(
                        f"{found} of {workers} workers answered. Their last words: "
                        f"{last_line(self.log)}"
                    )
                replies = self.app.control.ping(timeout=0.5, limit=workers, connection=connection)
                found = len(replies or [])

    def cpu(self) -> dict[str, float]:
        """Return the processor seconds used so far: ``broker`` and all ``workers`` together."""
        return {
            "broker": used_seconds(self._broker_id),
            "workers": sum(used_seconds(worker.pid) for worker in self._workers),
        }


def used_seconds(process: int) -> float:
    """Return the processor seconds that a process, by its id, has used so far."""
    times = psutil.Process(process).cpu_times()
    return float(times.user + times.system)


def last_line(log: IO[bytes]) -> str:
    """Return the last line that was printed into a log."""
    log.seek(0)
    lines = log.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "(none)")
