"""Temporary folders that a killed process leaves to be removed by the next one."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

if sys.platform != "win32":
    import fcntl

#: Whoever holds the lock of this file in a folder is alive.
_LOCK = "in-use.lock"


class Scratch:
    """A folder of this process alone, removed when it is closed.

    A process that is killed cannot do that.  The system gives up its lock, though, and so the next
    folder that is made for the same purpose removes what was left.  (On Windows it stays.)

    Args:
        what: it is for: part of its name.
    """

    def __init__(self, what: str) -> None:
        prefix = f"p2c2g-{what}-"
        for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
            with suppress(OSError):
                _remove_unused(left)
        self._folder = tempfile.TemporaryDirectory(prefix=prefix)  # of mode 0700
        self._lock = _locked(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cleanup()

    @property
    def path(self) -> Path:
        """Return where it is."""
        return Path(self._folder.name)

    def cleanup(self) -> None:
        """Remove it; twice is fine."""
        self._folder.cleanup()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(folder: Path) -> int | None:
    """Lock a folder; nobody sees the lock's file before it is locked."""
    if sys.platform == "win32":
        return None
    new = folder / f"{_LOCK}.new"
    lock = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    new.rename(folder / _LOCK)
    return lock


def _remove_unused(folder: Path) -> None:
    """Remove a folder of ours whose process is gone.

    Raises:
        OSError: it is in use, or not one of ours.
    """
    if sys.platform == "win32" or folder.lstat().st_uid != os.getuid():
        return
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(lock)
