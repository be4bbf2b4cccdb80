"""Real screens: a window in a virtual display, and a real game in another."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import pytest
from Xlib import X
from Xlib import display as xdisplay
from Xlib.error import ConnectionClosedError

from p2c2g.errors import SourceUnavailableError
from p2c2g.media.frame import Pixels, Rect, Size
from p2c2g_capture.sources.game import GameSource
from p2c2g_capture.sources.screen import ScreenSource
from p2c2g_capture.sources.xvfb import VirtualDisplay

SCREEN = Size(800, 600)
RED, GREEN = 0xFF0000, 0x00FF00  # as X has them; our pixels are blue, green, red


class Desktop:
    """A virtual display with a client that puts windows on it."""

    def __init__(self, display: VirtualDisplay) -> None:
        self.name = display.name
        self._x: Any = xdisplay.Display(display.name)
        self.root: Any = self._x.screen().root

    def window(self, title: str, rect: Rect, colour: int) -> Any:
        window = self.root.create_window(
            *(rect.x, rect.y, rect.width, rect.height, 0, X.CopyFromParent),
            background_pixel=colour,
            override_redirect=True,
        )
        window.set_wm_name(title)
        window.map()
        self.sync()
        return window

    def sync(self) -> None:
        """Return when the server has done all that was asked."""
        self._x.sync()

    def set_clients(self, windows: list[Any]) -> None:
        """Do what a window manager does: list the windows on the root."""
        self.root.change_property(
            *(self._x.intern_atom("_NET_CLIENT_LIST"), self._x.intern_atom("WINDOW"), 32),
            [window.id for window in windows],
        )
        self.sync()

    def close(self) -> None:
        with contextlib.suppress(ConnectionClosedError):
            self._x.close()
        self._x.display.socket.close()


@pytest.fixture
def desktop() -> Iterator[Desktop]:
    with VirtualDisplay(SCREEN) as display:
        desktop = Desktop(display)
        try:
            yield desktop
        finally:
            desktop.close()


def colours(pixels: Pixels) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in np.unique(pixels[:, :, :3].reshape(-1, 3), axis=0).tolist()}


needs_xvfb = pytest.mark.needs("Xvfb")


@needs_xvfb
def test_a_monitor_shows_what_is_on_it(desktop: Desktop) -> None:
    desktop.window("a", Rect(100, 50, 200, 100), RED)
    with ScreenSource(monitor=1, display=desktop.name) as source:
        assert source.size == SCREEN
        pixels = source.grab(0)
        assert colours(Rect(100, 50, 200, 100).of(pixels)) == {(0, 0, 255)}
        assert colours(pixels) == {(0, 0, 255), (0, 0, 0)}
        # The quick way through shared memory, or this test machine has changed.
        assert source.notes == ["MIT-SHM is working correctly."]
        desktop.window("b", Rect(0, 0, 800, 600), GREEN)
        assert colours(source.grab(1)) == {(0, 255, 0)}


@needs_xvfb
def test_a_region_is_cut_out_and_scaled(desktop: Desktop) -> None:
    desktop.window("a", Rect(100, 50, 200, 100), RED)
    with ScreenSource.open("100,50,200x100", Size(50, 25), desktop.name) as source:
        pixels = source.grab(0)
        assert pixels.shape == (25, 50, 4)
        assert colours(pixels) == {(0, 0, 255)}


@needs_xvfb
@pytest.mark.parametrize("part", ["700,0,200x100", "-1,0,10x10", "0,600,1x1", "0,0,801x600"])
def test_a_region_outside_is_refused(desktop: Desktop, part: str) -> None:
    with pytest.raises(SourceUnavailableError, match="outside the screen, which is 0,0,800x600"):
        ScreenSource.open(part, None, desktop.name)


@needs_xvfb
def test_a_monitor_that_is_not_there_is_refused(desktop: Desktop) -> None:
    with pytest.raises(
        SourceUnavailableError, match=r"no monitor 7; this screen has 1 \(800x600\)"
    ):
        ScreenSource.open("7", None, desktop.name)


@needs_xvfb
@pytest.mark.parametrize("managed", [False, True])
def test_a_window_is_found_and_followed(desktop: Desktop, managed: bool) -> None:
    other = desktop.window("My game's settings", Rect(0, 0, 100, 80), GREEN)
    game = desktop.window("My game", Rect(300, 300, 200, 100), RED)
    if managed:
        desktop.set_clients([other, game])
    with ScreenSource.open("window=My game", None, desktop.name) as source:
        assert source.size == Size(200, 100)
        assert colours(source.grab(0)) == {(0, 0, 255)}
        game.configure(x=400, y=10)
        desktop.sync()
        assert colours(source.grab(1)) == {(0, 0, 255)}
        game.configure(width=300, height=300)
        desktop.sync()
        pixels = source.grab(2)
        assert Size.of(pixels) == Size(200, 100)
        assert colours(pixels) == {(0, 0, 255)}


@needs_xvfb
def test_a_window_is_found_by_a_part_of_its_title_in_any_case(desktop: Desktop) -> None:
    desktop.window("Super Game 3: Demo", Rect(10, 10, 60, 40), RED)
    with ScreenSource.open("window=game 3", None, desktop.name) as source:
        assert source.size == Size(60, 40)


@needs_xvfb
def test_a_window_half_off_the_screen_is_black_there(desktop: Desktop) -> None:
    window = desktop.window("game", Rect(0, 0, 200, 100), RED)
    with ScreenSource.open("window=game", None, desktop.name) as source:
        window.configure(x=-50, y=550)
        desktop.sync()
        pixels = source.grab(0)
        assert colours(pixels[:50, 50:]) == {(0, 0, 255)}
        assert colours(pixels[50:]) == {(0, 0, 0)}
        assert colours(pixels[:, :50]) == {(0, 0, 0)}


@needs_xvfb
def test_a_hidden_window_is_black_and_not_what_is_beneath(desktop: Desktop) -> None:
    desktop.window("secret", Rect(0, 0, 800, 600), GREEN)
    window = desktop.window("game", Rect(10, 10, 200, 100), RED)
    with ScreenSource.open("window=game", None, desktop.name) as source:
        window.unmap()
        desktop.sync()
        assert colours(source.grab(0)) == {(0, 0, 0)}
        window.map()
        desktop.sync()
        assert colours(source.grab(1)) == {(0, 0, 255)}


@needs_xvfb
def test_a_window_that_closes_ends_the_source(desktop: Desktop) -> None:
    window = desktop.window("game", Rect(10, 10, 200, 100), RED)
    with ScreenSource.open("window=game", None, desktop.name) as source:
        window.destroy()
        desktop.sync()
        with pytest.raises(SourceUnavailableError, match="'game' was closed"):
            source.grab(0)


@needs_xvfb
def test_a_window_that_is_not_there_is_refused_with_those_that_are(desktop: Desktop) -> None:
    desktop.window("Editor", Rect(10, 10, 60, 40), RED)
    with pytest.raises(SourceUnavailableError, match=r"'game' in its title; .* are: 'Editor'"):
        ScreenSource.open("window=game", None, desktop.name)


@needs_xvfb
@pytest.mark.parametrize("part", ["1", "window=game"])
def test_a_screen_that_goes_away_ends_the_source(part: str) -> None:
    display = VirtualDisplay(SCREEN)
    desktop = Desktop(display)
    desktop.window("game", Rect(10, 10, 200, 100), RED)
    with ScreenSource.open(part, None, display.name) as source:
        display.close()
        with pytest.raises(SourceUnavailableError):
            source.grab(0)
    desktop.close()


# --- the game ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "game",
    [
        pytest.param(name, marks=pytest.mark.needs("Xvfb", name, "freedoom1"))
        for name in ("chocolate-doom", "crispy-doom")
    ],
)
@pytest.mark.parametrize("size", [Size(640, 360), Size(1280, 720)], ids=str)
def test_a_game_moves_and_fills_its_screen(game: str, size: Size) -> None:
    with GameSource(game, size) as source:
        pictures = different_pictures(source, 10)
        # A bar would be black in all of them.
        brightest = np.max(pictures, axis=0).max(axis=2)
        for edge in (brightest[0], brightest[-1], brightest[:, 0], brightest[:, -1]):
            assert (edge > 0).mean() > 0.9
        assert pictures[-1].std() > 10


@pytest.mark.needs("Xvfb", "chocolate-doom", "freedoom1")
def test_a_game_starts_again_when_its_demo_ends() -> None:
    now = [0.0]
    with GameSource("chocolate-doom", clock=lambda: now[0]) as source:
        now[0] += 60
        _, before = source.pids
        psutil.Process(before).kill()
        psutil.wait_procs([psutil.Process(before)], timeout=30)
        different_pictures(source, 3)
        assert source.pids[1] != before


@pytest.mark.needs("Xvfb", "chocolate-doom", "freedoom1")
def test_a_game_that_fails_at_once_is_not_started_for_ever() -> None:
    with GameSource("chocolate-doom", clock=lambda: 0.0) as source:
        psutil.Process(source.pids[1]).kill()
        with pytest.raises(SourceUnavailableError, match="ended by itself"):
            different_pictures(source, 1000)


@pytest.mark.needs("Xvfb", "chocolate-doom", "freedoom1")
def test_close_ends_the_game_and_its_display() -> None:
    with GameSource("chocolate-doom") as source:
        pids = source.pids
    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)


@pytest.mark.needs("Xvfb", "chocolate-doom", "freedoom1")
def test_a_game_does_not_outlive_a_session_that_is_killed() -> None:
    code = (
        "import signal\n"
        "from p2c2g_capture.sources.game import GameSource\n"
        "source = GameSource('chocolate-doom')\n"
        "print(*source.pids, flush=True)\n"
        "signal.pause()\n"
    )
    session = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    with session:
        assert session.stdout is not None
        children = [psutil.Process(int(pid)) for pid in session.stdout.readline().split()]
        session.kill()
    assert len(children) == 2
    _, alive = psutil.wait_procs(children, timeout=30)
    assert all(process.status() == psutil.STATUS_ZOMBIE for process in alive)


def different_pictures(source: GameSource, count: int) -> list[Pixels]:
    """Grab until so many pictures have differed from the one before."""
    pictures: list[Pixels] = []
    number = 0
    while len(pictures) < count:
        pixels = source.grab(number)[:, :, :3]
        if not pictures or not np.array_equal(pixels, pictures[-1]):
            pictures.append(pixels)
        number += 1
    return pictures
