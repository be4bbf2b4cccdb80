"""A game that is played: one that runs already, or one that is started on a screen of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from p2c2g.errors import SourceUnavailableError, UsageError
from p2c2g.media.frame import Size
from p2c2g.system import processes
from p2c2g_capture.games.profile import GameProfile
from p2c2g_capture.sources import Source
from p2c2g_capture.sources.screen import ScreenSource
from p2c2g_capture.sources.staged import Staged

#: Seconds until a game shows anything.
_START = 60.0


class PlayedGame(Staged):
    """A game that was started for this run, on a screen of its own, by its profile.

    It is the gamer's own game: it keeps its settings and what was saved where it always does.

    Args:
        profile: what is known of it.
        size: of its screen; None for the profile's.
        environment: what it is told besides, such as where to play its sound.

    Raises:
        UsageError: the profile does not say how it is started.
        SourceUnavailableError: it is not installed, or does not start.
    """

    def __init__(
        self,
        profile: GameProfile,
        size: Size | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if not profile.start.command:
            raise UsageError(
                f"The profile of {profile.name} does not say how it is started: start it yourself, "
                f"or add start.command by p2c2g-capture profile edit {profile.name}."
            )
        self._profile = profile
        program = profile.start.command[0]
        if processes.find(program) is None:
            packages = " ".join(profile.start.debian) or program
            raise SourceUnavailableError(
                f"{profile.title or profile.name} is not installed: apt-get install {packages}."
            )
        super().__init__(f"game:{profile.name}", size or profile.size)
        try:
            self._start(environment or {})
            self._wait(self._screen)
        except BaseException:
            self.close()
            raise

    def ends(self) -> str:
        """Return the game's title: it ends with this."""
        return self._title

    def _ended(self) -> None:
        raise SourceUnavailableError(f"{self._title} has ended.")

    @property
    def _title(self) -> str:
        return self._profile.title or self._profile.name

    def _start(self, environment: Mapping[str, str]) -> None:
        start, folder, size = self._profile.start, self._scratch.path, self._display.size
        known = {
            "{width}": str(size.width), "{height}": str(size.height), "{folder}": str(folder)
        }  # fmt: skip
        for name, text in start.files.items():
            (folder / name).write_text(_filled(text, known), encoding="utf-8")
        told = {
            **{name: value for name, value in os.environ.items() if name != "WAYLAND_DISPLAY"},
            "SDL_AUDIODRIVER": "dummy",
            **{name: _filled(value, known) for name, value in start.environment.items()},
            "DISPLAY": self._display.name,
            **environment,
        }
        with self._log.open("wb") as log:
            self._process = processes.start(
                [_filled(word, known) for word in start.command],
                env=told, cwd=folder, stdout=log, stderr=log,
            )  # fmt: skip
        self.pid = self._process.pid

    def _wait(self, screen: ScreenSource) -> None:
        """Return once the game shows anything."""
        deadline = time.monotonic() + _START
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                break
            pixels = screen.grab(0)[:, :, :3]
            if pixels.max() > pixels.min():
                return
            time.sleep(0.05)
        said = processes.last_line(self._log) or "it says nothing"
        raise SourceUnavailableError(f"{self._title} shows nothing: {said}.")


def _filled(text: str, known: Mapping[str, str]) -> str:
    for mark, value in known.items():
        text = text.replace(mark, value)
    return text


def open_game(
    profile: GameProfile,
    size: Size | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    cursor: bool = False,
) -> Source:
    """Attach to a game that is on the screen, or start it.

    Raises:
        UsageError: it does not run, and its profile does not say how it is started.
        SourceUnavailableError: it is not installed, or does not start.
    """
    window = None
    if os.environ.get("DISPLAY"):
        from p2c2g_capture.games.found import window_of

        window = window_of(profile)
    if window is None:
        return PlayedGame(profile, size, environment)
    from p2c2g_capture.sources.window import WindowSource

    return WindowSource(window.title, size, cursor=cursor)


def file_of(profile: GameProfile) -> Path | None:
    """Return the program of a game that is installed; None where it is not."""
    command = profile.start.command
    found = processes.find(command[0]) if command else None
    return None if found is None else Path(found)
