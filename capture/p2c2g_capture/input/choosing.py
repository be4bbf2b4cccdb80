"""By what a source can be played, if it can; and why not."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Literal

from p2c2g.errors import P2C2GError, SourceUnavailableError, UsageError
from p2c2g_capture.input.injector import Injector
from p2c2g_capture.input.pads import PadProfile, PadsAsKeys, WithPads
from p2c2g_capture.input.target import OwnTarget, ScreenTarget, Target, XTarget
from p2c2g_capture.sources import Source

logger = logging.getLogger(__name__)

#: ``auto`` lets a game be played where input can reach nothing else; ``on`` a whole screen too, and
#: the test pattern.
Wish = Literal["auto", "on", "off"]

_WHOLE_SCREEN = (
    "{} can be played only with --input on: what is played there goes to whatever has the focus."
)
_NOT_PLAYED = "{} cannot be played: it is no game that runs here."


def open_injector(
    source: Source, wish: Wish = "auto", pads: Mapping[str, str] | None = None
) -> Injector | None:
    """Open the way into a source's game; the caller closes it.

    Args:
        source: what is captured.
        wish: what the gamer allows.
        pads: which key each part of a pad presses, where there are no virtual pads; by the
            names of :class:`PadProfile`.

    Returns:
        None where it is not to be played, or cannot be, with ``auto``.

    Raises:
        UsageError: with ``on``, it is nothing that can be played.
        SourceUnavailableError: with ``on``, what that needs is not there.
    """
    if wish == "off":
        return None
    profile = None if pads is None else PadProfile.of(pads)
    target = source.target()
    if target is None:
        if wish == "on":
            raise UsageError(_NOT_PLAYED.format(source.name) + " Leave out --input on.")
        return None
    if wish == "auto" and is_whole_screen(target):
        logger.info(_WHOLE_SCREEN.format(source.name))
        return None
    if wish == "auto" and isinstance(target, OwnTarget):
        return None  # It is for who measures.
    try:
        return _open(target, profile)
    except P2C2GError as error:
        if wish == "on":
            raise
        logger.warning("%s cannot be played. %s", source.name, error)
        return None


def is_whole_screen(target: Target) -> bool:
    """Tell whether more than a game can be reached there."""
    match target:
        case XTarget():
            return target.window is None and not target.own
        case ScreenTarget():
            return True
    return False


def _open(target: Target, profile: PadProfile | None) -> Injector:
    if isinstance(target, OwnTarget):
        return target.injector
    if isinstance(target, ScreenTarget):
        return PadsAsKeys(_open_desktop(target), profile)
    from p2c2g_capture.input.guardian import GuardedInjector
    from p2c2g_capture.input.x11 import X11Injector

    inner: Injector = X11Injector(target)
    # Where a pad can be made as well, what is mapped to keys would come twice.
    pads = _virtual_pads() if profile is None and sys.platform == "linux" else None
    if not target.own:
        inner = GuardedInjector(inner, target)
    return PadsAsKeys(inner, profile) if pads is None else WithPads(inner, pads)


def _open_desktop(target: ScreenTarget) -> Injector:
    from p2c2g_capture.input.desktop import DesktopInjector

    if target.area is None:
        raise SourceUnavailableError("It is not known where on the screen the game is.")
    return DesktopInjector.open(target.area)


def _virtual_pads() -> Injector | None:
    from p2c2g_capture.input.uinput import UinputPads

    try:
        return UinputPads()
    except SourceUnavailableError as error:
        logger.debug("Gamepads press keys: %s", error)
        return None
