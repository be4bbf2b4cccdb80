"""The seam to a game: events of players go in, and the game hears keys, a pointer and pads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

from p2c2g.errors import UnavailableError
from p2c2g_capture.input.events import Event, Kind

#: What may go into a game.
Part = Literal["keys", "pointer", "pads"]

PART_OF: Final[dict[Kind, Part]] = {
    Kind.KEY_DOWN: "keys",
    Kind.KEY_UP: "keys",
    Kind.BUTTON_DOWN: "pointer",
    Kind.BUTTON_UP: "pointer",
    Kind.MOVE_TO: "pointer",
    Kind.MOVE_BY: "pointer",
    Kind.WHEEL: "pointer",
    Kind.PAD_BUTTON: "pads",
    Kind.PAD_AXIS: "pads",
}


class InjectionError(UnavailableError):
    """The game takes no input any more."""


class Injector(Protocol):
    """A way into a game.  Called from one thread at a time; it waits for no game."""

    #: What a person calls it, such as ``x11``.
    name: str

    @property
    def can(self) -> frozenset[Part]:
        """Return what it can put into the game."""
        ...

    def notice(self) -> str:
        """Return what a player should know of it now, a sentence without its end; or nothing."""
        return ""

    def begin(self, *, near: bool) -> None:
        """Note that somebody takes the controls.

        Args:
            near: whether that one's browser is on this machine, so that the game must not be
                given the focus.

        Raises:
            InjectionError: the game is gone.
        """
        return

    def inject(self, events: Sequence[Event]) -> None:
        """Put events in, in their order; those of a part that it cannot are passed over.

        Raises:
            InjectionError: the game is gone.
        """
        ...

    def close(self) -> None:
        """Leave the game; may be called twice."""
        ...


class MemoryInjector(Injector):
    """A game that only remembers: what it was sent, what is pressed, and where the pointer is.

    Args:
        can: what goes in.
    """

    name = "memory"

    def __init__(self, can: Sequence[Part] = ("keys", "pointer", "pads")) -> None:
        self._can = frozenset(can)
        self._changed = threading.Condition()
        #: All that came, in order.
        self.events: list[Event] = []
        self.keys: set[int] = set()
        self.buttons: set[int] = set()
        #: What of a pad is not at rest, by pad, kind and number.
        self.pads: dict[tuple[int, Kind, int], float] = {}
        self.pointer = (0.5, 0.5)
        self.closed = False
        #: By whom it was begun: near or not.
        self.begun: list[bool] = []

    @property
    def can(self) -> frozenset[Part]:
        """Return what goes in."""
        return self._can

    @property
    def is_at_rest(self) -> bool:
        """Tell whether nothing is pressed."""
        return not (self.keys or self.buttons or self.pads)

    def begin(self, *, near: bool) -> None:
        """Remember who began."""
        self.begun.append(near)

    def inject(self, events: Sequence[Event]) -> None:
        """Take events in.

        Raises:
            InjectionError: it is closed.
        """
        if self.closed:
            raise InjectionError("The game in memory is closed.")
        with self._changed:
            for event in events:
                if PART_OF[event.kind] in self._can:
                    self._take(event)
            self._changed.notify_all()

    def wait_for(self, count: int, timeout: float) -> bool:
        """Wait until so many events have come; tell whether they have in ``timeout`` seconds."""
        return self.wait_until(lambda game: len(game.events) >= count, timeout)

    def wait_until(self, is_so: Callable[[MemoryInjector], bool], timeout: float) -> bool:
        """Wait until it is so; tell whether it was in ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: is_so(self), timeout)

    def close(self) -> None:
        """Take nothing more."""
        self.closed = True

    def _take(self, event: Event) -> None:
        self.events.append(event)
        match event.kind:
            case Kind.KEY_DOWN:
                self.keys.add(event.number)
            case Kind.KEY_UP:
                self.keys.discard(event.number)
            case Kind.BUTTON_DOWN:
                self.buttons.add(event.number)
            case Kind.BUTTON_UP:
                self.buttons.discard(event.number)
            case Kind.MOVE_TO:
                self.pointer = (event.x, event.y)
            case Kind.PAD_BUTTON | Kind.PAD_AXIS:
                self.pads[event.pad, event.kind, event.number] = event.x
                if event.x == 0:
                    del self.pads[event.pad, event.kind, event.number]
