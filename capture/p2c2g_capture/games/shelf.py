"""The games that a viewer lists, and the one that is chosen there."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from p2c2g.text import plain
from p2c2g_capture.games.here import Here

#: Seconds for which a list holds: to make one asks the whole machine.
FRESH: Final = 2.0
#: Games of launchers that are listed, and letters of a title.
MOST, LETTERS = 100, 100

_NONE = "There is no game {!r} here: choose one of the list."
_PLAYED = "{} is what is captured."
_CHOSEN = "Another game is being started."


class Shelf:
    """What one session offers to the gamer who has the whole controls.

    Its methods may be called in any thread.

    Args:
        token: by which the gamer plays, and looks and chooses here, too.
        source: what is captured, such as ``game:etr``.
        games: finds the games that are here.
        theirs: finds titles of launchers' games, with the launcher.
        choose: is called once, with the name of what was chosen.
        ends: the title of the game that ends with this session; empty where none does.
        fixed: why nothing else can be captured, a sentence; empty where it can.
        trouble: why what was chosen before could not be captured, a sentence, or empty.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        token: str,
        source: str,
        games: Callable[[], Sequence[Here]],
        theirs: Callable[[], Sequence[tuple[str, str]]],
        choose: Callable[[str], None],
        *,
        ends: str = "",
        fixed: str = "",
        trouble: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._token = token
        self._source = source
        self._games = games
        self._theirs = theirs
        self._choose = choose
        self._ends = ends
        self._fixed = fixed
        self._trouble = trouble
        self._clock = clock
        self._lock = threading.Lock()
        self._list: dict[str, Any] = {}
        self._listed_at: float | None = None
        self._is_chosen = False

    def admits(self, token: str) -> bool:
        """Tell whether who shows this may look and choose; waits for nothing."""
        return hmac.compare_digest(token.encode(errors="replace"), self._token.encode())

    def listed(self) -> Mapping[str, Any]:
        """Return what is here, as JSON has it; takes a moment."""
        with self._lock:
            now = self._clock()
            if self._listed_at is None or now - self._listed_at >= FRESH:
                self._list = self._look()
                self._listed_at = now
            return {**self._list, "chosen": self._is_chosen}

    def choose(self, name: str) -> str:
        """Have another game captured in place of this one; return why not, if so."""
        if self._fixed:
            return self._fixed
        names = {each["name"]: each for each in self.listed()["games"]}
        with self._lock:
            if name not in names:
                return _NONE.format(plain(name, LETTERS))
            if names[name]["captured"]:
                return _PLAYED.format(names[name]["title"])
            if self._is_chosen:
                return _CHOSEN
            self._is_chosen = True
        self._choose(name)
        return ""

    def _look(self) -> dict[str, Any]:
        theirs = self._theirs()
        return {
            "source": plain(self._source, LETTERS),
            "games": [
                {
                    "name": each.profile.name,
                    "title": plain(each.title, LETTERS),
                    "kind": plain(each.profile.kind, LETTERS),
                    "how": each.how,
                    "captured": self._source == f"game:{each.profile.name}",
                }
                for each in self._games()
            ],
            "theirs": [
                {"title": plain(title, LETTERS), "launcher": launcher}
                for title, launcher in theirs[:MOST]
            ],
            "more": max(0, len(theirs) - MOST),
            "ends": self._ends,
            "fixed": self._fixed,
            "trouble": self._trouble,
        }


def of_this_machine() -> list[Here]:
    """Find the games that are on this machine; what cannot be looked at is left out."""
    from p2c2g_capture.games.found import windows
    from p2c2g_capture.games.here import games_here
    from p2c2g_capture.games.played import file_of
    from p2c2g_capture.games.programs import ThisMachine
    from p2c2g_capture.games.store import ProfileStore

    return games_here(ProfileStore().all(), ThisMachine().programs(), windows(), file_of)


def of_launchers() -> list[tuple[str, str]]:
    """Find what launchers have on this machine: titles, each with its launcher."""
    from p2c2g_capture.games.libraries import installed

    return [(each.title, each.launcher) for each in installed(Path.home())]
