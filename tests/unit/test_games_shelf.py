"""The list of games of a viewer, and how a session goes from one to the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Pixels, Size
from p2c2g_capture.asked import RunOptions
from p2c2g_capture.games import switching
from p2c2g_capture.games.found import Window
from p2c2g_capture.games.here import Here, games_here
from p2c2g_capture.games.profile import GameProfile
from p2c2g_capture.games.programs import Program
from p2c2g_capture.games.shelf import FRESH, LETTERS, MOST, Shelf
from p2c2g_capture.games.switching import Stay, play_on, why_fixed
from p2c2g_capture.input.hand import Tokens
from p2c2g_capture.sources import Source

TOKEN = "play-" + "p" * 20


def profile(name: str, title: str = "") -> GameProfile:
    find = f"[find]\nprograms = ['{name}']\nclasses = ['{name}']"
    return GameProfile.of(f"name = '{name}'\ntitle = '{title or name.title()}'\n{find}", "it")


ONE, TWO, THREE, FOUR = map(profile, ("one", "two", "three", "four"))
HERE = [Here(TWO, "in front"), Here(ONE, "runs"), Here(THREE, "installed")]


class Shown(Source):
    """A game's window."""

    size = Size(2, 2)
    name = "screen:window=Two - level 1"

    def grab(self, number: int) -> Pixels:
        return np.zeros((2, 2, 3), np.uint8)

    def close(self) -> None:
        pass


class Desk:
    """A shelf, how often it looked, and what was chosen."""

    def __init__(self, source: str = "game:one", theirs: int = 0, **how: str) -> None:
        self.now, self.looks = 0.0, 0
        self.chosen: list[str] = []
        titles = [(f"Title {number}", "Steam") for number in range(theirs)]
        self.shelf = Shelf(
            TOKEN, source, self.look, lambda: titles, self.chosen.append,
            clock=lambda: self.now, **how,
        )  # fmt: skip

    def look(self) -> list[Here]:
        self.looks += 1
        return HERE


def test_what_is_in_front_runs_or_is_installed_is_here_in_this_order() -> None:
    shown = [Window("play", ("two",), 2, is_in_front=True)]
    found = games_here(
        [ONE, TWO, THREE, FOUR], [Program(1, "one")], shown,
        lambda each: Path("/usr/games/three") if each is THREE else None,
    )  # fmt: skip
    assert [(each.profile.name, each.how) for each in found] == [
        ("one", "runs"), ("two", "in front"), ("three", "installed"),
    ]  # fmt: skip
    assert found[0].title == "One"


@pytest.mark.parametrize("token", ["", "pads-" + "p" * 20, TOKEN + "x", "\ud800", "é"])
def test_only_the_token_of_the_whole_controls_is_let_in(token: str) -> None:
    assert Desk().shelf.admits(TOKEN)
    assert not Desk().shelf.admits(token)


def test_a_list_says_what_is_captured_and_asks_the_machine_no_oftener_than_needed() -> None:
    desk = Desk(theirs=MOST + 7, ends="One")
    told = desk.shelf.listed()
    assert [(each["name"], each["how"], each["captured"]) for each in told["games"]] == [
        ("two", "in front", False), ("one", "runs", True), ("three", "installed", False),
    ]  # fmt: skip
    assert (len(told["theirs"]), told["more"], told["ends"]) == (MOST, 7, "One")
    for _ in range(5):
        desk.shelf.listed()
    assert desk.looks == 1
    desk.now = FRESH
    desk.shelf.listed()
    assert desk.looks == 2


def test_titles_are_bounded_and_have_nothing_in_them_but_what_is_seen() -> None:
    wild = Here(profile("wild", "x" * 150), "installed")
    shelf = Shelf(
        TOKEN, "screen:window=\x1b[31m", lambda: [wild], lambda: [("a\nb" * 90, "Steam")],
        lambda _: None,
    )  # fmt: skip
    told = shelf.listed()
    assert len(told["games"][0]["title"]) == LETTERS
    assert told["source"] == "screen:window=\\x1b[31m"
    assert "\n" not in told["theirs"][0]["title"]


def test_one_of_the_list_is_chosen_and_once() -> None:
    desk = Desk()
    assert "'../etc'" in desk.shelf.choose("../etc")
    assert "'four'" in desk.shelf.choose("four")
    assert desk.shelf.choose("one") == "One is what is captured."
    assert desk.chosen == []
    assert not desk.shelf.listed()["chosen"]
    assert desk.shelf.choose("three") == ""
    # Told at once, though the list is not made anew.
    assert desk.shelf.listed()["chosen"]
    assert desk.shelf.choose("two") == "Another game is being started."
    assert desk.chosen == ["three"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"record": "a.mp4"}, "--record"), ({"report": "a.json"}, "--report"),
        ({"seconds": 9.0}, "--seconds"), ({"compare": True}, "--compare"),
        ({"watchable": True}, "--watchable"), ({}, ""),
    ],
)  # fmt: skip
def test_a_session_that_leaves_something_behind_keeps_its_game(given, said) -> None:
    fixed = why_fixed(replace(RunOptions(), **given))
    assert said in fixed
    assert bool(fixed) == bool(said)
    assert Desk(fixed=fixed).shelf.choose("three") == fixed


def test_what_is_chosen_is_played_next_with_what_stays() -> None:
    played: list[tuple[str, int | None]] = []

    def play(source: str, stay: Stay) -> None:
        played.append((source, stay.port))
        stay.port, stay.has_begun = 8777, True
        if len(played) < 3:
            stay.chosen = ("one", "two")[len(played) - 1]

    play_on("screen", play)
    assert played == [("screen", None), ("game:one", 8777), ("game:two", 8777)]


def test_what_cannot_be_captured_is_said_and_the_last_is_captured_again() -> None:
    played: list[tuple[str, str]] = []

    def play(source: str, stay: Stay) -> None:
        played.append((source, stay.trouble))
        if source == "game:broken":
            raise SourceUnavailableError("It shows nothing.")
        stay.has_begun = True
        if len(played) == 1:
            stay.chosen = "broken"

    play_on("screen", play)
    said = "game:broken cannot be captured. It shows nothing."
    assert played == [("screen", ""), ("game:broken", ""), ("screen", said)]


@pytest.mark.parametrize("begins", [True, False])
def test_what_fails_by_itself_ends_it(begins: bool) -> None:
    def play(source: str, stay: Stay) -> None:
        stay.has_begun = begins
        raise UsageError("Something else.")

    with pytest.raises(UsageError, match="Something else"):
        play_on("screen", play)


def test_who_cannot_play_is_offered_nothing() -> None:
    assert Stay().shelf(Shown(), RunOptions(), lambda: None) is None


def test_a_game_that_ran_already_is_captured_by_its_window_under_its_own_name(monkeypatch) -> None:
    monkeypatch.setattr(switching, "of_this_machine", lambda: HERE)
    monkeypatch.setattr(switching, "of_launchers", list)
    stopped: list[str] = []
    stay = Stay(tokens=Tokens(TOKEN))
    shelf = stay.shelf(Shown(), RunOptions(profile=TWO), lambda: stopped.append("it"))
    assert shelf is not None
    told = shelf.listed()
    assert (told["source"], told["ends"], told["games"][0]["captured"]) == ("game:two", "", True)
    assert shelf.choose("three") == ""
    assert (stay.chosen, stopped) == ("three", ["it"])
