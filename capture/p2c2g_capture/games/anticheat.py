"""Known systems against cheating: what is looked for before anything is pressed in a game.

They take synthetic input for a cheat's, and who is taken for a cheater loses an account.  So where
one is found, nothing is injected unless the gamer says that they know; watching and capturing
look at nothing but the screen, and go on.  Nothing is ever put into a game's process.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from p2c2g_capture.games.programs import Machine, Program

#: Folders of programs in which no game lies alone.
_SHARED = {"/", "/usr", "/usr/bin", "/usr/games", "/usr/local/bin", "/bin", "/opt", "/snap/bin"}


class System(BaseModel):
    """One of them: by which processes, drivers and files it is known, and who says so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    processes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    source: Annotated[str, Field(pattern="^https://")]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found: the system, and by what."""

    system: str
    by: str

    @property
    def sentence(self) -> str:
        """Return what is said of it, without its end."""
        return (
            f"{self.system} runs here or comes with the game ({self.by}), and would take what is "
            "pressed in a viewer for a cheat's: nothing is pressed. Watching and recording go on"
        )


def systems() -> tuple[System, ...]:
    """Return the known ones."""
    text = (files("p2c2g_capture.games") / "anticheat.toml").read_text(encoding="utf-8")
    return tuple(System.model_validate(each) for each in tomllib.loads(text)["system"])


def look(machine: Machine, game: int | None, known: Iterable[System]) -> Finding | None:
    """Look for a system beside a game.

    Args:
        machine: where.
        game: the process whose picture is captured; None where that is not known: then all that
            runs is looked at, and no files are.
        known: what to look for.
    """
    programs = machine.programs()
    by_process = {each.lower(): system.name for system in known for each in system.processes}
    for each in programs:
        if (system := by_process.get(each.name.lower())) is not None:
            return Finding(system, f"the process {each.name}")
    its = next((each for each in programs if each.pid == game), None)
    folder = _folder_of(its)
    if folder is None:
        return None
    by_file = {each.lower(): system.name for system in known for each in system.files}
    for name in machine.files(folder):
        if (system := by_file.get(name.lower())) is not None:
            return Finding(system, f"{name} in {folder}")
    return None


def _folder_of(program: Program | None) -> Path | None:
    """Return the folder that a game has for itself; None where it shares one with others."""
    if program is None or program.path is None:
        return None
    folder = program.path.parent
    return None if str(PurePosixPath(folder)) in _SHARED else folder
