"""What launchers have installed: Steam, Lutris and Heroic, by the files that they keep.

They are read and never written.  A file that is not what is expected is passed over: it is another
program's, and may change with its next version.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

#: Games of a launcher that are listed, and bytes of a file that are read.
MOST, MOST_BYTES = 2000, 4_000_000

_STEAM = (".steam/steam", ".local/share/Steam", ".var/app/com.valvesoftware.Steam/data/Steam")
_HEROIC = (".config/heroic", ".var/app/com.heroicgameslauncher.hgl/config/heroic")
_LUTRIS = (".local/share/lutris/pga.db", ".var/app/net.lutris.Lutris/data/lutris/pga.db")
#: Steam's own parts, which it lists as games.
_NO_GAMES = re.compile(r"^(Proton|Steam Linux Runtime|Steamworks Common)\b")


@dataclass(frozen=True, slots=True)
class Installed:
    """A game of a launcher: its title, whose it is, and where it lies if that is told."""

    title: str
    launcher: str
    folder: Path | None = None


def installed(home: Path) -> list[Installed]:
    """Return what the launchers of a user have installed, by title, each folder once."""
    found: dict[tuple[str, str], Installed] = {}
    for each in islice((*_steam(home), *_lutris(home), *_heroic(home)), 3 * MOST):
        found.setdefault((each.launcher, each.title), each)
    return sorted(found.values(), key=lambda each: each.title.lower())


def _steam(home: Path) -> Iterator[Installed]:
    for root in (home / each for each in _STEAM):
        folders = {root, *(Path(each) for each in _values(root, "libraryfolders.vdf", "path"))}
        for folder in sorted(folders):
            apps = folder / "steamapps"
            for manifest in islice(sorted(apps.glob("appmanifest_*.acf")), MOST):
                title = next(iter(_quoted(_text(manifest), "name")), "")
                place = next(iter(_quoted(_text(manifest), "installdir")), "")
                if title and not _NO_GAMES.match(title):
                    yield Installed(title, "Steam", apps / "common" / place if place else None)


def _values(root: Path, name: str, key: str) -> list[str]:
    return _quoted(_text(root / "steamapps" / name) or _text(root / "config" / name), key)


def _quoted(text: str, key: str) -> list[str]:
    """Return the values of a key in Valve's format."""
    found = re.findall(rf'"{key}"\s+"((?:[^"\\]|\\.)*)"', text)
    return [re.sub(r"\\(.)", r"\1", each) for each in found]


def _lutris(home: Path) -> Iterator[Installed]:
    for path in (home / each for each in _LUTRIS):
        if not path.is_file():
            continue
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
                rows = database.execute(
                    "SELECT name, directory FROM games WHERE installed = 1 LIMIT ?", (MOST,)
                ).fetchall()
        except sqlite3.Error:
            continue
        for title, folder in rows:
            if isinstance(title, str) and title:
                yield Installed(title, "Lutris", Path(folder) if folder else None)


def _heroic(home: Path) -> Iterator[Installed]:
    for root in (home / each for each in _HEROIC):
        legendary = _json(root / "legendaryConfig" / "legendary" / "installed.json")
        rows = list(legendary.values()) if isinstance(legendary, dict) else []
        for name in ("gog_store", "nile_store", "sideload_apps"):
            listed = _json(root / name / "installed.json") or _json(root / name / "library.json")
            if isinstance(listed, dict):
                rows += [
                    row for value in listed.values() if isinstance(value, list) for row in value
                ]
        for row in islice(rows, MOST):
            if not isinstance(row, dict):
                continue
            title = row.get("title") or row.get("appName")
            folder = row.get("install_path") or row.get("folder_name")
            if isinstance(title, str) and title:
                yield Installed(title, "Heroic", Path(folder) if isinstance(folder, str) else None)


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path) or "null")
    except (ValueError, RecursionError):
        return None


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
