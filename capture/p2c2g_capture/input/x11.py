"""Into an X display: by XTest, as if somebody sat there, or to one window alone.

XTest's keys go to the window that has the focus.  So where a window is the game and does not have
it, such as while the viewer beside it on the same screen has, events are sent to that window by
name (``SendEvent``): the viewer must never be typed into, which would send the key here again.
Most games take those; what they see is that they were sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from Xlib import X
from Xlib.ext import xtest
from Xlib.protocol import event as events_of

from p2c2g_capture.input.events import Event, Kind
from p2c2g_capture.input.injector import InjectionError, Injector, Part
from p2c2g_capture.input.target import XTarget
from p2c2g_capture.sources.mirror import VIEWER_TITLE
from p2c2g_capture.sources.windows import Windows
from p2c2g_capture.sources.xconnect import GONE, LOST

#: X's number of a key is Linux' and this.
_KEY_OFFSET: Final = 8
#: X's buttons by ours; wheels are buttons there.
_BUTTONS: Final = (1, 2, 3, 8, 9)
_WHEEL_UP, _WHEEL_DOWN, _WHEEL_LEFT, _WHEEL_RIGHT = 4, 5, 6, 7
#: What of the state of an event a key holds, by Linux' number.
_MODIFIERS: Final = {
    42: X.ShiftMask, 54: X.ShiftMask, 29: X.ControlMask, 97: X.ControlMask,
    56: X.Mod1Mask, 100: X.Mod5Mask, 125: X.Mod4Mask, 126: X.Mod4Mask,
}  # fmt: skip
_HELD_BUTTONS: Final = {1: X.Button1Mask, 2: X.Button2Mask, 3: X.Button3Mask}

_SENT = (
    "The game's window does not have the focus, so what you play is sent to it by name; "
    "some games do not take that"
)
_VIEWER = (
    "The viewer has the focus on the screen that is played, and would type into itself: play from "
    "another machine, or capture the game's window with --source screen:window=TITLE"
)


class X11Injector(Injector):
    """A hand on a window, on a part of a screen, or on a display of the game's own.

    Args:
        target: where.
    """

    name = "x11"

    def __init__(self, target: XTarget) -> None:
        """Connect.

        Raises:
            SourceUnavailableError: there is no such display.
            InjectionError: it takes no input from programs.
        """
        self._target = target
        self._windows = Windows(target.display)
        self._display: Any = self._windows.display
        self._root: Any = self._windows.root
        self._notice = ""
        self._left_over = [0.0, 0.0]
        self._notches = [0.0, 0.0]
        #: What was pressed by XTest, and is let go by it too, whatever has the focus by then.
        self._by_test: set[tuple[str, int]] = set()
        self._pressed: set[tuple[str, int]] = set()
        self._at = (0, 0)
        self._closed = False
        if not self._display.has_extension(xtest.extname):
            self.close()
            raise InjectionError(
                "This X server takes no input from programs (it has no XTEST extension)."
            )
        self._window: Any = (
            None
            if target.window is None
            else self._display.create_resource_object("window", target.window)
        )

    @property
    def can(self) -> frozenset[Part]:
        """Return keys and a pointer: X has no pads."""
        return frozenset(("keys", "pointer"))

    def notice(self) -> str:
        """Say where input does not go the usual way, or nowhere."""
        return self._notice

    def begin(self, *, near: bool) -> None:
        """Give the game's window the focus, but not before a browser on this machine.

        Raises:
            InjectionError: the window or the display is gone.
        """
        if self._window is None or near:
            return

        def focus() -> None:
            if self._windows.is_mapped(self._window):
                self._window.set_input_focus(X.RevertToParent, X.CurrentTime)
                self._window.configure(stack_mode=X.Above)
                self._display.sync()

        self._asked(focus)

    def inject(self, events: Sequence[Event]) -> None:
        """Put events in.

        Raises:
            InjectionError: the window or the display is gone.
        """
        if self._closed:
            raise InjectionError("The game's display was closed.")
        if not events:
            return

        def put() -> None:
            is_free = self._is_free()
            for event in events:
                self._put(event, is_free)
            self._display.flush()

        self._asked(put)

    def let_go(self, events: Sequence[Event]) -> None:
        """Let go of what another connection pressed, in whichever way it did.

        Raises:
            InjectionError: the window or the display is gone.
        """

        def release() -> None:
            for event in events:
                if event.kind is Kind.KEY_UP:
                    kind, detail = X.KeyRelease, event.number + _KEY_OFFSET
                elif event.kind is Kind.BUTTON_UP:
                    kind, detail = X.ButtonRelease, _BUTTONS[event.number]
                else:
                    continue
                xtest.fake_input(self._display, kind, detail)
                if self._window is not None:
                    self._send(kind, detail)
            self._display.sync()

        self._asked(release)

    def close(self) -> None:
        """Leave the display; may be called twice."""
        self._closed = True
        self._windows.close()

    def _asked(self, ask: Callable[[], None]) -> None:
        try:
            ask()
        except GONE as gone:
            raise InjectionError("The game's window was closed.") from gone
        except LOST as lost:
            raise InjectionError("The game's display was closed.") from lost

    def _is_free(self) -> bool:
        """Tell whether XTest reaches the game, and nothing else."""
        if self._target.own:
            return True
        focus = self._display.get_input_focus().focus
        if self._window is None:
            blocked = not isinstance(focus, int) and self._is_viewer(focus)
            self._notice = _VIEWER if blocked else ""
            return not blocked
        has_focus = not isinstance(focus, int) and self._are_related(focus)
        self._notice = "" if has_focus else _SENT
        return has_focus

    def _are_related(self, focus: Any) -> bool:
        """Tell whether the focus is on the window, in it, or on what a manager put around it."""
        if focus.id == self._window.id:
            return True
        within = {each.id for each in self._windows.ancestors(focus)}
        around = {each.id for each in self._windows.ancestors(self._window)}
        return self._window.id in within or focus.id in around

    def _is_viewer(self, focus: Any) -> bool:
        try:
            around = {each.id for each in self._windows.ancestors(focus)}
        except GONE:
            return False
        return any(
            title.startswith(VIEWER_TITLE) and window.id in around
            for window, title in self._windows.titled()
        )

    def _area(self) -> tuple[int, int, int, int]:
        """Return where on the screen the game is: left, top, width, height."""
        area = self._target.area
        if self._window is not None:
            size = self._window.get_geometry()
            corner = self._root.translate_coords(self._window, 0, 0)
            return corner.x, corner.y, size.width, size.height
        if area is not None:
            return area.x, area.y, area.width, area.height
        size = self._root.get_geometry()
        return 0, 0, size.width, size.height

    def _put(self, event: Event, is_free: bool) -> None:
        match event.kind:
            case Kind.KEY_DOWN | Kind.KEY_UP:
                down = event.kind is Kind.KEY_DOWN
                self._press("key", event.number, event.number + _KEY_OFFSET, down, is_free)
            case Kind.BUTTON_DOWN | Kind.BUTTON_UP:
                down = event.kind is Kind.BUTTON_DOWN
                self._press("button", event.number, _BUTTONS[event.number], down, is_free)
            case Kind.MOVE_TO:
                left, top, width, height = self._area()
                self._at = (
                    left + min(width - 1, int(event.x * width)),
                    top + min(height - 1, int(event.y * height)),
                )
                self._move(is_free)
            case Kind.MOVE_BY:
                self._move_by(event, is_free)
            case Kind.WHEEL:
                self._turn(0, event.x, _WHEEL_LEFT, _WHEEL_RIGHT, is_free)
                self._turn(1, event.y, _WHEEL_UP, _WHEEL_DOWN, is_free)

    def _press(self, what: str, number: int, detail: int, down: bool, is_free: bool) -> None:
        pressed = (what, number)
        by_test = is_free if down else pressed in self._by_test
        kind = {
            ("key", True): X.KeyPress, ("key", False): X.KeyRelease,
            ("button", True): X.ButtonPress, ("button", False): X.ButtonRelease,
        }[what, down]  # fmt: skip
        if by_test:
            xtest.fake_input(self._display, kind, detail)
        elif self._window is not None and (down or pressed in self._pressed):
            self._send(kind, detail)
        elif down:
            return
        for held in (self._pressed, self._by_test) if by_test else (self._pressed,):
            (held.add if down else held.discard)(pressed)

    def _move(self, is_free: bool) -> None:
        x, y = self._at
        if is_free:
            xtest.fake_input(self._display, X.MotionNotify, 0, root=self._root, x=x, y=y)
        elif self._window is not None:
            self._send(X.MotionNotify, 0)

    def _move_by(self, event: Event, is_free: bool) -> None:
        way = []
        for axis, part in enumerate((event.x, event.y)):
            whole = self._left_over[axis] + part
            way.append(int(whole))
            self._left_over[axis] = whole - int(whole)
        x, y = way
        if is_free:
            if x or y:
                xtest.fake_input(self._display, X.MotionNotify, 1, root=X.NONE, x=x, y=y)
            return
        left, top, width, height = self._area()
        self._at = (
            max(left, min(left + width - 1, self._at[0] + x)),
            max(top, min(top + height - 1, self._at[1] + y)),
        )
        self._move(is_free)

    def _turn(self, axis: int, by: float, back: int, forth: int, is_free: bool) -> None:
        self._notches[axis] += by
        while abs(self._notches[axis]) >= 1:
            forward = self._notches[axis] > 0
            self._notches[axis] -= 1 if forward else -1
            button = forth if forward else back
            for kind in (X.ButtonPress, X.ButtonRelease):
                if is_free:
                    xtest.fake_input(self._display, kind, button)
                elif self._window is not None:
                    self._send(kind, button)

    def _send(self, kind: int, detail: int) -> None:
        """Send one event to the window by name."""
        make, mask = {
            X.KeyPress: (events_of.KeyPress, X.KeyPressMask),
            X.KeyRelease: (events_of.KeyRelease, X.KeyReleaseMask),
            X.ButtonPress: (events_of.ButtonPress, X.ButtonPressMask),
            X.ButtonRelease: (events_of.ButtonRelease, X.ButtonReleaseMask),
            X.MotionNotify: (events_of.MotionNotify, X.PointerMotionMask),
        }[kind]
        left, top, _, _ = self._area()
        x, y = self._at
        state = 0
        for what, number in self._pressed:
            of = _MODIFIERS.get(number, 0) if what == "key" else _HELD_BUTTONS.get(number + 1, 0)
            state |= of
        self._window.send_event(
            make(
                time=X.CurrentTime, root=self._root, window=self._window, same_screen=1,
                child=X.NONE, root_x=x, root_y=y, event_x=x - left, event_y=y - top,
                state=state, detail=detail,
            ),
            event_mask=mask,
        )  # fmt: skip
