"""A virtual display with windows on it, and what a window manager or a game does to it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np
from Xlib import X

from p2c2g.media.frame import Pixels, Rect, Size
from p2c2g_capture.sources.xconnect import connect, disconnect
from p2c2g_capture.sources.xvfb import VirtualDisplay

RED, GREEN = 0xFF0000, 0x00FF00  # as X has them; our pixels are blue, green, red


class Desktop:
    """A client of a virtual display that puts windows on it."""

    def __init__(self, display: str, size: Size) -> None:
        self.name = display
        self._modes = {size}
        self._x = connect(display)
        self.root: Any = self._x.screen().root

    def window(self, title: str, rect: Rect, colour: int | None, **more: Any) -> Any:
        """Show a window of one colour, or of none: then the server never paints it."""
        window = self.root.create_window(
            *(rect.x, rect.y, rect.width, rect.height, more.pop("border", 0), X.CopyFromParent),
            **({"background_pixmap": X.NONE} if colour is None else {"background_pixel": colour}),
            override_redirect=True,
            **more,
        )
        window.set_wm_name(title)
        window.map()
        self.sync()
        return window

    def clear_window(self, title: str, rect: Rect, colour: int) -> None:
        """Show a window of one colour whose highest byte is its alpha."""
        screen = self._x.screen()
        (visual,) = (
            depth["visuals"][0]["visual_id"]
            for depth in screen.allowed_depths
            if depth["depth"] == 32
        )
        window = self.root.create_window(
            *(rect.x, rect.y, rect.width, rect.height, 0, 32, X.InputOutput, visual),
            background_pixel=colour,
            border_pixel=0,
            colormap=self.root.create_colormap(visual, X.AllocNone),
            override_redirect=True,
        )
        window.set_wm_name(title)
        window.map()
        self.sync()

    def sync(self) -> None:
        """Return when the server has done all that was asked."""
        self._x.sync()

    def pointer(self, colour: int) -> Any:
        """Make a pointer: a square of 8x8, its hot spot in the upper left corner."""
        square = self.root.create_pixmap(8, 8, 1)
        gc = square.create_gc(foreground=1)
        square.fill_rectangle(gc, 0, 0, 8, 8)
        shade = tuple((colour >> shift & 0xFF) * 257 for shift in (16, 8, 0))
        return square.create_cursor(square, shade, shade, 0, 0)

    def set_clients(self, windows: list[Any]) -> None:
        """Do what a window manager does: list the windows on the root."""
        self.say(self.root, "_NET_CLIENT_LIST", "WINDOW", [window.id for window in windows])

    def say(self, window: Any, name: str, kind: str, value: bytes | list[int]) -> None:
        """Set a property."""
        atoms = self._x.intern_atom(name), self._x.intern_atom(kind)
        window.change_property(*atoms, 8 if isinstance(value, bytes) else 32, value)
        self.sync()

    def forget(self, window: Any, name: str) -> None:
        """Delete a property."""
        window.delete_property(self._x.intern_atom(name))
        self.sync()

    def set_states(self, window: Any, *names: str) -> None:
        """Do what a window manager does when it minimises a window, or what else it does."""
        atoms = [self._x.intern_atom(name) for name in names]
        self.say(window, "_NET_WM_STATE", "ATOM", atoms)

    def set_workspaces(self, current: int, window: Any, its: int) -> None:
        """Say which workspace is shown, and which the window is on."""
        self.say(self.root, "_NET_CURRENT_DESKTOP", "CARDINAL", [current])
        self.say(window, "_NET_WM_DESKTOP", "CARDINAL", [its])

    def set_manager(self, *, composes: bool) -> None:
        """Say who manages the windows, and whether it is who puts the screen together, too."""
        manager = self.root.create_window(0, 0, 1, 1, 0, X.CopyFromParent)
        self.say(self.root, "_NET_SUPPORTING_WM_CHECK", "WINDOW", [manager.id])
        if composes:
            manager.set_selection_owner(self._x.intern_atom("_NET_WM_CM_S0"), X.CurrentTime)
        self.sync()

    def set_mode(self, size: Size) -> None:
        """Change the screen's size as a game does; at most to the one that it had first."""
        if size not in self._modes:
            w, h = size.width, size.height
            timing = (w, w + 32, w + 112, w + 224, h, h + 3, h + 7, h + 24)
            self._xrandr("--newmode", str(size), "38.25", *map(str, timing))
            self._xrandr("--addmode", "screen", str(size))
            self._modes.add(size)
        self._xrandr("--output", "screen", "--mode", str(size))

    def set_monitor(self, name: str, rect: Rect, output: str = "none") -> None:
        """Have a part of the screen called a monitor."""
        size = f"{rect.width}/100x{rect.height}/100+{rect.x}+{rect.y}"
        self._xrandr("--setmonitor", name, size, output)

    def unplug(self, name: str) -> None:
        """Take a monitor away."""
        self._xrandr("--delmonitor", name)

    def close(self) -> None:
        disconnect(self._x)

    def _xrandr(self, *arguments: str) -> None:
        subprocess.run(
            ["xrandr", "-display", self.name, *arguments], check=True, capture_output=True
        )


@contextlib.contextmanager
def open_desktop(size: Size, *options: str) -> Iterator[Desktop]:
    """Start a virtual display, and leave it when the block ends.

    Args:
        size: of the screen.
        options: further ones of Xvfb.
    """
    with VirtualDisplay(size, *options) as display:
        desktop = Desktop(display.name, size)
        try:
            yield desktop
        finally:
            desktop.close()


def colours(pixels: Pixels) -> set[tuple[int, ...]]:
    """Return the colours in a picture, as (blue, green, red)."""
    return {tuple(colour) for colour in np.unique(pixels[:, :, :3].reshape(-1, 3), axis=0).tolist()}
