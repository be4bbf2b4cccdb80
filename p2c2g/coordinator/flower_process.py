"""Flower, as a child of the coordinator of a pool of one's own.

It listens at a socket in a folder that this user alone may enter, so whoever asks it has passed the
coordinator's sign-in (:mod:`p2c2g.coordinator.own_pool`).  A host of applications has one port for
outsiders, and a Flower with a port of its own would need a second login beside this one's.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from time import monotonic
from typing import Final

from p2c2g.system import processes

logger = logging.getLogger(__name__)

#: The folder of Flower's pages.
PREFIX: Final = "/flower"
#: Seconds between two starts.
_PAUSE: Final = 10.0


class FlowerProcess:
    """Starts it, and starts it again where it has ended; for any thread.

    Args:
        environment: of this process: Flower finds the broker by it.
        clock: seconds, monotonic.
    """

    def __init__(
        self, environment: Mapping[str, str] = os.environ, clock: Callable[[], float] = monotonic
    ) -> None:
        self._folder = TemporaryDirectory(prefix="p2c2g-flower-", ignore_cleanup_errors=True)
        self.socket = Path(self._folder.name) / "socket"
        # Its own variables are for a Flower that stands by itself, with a port and a login.
        kept = {name: each for name, each in environment.items() if name[:7] != "FLOWER_"}
        # The way to it is private, and its API has else nobody.
        self._environment = {**kept, "FLOWER_UNAUTHENTICATED_API": "true"}
        self._clock = clock
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._started = float("-inf")

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            processes.stop(self._process)
        self._folder.cleanup()

    def keep(self) -> None:
        """Start it where it does not run; not more often than every ten seconds."""
        with self._lock:
            self._keep()

    def _keep(self) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        if self._clock() - self._started < _PAUSE:
            return
        if self._process is not None:
            logger.warning("Flower has ended (%d): it is started again.", self._process.returncode)
        self._started = self._clock()
        self.socket.unlink(missing_ok=True)
        self._process = processes.start(
            [
                *(sys.executable, "-m", "celery", "-q", "-A", "p2c2g", "flower"),
                *(f"--unix_socket={self.socket}", f"--url_prefix={PREFIX.strip('/')}"),
                # So it takes 172 MB at most (docs/broker.md).
                *("--max_tasks=10000", "--logging=warning"),
            ],
            env=self._environment,
            death_signal=signal.SIGTERM,
        )
