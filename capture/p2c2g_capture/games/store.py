"""Where profiles are: those that come with the package, and the gamer's own, which go first."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import platformdirs

from p2c2g.errors import UsageError
from p2c2g_capture.games.profile import GameProfile


class ProfileStore:
    """All profiles, by name.

    Args:
        folder: of the gamer's own; else where the system keeps settings.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or platformdirs.user_config_path("p2c2g") / "games"

    def names(self) -> list[str]:
        """Return the names of all profiles, sorted."""
        own = self.folder.glob("*.toml") if self.folder.is_dir() else ()
        return sorted({*_shipped(), *(each.stem for each in own)})

    def text(self, name: str) -> tuple[str, str]:
        """Return a profile's text, and where it is from.

        Raises:
            UsageError: there is none, or it cannot be read.
        """
        own = self.path(name)
        if own.is_file():
            try:
                return own.read_text(encoding="utf-8"), str(own)
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "it is no text"
                raise UsageError(f"The profile {own} cannot be read: {why}.") from error
        if name not in _shipped():
            raise UsageError(
                f"There is no game {name!r}: give one of {', '.join(self.names())}, or make a "
                f"profile by p2c2g-capture profile edit {name}."
            )
        return (files("p2c2g_capture.games") / "profiles" / f"{name}.toml").read_text(
            encoding="utf-8"
        ), f"the profile {name}"

    def load(self, name: str) -> GameProfile:
        """Return a profile.

        Raises:
            UsageError: there is none, or it is wrong.
        """
        text, where = self.text(name)
        profile = GameProfile.of(text, where)
        if profile.name != name:
            raise UsageError(f"{where} is called {profile.name!r} in itself: both must agree.")
        return profile

    def all(self) -> list[GameProfile]:
        """Return all profiles that are right; what is wrong with the others ``check`` says."""
        found = []
        for name in self.names():
            try:
                found.append(self.load(name))
            except UsageError:
                continue
        return found

    def path(self, name: str) -> Path:
        """Return where the gamer's own profile of a game is, or would be."""
        return self.folder / f"{name}.toml"


def _shipped() -> list[str]:
    folder = files("p2c2g_capture.games") / "profiles"
    return [
        each.name.removesuffix(".toml") for each in folder.iterdir() if each.name[-5:] == ".toml"
    ]
