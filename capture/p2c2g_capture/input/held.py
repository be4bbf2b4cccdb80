"""What is pressed, and how it is let go; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from p2c2g_capture.input.events import MOTION, Event, Kind

_LETS_GO: Final = {Kind.KEY_DOWN: Kind.KEY_UP, Kind.BUTTON_DOWN: Kind.BUTTON_UP}
_LET_GO_BY: Final = {up: down for down, up in _LETS_GO.items()}
_OF_PAD: Final = frozenset((Kind.PAD_BUTTON, Kind.PAD_AXIS))


class Held:
    """What is pressed of keys, buttons and pads."""

    def __init__(self) -> None:
        self._let_go: dict[tuple[Kind, int, int], Event] = {}

    def __len__(self) -> int:
        return len(self._let_go)

    def note(self, event: Event) -> bool:
        """Note what an event presses or lets go.

        Returns:
            False where it says nothing new: what is pressed already, or was not.
        """
        kind = event.kind
        if kind in _LETS_GO:
            key = (kind, 0, event.number)
            if key in self._let_go:
                return False
            self._let_go[key] = Event(_LETS_GO[kind], event.number)
        elif kind in _LET_GO_BY:
            return self._let_go.pop((_LET_GO_BY[kind], 0, event.number), None) is not None
        elif kind in _OF_PAD:
            key = (kind, event.pad, event.number)
            if event.x == 0:
                self._let_go.pop(key, None)
            else:
                self._let_go[key] = Event(kind, event.number, pad=event.pad)
        return True

    def let_go(self) -> tuple[Event, ...]:
        """Forget all of it; return the events that let it go."""
        events = tuple(self._let_go.values())
        self._let_go.clear()
        return events


def merged(events: Iterable[Event]) -> list[Event]:
    """Return events with each run of motion as one, the newest place or the sum of all ways.

    Nothing else is merged, and nothing changes its place.
    """
    kept: list[Event] = []
    for event in events:
        last = kept[-1] if kept else None
        if last is not None and event.kind in MOTION and last.kind is event.kind:
            x, y = event.x, event.y
            if event.kind is Kind.MOVE_BY:
                x, y = x + last.x, y + last.y
            kept[-1] = Event(event.kind, 0, x, y, 0, event.sequence, event.at)
        else:
            kept.append(event)
    return kept
