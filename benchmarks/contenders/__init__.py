"""The ways to have a function run elsewhere, each behind the same few methods.

A contender starts one worker in a process of its own, hands it payloads and gets them back.
The worker's task is the same for all: take N bytes, work some milliseconds without the
interpreter's lock, return the N bytes.  One contender is one file; its docstring says how it is
set up, and why.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar, Protocol

from p2c2g.errors import UnavailableError
from p2c2g.system import processes

#: The command line's names, in the order of the table; the floor is first.
CONTENDERS = {
    "redis": "RedisLists",
    "celery": "StockCelery",
    "dramatiq": "Dramatiq",
    "taskiq": "Taskiq",
    "zeromq": "ZeroMQ",
    "ray": "RayActor",
    "p2c2g": "P2C2G",
}

_ROOT = Path(__file__).resolve().parents[2]

#: Waits for one result, at most so many seconds, and returns it; TimeoutError after them.
Wait = Callable[[float], bytes]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a contender runs.

    ``broker_url`` is the broker as the client sees it, next door, and ``far_broker_url`` as the
    worker does, through the delay.  ``far`` gives, for a port on 127.0.0.1, another one that
    leads to it through the same delay.  ``log`` takes what the worker prints.
    """

    broker_url: str
    far_broker_url: str
    far: Callable[[int], int]
    threads: int
    work_ms: float
    log: IO[bytes]


class Contender(Protocol):
    """One way to have the task run elsewhere; used by one thread."""

    #: Whether its worker can be put behind the delay.
    remote: ClassVar[bool]

    def start(self, bench: Bench) -> None:
        """Start the worker and connect; the first result shows that both are ready.

        Raises:
            UnavailableError: it cannot run here.
        """

    def submit(self, payload: bytes) -> Wait:
        """Send one task without waiting for it, and return what waits for its result."""

    def stop(self) -> None:
        """End the worker and close every connection, also after half a start."""


def load(name: str) -> Contender:
    """Return a contender of :data:`CONTENDERS`.

    Raises:
        UnavailableError: the packages that it needs are not installed.
    """
    try:
        module = importlib.import_module(f"benchmarks.contenders.{name}")
    except ImportError as error:
        raise UnavailableError(
            f'{name} is not installed ({error}): pip install -e ".[bench]" brings it.'
        ) from error
    contender: Contender = getattr(module, CONTENDERS[name])()
    return contender


def start_worker(
    module: str, bench: Bench, url: str, extra: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Run a contender's module as its worker process; see :func:`worker_terms`.

    The URL holds a password, so it goes by the environment, not by the command line; ``extra``
    are further variables.
    """
    environment = {
        "BENCH_URL": url,
        "BENCH_THREADS": str(bench.threads),
        "BENCH_WORK_MS": str(bench.work_ms),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])),
        **(extra or {}),
    }
    return processes.start(
        [sys.executable, "-P", "-m", module],
        env=os.environ | environment,
        stdout=bench.log,
        stderr=bench.log,
    )


def worker_terms() -> tuple[str, int, float]:
    """Return, in a worker process, the URL, the number of threads and the milliseconds."""
    return (
        os.environ["BENCH_URL"],
        int(os.environ["BENCH_THREADS"]),
        float(os.environ["BENCH_WORK_MS"]),
    )


def work(milliseconds: float) -> None:
    """Do the task's work: it takes its time without the interpreter's lock, as OpenCV does."""
    if milliseconds:
        time.sleep(milliseconds / 1000)
