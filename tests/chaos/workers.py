"""The workers that are harmed, and the lines to the broker that can be cut."""

from __future__ import annotations

import resource
import signal
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.faults import SESSION
from tests.chaos.peer import FOLDER_VARIABLE, NAME_VARIABLE, Conduct, ready_file
from tests.pool import FIRST_LOOK, HONEST, LOOK, Pool, Worker, wait_until_ready

#: Seconds that the workers get to end when they are told to.
STOP_TIMEOUT = 60.0
#: The round trip of each proxied line in good times, milliseconds; 5 where it is not named.
RTT_MS = {"w3": 2.0, "w4": 10.0, SESSION: 0.0}
#: Seconds for which a result can be asked for with AsyncResult; whatever is left goes then.
RESULT_LIFETIME = 20
#: Bytes that a file may have on a disk that is full.
_FULL = 512


class ChaosWorker(Worker):
    """One ``celery -A p2c2g worker`` that can be harmed, killed and started again."""

    def __init__(self, short: str, url: str, folder: Path) -> None:
        self._short = short
        self._folder = folder
        self.logs = folder / f"logs-{short}"
        super().__init__(
            None, url, folder / f"{short}.log",
            "-Q", "cpu", "-c", "2", "-I", "tests.chaos.peer",
            name=short, application=HONEST, forked=False,
            environment={
                "P2C2G_WORKER_RESULT_LIFETIME": str(RESULT_LIFETIME),
                "P2C2G_LOG_DIR": str(self.logs),
                # Rotates every few seconds, so that a disk that is full is soon noticed.
                "P2C2G_LOG_MEGABYTES": "0.02",
                FOLDER_VARIABLE: str(folder),
                NAME_VARIABLE: short,
            },
        )  # fmt: skip

    def answers(self, timeout: float = LOOK) -> bool:
        """Tell whether it has said that it takes chunks, since it was last started.

        A ping would leave two sockets of Celery's open.
        """
        process = self.process
        if process is None:
            return False
        # Not its log: where the disk is full it says nothing there.
        ready = ready_file(self._folder, self._short, process.pid)
        if not ready.exists():
            self.pause(min(timeout, FIRST_LOOK))
        return ready.exists()

    def limit_files(self, *, full: bool) -> None:
        """Let none of its files grow, or let them again.

        One that is still starting is spared: it writes its banner, without which it cannot start.
        """
        if self.process is not None and (not full or self.answers(0.0)):
            _, most = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
            limit = _FULL if full else most
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (limit, most))

    def ask_to_stop(self) -> str | None:
        """Send it SIGTERM, as its owner would; say so if there is none."""
        if not self.is_running:
            return f"{self.name} was not running at the end"
        self.signal(signal.SIGCONT)
        self.limit_files(full=False)
        self.signal(signal.SIGTERM)
        return None

    def ended(self) -> str | None:
        """Wait until it has ended; say what was wrong with that, if anything was."""
        try:
            status = self.wait(STOP_TIMEOUT)
        except AssertionError:
            self.kill()
            return f"{self.name} did not end within {STOP_TIMEOUT:g} s of SIGTERM"
        return f"{self.name} ended with status {status}" if status else None

    def records(self) -> list[Path]:
        """Return the files of records of all processes that it was."""
        return sorted(self._folder.glob(f"{self._short}-*.records"))


def stop_workers(workers: Collection[ChaosWorker]) -> list[str]:
    """End them side by side; say what was wrong with their ends."""
    wrong = [said for worker in workers if (said := worker.ask_to_stop())]
    return wrong + [said for worker in workers if (said := worker.ended())]


@contextmanager
def chaos_pool(folder: Path, workers: int = 4) -> Iterator[tuple[Pool, dict[str, ChaosWorker]]]:
    """Give a pool and its workers by name; from the third on each has a proxy.

    Args:
        folder: for logs, conducts and records.
        workers: how many.
    """
    names = [f"w{number}" for number in range(1, workers + 1)]
    made: dict[str, ChaosWorker] = {}
    with Pool(folder) as pool:
        for name in (*names[2:], SESSION):
            pool.proxy(name, RTT_MS.get(name, 5.0))
        for name in names:
            Conduct().write(folder, name)
            made[name] = ChaosWorker(name, pool.url(name), folder)
            pool.add(name, made[name])
        wait_until_ready(made.values())
        yield pool, made
