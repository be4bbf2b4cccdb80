"""A supervised thread: named, its crash kept for its owner, joined with a time limit."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

logger = logging.getLogger(__name__)


class SupervisedThread:
    """Runs a function once, and remembers what ended it.

    A plain thread dies unnoticed: its exception goes to standard error and the process goes on
    without it.  So the owner of this one calls :meth:`check` regularly.

    Args:
        name: of the thread, for logs and profilers.
        target: what it runs; returns when it is told to by means of its own.
    """

    def __init__(self, name: str, target: Callable[[], None]) -> None:
        self._target = target
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        #: What ended it before its time.
        self.crash: BaseException | None = None

    @property
    def name(self) -> str:
        """Return its name."""
        return self._thread.name

    def start(self) -> None:
        """Start it."""
        self._thread.start()

    def check(self) -> None:
        """Do nothing while it has not crashed.

        Raises:
            RuntimeError: it has died; the cause is its crash.
        """
        if self.crash is not None:
            raise RuntimeError(f"the thread {self.name} has died") from self.crash

    def join(self, timeout: float) -> bool:
        """Wait ``timeout`` seconds at most for its end; tell whether it has ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._target()
        except BaseException as error:
            self.crash = error
            logger.exception("The thread %s died", self.name)
            if not isinstance(error, Exception):
                raise


class ThreadInBlock(ABC):
    """Works in a supervised thread of its own inside a ``with`` block.

    Args:
        name: of the thread.
        patience: seconds that the end of the block waits for it.
    """

    def __init__(self, name: str, patience: float) -> None:
        self._patience = patience
        #: Set where the block ends: then :meth:`run` is to return.
        self.ending = threading.Event()
        self._thread = SupervisedThread(name, self.run)

    @abstractmethod
    def run(self) -> None:
        """Work until the block ends."""

    def check(self) -> None:
        """Do nothing while it has not died.

        Raises:
            RuntimeError: it has died; the cause is its crash.
        """
        self._thread.check()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.ending.set()
        self._thread.join(self._patience)
