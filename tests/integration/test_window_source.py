"""A window's own picture, and nothing else: what covers it or lies beneath is never in it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from Xlib import X

from p2c2g.errors import SourceUnavailableError
from p2c2g.media.frame import Rect, Size
from p2c2g_capture.sources import Source, open_source
from p2c2g_capture.sources.screen import ScreenSource
from p2c2g_capture.sources.windows import Windows
from p2c2g_capture.sources.xvfb import VirtualDisplay
from tests.desktop import GREEN, RED, Desktop, colours, open_desktop

SCREEN = Size(800, 600)
#: As pictures have them: blue, green, red.
BLACK_HERE, RED_HERE, GREEN_HERE = (0, 0, 0), (0, 0, 255), (0, 255, 0)

pytestmark = pytest.mark.needs("Xvfb")


@pytest.fixture
def desktop() -> Iterator[Desktop]:
    with open_desktop(SCREEN) as opened:
        yield opened


def open_window(desktop: Desktop, title: str = "game", **more: Any) -> Source:
    return ScreenSource.open(f"window={title}", None, desktop.name, **more)


@pytest.mark.parametrize("managed", [False, True])
def test_a_window_is_found_and_followed(desktop: Desktop, managed: bool) -> None:
    other = desktop.window("My game's settings", Rect(0, 0, 100, 80), GREEN)
    game = desktop.window("My game", Rect(300, 300, 200, 100), RED)
    if managed:
        desktop.set_clients([other, game])
    with open_window(desktop, "My game") as source:
        assert source.size == Size(200, 100)
        assert colours(source.grab(0)) == {RED_HERE}
        game.configure(x=400, y=10)
        desktop.sync()
        assert colours(source.grab(1)) == {RED_HERE}
        game.configure(width=300, height=300)
        desktop.sync()
        pixels = source.grab(2)
        assert Size.of(pixels) == Size(200, 100)
        assert colours(pixels) == {RED_HERE}


def test_a_window_is_found_by_a_part_of_its_title_in_any_case(desktop: Desktop) -> None:
    desktop.window("Super Game 3: Demo", Rect(10, 10, 60, 40), RED)
    with open_window(desktop, "game 3") as source:
        assert source.size == Size(60, 40)


def test_a_window_that_closes_ends_the_source(desktop: Desktop) -> None:
    window = desktop.window("game", Rect(10, 10, 200, 100), RED)
    with open_window(desktop) as source:
        window.destroy()
        desktop.sync()
        with pytest.raises(SourceUnavailableError, match="'game' was closed"):
            source.grab(0)


def test_a_window_that_is_not_there_is_refused_with_those_that_are(desktop: Desktop) -> None:
    desktop.window("Editor", Rect(10, 10, 60, 40), RED)
    with pytest.raises(SourceUnavailableError, match=r"'game' in its title; .* are: 'Editor'"):
        open_window(desktop)


def test_a_screen_that_goes_away_ends_the_source() -> None:
    with VirtualDisplay(SCREEN) as display:
        desktop = Desktop(display.name, SCREEN)
        desktop.window("game", Rect(10, 10, 200, 100), RED)
        with open_window(desktop) as source:
            display.close()
            with pytest.raises(SourceUnavailableError, match="display was closed"):
                source.grab(0)
        desktop.close()


# --- its own picture --------------------------------------------------------------------------


def test_a_window_half_off_the_screen_is_whole(desktop: Desktop) -> None:
    window = desktop.window("game", Rect(0, 0, 200, 100), RED)
    with open_window(desktop) as source:
        window.configure(x=-50, y=550)
        desktop.sync()
        assert colours(source.grab(0)) == {RED_HERE}
        window.configure(x=-500, y=-500)
        desktop.sync()
        assert colours(source.grab(1)) == {RED_HERE}


def test_a_window_larger_than_the_screen_is_whole(desktop: Desktop) -> None:
    window = desktop.window("game", Rect(0, 0, 1000, 700), RED)
    window.fill_rectangle(window.create_gc(foreground=GREEN), 0, 650, 1000, 50)
    desktop.sync()
    with open_window(desktop) as source:
        assert source.size == Size(1000, 700)
        window.fill_rectangle(window.create_gc(foreground=GREEN), 0, 650, 1000, 50)
        desktop.sync()
        pixels = source.grab(0)
        assert colours(pixels[:650]) == {RED_HERE}
        assert colours(pixels[650:]) == {GREEN_HERE}


def test_what_covers_a_window_is_not_in_its_picture(desktop: Desktop) -> None:
    desktop.window("game", Rect(100, 100, 200, 100), RED)
    desktop.window("mail, opened before", Rect(50, 50, 200, 100), GREEN)
    with open_window(desktop) as source:
        assert colours(source.grab(0)) == {RED_HERE}
        desktop.window("mail, opened later", Rect(0, 0, 800, 600), GREEN)
        assert colours(source.grab(1)) == {RED_HERE}


def test_a_part_that_nobody_has_painted_is_black_and_not_what_was_there(desktop: Desktop) -> None:
    """A game that loads has a window without a background, and paints nothing for seconds."""
    game = desktop.window("game", Rect(100, 100, 200, 100), None)
    desktop.window("mail", Rect(0, 0, 800, 600), GREEN)
    with open_window(desktop) as source:
        assert colours(source.grab(0)) == {BLACK_HERE}
        game.configure(width=400, height=300)
        desktop.sync()
        assert colours(source.grab(1)) == {BLACK_HERE}
        game.unmap()
        game.map()
        desktop.sync()
        assert colours(source.grab(2)) == {BLACK_HERE}


def test_a_border_and_children_are_as_they_should(desktop: Desktop) -> None:
    game = desktop.window("game", Rect(100, 100, 200, 100), RED, border=10, border_pixel=0xFFFFFF)
    child = game.create_window(0, 0, 100, 100, 0, 0, background_pixel=GREEN)
    child.map()
    desktop.sync()
    with open_window(desktop) as source:
        pixels = source.grab(0)
        assert Size.of(pixels) == Size(200, 100)
        assert colours(pixels[:, :100]) == {GREEN_HERE}
        assert colours(pixels[:, 100:]) == {RED_HERE}


def test_a_window_with_transparency_has_its_own_colours(desktop: Desktop) -> None:
    desktop.window("mail", Rect(0, 0, 800, 600), GREEN)
    desktop.clear_window("game", Rect(100, 100, 200, 100), 0x80FF0000)
    with open_window(desktop) as source:
        assert colours(source.grab(0)) == {RED_HERE}


def test_a_window_that_has_no_picture_is_refused(desktop: Desktop) -> None:
    window = desktop.root.create_window(0, 0, 60, 40, 0, 0, X.InputOnly)
    window.set_wm_name("game")
    window.map()
    desktop.sync()
    with pytest.raises(SourceUnavailableError, match="'game' cannot be grabbed: it has 0 bits"):
        open_window(desktop)


def test_two_sessions_may_capture_one_window(desktop: Desktop) -> None:
    desktop.window("game", Rect(100, 100, 200, 100), RED)
    with open_window(desktop) as one:
        with open_window(desktop) as other:
            assert colours(one.grab(0)) == colours(other.grab(0)) == {RED_HERE}
        assert colours(one.grab(1)) == {RED_HERE}


def test_the_screen_looks_as_before_while_a_window_is_captured(desktop: Desktop) -> None:
    desktop.window("game", Rect(100, 100, 200, 100), RED)
    desktop.window("mail", Rect(200, 100, 200, 100), GREEN)
    with ScreenSource(display=desktop.name) as screen:
        before = screen.grab(0)
        with open_window(desktop):
            assert np.array_equal(screen.grab(1), before)
        assert np.array_equal(screen.grab(2), before)


def test_the_pointer_is_drawn_over_a_window(desktop: Desktop) -> None:
    game = desktop.window("game", Rect(100, 100, 200, 100), RED)
    game.change_attributes(cursor=desktop.pointer(GREEN))
    desktop.root.warp_pointer(150, 120)
    desktop.sync()
    with open_window(desktop) as source:
        assert colours(source.grab(0)) == {RED_HERE}
    with open_window(desktop, cursor=True) as source:
        pixels = source.grab(0)
        assert colours(Rect(50, 20, 8, 8).of(pixels)) == {GREEN_HERE}
        assert np.count_nonzero(pixels[:, :, 1]) == 64


def test_without_composite_it_is_refused_with_what_to_do(desktop: Desktop) -> None:
    with open_desktop(SCREEN, "-extension", "Composite") as bare:
        bare.window("game", Rect(100, 100, 200, 100), RED)
        with pytest.raises(SourceUnavailableError, match=r"no Composite .* Capture the screen, or"):
            open_window(bare)


def test_without_shared_memory_it_is_captured_too() -> None:
    with open_desktop(SCREEN, "-extension", "MIT-SHM") as bare:
        bare.window("game", Rect(100, 100, 200, 100), RED)
        with open_window(bare) as source:
            assert colours(source.grab(0)) == {RED_HERE}


# --- hidden -----------------------------------------------------------------------------------


def hide(desktop: Desktop, window: Any, how: str) -> None:
    match how:
        case "unmapped":
            window.unmap()
        case "minimised":
            desktop.set_states(window, "_NET_WM_STATE_FULLSCREEN", "_NET_WM_STATE_HIDDEN")
        case "iconic":
            desktop.say(window, "WM_STATE", "WM_STATE", [3, 0])
        case "workspace":
            desktop.set_workspaces(0, window, 1)
    desktop.sync()


def show(desktop: Desktop, window: Any) -> None:
    desktop.set_states(window, "_NET_WM_STATE_FULLSCREEN")
    desktop.say(window, "WM_STATE", "WM_STATE", [1, 0])
    desktop.set_workspaces(2, window, 2)
    window.map()
    desktop.sync()


@pytest.mark.parametrize("how", ["unmapped", "minimised", "iconic", "workspace"])
def test_a_hidden_window_is_black_and_that_is_said_once(
    desktop: Desktop, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    desktop.window("mail", Rect(0, 0, 800, 600), GREEN)
    window = desktop.window("game", Rect(10, 10, 200, 100), RED)
    with open_window(desktop) as source:
        for number in range(3):
            assert colours(source.grab(number)) == {RED_HERE}
            assert source.notice() == ""
            hide(desktop, window, how)
            assert colours(source.grab(number)) == {BLACK_HERE}
            assert "black until it is shown again" in source.notice()
            show(desktop, window)
    assert caplog.text.count("the picture is black until it is shown again") == 1


@pytest.mark.parametrize("how", ["minimised", "iconic", "workspace"])
def test_a_window_that_is_hidden_from_the_start_is_black(desktop: Desktop, how: str) -> None:
    window = desktop.window("game", Rect(10, 10, 200, 100), RED)
    hide(desktop, window, how)
    with open_window(desktop) as source:
        assert colours(source.grab(0)) == {BLACK_HERE}
        show(desktop, window)
        assert colours(source.grab(1)) == {RED_HERE}


def test_a_managed_window_may_be_minimised_when_it_is_looked_for(desktop: Desktop) -> None:
    window = desktop.window("game", Rect(10, 10, 200, 100), RED)
    desktop.set_clients([window])
    hide(desktop, window, "unmapped")
    with open_window(desktop) as source:
        assert source.size == Size(200, 100)
        assert colours(source.grab(0)) == {BLACK_HERE}
        show(desktop, window)
        assert colours(source.grab(1)) == {RED_HERE}


def test_a_window_on_all_workspaces_is_not_hidden(desktop: Desktop) -> None:
    window = desktop.window("game", Rect(10, 10, 200, 100), RED)
    desktop.set_workspaces(3, window, 0xFFFFFFFF)
    with open_window(desktop) as source:
        assert colours(source.grab(0)) == {RED_HERE}


def test_what_its_window_managers_frame_does_counts(desktop: Desktop) -> None:
    """A window manager unmaps the frame, and the window in it is never told."""
    window = desktop.window("game", Rect(10, 10, 200, 100), RED)
    with open_window(desktop) as source:
        frame = desktop.window("", Rect(300, 300, 220, 130), GREEN)
        window.reparent(frame, 10, 20)
        window.map()
        desktop.sync()
        assert colours(source.grab(0)) == {RED_HERE}
        frame.unmap()
        desktop.sync()
        assert colours(source.grab(1)) == {BLACK_HERE}
        frame.map()
        desktop.sync()
        assert colours(source.grab(2)) == {RED_HERE}
        window.fill_rectangle(window.create_gc(foreground=GREEN), 0, 0, 200, 100)
        desktop.sync()
        assert colours(source.grab(3)) == {GREEN_HERE}
        desktop.set_states(frame, "_NET_WM_STATE_HIDDEN")
        assert colours(source.grab(4)) == {BLACK_HERE}


@pytest.mark.needs("xrandr")
@pytest.mark.parametrize("composes", [False, True])
def test_a_workspace_on_another_monitor_is_not_hidden(desktop: Desktop, composes: bool) -> None:
    """Tiling window managers show one workspace a monitor, and unmap the windows of the others."""
    desktop.set_monitor("left", Rect(0, 0, 400, 600), "screen")
    desktop.set_monitor("right", Rect(400, 0, 400, 600))
    window = desktop.window("game", Rect(10, 10, 200, 100), RED)
    desktop.set_manager(composes=composes)
    desktop.set_workspaces(0, window, 1)
    with open_window(desktop) as source:
        assert colours(source.grab(0)) == {BLACK_HERE if composes else RED_HERE}


# --- names and secrets ------------------------------------------------------------------------

CAFE, JAPANESE = "Café – ‘Größe’", "日本語のゲーム"


@pytest.mark.parametrize(
    ("name", "kind", "value", "title"),
    [
        ("_NET_WM_NAME", "UTF8_STRING", CAFE.encode(), CAFE),
        ("_NET_WM_NAME", "UTF8_STRING", b"caf\xe9", "café"),
        ("WM_NAME", "STRING", b"caf\xe9", "café"),
        ("WM_NAME", "STRING", "café".encode(), "café"),
        ("WM_NAME", "UTF8_STRING", CAFE.encode(), CAFE),
        ("WM_NAME", "C_STRING", b"caf\xe9", "café"),
        ("WM_NAME", "COMPOUND_TEXT", b"caf\xe9", "café"),
        ("WM_NAME", "COMPOUND_TEXT", b"\x1b-B\xb1 la", "ą la"),
        ("WM_NAME", "COMPOUND_TEXT", b"a \x1b%G\xe2\x80\x93\x1b%@ b\xe9", "a – bé"),
        ("WM_NAME", "COMPOUND_TEXT", b"\x1b$(B" + JAPANESE.encode("iso2022_jp")[3:-3], JAPANESE),
        ("WM_NAME", "COMPOUND_TEXT", b"\x1b$)C" + "게임".encode("euc_kr"), "게임"),
    ],
)
def test_a_title_may_be_in_any_encoding(
    desktop: Desktop, name: str, kind: str, value: bytes, title: str
) -> None:
    window = desktop.window("", Rect(10, 10, 60, 40), RED)
    desktop.say(window, name, kind, value)
    with pytest.raises(SourceUnavailableError, match=f"those on the screen are: '{title}'"):
        open_window(desktop, "nothing of that")
    with open_window(desktop, title.upper()) as source:
        assert source.size == Size(60, 40)


def test_a_title_typed_on_a_terminal_that_is_not_utf8_is_found(desktop: Desktop) -> None:
    desktop.window("café", Rect(10, 10, 60, 40), RED)
    typed = os.fsdecode(b"caf\xe9")
    with open_window(desktop, typed) as source:
        source.name.encode()  # it goes into reports and onto terminals
        assert source.name == "screen:window=café"


@pytest.mark.parametrize("part", ["", ":window=game"])
@pytest.mark.parametrize("number", ["", "its"])
def test_a_cookie_that_holds_for_any_host_lets_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, number: str
) -> None:
    """Containers and display managers write the family wild, some without the display's number."""
    cookie = bytes(range(16))
    server = tmp_path / "server"
    server.write_bytes(_entry(0xFFFF, b"", b"", cookie))
    with VirtualDisplay(SCREEN, "-auth", str(server)) as display:
        its = display.name[1:].encode()
        client = tmp_path / "client"
        stranger = _entry(256, b"another", its, bytes(16)) + _entry(0xFFFF, b"", b"77", bytes(16))
        client.write_bytes(stranger + _entry(0xFFFF, b"", its if number else b"", cookie))
        monkeypatch.setenv("XAUTHORITY", str(client))
        monkeypatch.setenv("DISPLAY", display.name)
        desktop = Desktop(display.name, SCREEN)
        desktop.window("game", Rect(10, 10, 200, 100), RED)
        with open_source(f"screen{part}") as source:
            assert RED_HERE in colours(source.grab(0))
        desktop.close()
        client.write_bytes(stranger[:-20])
        with pytest.raises(SourceUnavailableError, match=r"(No screen|not) answer"):
            open_source(f"screen{part}")


def _entry(family: int, address: bytes, number: bytes, cookie: bytes) -> bytes:
    fields = (address, number, b"MIT-MAGIC-COOKIE-1", cookie)
    return family.to_bytes(2) + b"".join(len(field).to_bytes(2) + field for field in fields)


@pytest.mark.parametrize(
    ("machine", "pid"),
    [
        (None, 4242), (socket.gethostname(), 4242), (socket.gethostname().partition(".")[0], 4242),
        ("elsewhere.example", None),
    ],
)  # fmt: skip
def test_a_process_of_another_machine_is_none_of_this_one(
    desktop: Desktop, machine: str | None, pid: int | None
) -> None:
    window = desktop.window("game", Rect(0, 0, 50, 50), RED)
    desktop.say(window, "_NET_WM_PID", "CARDINAL", [4242])
    if machine is not None:
        desktop.say(window, "WM_CLIENT_MACHINE", "STRING", machine.encode())
    windows = Windows(desktop.name)
    try:
        found, _ = windows.find("game")
        assert windows.pid_of(found) == pid
    finally:
        windows.close()
