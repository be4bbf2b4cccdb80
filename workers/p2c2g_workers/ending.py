"""A worker that was told to end does so, even where the broker is silent and holds it up.

Celery's own steps may wait for the broker for minutes, on the main thread and without looking
whether they are still wanted.  A thread therefore counts the seconds, and ends the process where
nothing but the broker is being waited for.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
from collections.abc import Callable
from time import monotonic

from celery.platforms import EX_OK

logger = logging.getLogger(__name__)

#: Seconds that a worker has to end by itself: it may finish what it has received for three, send
#: results for three, and leave.
WARM = 7.0
#: Seconds from when it was told to drop what it has.
COLD = 3.0
_LOOK = 0.1


class Ending:
    """Ends this process where it does not end by itself.

    Args:
        is_working: tells whether a chunk or another task is running, which a warm end waits for.
        answers: tells whether the broker answers: then it is not what a warm end waits for.
        exit: ends the process with a code, at once.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        is_working: Callable[[], bool],
        answers: Callable[[], bool],
        exit: Callable[[int], None] = os._exit,  # noqa: A002 - what it does
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._is_working = is_working
        self._answers = answers
        self._exit = exit
        self._clock = clock
        self._code = EX_OK
        self._warm: float | None = None
        self._cold: float | None = None

    def begin(self, *, cold: bool = False, code: int = EX_OK) -> None:
        """Count from now; from a signal's handler too.  A cold end does not wait for tasks.

        Args:
            cold: whether what is running is to be dropped.
            code: the process's, where it has to be ended.
        """
        now = self._clock()
        self._code = self._code or code
        if cold and self._cold is None:
            self._cold = now + COLD
        if self._warm is None:
            self._warm = now + WARM
            threading.Thread(target=self._run, name="p2c2g-ending", daemon=True).start()

    def is_over(self) -> bool:
        """Tell whether the time is over in which the process should have ended."""
        now = self._clock()
        if self._cold is not None and now >= self._cold:
            return True
        if self._warm is None or self._is_working():
            return False
        return now >= self._warm and not self._answers()

    def _run(self) -> None:
        pause = threading.Event()
        while not self.is_over():
            pause.wait(_LOOK)
        logger.critical("This worker does not end by itself, as where the broker is silent: ended.")
        for child in multiprocessing.active_children():
            child.kill()
        self._exit(self._code)
