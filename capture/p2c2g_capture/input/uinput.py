"""Gamepads of the Linux kernel's making: games see them as if they were plugged in.

``/dev/uinput`` is root's as a rule; docs/play.md says how to open it to oneself.  A pad is there
from the first press on, and what is pressed of it is let go when its file is closed, also where
this process is killed: the kernel does that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from p2c2g.errors import SourceUnavailableError
from p2c2g_capture.input.events import Event, Kind
from p2c2g_capture.input.injector import InjectionError, Injector, Part

#: Kernel's types and codes (linux/input-event-codes.h).
_EV_KEY, _EV_ABS = 1, 3
#: By the W3C's buttons, without triggers and the cross, which are axes there.
_KEYS: Final = {
    0: 0x130, 1: 0x131, 2: 0x133, 3: 0x134, 4: 0x136, 5: 0x137, 8: 0x13A, 9: 0x13B, 10: 0x13D,
    11: 0x13E, 16: 0x13C,
}  # fmt: skip
_TRIGGERS: Final = {6: 2, 7: 5}  # ABS_Z, ABS_RZ
_STICKS: Final = {0: 0, 1: 1, 2: 3, 3: 4}  # ABS_X, ABS_Y, ABS_RX, ABS_RY
#: ABS_HAT0X and ABS_HAT0Y, by the cross' buttons, with the way of each.
_CROSS: Final = {12: (17, -1), 13: (17, 1), 14: (16, -1), 15: (16, 1)}
_FULL, _TRIGGER = 32767, 255
#: What it says it is: the pad that games know best.
_NAME, _VENDOR, _PRODUCT, _VERSION = "Microsoft X-Box 360 pad", 0x045E, 0x028E, 0x0110

#: Makes a device: by its capabilities, name and numbers.
Make = Callable[[dict[int, Any]], Any]


class UinputPads(Injector):
    """Up to four virtual pads."""

    name = "uinput"

    def __init__(self, make: Make | None = None) -> None:
        """Look whether pads can be made.

        Raises:
            SourceUnavailableError: they cannot; the sentence says why.
        """
        self._make = make or _maker()
        self._pads: dict[int, Any] = {}
        self._cross: dict[tuple[int, int], set[int]] = {}
        # The first one now: whether it can be made is known only then.
        self._pad(0)

    @property
    def can(self) -> frozenset[Part]:
        """Return pads."""
        return frozenset(("pads",))

    def inject(self, events: Sequence[Event]) -> None:
        """Put events of pads in.

        Raises:
            InjectionError: the kernel takes them no more.
        """
        touched = {}
        try:
            for event in events:
                if event.kind not in (Kind.PAD_BUTTON, Kind.PAD_AXIS):
                    continue
                device = touched[event.pad] = self._pad(event.pad)
                for kind, code, value in self._written(event):
                    device.write(kind, code, value)
            for device in touched.values():
                device.syn()
        except (OSError, SourceUnavailableError) as error:
            raise InjectionError(f"The virtual gamepad takes no input any more: {error}") from error

    def close(self) -> None:
        """Unplug them; may be called twice."""
        while self._pads:
            self._pads.popitem()[1].close()

    def _pad(self, pad: int) -> Any:
        if pad not in self._pads:
            try:
                self._pads[pad] = self._make(_capabilities())
            except OSError as error:
                raise SourceUnavailableError(f"No virtual gamepad can be made: {error}") from error
        return self._pads[pad]

    def _written(self, event: Event) -> list[tuple[int, int, int]]:
        number, value = event.number, event.x
        if event.kind is Kind.PAD_AXIS:
            return [(_EV_ABS, _STICKS[number], round(value * _FULL))]
        if number in _TRIGGERS:
            return [(_EV_ABS, _TRIGGERS[number], round(value * _TRIGGER))]
        if number in _CROSS:
            axis, way = _CROSS[number]
            held = self._cross.setdefault((event.pad, axis), set())
            (held.add if value > 0 else held.discard)(way)
            return [(_EV_ABS, axis, sum(held))]
        return [(_EV_KEY, _KEYS[number], int(value > 0))]


def _capabilities() -> dict[int, Any]:
    def axis(least: int, most: int) -> tuple[int, ...]:
        return 0, least, most, 0, 0, 0

    return {
        _EV_KEY: sorted(_KEYS.values()),
        _EV_ABS: [
            *((code, axis(-_FULL, _FULL)) for code in _STICKS.values()),
            *((code, axis(0, _TRIGGER)) for code in _TRIGGERS.values()),
            *((code, axis(-1, 1)) for code in (16, 17)),
        ],
    }


def _maker() -> Make:
    try:
        from evdev import AbsInfo, UInput
        from evdev.uinput import UInputError
    except ImportError as error:
        raise SourceUnavailableError(
            'Virtual gamepads need the library evdev: pip install "p2c2g[pads]".'
        ) from error

    def make(capabilities: dict[int, Any]) -> Any:
        known: dict[int, Any] = dict(capabilities)
        known[_EV_ABS] = [(code, AbsInfo(*limits)) for code, limits in capabilities[_EV_ABS]]
        try:
            return UInput(
                known,
                name=_NAME,
                vendor=_VENDOR,
                product=_PRODUCT,
                version=_VERSION,
            )
        except UInputError as error:
            raise OSError(str(error)) from error

    return make
