"""Lets go of what is pressed where the session was killed.

An X server keeps a key pressed that a program pressed which is no more.  So this process is told
of all that goes into the game, before it goes in; once nobody is there to tell it anything,
whatever ended the session, it lets go of the rest and ends.  A display of the game's own ends with
the session, and needs none.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from p2c2g.errors import P2C2GError
from p2c2g_capture.input.events import MOTION, SIZE, Event, Kind, pack, unpack
from p2c2g_capture.input.held import Held
from p2c2g_capture.input.injector import Injector, Part
from p2c2g_capture.input.target import XTarget

#: What presses nothing.
_PASSING: Final = MOTION | {Kind.WHEEL}
_PATIENCE: Final = 3.0


class GuardedInjector(Injector):
    """An injector whose keys are let go by a process of its own where this one is killed.

    Args:
        inner: puts events in.
        target: the same place, for the guardian.
    """

    def __init__(self, inner: Injector, target: XTarget) -> None:
        self._inner = inner
        self.name = inner.name
        words = [target.display or "", "" if target.window is None else str(target.window)]
        # In a session of its own: what ends us from the terminal must not end it first.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", __name__, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Return the guardian's process id."""
        return self._process.pid

    @property
    def can(self) -> frozenset[Part]:
        """Return what goes in."""
        return self._inner.can

    def notice(self) -> str:
        """Return what a player should know."""
        return self._inner.notice()

    def begin(self, *, near: bool) -> None:
        """Note that somebody takes the controls."""
        self._inner.begin(near=near)

    def inject(self, events: Sequence[Event]) -> None:
        """Tell the guardian, and put events in."""
        pressing = [each for each in events if each.kind not in _PASSING]
        if pressing and self._process.stdin is not None:
            # Without it one plays on: it is needed only where this process is killed as well.
            with contextlib.suppress(OSError):
                os.write(self._process.stdin.fileno(), pack(pressing))
        self._inner.inject(events)

    def close(self) -> None:
        """Leave; the guardian ends by itself."""
        self._inner.close()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def guard(target: XTarget, stream: int) -> None:
    """Note what is pressed until the stream ends, then let go of it."""
    # Now: once it is needed there is no time.
    from p2c2g_capture.input.x11 import X11Injector

    injector = X11Injector(target)
    held, rest = Held(), b""
    while part := os.read(stream, 64 * SIZE):
        rest += part
        whole = len(rest) - len(rest) % SIZE
        for at in range(0, whole, SIZE):
            for event in unpack(rest[at : at + SIZE]):
                held.note(event)
        rest = rest[whole:]
    injector.let_go(held.let_go())
    injector.close()


if __name__ == "__main__":
    display, window = sys.argv[1:]
    with contextlib.suppress(P2C2GError):
        guard(XTarget(display or None, int(window) if window else None), sys.stdin.fileno())
