"""The worker that a keeper keeps, as a child of it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from p2c2g.lending.home import RUN, Home
from p2c2g.system import processes
from p2c2g.updating.venvs import environment

#: Seconds that a worker has to finish what it has.
DRAIN: Final = 45.0


class Worker:
    """A process that ends with this one, in good order.

    Args:
        home: of the machine.
        log: takes what it prints; this process's own output where None.
    """

    def __init__(self, home: Home, log: Path | None = None) -> None:
        self._home = home
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, version: str | None = None, arguments: Sequence[str] = RUN) -> None:
        """Start it.

        Args:
            version: of which; the one that is used where None.
            arguments: of ``p2c2g``.

        Raises:
            UnavailableError: there is no such program.
        """
        command = [str(self._home.program(version=version)), *arguments]
        own = environment(self._home, alone=version is not None)
        if self._log is None:
            self._process = processes.start(command, env=own, death_signal=signal.SIGTERM)
            return
        with self._log.open("ab") as log:
            self._process = processes.start(
                command, env=own, stdout=log, stderr=log, death_signal=signal.SIGTERM
            )

    @property
    def ended(self) -> int | None:
        """Return its exit code; None while it runs."""
        return 0 if self._process is None else self._process.poll()

    @property
    def is_there(self) -> bool:
        """Tell whether it was started and not stopped, whether it runs or not."""
        return self._process is not None

    def stop(self, patience: float = DRAIN) -> None:
        """Have it finish what it has, and end."""
        process, self._process = self._process, None
        if process is not None:
            processes.stop(process, patience)
