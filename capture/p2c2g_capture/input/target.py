"""Where a source's game is played: a part of an X display, a window, or a picture of our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2c2g.media.frame import Rect

if TYPE_CHECKING:
    from p2c2g_capture.input.injector import Injector


@dataclass(frozen=True, slots=True)
class XTarget:
    """A part of an X display.

    Args:
        display: its name, None for the environment's.
        window: the id of the game's window; None where the display, or ``area`` of it, is the game.
        area: of the screen, where that is captured; None for all of it.
        own: whether the display is ours, and shows nothing but the game.
    """

    display: str | None = None
    window: int | None = None
    area: Rect | None = None
    own: bool = False


@dataclass(frozen=True, slots=True)
class ScreenTarget:
    """A part of this machine's screen where that is no X display; None is all of it."""

    area: Rect | None = None


@dataclass(frozen=True, slots=True)
class OwnTarget:
    """A source that hears input by itself, such as the test pattern."""

    injector: Injector


Target = XTarget | ScreenTarget | OwnTarget
