"""Which games of a profile are here: in front, running, or installed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from p2c2g_capture.games.found import Window, running
from p2c2g_capture.games.profile import GameProfile
from p2c2g_capture.games.programs import Program


@dataclass(frozen=True, slots=True)
class Here:
    """A game that is here, and how."""

    profile: GameProfile
    how: Literal["in front", "runs", "installed"]

    @property
    def title(self) -> str:
        """Return what a person calls it."""
        return self.profile.title or self.profile.name


def games_here(
    profiles: Iterable[GameProfile],
    programs: Iterable[Program],
    shown: Iterable[Window],
    file_of: Callable[[GameProfile], Path | None],
) -> list[Here]:
    """Return the games that are here: those that run first, then by name.

    Args:
        profiles: those that are known.
        programs: what runs.
        shown: the screen's windows, the one in front first.
        file_of: gives the program of a game that is installed; None where it is not.
    """
    profiles = list(profiles)
    now = {each.profile.name: each.window for each in running(profiles, programs, shown)}
    found: list[Here] = []
    for each in sorted(profiles, key=lambda one: (one.name not in now, one.name)):
        if each.name in now:
            window = now[each.name]
            found.append(Here(each, "in front" if window and window.is_in_front else "runs"))
        elif file_of(each) is not None:
            found.append(Here(each, "installed"))
    return found
