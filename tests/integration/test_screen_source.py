"""Real screens: a monitor or a region of a virtual display, and what may become of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Rect, Size
from p2c2g_capture.sources import mirror, open_source
from p2c2g_capture.sources.screen import ScreenSource
from p2c2g_capture.sources.xdamage import Drawn
from p2c2g_capture.sources.xvfb import VirtualDisplay
from tests.desktop import GREEN, RED, Desktop, colours, open_desktop

SCREEN = Size(800, 600)
PATIENCE = 60.0
SMALL = Size(400, 300)
#: As pictures have them: blue, green, red.
BLACK_HERE, RED_HERE, GREEN_HERE = (0, 0, 0), (0, 0, 255), (0, 255, 0)

needs_xvfb = pytest.mark.needs("Xvfb")
needs_xrandr = pytest.mark.needs("Xvfb", "xrandr")


@pytest.fixture
def desktop() -> Iterator[Desktop]:
    with open_desktop(SCREEN) as opened:
        yield opened


@needs_xvfb
def test_a_monitor_shows_what_is_on_it(desktop: Desktop) -> None:
    desktop.window("a", Rect(100, 50, 200, 100), RED)
    with ScreenSource(monitor=1, display=desktop.name) as source:
        assert source.size == SCREEN
        pixels = source.grab(0)
        assert colours(Rect(100, 50, 200, 100).of(pixels)) == {RED_HERE}
        assert colours(pixels) == {RED_HERE, BLACK_HERE}
        # The quick way through shared memory, or this test machine has changed.
        assert source.notes == ["MIT-SHM is working correctly."]
        desktop.window("b", Rect(0, 0, 800, 600), GREEN)
        assert colours(source.grab(1)) == {GREEN_HERE}


@needs_xvfb
def test_it_is_told_when_something_is_drawn_and_then_again(desktop: Desktop) -> None:
    with closing(Drawn(desktop.name)) as drawn:
        for colour in (RED, GREEN):
            desktop.window("a", Rect(100, 50, 200, 100), colour)
            assert drawn.wait(PATIENCE)
            while drawn.wait(0.05):
                pass
        assert not drawn.wait(0)


@needs_xvfb
def test_a_display_that_goes_away_is_waited_for_no_more() -> None:
    with open_desktop(SCREEN) as opened:
        drawn = Drawn(opened.name)
        source = ScreenSource(monitor=1, display=opened.name)
        while drawn.wait(0.05):
            pass
    with closing(drawn), closing(source):
        with pytest.raises(SourceUnavailableError, match="The display is gone"):
            drawn.wait(PATIENCE)
        for _ in range(3):
            source.wait(0.05)
        with pytest.raises(SourceUnavailableError):
            source.grab(0)


@needs_xvfb
def test_a_region_is_cut_out_and_scaled(desktop: Desktop) -> None:
    desktop.window("a", Rect(100, 50, 200, 100), RED)
    with ScreenSource.open("100,50,200x100", Size(50, 25), desktop.name) as source:
        pixels = source.grab(0)
        assert pixels.shape == (25, 50, 4)
        assert colours(pixels) == {RED_HERE}


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
def test_a_screen_that_goes_away_ends_the_source_in_one_line() -> None:
    with VirtualDisplay(SCREEN) as display, ScreenSource(display=display.name) as source:
        display.close()
        with pytest.raises(SourceUnavailableError, match=r"^screen:1 cannot be grabbed: [^\n]+\.$"):
            source.grab(0)


# --- modes ------------------------------------------------------------------------------------


@needs_xrandr
@pytest.mark.parametrize("part", ["", "0", "0,0,800x600"])
def test_a_smaller_mode_goes_on_with_the_rest_black(desktop: Desktop, part: str) -> None:
    desktop.window("a", Rect(0, 0, 800, 600), RED)
    with ScreenSource.open(part, None, desktop.name) as source:
        assert colours(source.grab(0)) == {RED_HERE}
        desktop.set_mode(SMALL)
        pixels = source.grab(1)
        assert Size.of(pixels) == SCREEN
        assert colours(pixels[:300, :400]) == {RED_HERE}
        assert colours(pixels[300:]) == colours(pixels[:, 400:]) == {BLACK_HERE}
        desktop.set_mode(SCREEN)
        desktop.window("b", Rect(0, 0, 800, 600), GREEN)
        assert colours(source.grab(2)) == {GREEN_HERE}


@needs_xrandr
@pytest.mark.parametrize("part", ["", "0"])
def test_a_larger_mode_is_seen_whole(desktop: Desktop, part: str) -> None:
    desktop.set_mode(SMALL)
    with ScreenSource.open(part, None, desktop.name) as source:
        assert source.size == SMALL
        source.grab(0)
        desktop.set_mode(SCREEN)
        desktop.window("in the new part", Rect(600, 400, 200, 200), RED)
        pixels = source.grab(1)
        assert Size.of(pixels) == SMALL
        # Everything at half the size.
        assert colours(pixels[202:, 302:]) == {RED_HERE}
        assert colours(pixels[:198]) == {BLACK_HERE}


@needs_xrandr
def test_a_larger_mode_of_another_shape_is_not_stretched(desktop: Desktop) -> None:
    desktop.set_mode(Size(400, 150))
    with ScreenSource(display=desktop.name) as source:
        desktop.set_mode(SCREEN)
        desktop.window("all", Rect(0, 0, 800, 600), RED)
        pixels = source.grab(0)
        assert colours(pixels[:, :200]) == {RED_HERE}
        assert colours(pixels[:, 200:]) == {BLACK_HERE}


@needs_xrandr
def test_a_mode_keeps_the_scale_that_was_asked_for(desktop: Desktop) -> None:
    desktop.window("all", Rect(0, 0, 800, 600), RED)
    with ScreenSource.open("", Size(400, 300), desktop.name) as source:
        desktop.set_mode(SMALL)
        pixels = source.grab(0)
        assert colours(pixels[:150, :200]) == {RED_HERE}
        assert colours(pixels[150:]) == colours(pixels[:, 200:]) == {BLACK_HERE}


@needs_xrandr
def test_a_region_beyond_a_smaller_mode_is_black(desktop: Desktop) -> None:
    desktop.window("a", Rect(0, 0, 800, 600), RED)
    with ScreenSource.open("350,250,100x100", None, desktop.name) as source:
        desktop.set_mode(SMALL)
        pixels = source.grab(0)
        assert colours(pixels[:50, :50]) == {RED_HERE}
        assert colours(pixels[50:]) == colours(pixels[:, 50:]) == {BLACK_HERE}
        desktop.set_mode(Size(320, 200))
        assert colours(source.grab(1)) == {BLACK_HERE}


@needs_xrandr
def test_a_monitor_moves_is_unplugged_and_comes_back(desktop: Desktop) -> None:
    desktop.set_monitor("left", Rect(0, 0, 400, 600), "screen")
    desktop.set_monitor("right", Rect(400, 0, 400, 600))
    desktop.window("a", Rect(0, 0, 400, 600), GREEN)
    desktop.window("b", Rect(400, 0, 400, 600), RED)
    with ScreenSource(monitor=2, display=desktop.name) as source:
        assert source.size == Size(400, 600)
        assert colours(source.grab(0)) == {RED_HERE}
        assert source.notice() == ""
        desktop.unplug("right")
        assert colours(source.grab(1)) == {BLACK_HERE}
        assert source.notice() == "screen:2 is unplugged, and black until it is back"
        desktop.set_monitor("right", Rect(0, 0, 400, 600))
        assert colours(source.grab(2)) == {GREEN_HERE}


@needs_xvfb
@pytest.mark.parametrize("extension", ["RANDR", "MIT-SHM"])
def test_a_server_without_an_extension_is_grabbed(
    extension: str, caplog: pytest.LogCaptureFixture
) -> None:
    with open_desktop(SCREEN, "-extension", extension) as desktop:
        desktop.window("a", Rect(0, 0, 800, 600), RED)
        with ScreenSource(monitor=0, display=desktop.name) as source:
            assert colours(source.grab(0)) == {RED_HERE}
    assert ("slow method" in caplog.text) == (extension == "MIT-SHM")


# --- depths -----------------------------------------------------------------------------------


@needs_xvfb
@pytest.mark.parametrize("depth", [8, 15, 16, 30])
@pytest.mark.parametrize("part", ["", "window=game"])
def test_a_depth_that_cannot_be_grabbed_is_named(depth: int, part: str) -> None:
    with (
        VirtualDisplay(SCREEN, depth=depth) as display,
        pytest.raises(SourceUnavailableError, match=rf"supported, not {depth}\. Set it to 24 bits"),
    ):
        ScreenSource.open(part, None, display.name)


@needs_xvfb
def test_auto_says_why_it_plays_a_clip(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with VirtualDisplay(SCREEN, depth=16) as display:
        monkeypatch.setenv("DISPLAY", display.name)
        with open_source("auto") as source:
            assert source.name == "video:freedoom.mp4"
    (said,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert "clip is played instead of the screen" in said.getMessage()
    assert "not 16" in said.getMessage()


@needs_xvfb
def test_an_empty_screen_in_a_wayland_session_is_refused_with_what_to_do(
    desktop: Desktop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", desktop.name)
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    with pytest.raises(SourceUnavailableError, match=r"Wayland session, .* screen:window=TITLE"):
        open_source("screen")
    with open_source("auto") as source:
        assert source.name == "video:freedoom.mp4"
    desktop.window("game", Rect(0, 0, 60, 40), RED)
    for spec in ("screen", "screen:window=game"):
        with open_source(spec) as source:
            assert RED_HERE in colours(source.grab(0))


# --- the pointer ------------------------------------------------------------------------------


@needs_xvfb
@pytest.mark.parametrize("part", ["", "100,50,200x100"])
def test_the_pointer_is_drawn_where_it_is_asked_for(desktop: Desktop, part: str) -> None:
    desktop.window("a", Rect(0, 0, 800, 600), RED).change_attributes(cursor=desktop.pointer(GREEN))
    desktop.root.warp_pointer(120, 70)
    desktop.sync()
    with ScreenSource.open(part, None, desktop.name) as source:
        assert colours(source.grab(0)) == {RED_HERE}
    with ScreenSource.open(part, None, desktop.name, cursor=True) as source:
        pixels = source.grab(0)
        corner = (0, 0) if not part else (100, 50)
        drawn = Rect(120 - corner[0], 70 - corner[1], 8, 8)
        assert colours(drawn.of(pixels)) == {GREEN_HERE}
        assert np.count_nonzero(pixels[:, :, 1]) == 64
        desktop.root.warp_pointer(799, 599)  # most of it beyond the edge
        desktop.sync()
        assert np.count_nonzero(source.grab(1)[:, :, 1]) == (0 if part else 1)


@pytest.mark.parametrize("spec", ["pattern", "game", "video:x.mp4"])
def test_a_pointer_without_a_screen_is_refused(spec: str) -> None:
    with pytest.raises(UsageError, match="Only a screen has a pointer"):
        open_source(spec, cursor=True)


# --- the viewer in its own picture ------------------------------------------------------------


def wait_for_looks(source: ScreenSource, notice: str) -> None:
    """Ask until the thread that looks has seen what is there now."""
    while notice not in (said := source.notice()) or bool(said) != bool(notice):
        source.grab(0)


@needs_xvfb
def test_the_viewer_in_its_own_picture_is_noticed(
    desktop: Desktop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mirror, "_EVERY", 0.01)
    viewer = desktop.window("P2C2G viewer - Chromium", Rect(500, 400, 200, 100), RED)
    with ScreenSource(display=desktop.name) as source:
        wait_for_looks(source, "shows itself")
        desktop.set_states(viewer, "_NET_WM_STATE_HIDDEN")
        wait_for_looks(source, "")
        desktop.set_states(viewer)
        wait_for_looks(source, "screen:window=TITLE")
        viewer.destroy()
        desktop.sync()
        wait_for_looks(source, "")
    assert caplog.text.count("shows itself") == 1


@needs_xvfb
def test_a_viewer_beside_the_region_is_no_mirror(
    desktop: Desktop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "_EVERY", 0.01)
    desktop.window("P2C2G viewer - Chromium", Rect(500, 400, 200, 100), RED)
    with ScreenSource.open("0,0,500x400", None, desktop.name) as source:
        for number in range(20):
            assert source.notice() == ""
            source.grab(number)
