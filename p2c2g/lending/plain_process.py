"""A peer without a service of the system: a process of its own, and a note of which it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Final

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from p2c2g.errors import UnavailableError, UsageError
from p2c2g.lending.unit import Unit
from p2c2g.system.files import write_whole

#: Bytes of the note at most.
_MOST: Final = 65_536
#: Bytes of what it prints, after which the next start begins a new file; one older is kept.
_MOST_LOG: Final = 1 << 20


class _Note(BaseModel):
    """Which process it is: an id may be another's later, an id and its beginning not."""

    model_config = ConfigDict(frozen=True)

    command: tuple[str, ...]
    environment: dict[str, str]
    log: Path
    pid: int | None = None
    created: float = 0.0


class PlainProcess:
    """Starts a process that goes on when who started it ends.

    Args:
        file: keeps the note.
        patience: seconds that it has to end in good order.
    """

    kind = "none"

    def __init__(self, file: Path, patience: float) -> None:
        self._file = file
        self._patience = patience

    def install(self, unit: Unit) -> None:
        """Note what is to be started; what runs by an earlier note is ended."""
        self.uninstall(unit.name)
        self._keep(_Note(command=unit.command, environment=dict(unit.environment), log=unit.log))

    def start(self, name: str) -> None:
        """Start it, where it does not run; what it prints goes to a file of the log's folder."""
        note = self._note()
        if note is None:
            raise UsageError("There is nothing to be started: set this peer up by p2c2g peer init.")
        if _process(note) is not None:
            return
        environment = {**os.environ, **note.environment}
        try:
            note.log.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = note.log / "service.log"
            if path.exists() and path.stat().st_size > _MOST_LOG:
                path.replace(path.with_suffix(".log.1"))
            with path.open("ab") as log:
                started = subprocess.Popen(  # noqa: S603 - our own words, and no shell
                    note.command, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                    stderr=log, start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            raise UnavailableError(
                f"{note.command[0]} cannot be started ({error.strerror})."
            ) from error
        # Its end is nobody's to wait for here.
        started.returncode = 0
        created = psutil.Process(started.pid).create_time()
        self._keep(note.model_copy(update={"pid": started.pid, "created": created}))

    def stop(self, name: str) -> None:
        """Ask it to end; after its patience it is ended, with all that it has started."""
        note = self._note()
        process = None if note is None else _process(note)
        if process is None:
            return
        children: list[psutil.Process] = []
        until = monotonic() + self._patience
        try:
            children = process.children(recursive=True)
            if sys.platform == "win32":
                process.terminate()
            else:
                process.send_signal(signal.SIGTERM)
            # The process may be this one's child, whose end the system keeps until it is asked.
            psutil.wait_procs([process], max(until - monotonic(), 0.0))
        except psutil.NoSuchProcess:
            pass
        for each in (process, *children):
            try:
                each.kill()
            except psutil.Error:
                continue
        psutil.wait_procs([process, *children], 5.0)

    def is_running(self, name: str) -> bool:
        """Look at the process."""
        note = self._note()
        return note is not None and _process(note) is not None

    def uninstall(self, name: str) -> None:
        """End it, and delete the note."""
        self.stop(name)
        self._file.unlink(missing_ok=True)

    def note(self) -> str:
        """Say what is missing."""
        return "No service of the system starts it: after the next start of the machine, start it."

    def _note(self) -> _Note | None:
        try:
            with self._file.open("rb") as file:
                return _Note.model_validate_json(file.read(_MOST))
        except (OSError, ValidationError):
            return None

    def _keep(self, note: _Note) -> None:
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._file, note.model_dump_json(indent=1) + "\n", private=True)
        except OSError as error:
            raise UnavailableError(f"{self._file} cannot be written ({error.strerror}).") from error


def _process(note: _Note) -> psutil.Process | None:
    """Return the process that a note is about; None where it has ended."""
    if note.pid is None:
        return None
    try:
        process = psutil.Process(note.pid)
        is_it = abs(process.create_time() - note.created) < 1.0
        if is_it and process.status() != psutil.STATUS_ZOMBIE:
            return process
    except psutil.Error:
        return None
    return None
