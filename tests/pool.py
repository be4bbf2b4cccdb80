"""A pool on this machine, for tests, chaos and benchmarks: a broker, and real workers on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from time import monotonic
from types import TracebackType
from typing import IO, Self

import psutil
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from p2c2g.errors import UnavailableError
from p2c2g.messaging.broker import Broker
from p2c2g.messaging.client import Client
from p2c2g.messaging.embedded import HOST, EmbeddedBroker
from p2c2g.peers.messages import PeerState
from p2c2g.peers.registry import Registry
from p2c2g.settings import Settings
from p2c2g.system import processes
from p2c2g.testing.delay_proxy import DelayProxy
from tests import forks
from tests.lane import PATIENCE, ROOT, by_port, settings

#: Seconds for the start of workers, after which one hangs: sixteen at once on two cores take a
#: while, and so does one with PyTorch on a machine that is busy.
START_TIMEOUT = 200.0
#: Seconds that one may take to answer a ping; less at first, while it may not hear one.
FIRST_LOOK, LOOK = 0.05, 0.5
#: Of the environment of a worker that is missed after a minute, and not after three seconds: a
#: machine that stands still has lost nobody.
LASTING = {"P2C2G_WORKER_BEAT_INTERVAL": "20"}
#: Applications: the pool's own, and one whose every result is a black picture.
HONEST = "p2c2g"
LIAR = "tests.liar_app"


def environment(url: str | None, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a process of the pool whose broker is at ``url``, if it has one."""
    folders = [str(ROOT / name) for name in (".", "workers", "capture", "training")]
    path = os.pathsep.join(filter(None, [*folders, os.environ.get("PYTHONPATH")]))
    clean = {name: value for name, value in os.environ.items() if not name.startswith("P2C2G_")}
    broker = {} if url is None else {"P2C2G_BROKER_URL": url}
    # Reels go round, and what is shown again is to be done again.
    plain = {"P2C2G_WORKER_REMEMBERED_MB": "0"}
    return clean | {"PYTHONPATH": path} | plain | broker | dict(more or {})


def used_seconds(process: int) -> float:
    """Return the processor seconds that a process, by its id, has used so far."""
    times = psutil.Process(process).cpu_times()
    return float(times.user + times.system)


class Worker:
    """A real ``celery worker`` in a process of its own, which ends with this one.

    Args:
        app: asks it whether it is there; None where a subclass knows.
        url: of its broker.
        log: the file that takes what it says; each start goes on in it.
        options: of ``celery worker``.
        name: before the ``@test`` of its node's name.
        application: what it serves.
        more: of its environment.
        forked: whether it may leave out the start of Python (:mod:`tests.forks`).
        imported: modules that it may then have imported, beside what any worker has.
    """

    def __init__(
        self,
        app: Celery | None,
        url: str,
        log: Path,
        *options: str,
        name: str = "w",
        application: str = "tests.lane_app",
        environment: Mapping[str, str] | None = None,
        forked: bool = True,
        imported: tuple[str, ...] = (),
    ) -> None:
        self.name = f"{name}@test"
        self.log_path = log
        self.process: subprocess.Popen[bytes] | forks.Fork | None = None
        self._app = app
        self._url = url
        self._arguments = [
            *("-m", "celery", "-A", application, "worker"),
            *("-n", self.name, "-l", "info", *options),
        ]
        self._more = environment
        self._forked = forked
        self._imported = imported

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start it, without waiting for its answer; one that has ended may be started again."""
        whole = environment(self._url, self._more)
        with self.log_path.open("wb" if self.process is None else "ab") as log:
            if self._forked:
                self.process = forks.python(
                    self._arguments, env=whole, stdout=log, stderr=log, imported=self._imported
                )
            else:
                self.process = processes.start(
                    [sys.executable, *self._arguments],
                    env=whole, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
                )  # fmt: skip

    def wait_until_ready(self) -> None:
        """Ask until it answers.

        Raises:
            UnavailableError: it ended or did not answer; the message has its log.
        """
        deadline = monotonic() + START_TIMEOUT
        look = FIRST_LOOK
        while not self.answers(look):
            look = min(LOOK, 1.5 * look)
            if not self.is_running:
                raise UnavailableError(f"The worker {self.name} ended:\n{self.log()}")
            if monotonic() > deadline:
                raise UnavailableError(f"The worker {self.name} does not answer:\n{self.log()}")

    @property
    def is_running(self) -> bool:
        """Tell whether its process has not ended."""
        return self.process is not None and self.process.poll() is None

    def pause(self, seconds: float) -> None:
        """Wait so long, or until it has ended."""
        assert self.process is not None
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)

    def answers(self, timeout: float = LOOK) -> bool:
        """Tell whether it answers a ping within so many seconds."""
        assert self._app is not None
        try:
            return bool(
                self._app.control.broadcast(
                    "ping", reply=True, destination=[self.name], timeout=timeout, limit=1
                )
            )
        except (OperationalError, redis.RedisError, OSError):
            return False

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait until it has ended; return its exit status."""
        assert self.process is not None
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the worker has not ended:\n{self.log()}") from None

    def kill(self) -> None:
        """Kill it at once with its own processes, as a power cut would."""
        if self.is_running:
            assert self.process is not None
            with suppress(ProcessLookupError):  # It may end by itself just now.
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def log(self) -> str:
        """Return what it has said so far."""
        return self.log_path.read_text(errors="replace")

    def received(self) -> list[str]:
        """Return the ids of the tasks that it says it has received so far, in order."""
        lines = [line for line in self.log().splitlines() if " received" in line]
        return [line.rpartition("[")[2].partition("]")[0] for line in lines]


#: Makes a worker that answers: options of ``celery worker``, and :class:`Worker`'s keywords.
MakeWorker = Callable[..., Worker]


class Pool:
    """A broker of its own and its workers, as a context manager.

    Args:
        folder: for logs; one that vanishes where None.
        maxmemory: bytes that the broker may hold; None sets no limit.
    """

    def __init__(self, folder: Path | None = None, *, maxmemory: int | None = None) -> None:
        self._stack = ExitStack()
        self._folder = folder
        self.broker = EmbeddedBroker(maxmemory=maxmemory)
        self.workers: dict[str, Worker] = {}
        self.proxies: dict[str, DelayProxy] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = self._folder or Path(
                stack.enter_context(TemporaryDirectory(prefix="p2c2g-pool-"))
            )
            stack.enter_context(self.broker)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def url(self, name: str = "") -> str:
        """Return the broker's URL, as somebody knows it who may be behind a proxy."""
        if name not in self.proxies:
            return self.broker.url
        return by_port(self.broker.url, self.proxies[name].port)

    def settings(self, name: str = "") -> Settings:
        """Return the settings of a session, behind a proxy where ``name`` has one."""
        return settings(self.url(name))

    @cached_property
    def _side(self) -> Broker:
        return self._stack.enter_context(Broker(self.settings()))

    @property
    def app(self) -> Celery:
        """Return an application of the broker, as sessions have one."""
        return self._side.app

    @property
    def client(self) -> Client:
        """Return a client of the broker."""
        return self._side.client

    @cached_property
    def log(self) -> IO[bytes]:
        """A file that vanishes, for what others of the pool say."""
        return self._stack.enter_context(TemporaryFile())

    def proxy(self, name: str, rtt_ms: float = 0.0) -> DelayProxy:
        """Put a proxy between the broker and somebody who has yet to connect."""
        made = self._stack.enter_context(DelayProxy(HOST, self.broker.port, rtt_ms))
        self.proxies[name] = made
        return made

    def add(self, name: str, worker: Worker) -> Worker:
        """Start a worker without waiting for it; it ends with the pool."""
        self.workers[name] = worker
        self._stack.callback(worker.kill)
        worker.launch()
        return worker

    def worker(
        self, name: str, application: str = HONEST, more: Mapping[str, str] | None = None
    ) -> Worker:
        """Start a worker of one chunk at a time, and wait until sessions can know it.

        ``more`` is of its environment.

        Raises:
            UnavailableError: it ended, or is not there in time.
        """
        made = Worker(
            self.app, self.url(name), self.folder / f"{name}.log",
            "-Q", "cpu", "-c", "1", name=name, application=application, environment=more,
        )  # fmt: skip
        self.add(name, made).wait_until_ready()
        wait_until_known(made, self.client)
        return made

    def grow(self, count: int) -> None:
        """Start workers by the real command until there are so many, and wait for them.

        Each runs one chunk at a time, as the demo's do where there are as many peers as cores.
        Events are off: they are for Flower.

        Raises:
            UnavailableError: they do not start.
        """
        for number in range(len(self.workers) + 1, count + 1):
            name = f"peer{number}"
            made = Worker(
                self.app, self.url(name), self.folder / f"{name}.log",
                "-Q", "cpu", "-c", "1", "-l", "warning", "--without-heartbeat",
                name=name, application=HONEST, forked=False,
            )  # fmt: skip
            self.add(name, made)
        wait_until_ready(self.workers.values())

    def cpu(self) -> dict[str, float]:
        """Return the processor seconds used so far: ``broker`` and all ``workers`` together."""
        running = [each.process for each in self.workers.values() if each.process is not None]
        return {
            "broker": used_seconds(int(self.client.info("server")["process_id"])),
            "workers": sum(used_seconds(process.pid) for process in running),
        }


def wait_until_known(worker: Worker, client: Client) -> None:
    """Wait until sessions can know a worker that answers: its first beats may be later than that.

    Raises:
        UnavailableError: it ended, or is not there in time.
    """
    registry, deadline = Registry(client), monotonic() + START_TIMEOUT
    while (beat := registry.beats([worker.name])[worker.name].beat) is None or (
        beat.state is not PeerState.READY
    ):
        if monotonic() > deadline or not worker.is_running:
            raise UnavailableError(f"The worker {worker.name} is not ready:\n{worker.log()}")
        worker.pause(FIRST_LOOK)


def wait_until_ready(workers: Iterable[Worker]) -> None:
    """Wait for workers that were launched side by side.

    Raises:
        UnavailableError: one ended or did not answer.
    """
    for worker in workers:
        worker.wait_until_ready()
