"""The windows of an X screen: which there are, what they are called, and which are hidden."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

from Xlib import X

from p2c2g.errors import SourceUnavailableError
from p2c2g.media.frame import Rect
from p2c2g_capture.sources.titles import text_of, typed
from p2c2g_capture.sources.xconnect import GONE, connect, disconnect

# python-xlib has no types: its objects are Any.

#: ``_NET_WM_DESKTOP`` of a window that is on all workspaces.
_EVERYWHERE = 0xFFFFFFFF
#: ``WM_STATE`` of a minimised window, from before the other properties.
_ICONIC = 3


class Windows:
    """The windows of a display."""

    def __init__(self, display: str | None = None) -> None:
        """Connect to the display, None for the environment's.

        Raises:
            SourceUnavailableError: it does not answer, or lets nobody in.
        """
        self.display = connect(display)
        self.root: Any = self.display.screen().root

    def close(self) -> None:
        """Leave the display; may be called twice."""
        disconnect(self.display)

    def find(self, title: str) -> tuple[Any, str]:
        """Return the window whose title is ``title`` or, failing that, contains it; and its title.

        Case does not count in the second search.

        Raises:
            SourceUnavailableError: there is no such window.
        """
        title = typed(title)
        # Those that are seen come first: a program may keep a hidden one of the same title.
        titled = sorted(self.titled(), key=lambda found: not self.is_mapped(found[0]))
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

    def titled(self) -> Iterator[tuple[Any, str]]:
        """Yield the windows that have a title, and that.

        A window manager's list is asked first, which has those that are hidden too; where there
        is none, as under a bare Xvfb, all visible windows are looked at.
        """
        managed = self._values(self.root, "_NET_CLIENT_LIST")
        for window in self._resources(managed) if managed else self._visible(self.root):
            try:
                name = self._title(window)
            except GONE:
                continue
            if name:
                yield window, name

    def places(self, title: str) -> Iterator[Rect]:
        """Yield where on the screen the windows are whose titles begin so, without hidden ones."""
        for window, name in self.titled():
            if not name.startswith(title) or not self.is_mapped(window):
                continue
            try:
                if self.why_hidden(self.ancestors(window)) is None:
                    size = window.get_geometry()
                    corner = self.root.translate_coords(window, 0, 0)
                    yield Rect(corner.x, corner.y, size.width, size.height)
            except GONE:
                continue

    def pid_of(self, window: Any) -> int | None:
        """Return the process that says that a window is its, on this machine; else None."""
        found = self._values(window, "_NET_WM_PID")[:1]
        machine = window.get_wm_client_machine()
        own = socket.gethostname()
        if machine and machine not in (own, own.partition(".")[0], "localhost"):
            return None  # The number is another machine's.
        return found[0] if found and found[0] > 0 else None

    def classes_of(self, window: Any) -> tuple[str, ...]:
        """Return the names that a program gives its windows (``WM_CLASS``)."""
        found = window.get_wm_class()
        return tuple(found) if found else ()

    def in_front(self) -> int | None:
        """Return the id of the window that is in front, where a window manager says so."""
        found = self._values(self.root, "_NET_ACTIVE_WINDOW")[:1]
        return found[0] if found and found[0] else None

    def ancestors(self, window: Any) -> list[Any]:
        """Return the window and what it lies in, without the root: the last is on the screen.

        Raises:
            one of GONE: it was closed.
        """
        chain = [window]
        while (parent := chain[-1].query_tree().parent) not in (0, self.root):
            chain.append(parent)
        return chain

    def why_hidden(self, chain: list[Any]) -> str | None:
        """Return what a window manager has done to hide a window, or None.

        Compositing ones keep such a window mapped, so that they can show a preview of it.

        Args:
            chain: the window and what it lies in.
        """
        hidden = self._atom("_NET_WM_STATE_HIDDEN")
        for window in chain:
            if hidden in self._values(window, "_NET_WM_STATE"):
                return "minimised"
            if self._values(window, "WM_STATE")[:1] == [_ICONIC]:
                return "minimised"
            workspace = self._values(window, "_NET_WM_DESKTOP")[:1]
            current = self._values(self.root, "_NET_CURRENT_DESKTOP")[:1]
            if workspace and current and workspace[0] not in (current[0], _EVERYWHERE):
                return None if self._has_workspace_a_monitor() else "on another workspace"
        return None

    def watched(self) -> frozenset[int]:
        """Return the atoms of the properties from which :meth:`why_hidden` knows it."""
        names = ("_NET_WM_STATE", "WM_STATE", "_NET_WM_DESKTOP", "_NET_CURRENT_DESKTOP")
        return frozenset(self._atom(name) for name in names)

    def is_mapped(self, window: Any) -> bool:
        """Return whether the server shows the window, were it not covered."""
        try:
            return bool(window.get_attributes().map_state == X.IsViewable)
        except GONE:
            return False

    def exists(self, window: Any) -> bool:
        """Return whether the window has not been closed."""
        try:
            window.get_geometry()
        except GONE:
            return False
        return True

    def _has_workspace_a_monitor(self) -> bool:
        """Return whether several workspaces may be seen at once, one on each monitor.

        Tiling window managers do so.  They do not compose the screen themselves, and unmap what
        they hide; those that compose it show one workspace, and keep the others' windows mapped.
        """
        manager = self._values(self.root, "_NET_SUPPORTING_WM_CHECK")[:1]
        if not manager or not self.display.has_extension("RANDR"):
            return False
        if len(self.root.xrandr_get_monitors().monitors) < 2:
            return False
        screen = self.display.get_default_screen()
        composer = self.display.get_selection_owner(self._atom(f"_NET_WM_CM_S{screen}"))
        # The highest bits of an identity are its client's.
        client = ~self.display.display.info.resource_id_mask
        return not composer or (composer.id & client) != (manager[0] & client)

    def _title(self, window: Any) -> str:
        for name in ("_NET_WM_NAME", "WM_NAME"):
            found = window.get_full_property(self._atom(name), X.AnyPropertyType)
            if found is not None and found.format == 8 and found.value:
                return text_of(bytes(found.value))
        return ""

    def _values(self, window: Any, name: str) -> list[int]:
        """Return the numbers of a property, none where it is not there."""
        found = window.get_full_property(self._atom(name), X.AnyPropertyType)
        return list(found.value) if found is not None and found.format == 32 else []

    def _resources(self, identities: list[int]) -> Iterator[Any]:
        for identity in identities:
            yield self.display.create_resource_object("window", identity)

    def _visible(self, window: Any) -> Iterator[Any]:
        try:
            for child in window.query_tree().children:
                if self.is_mapped(child):
                    yield child
                    yield from self._visible(child)
        except GONE:
            return

    def _atom(self, name: str) -> int:
        atom: int = self.display.get_atom(name)
        return atom
