"""By what a source is played, and what is said where it cannot be."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import closing

import pytest
from rich.console import Console

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Rect, Size
from p2c2g_capture import ending
from p2c2g_capture.input import choosing
from p2c2g_capture.input.choosing import is_whole_screen, open_injector
from p2c2g_capture.input.hand import Hand, Tokens
from p2c2g_capture.input.injector import MemoryInjector
from p2c2g_capture.input.playing import announce, open_hand
from p2c2g_capture.input.target import OwnTarget, ScreenTarget, Target, XTarget
from p2c2g_capture.sources import Source, shipped_clip
from p2c2g_capture.sources.pattern import PatternSource
from p2c2g_capture.sources.screen import ScreenSource
from p2c2g_capture.sources.video import VideoSource
from p2c2g_capture.sources.window import WindowSource
from p2c2g_capture.sources.xvfb import VirtualDisplay
from tests.xgame import XGame

SCREEN = Size(320, 180)


class Played(Source):
    """A source that says where it is played."""

    size, name = SCREEN, "screen:9"

    def __init__(self, target: Target | None) -> None:
        self._target = target

    def target(self) -> Target | None:
        return self._target

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    with VirtualDisplay(SCREEN) as made:
        yield made.name


@pytest.mark.parametrize(
    ("target", "whole"),
    [
        (XTarget(":1", window=3), False),
        (XTarget(":1", own=True), False),
        (XTarget(":1"), True),
        (XTarget(":1", area=Rect(0, 0, 9, 9)), True),
        (ScreenTarget(), True),
        (OwnTarget(MemoryInjector()), False),
    ],
)
def test_a_whole_screen_is_more_than_a_game(target, whole):
    assert is_whole_screen(target) == whole
    if whole:
        assert open_injector(Played(target)) is None


def test_the_test_pattern_is_played_as_it_is_and_only_where_that_is_asked_for():
    game = MemoryInjector()
    assert open_injector(Played(OwnTarget(game)), "on") is game
    for wish in ("auto", "off"):
        assert open_injector(Played(OwnTarget(game)), wish) is None  # type: ignore[arg-type]


def test_a_film_is_not_played():
    with closing(VideoSource(shipped_clip(), None, 30)) as film:
        assert open_injector(film) is None
        with pytest.raises(UsageError, match="cannot be played: it is no game that runs here"):
            open_injector(film, "on")


@pytest.mark.needs("Xvfb")
def test_windows_and_screens_say_where_they_are(display, monkeypatch):
    monkeypatch.setattr(choosing, "_virtual_pads", lambda: None)
    with (
        closing(XGame(display, Rect(10, 20, 100, 80), focus=True)) as game,
        closing(WindowSource("game", display=display)) as source,
    ):
        assert source.target() == XTarget(display, window=game.window.id)
        injector = open_injector(source)
        assert injector is not None
        assert injector.can == {"keys", "pointer", "pads"}
        assert injector.name == "x11, pads as keys"
        injector.close()
    rect = Rect(16, 8, 64, 48)
    with closing(ScreenSource(region=rect, display=display)) as source:
        assert source.target() == XTarget(display, area=rect)
        assert open_injector(source) is None
        injector = open_injector(source, "on")
        assert injector is not None
        injector.close()


@pytest.mark.needs("Xvfb")
def test_virtual_pads_are_taken_where_there_are_any_and_no_profile_maps_them(display, monkeypatch):
    monkeypatch.setattr(choosing, "_virtual_pads", lambda: MemoryInjector(("pads",)))
    played = Played(XTarget(display, own=True))
    for pads, name in ((None, "x11, memory"), ({"a": "KeyZ"}, "x11, pads as keys")):
        injector = open_injector(played, pads=pads)
        assert injector is not None
        assert injector.name == name
        injector.close()


def test_what_is_not_there_is_said_and_does_no_harm_unless_it_was_asked_for(caplog, monkeypatch):
    def refuse(*_: object) -> MemoryInjector:
        raise SourceUnavailableError("There is no screen.")

    monkeypatch.setattr(choosing, "_open", refuse)
    played = Played(XTarget(":1", own=True))
    assert open_injector(played) is None
    assert [each.message for each in caplog.records] == [
        "screen:9 cannot be played. There is no screen."
    ]
    with pytest.raises(SourceUnavailableError):
        open_injector(played, "on")


@pytest.mark.parametrize(
    ("wish", "shared", "why"),
    [
        ("maybe", False, "--input 'maybe' cannot be: give auto, on, off"),
        ("off", True, "--share-pads needs a game to play, and pattern is not played"),
    ],
)
def test_a_wish_that_is_none_is_a_sentence(wish, shared, why):
    with pytest.raises(UsageError, match=why):
        open_hand(PatternSource(), wish, shared=shared)


def test_the_addresses_to_play_at_are_printed_whole():
    hand = open_hand(PatternSource(), "on", shared=True)
    assert hand is not None
    said = io.StringIO()
    announce(hand, "http://127.0.0.1:8777/?token=abc", Console(file=said, width=40))
    hand.close()
    lines = said.getvalue().splitlines()
    assert lines[0] == f"Play at http://127.0.0.1:8777/?token=abc#play={hand.tokens.play}"
    assert lines[2].endswith(f"#play={hand.tokens.pads}")
    # Nor are they anywhere else.
    assert hand.tokens.play not in repr(hand.figures())
    with_one = Hand(MemoryInjector(), Tokens.new(shared=False))
    said = io.StringIO()
    announce(with_one, "http://h/", Console(file=said, width=40))
    assert len(said.getvalue().splitlines()) == 2
    with_one.start()
    with_one.close()


def test_a_report_says_how_it_was_played(tmp_path, monkeypatch):
    monkeypatch.setattr(ending, "build_report", lambda *_: {"frames": 3})
    hand = open_hand(PatternSource(), "on")
    assert hand is not None
    for played, more in ((None, set()), (hand.figures, {"input"})):
        path = tmp_path / "report.json"
        left = ending.Ending(
            Console(file=io.StringIO()),
            None,  # type: ignore[arg-type]
            record=None,
            report=str(path),
            settings={},
            played=played,
        )
        left.write_report()
        assert json.loads(path.read_text()).keys() == {"frames"} | more
    hand.close()
