"""Which games run on this machine, which is in front, and which windows are theirs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from p2c2g.errors import SourceUnavailableError
from p2c2g_capture.games.profile import GameProfile
from p2c2g_capture.games.programs import Machine, Program


@dataclass(frozen=True, slots=True)
class Window:
    """A window: its title, its classes, whose it is, and whether it is in front."""

    title: str
    classes: tuple[str, ...]
    pid: int | None
    is_in_front: bool


@dataclass(frozen=True, slots=True)
class Running:
    """A game that runs: by a profile, or, with a window that fills the screen, perhaps one."""

    profile: GameProfile
    pid: int | None
    window: Window | None


def windows() -> list[Window]:
    """Return the windows of the screen, the one in front first; none where there is no X."""
    if not os.environ.get("DISPLAY"):
        return []
    try:
        from p2c2g_capture.sources.windows import Windows
        from p2c2g_capture.sources.xconnect import GONE

        connection = Windows()
    except (ImportError, SourceUnavailableError):
        return []
    try:
        front = connection.in_front()
        found = []
        for window, title in connection.titled():
            try:
                classes = connection.classes_of(window)
                pid = connection.pid_of(window)
            except GONE:
                continue
            found.append(Window(title, classes, pid, window.id == front))
    finally:
        connection.close()
    return sorted(found, key=lambda each: not each.is_in_front)


def running(
    profiles: Iterable[GameProfile], programs: Iterable[Program], shown: Iterable[Window]
) -> list[Running]:
    """Return the games that run, the one in front first.

    Args:
        profiles: those that are known.
        programs: what runs.
        shown: the screen's windows, the one in front first.
    """
    by_pid = {each.pid: each for each in programs}
    seen: list[Running] = []
    for profile in profiles:
        its = [each for each in by_pid.values() if profile.is_program(each.name)]
        pids = {each.pid for each in its}
        window = next(
            (
                each
                for each in shown
                if each.pid in pids or profile.is_window(each.classes, each.title)
            ),
            None,
        )
        if its or window is not None:
            pid = its[0].pid if its else window.pid if window else None
            seen.append(Running(profile, pid, window))
    return sorted(seen, key=lambda each: not (each.window and each.window.is_in_front))


def window_of(profile: GameProfile, machine: Machine | None = None) -> Window | None:
    """Return the window of a game that is on the screen; None where it is not."""
    from p2c2g_capture.games.programs import ThisMachine

    programs = (machine or ThisMachine()).programs()
    found = running([profile], programs, windows())
    return found[0].window if found else None
