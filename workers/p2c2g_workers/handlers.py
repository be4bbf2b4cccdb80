"""Keeps a driver's libraries from taking over this process's signals."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: Those that LLVM takes over beside the faults: a process is to end, is notified, or writes more
#: than it may.
_TAKEN = (
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGXFSZ",
)  # fmt: skip


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Restore each handler that code inside the ``with`` block replaced without Python's knowing.

    OpenCL's drivers are built on LLVM, which takes over these signals when it first compiles.  At
    the first of them it restores *all* as it found them.  So a full disk (SIGXFSZ, which Python
    ignores) would make a worker lose its own handler of SIGTERM: it would die of the next one,
    with its chunks.

    Only the main thread may set handlers; elsewhere this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in _TAKEN if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: not Python's to begin with
                with suppress(OSError, ValueError):
                    signal.signal(number, handler)
