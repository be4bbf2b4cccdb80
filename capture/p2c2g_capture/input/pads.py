"""Gamepads where the game's side has none: a profile maps what is pressed to keys and a mouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from p2c2g.errors import UsageError
from p2c2g_capture.input.events import PAD_AXES, PAD_BUTTONS, Event, Kind
from p2c2g_capture.input.injector import Injector, Part
from p2c2g_capture.input.keys import NUMBERS

#: How far a stick or a trigger has to be moved for a key, and back for letting it go.
_PRESSES, _LETS_GO = 0.5, 0.35

_MOUSE: Final = {
    "MouseLeft": 0,
    "MouseMiddle": 1,
    "MouseRight": 2,
    "MouseBack": 3,
    "MouseForward": 4,
}
#: Buttons by the W3C's standard pad, by what is written on an Xbox one.
_BUTTONS: Final = {
    "a": 0, "b": 1, "x": 2, "y": 3, "lb": 4, "rb": 5, "lt": 6, "rt": 7, "back": 8, "start": 9,
    "ls": 10, "rs": 11, "up": 12, "down": 13, "left": 14, "right": 15, "guide": 16,
}  # fmt: skip
#: Axes, each with the directions that it has: less and more than nothing.
_STICKS: Final = {
    "left-stick-left": (0, -1), "left-stick-right": (0, 1), "left-stick-up": (1, -1),
    "left-stick-down": (1, 1), "right-stick-left": (2, -1), "right-stick-right": (2, 1),
    "right-stick-up": (3, -1), "right-stick-down": (3, 1),
}  # fmt: skip

#: What most games for a keyboard take.
USUAL: Final[dict[str, str]] = {
    "left-stick-up": "KeyW", "left-stick-down": "KeyS", "left-stick-left": "KeyA",
    "left-stick-right": "KeyD", "right-stick-left": "ArrowLeft", "right-stick-right": "ArrowRight",
    "right-stick-up": "ArrowUp", "right-stick-down": "ArrowDown",
    "up": "ArrowUp", "down": "ArrowDown", "left": "ArrowLeft", "right": "ArrowRight",
    "a": "Space", "b": "ControlLeft", "x": "KeyE", "y": "KeyR", "lb": "KeyQ", "rb": "ShiftLeft",
    "lt": "MouseRight", "rt": "MouseLeft", "start": "Escape", "back": "Tab", "ls": "KeyC",
    "rs": "KeyF",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PadProfile:
    """Which key or mouse button each part of a pad presses.

    Args:
        buttons: by the pad's button; what is pressed, as an event.
        sticks: by the pad's axis and direction.
    """

    buttons: Mapping[int, Event]
    sticks: Mapping[tuple[int, int], Event]

    @classmethod
    def of(cls, table: Mapping[str, str] = USUAL) -> PadProfile:
        """Read a table: parts of a pad, and the key (by the W3C's name) or mouse button for each.

        Raises:
            UsageError: one of them is none.
        """
        buttons, sticks = {}, {}
        for part, key in table.items():
            if key in NUMBERS:
                event = Event(Kind.KEY_DOWN, NUMBERS[key])
            elif key in _MOUSE:
                event = Event(Kind.BUTTON_DOWN, _MOUSE[key])
            else:
                raise UsageError(
                    f"{key!r} is no key: give the name of a physical key, such as KeyW, ArrowUp or "
                    f"Space, or one of {', '.join(_MOUSE)}."
                )
            if part in _BUTTONS:
                buttons[_BUTTONS[part]] = event
            elif part in _STICKS:
                sticks[_STICKS[part]] = event
            else:
                raise UsageError(
                    f"{part!r} is no part of a gamepad: give one of "
                    f"{', '.join((*_BUTTONS, *_STICKS))}."
                )
        return cls(buttons, sticks)


class PadsAsKeys(Injector):
    """An injector that presses keys for pads.

    A key that both a player's keyboard and a pad press is down until both have let it go.

    Args:
        inner: puts keys and the pointer into the game.
        profile: which keys.
    """

    def __init__(self, inner: Injector, profile: PadProfile | None = None) -> None:
        self._inner = inner
        self._profile = profile or PadProfile.of()
        self.name = f"{inner.name}, pads as keys"
        #: Who holds each key or button, by what presses it.
        self._holders: dict[tuple[Kind, int], set[object]] = {}

    @property
    def can(self) -> frozenset[Part]:
        """Return what the other can, and pads."""
        return self._inner.can | {"pads"}

    def notice(self) -> str:
        """Return what a player should know."""
        return self._inner.notice()

    def begin(self, *, near: bool) -> None:
        """Note that somebody takes the controls."""
        self._inner.begin(near=near)

    def inject(self, events: Sequence[Event]) -> None:
        """Put events in."""
        mapped = [each for event in events for each in self._mapped(event)]
        if mapped or not events:
            self._inner.inject(mapped)

    def close(self) -> None:
        """Leave the game."""
        self._inner.close()

    def _mapped(self, event: Event) -> list[Event]:
        match event.kind:
            case Kind.KEY_DOWN | Kind.BUTTON_DOWN:
                return self._hold(event, "itself", down=True)
            case Kind.KEY_UP:
                return self._hold(Event(Kind.KEY_DOWN, event.number), "itself", down=False)
            case Kind.BUTTON_UP:
                return self._hold(Event(Kind.BUTTON_DOWN, event.number), "itself", down=False)
            case Kind.PAD_BUTTON if event.number < PAD_BUTTONS:
                return self._pressed(
                    self._profile.buttons.get(event.number), event, event.x, event.number
                )
            case Kind.PAD_AXIS if event.number < PAD_AXES:
                return [
                    each
                    for way in (-1, 1)
                    for each in self._pressed(
                        self._profile.sticks.get((event.number, way)),
                        event,
                        event.x * way,
                        (event.number, way),
                    )
                ]
        return [event]

    def _pressed(self, key: Event | None, event: Event, by: float, part: object) -> list[Event]:
        if key is None:
            return []
        holder = (event.pad, part)
        held = holder in self._holders.get((key.kind, key.number), ())
        return self._hold(key, holder, down=by >= (_LETS_GO if held else _PRESSES))

    def _hold(self, key: Event, holder: object, *, down: bool) -> list[Event]:
        """Note who holds a key; return what that changes in the game."""
        holders = self._holders.setdefault((key.kind, key.number), set())
        before = bool(holders)
        (holders.add if down else holders.discard)(holder)
        if before == bool(holders):
            return []
        if down:
            return [Event(key.kind, key.number)]
        up = Kind.KEY_UP if key.kind is Kind.KEY_DOWN else Kind.BUTTON_UP
        return [Event(up, key.number)]


class WithPads(Injector):
    """An injector of keys and pointer beside one of pads.

    Args:
        keys: puts all else into the game.
        pads: puts pads into the game.
    """

    def __init__(self, keys: Injector, pads: Injector) -> None:
        self._keys, self._pads = keys, pads
        self.name = f"{keys.name}, {pads.name}"

    @property
    def can(self) -> frozenset[Part]:
        """Return what both can."""
        return self._keys.can | self._pads.can

    def notice(self) -> str:
        """Return what a player should know."""
        return self._keys.notice() or self._pads.notice()

    def begin(self, *, near: bool) -> None:
        """Note that somebody takes the controls."""
        self._keys.begin(near=near)
        self._pads.begin(near=near)

    def inject(self, events: Sequence[Event]) -> None:
        """Put events in."""
        of_pads = [each for each in events if each.kind in (Kind.PAD_BUTTON, Kind.PAD_AXIS)]
        rest = [each for each in events if each.kind not in (Kind.PAD_BUTTON, Kind.PAD_AXIS)]
        if rest:
            self._keys.inject(rest)
        if of_pads:
            self._pads.inject(of_pads)

    def close(self) -> None:
        """Leave the game."""
        self._keys.close()
        self._pads.close()
