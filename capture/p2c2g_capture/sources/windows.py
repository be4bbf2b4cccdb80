"""Finding a window by its title on an X screen, and following it (python-xlib)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from p2c2g.errors import SourceUnavailableError
from p2c2g.media.frame import Rect

# python-xlib has no types: its objects are Any, here and nowhere else.


class WindowFinder:
    """One window of a display, found by its title."""

    def __init__(self, title: str, display: str | None = None) -> None:
        """Find the window whose title is ``title`` or, failing that, contains it.

        Case does not count in the second search.  A window manager's list is asked first;
        where there is none, as under a bare Xvfb, all visible windows are.

        Raises:
            SourceUnavailableError: no such window, no display, or no python-xlib.
        """
        try:
            from Xlib import X, Xatom, error
            from Xlib import display as xdisplay
        except ImportError as missing:
            raise SourceUnavailableError(
                'Finding a window needs python-xlib: pip install "p2c2g[capture]".'
            ) from missing
        self._x, self._atoms = X, Xatom
        self._gone = (error.BadWindow, error.BadDrawable, error.BadMatch)
        self._lost = (error.ConnectionClosedError, OSError)
        try:
            self._display: Any = xdisplay.Display(display)
        except (error.DisplayError, OSError) as refused:
            raise SourceUnavailableError(f"No screen answers: {refused}") from refused
        self._root: Any = self._display.screen().root
        try:
            self._window, self.title = self._find(title)
        except BaseException:
            self.close()
            raise

    def rect(self) -> Rect | None:
        """Return where the window is on the screen, without its border; None while hidden.

        Raises:
            SourceUnavailableError: the window was closed, or its display was.
        """
        try:
            if self._window.get_attributes().map_state != self._x.IsViewable:
                return None
            geometry = self._window.get_geometry()
            corner = self._root.translate_coords(self._window, 0, 0)
        except self._gone as closed:
            raise SourceUnavailableError(f"The window {self.title!r} was closed.") from closed
        except self._lost as lost:
            raise SourceUnavailableError("The screen's display was closed.") from lost
        return Rect(corner.x, corner.y, geometry.width, geometry.height)

    def close(self) -> None:
        """Leave the display."""
        with contextlib.suppress(*self._lost):
            self._display.close()
        # After a lost connection python-xlib leaves its socket open.
        self._display.display.socket.close()

    def _find(self, title: str) -> tuple[Any, str]:
        titled = [(window, name) for window in self._windows() if (name := self._name(window))]
        for window, name in titled:
            if name == title:
                return window, name
        for window, name in titled:
            if title.casefold() in name.casefold():
                return window, name
        known = ", ".join(sorted({repr(name) for _, name in titled})) or "none at all"
        raise SourceUnavailableError(
            f"No window has {title!r} in its title; those on the screen are: {known}."
        )

    def _windows(self) -> Iterator[Any]:
        atom = self._display.intern_atom("_NET_CLIENT_LIST")
        listed = self._root.get_full_property(atom, self._atoms.WINDOW)
        if listed is not None and len(listed.value):
            for identity in listed.value:
                yield self._display.create_resource_object("window", identity)
            return
        yield from self._tree(self._root)

    def _tree(self, window: Any) -> Iterator[Any]:
        try:
            children = window.query_tree().children
        except self._gone:
            return
        for child in children:
            yield child
            yield from self._tree(child)

    def _name(self, window: Any) -> str | None:
        """Return a visible window's title, or None."""
        try:
            if window.get_attributes().map_state != self._x.IsViewable:
                return None
            for atom, kind in (("_NET_WM_NAME", "UTF8_STRING"), ("WM_NAME", "STRING")):
                found = window.get_full_property(
                    self._display.intern_atom(atom), self._display.intern_atom(kind)
                )
                if found is not None and found.value:
                    value = found.value
                    return (
                        value if isinstance(value, str) else bytes(value).decode(errors="replace")
                    )
        except self._gone:
            pass
        return None
