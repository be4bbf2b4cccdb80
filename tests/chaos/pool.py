"""The pool that is harmed: a real broker, four real workers, and lines that can be cut."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from p2c2g.messaging.client import redis_client
from p2c2g.messaging.embedded import EmbeddedBroker
from p2c2g.settings import BrokerSettings, Settings
from p2c2g.system import processes
from p2c2g.testing.delay_proxy import DelayProxy
from tests.chaos.faults import SESSION
from tests.chaos.peer import FOLDER_VARIABLE, NAME_VARIABLE, Conduct, ready_file

ROOT = Path(__file__).resolve().parents[2]
#: Seconds that the workers get to answer at first, and to end when they are told to.
START_TIMEOUT, STOP_TIMEOUT = 60.0, 15.0
#: The round trip of each proxied line in good times, milliseconds.
RTT_MS = {"w3": 2.0, "w4": 10.0, SESSION: 0.0}
#: Seconds for which a result can be asked for with AsyncResult; whatever is left goes then.
RESULT_LIFETIME = 20
#: Bytes that a file may have on a disk that is full.
_FULL = 512


def node(name: str) -> str:
    """Return the Celery node name of a worker, which is also what sessions call its peer."""
    return f"{name}@chaos"


class ChaosWorker:
    """One ``celery -A p2c2g worker`` that can be killed and started anew."""

    def __init__(self, name: str, url: str, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self.logs = folder / f"logs-{name}"
        self._log = folder / f"{name}.log"
        paths = [ROOT, ROOT / "workers", ROOT / "capture", os.environ.get("PYTHONPATH", "")]
        self._environment = {
            **{name: value for name, value in os.environ.items() if "P2C2G" not in name},
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "P2C2G_BROKER_URL": url,
            "P2C2G_WORKER_RESULT_LIFETIME": str(RESULT_LIFETIME),
            "P2C2G_LOG_DIR": str(self.logs),
            # Rotates every few seconds, so that a disk that is full is soon noticed.
            "P2C2G_LOG_MEGABYTES": "0.02",
            FOLDER_VARIABLE: str(folder),
            NAME_VARIABLE: name,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, without waiting for it."""
        with self._log.open("ab") as log:
            self.process = processes.start(
                [
                    *(sys.executable, "-m", "celery", "-A", "p2c2g", "worker"),
                    *("-Q", "cpu", "-n", node(self.name), "-c", "2", "-l", "info"),
                    *("-I", "tests.chaos.peer"),
                ],
                env=self._environment,
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def is_ready(self) -> bool:
        """Tell whether it has said that it takes chunks, since it was last started."""
        process = self.process
        # Not its log: where the disk is full it says nothing there.
        return process is not None and ready_file(self._folder, self.name, process.pid).exists()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        if self.process is not None:
            self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it at once, as a power cut would."""
        process = self.process
        if process is not None and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def limit_files(self, *, full: bool) -> None:
        """Let none of its files grow, or let them again."""
        if self.process is not None:
            _, most = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
            limit = _FULL if full else most
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (limit, most))

    def ask_to_stop(self) -> None:
        """Send it SIGTERM, as its owner would.

        Raises:
            RuntimeError: it has ended by itself.
        """
        if self.process is not None:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with status {self.process.returncode}")
            self.process.send_signal(signal.SIGCONT)
            self.limit_files(full=False)
            self.process.terminate()

    def stop(self) -> str | None:
        """Wait until it has ended; say what was wrong with its end, if anything was."""
        process, self.process = self.process, None
        if process is None:
            return f"{self.name} was not running at the end"
        try:
            status = process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"{self.name} did not end within {STOP_TIMEOUT:g} s of SIGTERM"
        return f"{self.name} ended with status {status}" if status else None

    def records(self) -> list[Path]:
        """Return the files of records of all processes that it was."""
        return sorted(self._folder.glob(f"{self.name}-*.records"))


class Pool:
    """Broker, proxies and workers, as a context manager.

    Args:
        folder: for logs, conducts and records.
        workers: how many; from the third on they reach the broker through a proxy.
    """

    def __init__(self, folder: Path, workers: int = 4) -> None:
        self.folder = folder
        self.names = tuple(f"w{number}" for number in range(1, workers + 1))
        self.broker = EmbeddedBroker()
        self.proxies: dict[str, DelayProxy] = {}
        self.workers: dict[str, ChaosWorker] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.broker)
            for name in (*self.names[2:], SESSION):
                proxy = DelayProxy("127.0.0.1", self.broker.port, RTT_MS.get(name, 5.0))
                self.proxies[name] = stack.enter_context(proxy)
            stack.callback(self._kill_workers)
            for name in self.names:
                worker = ChaosWorker(name, self.url(name), self.folder)
                self.workers[name] = worker
                Conduct().write(self.folder, name)
                worker.start()
            self.wait_until_ready()
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
    def proxied(self) -> tuple[str, ...]:
        """Return the workers whose line can be harmed."""
        return tuple(name for name in self.names if name in self.proxies)

    def url(self, name: str) -> str:
        """Return the broker's URL as a worker, or the session, knows it."""
        if name not in self.proxies:
            return self.broker.url
        head, _, _ = self.broker.url.rpartition(":")
        return f"{head}:{self.proxies[name].port}/0"

    def settings(self, name: str = "") -> Settings:
        """Return the settings of somebody who is nobody's worker."""
        url = self.url(name) if name else self.broker.url
        return Settings(broker=BrokerSettings(url=url))

    def client(self) -> redis.Redis:
        """Return a client of the broker of our own, past all proxies."""
        return redis_client(self.settings())

    def stop_workers(self) -> list[str]:
        """End all workers in order; say what was wrong with their ends."""
        wrong = []
        for worker in self.workers.values():
            try:
                worker.ask_to_stop()
            except RuntimeError as error:
                wrong.append(str(error))
        return wrong + [said for worker in self.workers.values() if (said := worker.stop())]

    def log_of(self, name: str) -> str:
        """Return the last of what a worker has said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]

    def _kill_workers(self) -> None:
        for worker in self.workers.values():
            worker.kill()

    def wait_until_ready(self) -> None:
        """Wait until each has said so; a ping would leave two sockets of Celery's open."""
        deadline = time.monotonic() + START_TIMEOUT
        while not all(worker.is_ready() for worker in self.workers.values()):
            self._check_alive()
            if time.monotonic() > deadline:
                raise RuntimeError(f"the workers are not ready:\n{self.log_of('w1')}")
            time.sleep(0.05)

    def _check_alive(self) -> None:
        for name, worker in self.workers.items():
            if worker.process is None or worker.process.poll() is not None:
                raise RuntimeError(f"worker {name} ended:\n{self.log_of(name)}")
