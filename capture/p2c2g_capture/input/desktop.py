"""Into Windows (SendInput) and macOS (Quartz), by pynput.

Not yet seen on such a machine: what is tested is what pynput is asked for.  The whole desktop is
the game there, so what is played goes to whatever has the focus.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from p2c2g.errors import SourceUnavailableError
from p2c2g.media.frame import Rect
from p2c2g_capture.input.events import Event, Kind
from p2c2g_capture.input.injector import InjectionError, Injector, Part
from p2c2g_capture.input.keys import MACOS, scan_code

#: ``MapVirtualKey``: from a scan code, left and right told apart.
_TO_VIRTUAL: Final = 3
_BUTTONS: Final = ("left", "middle", "right", "x1", "x2")


class DesktopInjector(Injector):
    """A hand on the desktop of Windows or macOS.

    Args:
        area: of the screen that is captured.
        keyboard: the module ``pynput.keyboard``.
        mouse: the module ``pynput.mouse``.
        virtual: gives the system's virtual key for a key's number; None where it has none.
    """

    name = "desktop"

    def __init__(
        self, area: Rect, keyboard: Any, mouse: Any, virtual: Callable[[int], int | None]
    ) -> None:
        self._area = area
        self._code = keyboard.KeyCode.from_vk
        self._keyboard = keyboard.Controller()
        self._mouse = mouse.Controller()
        # Such as macOS, where pynput has no buttons for back and forward.
        self._buttons = [getattr(mouse.Button, each, None) for each in _BUTTONS]
        self._virtual = virtual
        self._left_over = [0.0, 0.0]

    @classmethod
    def open(cls, area: Rect) -> DesktopInjector:
        """Find the library, and ask the system.

        Raises:
            SourceUnavailableError: it is not there, or the system lets no program type.
        """
        try:
            from pynput import keyboard, mouse
        except ImportError as error:
            raise SourceUnavailableError(
                'To be played, this system needs the library pynput: pip install "p2c2g[capture]".'
            ) from error
        return cls(area, keyboard, mouse, _virtual_keys())

    @property
    def can(self) -> frozenset[Part]:
        """Return keys and a pointer."""
        return frozenset(("keys", "pointer"))

    def inject(self, events: Sequence[Event]) -> None:
        """Put events in.

        Raises:
            InjectionError: the system refuses them.
        """
        try:
            for event in events:
                self._put(event)
        except Exception as error:  # pynput's own, and those of whatever it calls
            raise InjectionError(f"The system takes no input from programs: {error}") from error

    def close(self) -> None:
        """Do nothing: it holds nothing."""

    def _put(self, event: Event) -> None:
        match event.kind:
            case Kind.KEY_DOWN | Kind.KEY_UP:
                virtual = self._virtual(event.number)
                if virtual is not None:
                    does = self._keyboard.press if event.kind is Kind.KEY_DOWN else None
                    (does or self._keyboard.release)(self._code(virtual))
            case Kind.BUTTON_DOWN | Kind.BUTTON_UP:
                button = self._buttons[event.number]
                if button is not None:
                    does = self._mouse.press if event.kind is Kind.BUTTON_DOWN else None
                    (does or self._mouse.release)(button)
            case Kind.MOVE_TO:
                area = self._area
                self._mouse.position = (
                    area.x + min(area.width - 1, int(event.x * area.width)),
                    area.y + min(area.height - 1, int(event.y * area.height)),
                )
            case Kind.MOVE_BY:
                self._mouse.move(*self._whole(event.x, event.y))
            case Kind.WHEEL:
                # There the wheel counts up as more.
                self._mouse.scroll(event.x, -event.y)

    def _whole(self, *way: float) -> list[int]:
        """Return a way in whole pixels; what is left over is kept for the next."""
        moved = []
        for axis, part in enumerate(way):
            whole = self._left_over[axis] + part
            moved.append(int(whole))
            self._left_over[axis] = whole - int(whole)
        return moved


def _virtual_keys() -> Callable[[int], int | None]:
    if sys.platform == "darwin":
        return MACOS.get
    import ctypes

    # Typed as there is no Windows where this is checked.
    user32: Any = getattr(ctypes, "windll").user32  # noqa: B009

    def virtual(number: int) -> int | None:
        code = scan_code(number)
        return None if code is None else user32.MapVirtualKeyW(code, _TO_VIRTUAL) or None

    return virtual
