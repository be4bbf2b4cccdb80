"""A game of X's that only writes down what it hears.

``python -m tests.xgame DISPLAY`` prints one line of JSON an event, with the time in milliseconds of
the system's clock.
"""

from __future__ import annotations

import json
import select
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from Xlib import X

from p2c2g.media.frame import Rect
from p2c2g_capture.sources.xconnect import connect, disconnect

_OFFSET = 8
_MASK = (
    X.KeyPressMask | X.KeyReleaseMask | X.ButtonPressMask | X.ButtonReleaseMask
    | X.PointerMotionMask | X.FocusChangeMask
)  # fmt: skip
_NAMES = {
    X.KeyPress: "key down", X.KeyRelease: "key up", X.ButtonPress: "button down",
    X.ButtonRelease: "button up", X.MotionNotify: "move",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """One event: keys by Linux' number, buttons by X's; a move with its place in the window."""

    name: str
    number: int
    x: int
    y: int
    #: Whether it was sent to the window by name.
    sent: bool
    at_ms: float


class XGame:
    """A window that hears."""

    def __init__(self, display: str, rect: Rect, title: str = "game", *, focus: bool) -> None:
        self._x = connect(display)
        root: Any = self._x.screen().root
        self.window: Any = root.create_window(
            *(rect.x, rect.y, rect.width, rect.height, 0, X.CopyFromParent),
            background_pixel=0x203040, override_redirect=True, event_mask=_MASK,
        )  # fmt: skip
        self.window.set_wm_name(title)
        self.window.map()
        self._x.sync()
        if focus:
            self.focus()

    def focus(self) -> None:
        """Have the focus."""
        self.window.set_input_focus(X.RevertToParent, X.CurrentTime)
        self._x.sync()

    @property
    def has_focus(self) -> bool:
        focus = self._x.get_input_focus().focus
        return not isinstance(focus, int) and focus.id == self.window.id

    def keys_down(self) -> set[int]:
        """Return which keys the server says are pressed, by Linux' numbers."""
        state = self._x.query_keymap()
        return {code - _OFFSET for code in range(256) if state[code // 8] >> code % 8 & 1}

    def has_keys_down(self, keys: set[int], patience: float = 10.0) -> bool:
        """Tell whether just these become pressed: another connection's events may be on their way.

        Each look is a round trip of its own to the server.
        """
        end = time.monotonic() + patience
        while self.keys_down() != keys:
            if time.monotonic() > end:
                return False
        return True

    def events(self, patience: float) -> Iterator[Told]:
        """Yield what is heard, until nothing is for so many seconds."""
        while self._x.pending_events() or select.select([self._x], [], [], patience)[0]:
            if not self._x.pending_events():
                continue
            event = self._x.next_event()
            if event.type not in _NAMES:
                continue
            name = _NAMES[event.type]
            number = event.detail - _OFFSET if name.startswith("key") else event.detail
            yield Told(
                name, number, event.event_x, event.event_y, bool(event.send_event),
                time.time() * 1e3,
            )  # fmt: skip

    def hear(self, count: int, patience: float = 30.0) -> list[Told]:
        """Return the next so many events."""
        heard: list[Told] = []
        for told in self.events(patience):
            heard.append(told)
            if len(heard) == count:
                return heard
        raise AssertionError(f"only {heard} were heard")

    def close(self) -> None:
        disconnect(self._x)


def main() -> None:
    """Print what is heard until the display ends."""
    game = XGame(sys.argv[1], Rect(0, 0, 320, 180), focus=True)
    _say("ready")
    for told in game.events(3600):
        line = {"name": told.name, "number": told.number, "x": told.x, "y": told.y}
        _say(json.dumps({**line, "at_ms": told.at_ms}))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
