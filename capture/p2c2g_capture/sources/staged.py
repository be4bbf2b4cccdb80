"""A program on a screen of its own: how it is grabbed, played and ended."""

from __future__ import annotations

import subprocess

from p2c2g.errors import SourceUnavailableError
from p2c2g.media.frame import Pixels, Size
from p2c2g.system import processes
from p2c2g.system.scratch import Scratch
from p2c2g_capture.input.target import XTarget
from p2c2g_capture.sources import Source
from p2c2g_capture.sources.screen import ScreenSource
from p2c2g_capture.sources.xvfb import VirtualDisplay


class Staged(Source):
    """A program on a virtual display, whose whole surface is the picture.

    A subclass starts the program (:attr:`_process`), and waits for what it shows.  What fails on
    the way is closed by it.

    Args:
        name: what a person calls the source.
        size: of the display.

    Raises:
        SourceUnavailableError: the display does not start.
    """

    def __init__(self, name: str, size: Size) -> None:
        self.name = name
        self._closed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._display = VirtualDisplay(size)
        #: A folder of its own: the home, or what is written for it.
        self._scratch = Scratch("game")
        self._log = self._scratch.path / "log"
        try:
            self._screen = ScreenSource(monitor=0, display=self._display.name)
        except BaseException:
            self._display.close()
            self._scratch.cleanup()
            raise
        self.size = self._screen.size

    @property
    def display(self) -> str:
        """Return the name of the X display."""
        return self._display.name

    @property
    def pids(self) -> tuple[int, ...]:
        """Return the process ids of the display and of the program that runs now."""
        program = () if self._process is None else (self._process.pid,)
        return (self._display.pid, *program)

    def grab(self, number: int) -> Pixels:
        """Return what is shown now, whatever ``number``: (height, width, 4).

        Raises:
            SourceUnavailableError: the program has ended, or the source is closed.
        """
        if self._closed or self._process is None:
            raise SourceUnavailableError(f"{self.name} is closed.")
        if self._process.poll() is not None:
            self._ended()
        return self._screen.grab(number)

    def wait(self, seconds: float) -> bool:
        """Wait until the program has drawn, or so long; tell whether it has."""
        return self._screen.wait(seconds)

    def target(self) -> XTarget:
        """Return the program's display."""
        return XTarget(self._display.name, own=True)

    def close(self) -> None:
        """End the program and its display; may be called twice."""
        self._closed = True
        self._screen.close()
        if self._process is not None:
            processes.stop(self._process)
        self._display.close()
        self._scratch.cleanup()

    def _ended(self) -> None:
        """Start the program again, or say that it has ended.

        Raises:
            SourceUnavailableError: it has.
        """
        raise SourceUnavailableError(f"{self.name} has ended.")
