"""Each way into a game: what a player does comes out of it the same."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

import pytest

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Rect, Size
from p2c2g_capture.input.desktop import DesktopInjector
from p2c2g_capture.input.echo import EchoInjector, mark
from p2c2g_capture.input.events import Event, Kind
from p2c2g_capture.input.guardian import GuardedInjector
from p2c2g_capture.input.injector import InjectionError, Injector, MemoryInjector
from p2c2g_capture.input.keys import NUMBERS
from p2c2g_capture.input.pads import USUAL, PadProfile, PadsAsKeys, WithPads
from p2c2g_capture.input.target import XTarget
from p2c2g_capture.input.uinput import UinputPads
from p2c2g_capture.input.x11 import X11Injector
from p2c2g_capture.sources.mirror import VIEWER_TITLE
from p2c2g_capture.sources.pattern import PatternSource, read_numbers
from p2c2g_capture.sources.xvfb import VirtualDisplay
from tests.xgame import XGame

SCREEN, WINDOW = Size(640, 360), Rect(100, 40, 320, 180)
A, W, SHIFT = NUMBERS["KeyA"], NUMBERS["KeyW"], NUMBERS["ShiftLeft"]
#: What a hand does, and what a game hears of it: keys by Linux' number, left is 0.
DOES = [
    Event(Kind.MOVE_TO, x=0.5, y=0.5),
    Event(Kind.KEY_DOWN, SHIFT),
    Event(Kind.KEY_DOWN, A),
    Event(Kind.KEY_UP, A),
    Event(Kind.BUTTON_DOWN, 2),
    Event(Kind.BUTTON_UP, 2),
    Event(Kind.KEY_UP, SHIFT),
]
HEARS = [
    ("move", 160, 90), ("key down", SHIFT), ("key down", A), ("key up", A),
    ("button down", 2), ("button up", 2), ("key up", SHIFT),
]  # fmt: skip


class Heard:
    """A way into a game, and what the game has heard since the last look."""

    def __init__(self, injector: Injector) -> None:
        self.injector = injector

    def hear(self, count: int) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    def close(self) -> None:
        self.injector.close()


class InMemory(Heard):
    def __init__(self) -> None:
        super().__init__(MemoryInjector(("keys", "pointer")))
        self.taken = 0

    def hear(self, count: int) -> list[tuple[Any, ...]]:
        assert isinstance(self.injector, MemoryInjector)
        events = self.injector.events[self.taken :]
        self.taken += len(events)
        return [
            ("move", int(each.x * WINDOW.width), int(each.y * WINDOW.height))
            if each.kind is Kind.MOVE_TO
            else (each.kind.name.lower().replace("_", " "), each.number)
            for each in events
        ]


class InX(Heard):
    """A window on a display, with the focus or without, or alone on a display of its own."""

    def __init__(self, display: str, *, focus: bool, own: bool) -> None:
        rect = Rect(0, 0, SCREEN.width, SCREEN.height) if own else WINDOW
        self.game = XGame(display, rect, focus=focus)
        self.scale = rect.width // WINDOW.width
        target = XTarget(display, None if own else self.game.window.id, own=own)
        super().__init__(X11Injector(target))

    def hear(self, count: int) -> list[tuple[Any, ...]]:
        buttons = {1: 0, 2: 1, 3: 2, 8: 3, 9: 4}
        return [
            ("move", each.x // self.scale, each.y // self.scale)
            if each.name == "move"
            else (each.name, buttons[each.number] if "button" in each.name else each.number)
            for each in self.game.hear(count)
        ]

    def close(self) -> None:
        super().close()
        self.game.close()


class Pynput:
    """What of pynput is used, writing down what it is asked for."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        writes = self.heard

        class Keys:
            def press(self, key: int) -> None:
                writes.append(("key down", key))

            def release(self, key: int) -> None:
                writes.append(("key up", key))

        class Mouse:
            def press(self, button: int) -> None:
                writes.append(("button down", button))

            def release(self, button: int) -> None:
                writes.append(("button up", button))

            def move(self, x: int, y: int) -> None:
                writes.append(("moved", x, y))

            def scroll(self, x: float, y: float) -> None:
                writes.append(("scrolled", x, y))

            def __setattr__(self, name: str, place: tuple[int, int]) -> None:
                assert name == "position"
                writes.append(("move", place[0] - WINDOW.x, place[1] - WINDOW.y))

        code = types.SimpleNamespace(from_vk=lambda key: key)
        self.keyboard = types.SimpleNamespace(Controller=Keys, KeyCode=code)
        buttons = types.SimpleNamespace(left=0, middle=1, right=2)
        self.mouse = types.SimpleNamespace(Controller=Mouse, Button=buttons)


class OnDesktop(Heard):
    def __init__(self) -> None:
        self.pynput = Pynput()
        super().__init__(
            DesktopInjector(WINDOW, self.pynput.keyboard, self.pynput.mouse, lambda number: number)
        )

    def hear(self, count: int) -> list[tuple[Any, ...]]:
        heard = list(self.pynput.heard)
        self.pynput.heard.clear()
        return heard


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    # No key repeats itself where the machine stands still while one is down.
    with VirtualDisplay(SCREEN, "-r") as made:
        yield made.name


@pytest.fixture(params=["memory", "own display", "focused window", "sent", "guarded", "desktop"])
def heard(request: pytest.FixtureRequest) -> Iterator[Heard]:
    made: Heard
    match request.param:
        case "memory":
            made = InMemory()
        case "desktop":
            made = OnDesktop()
        case how:
            display = request.getfixturevalue("display")
            made = InX(display, focus=how != "sent", own=how == "own display")
            if how == "guarded":
                target = XTarget(display, made.game.window.id)
                made.injector = GuardedInjector(made.injector, target)
    yield made
    made.close()


@pytest.mark.needs("Xvfb")
def test_what_is_done_is_heard_in_its_order(heard):
    assert heard.injector.can == {"keys", "pointer"}
    heard.injector.begin(near=True)
    heard.injector.inject(DOES)
    assert heard.hear(len(HEARS)) == HEARS
    # What it cannot, and nothing at all, do no harm.
    heard.injector.inject([Event(Kind.PAD_BUTTON, 0, x=1.0), Event(Kind.KEY_DOWN, W)])
    heard.injector.inject([])
    heard.injector.inject([Event(Kind.KEY_UP, W)])
    assert heard.hear(2) == [("key down", W), ("key up", W)]


@pytest.mark.needs("Xvfb")
def test_leaving_twice_is_leaving(heard):
    heard.injector.close()
    heard.injector.close()


@pytest.mark.needs("Xvfb")
@pytest.mark.parametrize("focus", [True, False])
def test_ways_and_wheels_go_into_x(display, focus):
    made = InX(display, focus=focus, own=False)
    try:
        made.injector.inject(
            [Event(Kind.MOVE_TO, x=0.25, y=0.5), Event(Kind.MOVE_BY, x=10, y=-5.5)]
        )
        made.injector.inject([Event(Kind.MOVE_BY, x=0.0, y=-0.5)])
        places = [(each.x, each.y) for each in made.game.hear(3)]
        assert places == [(80, 90), (90, 85), (90, 84)]
        # Two halves are a notch.
        made.injector.inject([Event(Kind.WHEEL, y=-0.5), Event(Kind.WHEEL, x=1, y=-0.5)])
        heard = made.game.hear(4)
        assert [each.number for each in heard] == [7, 7, 4, 4]
        assert {each.sent for each in heard} == {not focus}
    finally:
        made.close()


@pytest.mark.needs("Xvfb")
def test_a_window_without_the_focus_is_played_by_name_and_that_is_said(display):
    beside = XGame(display, Rect(500, 0, 50, 50), "mail", focus=True)
    made = InX(display, focus=False, own=False)
    try:
        made.injector.begin(near=True)
        made.injector.inject([Event(Kind.KEY_DOWN, A)])
        assert "does not have the focus" in made.injector.notice()
        (heard,) = made.game.hear(1)
        assert (heard.name, heard.number, heard.sent) == ("key down", A, True)
        # Who plays from elsewhere gives the game the focus; what was sent is let go so, too.
        made.injector.begin(near=False)
        assert made.game.has_focus
        made.injector.inject([Event(Kind.KEY_UP, A), Event(Kind.KEY_DOWN, W)])
        assert [(each.name, each.sent) for each in made.game.hear(2)] == [
            ("key up", True), ("key down", False),
        ]  # fmt: skip
        assert made.injector.notice() == ""
        # And what was pressed for all is let go for all, whoever has the focus by then.
        beside.focus()
        made.injector.inject([Event(Kind.KEY_UP, W)])
        assert beside.has_keys_down(set())
        assert [each.name for each in beside.events(0)] in ([], ["key up"])
    finally:
        made.close()
        beside.close()


@pytest.mark.needs("Xvfb")
def test_a_viewer_on_the_screen_that_is_played_is_never_typed_into(display):
    viewer = XGame(display, Rect(0, 0, 50, 50), f"{VIEWER_TITLE} - Browser", focus=True)
    injector = X11Injector(XTarget(display, area=WINDOW))
    try:
        injector.inject([Event(Kind.KEY_DOWN, A), Event(Kind.BUTTON_DOWN, 0)])
        injector.inject([Event(Kind.KEY_UP, A)])
        assert "would type into itself" in injector.notice()
        assert viewer.keys_down() == set()
        assert list(viewer.events(0)) == []
    finally:
        injector.close()
        viewer.close()


@pytest.mark.needs("Xvfb")
def test_a_window_or_a_display_that_is_gone_is_said():
    with VirtualDisplay(SCREEN) as display:
        made = InX(display.name, focus=True, own=False)
        whole = X11Injector(XTarget(display.name, own=True))
        made.game.close()
        with pytest.raises(InjectionError, match="window was closed"):
            made.injector.inject(DOES)
        made.injector.close()
        with pytest.raises(InjectionError, match="display was closed"):
            made.injector.inject(DOES)
    with pytest.raises(InjectionError, match="display was closed"):
        whole.inject(DOES)
    whole.close()


@pytest.mark.needs("Xvfb")
def test_a_display_that_takes_no_input_says_so():
    with (
        VirtualDisplay(SCREEN, "-extension", "XTEST") as display,
        pytest.raises(InjectionError, match="no XTEST extension"),
    ):
        X11Injector(XTarget(display.name, own=True))


def test_the_pattern_shows_what_it_is_sent_and_can_be_read_nevertheless():
    source = PatternSource()
    plain = source.grab(7)
    echo = source.target().injector
    echo.inject(DOES[:3])
    shown = source.grab(7)
    assert read_numbers(shown) == [7] * 16
    for key in (A, SHIFT):
        assert mark(source.size, key).of(shown).min() == 255
    assert mark(source.size, W).of(shown).min() < 255
    assert shown[180, 320].tolist() == [64, 255, 64]
    echo.inject(DOES[3:])
    echo.close()
    assert (source.grab(7) == plain).all()
    assert isinstance(echo, EchoInjector)


class Device:
    """A virtual pad that writes down what it is sent."""

    def __init__(self, capabilities: dict[int, Any]) -> None:
        self.capabilities = capabilities
        self.written: list[tuple[int, int, int]] = []
        self.packets = 0
        self.closed = False

    def write(self, kind: int, code: int, value: int) -> None:
        if self.closed:
            raise OSError("it was unplugged")
        self.written.append((kind, code, value))

    def syn(self) -> None:
        self.packets += 1

    def close(self) -> None:
        self.closed = True


def test_a_virtual_pad_is_what_the_kernel_calls_one():
    made: list[Device] = []

    def make(capabilities: dict[int, Any]) -> Device:
        made.append(Device(capabilities))
        return made[-1]

    pads = UinputPads(make)
    assert pads.can == {"pads"}
    assert 0x130 in made[0].capabilities[1]
    button = lambda number, x, pad=0: Event(Kind.PAD_BUTTON, number, x=x, pad=pad)  # noqa: E731
    pads.inject([button(0, 1.0), button(7, 0.5), Event(Kind.PAD_AXIS, 3, x=-1.0)])
    pads.inject([button(12, 1.0), button(13, 1.0), button(12, 0.0), Event(Kind.KEY_DOWN, A)])
    assert made[0].written == [
        (1, 0x130, 1), (3, 5, 128), (3, 4, -32767), (3, 17, -1), (3, 17, 0), (3, 17, 1),
    ]  # fmt: skip
    assert made[0].packets == 2
    pads.inject([button(1, 1.0, pad=1)])
    assert made[1].written == [(1, 0x131, 1)]
    made[1].close()
    with pytest.raises(InjectionError, match="unplugged"):
        pads.inject([button(1, 0.0, pad=1)])
    pads.close()
    pads.close()
    assert made[0].closed


def test_no_virtual_pad_is_a_sentence():
    def refuse(_: object) -> Any:
        raise PermissionError(13, "Permission denied", "/dev/uinput")

    with pytest.raises(SourceUnavailableError, match="Permission denied"):
        UinputPads(refuse)


def test_keys_and_virtual_pads_side_by_side():
    keys, pads = MemoryInjector(("keys", "pointer")), MemoryInjector(("pads",))
    both = WithPads(keys, pads)
    assert both.can == {"keys", "pointer", "pads"}
    both.begin(near=False)
    both.inject([Event(Kind.KEY_DOWN, A), Event(Kind.PAD_BUTTON, 0, x=1.0)])
    assert (keys.keys, keys.events) == ({A}, [Event(Kind.KEY_DOWN, A)])
    assert pads.events == [Event(Kind.PAD_BUTTON, 0, x=1.0)]
    both.close()
    assert keys.closed
    assert pads.closed


def test_a_pad_presses_keys_where_there_is_no_virtual_one():
    game = MemoryInjector(("keys", "pointer"))
    pads = PadsAsKeys(game)
    assert pads.can == {"keys", "pointer", "pads"}
    stick = lambda x: Event(Kind.PAD_AXIS, 0, x=x)  # noqa: E731
    a, d = (NUMBERS[USUAL[f"left-stick-{way}"]] for way in ("left", "right"))
    for x, keys in ((0.4, set()), (0.6, {d}), (0.4, {d}), (0.3, set()), (-1, {a}), (0, set())):
        pads.inject([stick(x)])
        assert game.keys == keys, x
    pads.inject([Event(Kind.PAD_BUTTON, 7, x=0.9)])
    assert game.buttons == {0}
    # A key that is pressed on the keyboard, too, is down until both let it go.
    pads.inject([stick(1.0), Event(Kind.KEY_DOWN, d), stick(0.0)])
    assert game.keys == {d}
    pads.inject([Event(Kind.KEY_UP, d), Event(Kind.PAD_BUTTON, 7), Event(Kind.MOVE_TO)])
    assert game.is_at_rest
    assert game.pointer == (0, 0)


@pytest.mark.parametrize(
    ("table", "why"),
    [({"a": "Fire"}, "'Fire' is no key"), ({"trigger": "Space"}, "'trigger' is no part of a")],
)
def test_a_profile_of_pads_that_is_none_is_a_sentence(table, why):
    with pytest.raises(UsageError, match=why):
        PadProfile.of(table)


def test_a_desktop_moves_and_scrolls_by_whole_pixels_and_notches():
    made = OnDesktop()
    made.injector.inject([Event(Kind.MOVE_BY, x=1.5, y=-0.5), Event(Kind.MOVE_BY, x=0.5, y=-0.5)])
    made.injector.inject([Event(Kind.WHEEL, x=1, y=2), Event(Kind.BUTTON_DOWN, 4)])
    assert made.hear(3) == [("moved", 1, 0), ("moved", 1, -1), ("scrolled", 1, -2)]
