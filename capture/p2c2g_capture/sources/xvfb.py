"""A screen that exists only in memory, for a game or a test of our own (X.Org's Xvfb)."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from types import TracebackType
from typing import Self

from p2c2g.errors import SourceUnavailableError
from p2c2g.media.frame import Size
from p2c2g.system import processes

_START_SECONDS = 20.0


class VirtualDisplay:
    """An X server of its own on a free display number, which ends with this process.

    It listens on no network; by X.Org's own rule only this user's programs may connect.  ``name``
    is what goes into ``DISPLAY``, such as ``:99``.
    """

    def __init__(self, size: Size, *options: str, depth: int = 24) -> None:
        """Start it.

        Args:
            size: of its screen.
            options: further ones of Xvfb.
            depth: bits of a pixel's colour.

        Raises:
            SourceUnavailableError: Xvfb is not installed or does not start.
        """
        if processes.find("Xvfb") is None:
            raise SourceUnavailableError(
                "A game needs a screen of its own, and Xvfb is not installed: apt-get install xvfb."
            )
        reader, writer = os.pipe()
        try:
            # TERM, not KILL, if we die: it then removes its lock file.
            self._process = processes.start(
                [
                    *("Xvfb", "-displayfd", str(writer), "-screen", "0", f"{size}x{depth}"),
                    # Without -noreset it would restart whenever its last client disconnects.
                    *("-nolisten", "tcp", "-noreset"),
                    *options,
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[writer],
                death_signal=signal.SIGTERM,
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        try:
            self.name = f":{_read_line(reader, _START_SECONDS)}"
        except BaseException:
            self.close()
            raise
        finally:
            os.close(reader)
        self.size = size

    @property
    def pid(self) -> int:
        """Return the server's process id."""
        return self._process.pid

    def close(self) -> None:
        """End the server; may be called twice."""
        processes.stop(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _read_line(descriptor: int, seconds: float) -> str:
    """Read a pipe up to a line's end.

    Raises:
        SourceUnavailableError: the other side closed it, or took longer.
    """
    line = b""
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise SourceUnavailableError(f"Xvfb did not start within {seconds:g} s.")
            part = os.read(descriptor, 64)
            if not part:
                raise SourceUnavailableError("Xvfb ended before it had a screen.")
            line += part
    return line.decode().strip()
