"""What runs on this machine: processes, by name, and the files beside their programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import psutil

#: Entries of a game's folder that are looked at, and how deep.
MOST_FILES, DEPTH = 20_000, 4


@dataclass(frozen=True, slots=True)
class Program:
    """A process: its id, its name, and where its program is (None where that is not told)."""

    pid: int
    name: str
    path: Path | None = None


class Machine(Protocol):
    """What is asked of a machine."""

    def programs(self) -> list[Program]:
        """Return what runs."""
        ...

    def files(self, folder: Path) -> Iterator[str]:
        """Yield the names of what is in a folder and beneath it; bounded."""
        ...


class ThisMachine(Machine):
    """The machine that this runs on."""

    def programs(self) -> list[Program]:
        """Return what runs, as far as this user may see it."""
        found = []
        for each in psutil.process_iter(("pid", "name", "exe", "cmdline")):
            about = each.info
            path = about["exe"] or ""
            name = about["name"] or Path(path).name
            # The kernel cuts names off after fifteen letters.
            if path and Path(path).name.startswith(name):
                name = Path(path).name
            line = about["cmdline"] or []
            if line and Path(path).name.startswith(("python", "perl", "wine", "proton")):
                # A script, or another system's program: what is run is what counts.
                name = next(
                    (Path(part.replace("\\", "/")).name for part in line[1:] if part[:1] != "-"),
                    name,
                )
            found.append(Program(about["pid"], name, Path(path) if path else None))
        return found

    def files(self, folder: Path) -> Iterator[str]:
        """Yield names, :data:`MOST_FILES` at most."""
        return islice(_walk(folder, DEPTH), MOST_FILES)


def _walk(folder: Path, depth: int) -> Iterator[str]:
    try:
        entries = list(islice(folder.iterdir(), MOST_FILES))
    except OSError:
        return
    for each in entries:
        yield each.name
        if depth > 1 and each.is_dir() and not each.is_symlink():
            yield from _walk(each, depth - 1)
