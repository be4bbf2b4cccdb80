"""Keeps a driver's libraries from taking this process's signals."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: Those that LLVM takes beside the faults: of a process that ends, is told something, or writes
#: more than it may.
_TAKEN = (
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGXFSZ",
)  # fmt: skip


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Put back each handler that what is done inside has replaced behind Python's back.

    OpenCL's drivers stand on LLVM, which takes these signals when it first compiles.  At the
    first one of them it puts *all* back as it found them, so that a disk that is full (SIGXFSZ,
    which Python ignores) makes a worker deaf to SIGTERM: it dies of it, with its chunks.

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
