"""Lists of games for viewers' tests."""

from __future__ import annotations

from collections.abc import Callable

from p2c2g_capture.games.here import Here
from p2c2g_capture.games.profile import GameProfile
from p2c2g_capture.games.shelf import Shelf
from tests.hands import TOKENS


def known(name: str, title: str, kind: str) -> GameProfile:
    """Return a profile that says no more than what the game is."""
    return GameProfile.of(f"name = '{name}'\ntitle = '{title}'\nkind = '{kind}'", "it")


HERE = [
    Here(known("one", "First Game", "shooter"), "in front"),
    Here(known("two", "Second Game", "platformer"), "runs"),
    Here(known("three", "Third Game", "puzzle"), "installed"),
]
THEIRS = [("Portal 2", "Steam"), ("Celeste", "Heroic")]


def shelf_of(choose: Callable[[str], None], **how: str) -> Shelf:
    """Return a list of three games, of which the first is captured."""
    return Shelf(TOKENS.play, "game:one", lambda: HERE, lambda: THEIRS, choose, **how)
