"""A log file that stays small and never holds up its process, whatever its disk does."""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from time import monotonic

logger = logging.getLogger(__name__)

#: How many of our files a folder keeps, the newest: each process makes its own.
MAX_FILES = 32
#: Seconds after which a file that could not be written is tried again.
RETRY_INTERVAL = 30.0

_FILE_NAME = re.compile(r"[a-z0-9]+-[0-9]+\.jsonl(\.[0-9]+)?")


class JsonFile(logging.handlers.RotatingFileHandler):
    """A file of JSON lines that rotates, and never raises an error of its disk.

    ``ROLE-PID.jsonl`` in ``folder`` and at most ``backups`` older ones beside it, each of at
    most ``max_bytes``; of all such files in the folder, the newest :data:`MAX_FILES` stay.
    A line that cannot be written is dropped.

    Args:
        folder: made at the first line if it does not exist.
        role: begins the file's name.
        max_bytes: of one file.
        backups: older files of this process.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        folder: Path,
        role: str,
        *,
        max_bytes: int,
        backups: int,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._folder, self._role, self._clock = folder, role, clock
        self._process = os.getpid()
        self._retry_at: float | None = None
        self._reported = False
        #: Lines that could not be written.
        self.dropped = 0
        super().__init__(
            self._path(), maxBytes=max_bytes, backupCount=backups, encoding="utf-8", delay=True
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or drop it."""
        if self._retry_at is not None and self._clock() < self._retry_at:
            self.dropped += 1
            return
        if os.getpid() != self._process:
            # A forked child: two processes must not rotate the same file.
            self._process = os.getpid()
            self._abandon()
            self.baseFilename = str(self._path().absolute())
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop a line that could not be written; report it once."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        self.dropped += 1
        self._retry_at = self._clock() + RETRY_INTERVAL
        self._abandon()
        if not self._reported:
            self._reported = True
            # For the other outputs: this one drops it.
            logger.warning("No log is written to %s: %s.", self.baseFilename, error.strerror)

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        path.parent.mkdir(parents=True, exist_ok=True)
        _prune(path.parent)
        stream = super()._open()
        if self._retry_at is not None:
            try:
                stream.write("\n")  # The line that failed may be there in part.
                stream.flush()
            except OSError:
                with suppress(OSError):
                    stream.close()
                raise
            self._retry_at = None
        return stream

    def _abandon(self) -> None:
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.close()

    def _path(self) -> Path:
        return self._folder / f"{self._role}-{self._process}.jsonl"


def _prune(folder: Path) -> None:
    """Delete the oldest of our files, so that a new one makes at most :data:`MAX_FILES`."""
    with suppress(OSError):
        ours = [path for path in folder.iterdir() if _FILE_NAME.fullmatch(path.name)]
        ours.sort(key=lambda path: path.stat().st_mtime)
        for path in ours[: max(0, len(ours) - MAX_FILES + 1)]:
            path.unlink()
