"""What a player does, as it travels: events of a fixed layout, one after the other; pure.

.. code-block:: text

    offset  type     field     (little-endian, 24 bytes an event)
    0       u8       kind      see Kind
    1       u8       pad       0 to 3 for PAD_BUTTON and PAD_AXIS, else 0
    2       u16      number    of a key, a button, or what a pad has; else 0
    4       u32      sequence  one more with each event of a connection, from 1
    8       f64      at        milliseconds by the browser's own clock
    16      f32      x
    20      f32      y

    kind            number                           x, y
    1 KEY_DOWN      Linux' number of the physical    0
    2 KEY_UP        key, 1 to 247                    0
    3 BUTTON_DOWN   0 left, 1 middle, 2 right,       0
    4 BUTTON_UP     3 back, 4 forward                0
    5 MOVE_TO       0                                place in the picture, 0 to 1 each way
    6 MOVE_BY       0                                pixels, 4096 at most either way
    7 WHEEL         0                                notches to the right and down, 100 at most
    8 PAD_BUTTON    0 to 16, of the W3C's standard   x is how far it is pressed, 0 to 1
    9 PAD_AXIS      0 to 3                           x is -1 to 1
    10 RELEASE      0                                0: all that this player holds is let go
    11 BEAT         0                                0: the player is still there

``static/input_wire.js`` writes the same.  A message has 1 to 64 events.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from p2c2g.errors import P2C2GError

_LAYOUT: Final = struct.Struct("<BBHIdff")
#: Bytes of an event, and events of a message at most.
SIZE: Final = _LAYOUT.size
MOST: Final = 64
#: Keys, buttons, pads, and what a pad has.
KEYS, BUTTONS, PADS, PAD_BUTTONS, PAD_AXES = 247, 5, 4, 17, 4
_FARTHEST, _NOTCHES = 4096.0, 100.0
#: A double holds each millisecond up to here.
_LATEST = 2.0**53


class Kind(IntEnum):
    """What an event is."""

    KEY_DOWN = 1
    KEY_UP = 2
    BUTTON_DOWN = 3
    BUTTON_UP = 4
    MOVE_TO = 5
    MOVE_BY = 6
    WHEEL = 7
    PAD_BUTTON = 8
    PAD_AXIS = 9
    RELEASE = 10
    BEAT = 11


#: Those that say what holds from now on, and not what is done once.
MOTION: Final = frozenset((Kind.MOVE_TO, Kind.MOVE_BY))
_BY_PAD: Final = frozenset((Kind.PAD_BUTTON, Kind.PAD_AXIS))


class BadEventError(P2C2GError):
    """Bytes that are no events of ours."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a player did; the fields are those of the layout."""

    kind: Kind
    number: int = 0
    x: float = 0.0
    y: float = 0.0
    pad: int = 0
    sequence: int = 0
    at: float = 0.0


def unpack(data: bytes) -> list[Event]:
    """Read a message; all of it or nothing.

    Raises:
        BadEventError: it is none, or holds what no browser of ours sends.
    """
    if not data or len(data) % SIZE or len(data) > MOST * SIZE:
        raise BadEventError(
            f"{len(data)} bytes are no message of events: it has 1 to {MOST} of {SIZE} bytes."
        )
    return [_checked(*fields) for fields in _LAYOUT.iter_unpack(data)]


def pack(events: Iterable[Event]) -> bytes:
    """Write a message."""
    return b"".join(
        _LAYOUT.pack(each.kind, each.pad, each.number, each.sequence, each.at, each.x, each.y)
        for each in events
    )


def _checked(
    kind: int, pad: int, number: int, sequence: int, at: float, x: float, y: float
) -> Event:
    try:
        known = Kind(kind)
    except ValueError:
        raise BadEventError(f"There is no event of kind {kind}.") from None
    if not (0.0 <= at <= _LATEST) or not (math.isfinite(x) and math.isfinite(y)):
        raise BadEventError(f"A number of an event of kind {known.name} is none.")
    event = Event(known, number, x, y, pad, sequence, at)
    if not _is_in_bounds(event):
        raise BadEventError(f"An event of kind {known.name} is out of bounds.")
    return event


def _is_in_bounds(event: Event) -> bool:
    kind, number, x, y = event.kind, event.number, event.x, event.y
    if event.pad >= PADS or (event.pad and kind not in _BY_PAD):
        return False
    match kind:
        case Kind.KEY_DOWN | Kind.KEY_UP:
            return 1 <= number <= KEYS and x == y == 0
        case Kind.BUTTON_DOWN | Kind.BUTTON_UP:
            return number < BUTTONS and x == y == 0
        case Kind.MOVE_TO:
            return number == 0 and 0 <= x <= 1 and 0 <= y <= 1
        case Kind.MOVE_BY:
            return number == 0 and max(abs(x), abs(y)) <= _FARTHEST
        case Kind.WHEEL:
            return number == 0 and max(abs(x), abs(y)) <= _NOTCHES
        case Kind.PAD_BUTTON:
            return number < PAD_BUTTONS and 0 <= x <= 1 and y == 0
        case Kind.PAD_AXIS:
            return number < PAD_AXES and -1 <= x <= 1 and y == 0
    return number == 0 and x == y == 0
