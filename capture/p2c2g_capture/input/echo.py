"""A game that shows what it is sent: a mark for each key, on the test pattern."""

from __future__ import annotations

from collections.abc import Sequence

from p2c2g.media.frame import Pixels, Rect, Size
from p2c2g_capture.input.events import Event, Kind
from p2c2g_capture.input.injector import Injector, Part

#: Marks across the strip, and its height as a share of the picture's: below all stamps.
MARKS, _STRIP = 32, 18
_WHITE = 255
_POINTER = (64, 255, 64)


class EchoInjector(Injector):
    """Remembers what is pressed, and draws it."""

    name = "pattern"

    def __init__(self) -> None:
        # Replaced as a whole, since pictures are drawn in another thread.
        self._keys: frozenset[int] = frozenset()
        self._buttons: frozenset[int] = frozenset()
        self._pointer: tuple[float, float] | None = None

    @property
    def can(self) -> frozenset[Part]:
        """Return keys and a pointer."""
        return frozenset(("keys", "pointer"))

    def inject(self, events: Sequence[Event]) -> None:
        """Remember what is pressed, and where the pointer is."""
        for event in events:
            only = frozenset((event.number,))
            match event.kind:
                case Kind.KEY_DOWN:
                    self._keys |= only
                case Kind.KEY_UP:
                    self._keys -= only
                case Kind.BUTTON_DOWN:
                    self._buttons |= only
                case Kind.BUTTON_UP:
                    self._buttons -= only
                case Kind.MOVE_TO:
                    self._pointer = (event.x, event.y)

    def close(self) -> None:
        """Forget it all."""
        self._keys = self._buttons = frozenset()
        self._pointer = None

    def draw(self, pixels: Pixels) -> None:
        """Draw a mark for each key and button that is pressed, and the pointer, into a picture."""
        size = Size.of(pixels)
        pointer, buttons = self._pointer, self._buttons
        for key in self._keys:
            mark(size, key).of(pixels)[:] = _WHITE
        if pointer is None:
            return
        edge = max(2, size.height // 60) * (2 if buttons else 1)
        x = min(size.width - edge, int(pointer[0] * size.width))
        y = min(size.height - edge, int(pointer[1] * size.height))
        Rect(x, y, edge, edge).of(pixels)[:, :, :3] = _POINTER


def mark(size: Size, key: int) -> Rect:
    """Return where a key's mark is in a picture: on a strip at its lower edge."""
    height, width = size.height // _STRIP, size.width // MARKS
    return Rect(key % MARKS * width, size.height - height, width, height)
