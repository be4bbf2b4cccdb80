"""The nets that this gamer's games have: files in the user's folder, one folder a game.

``p2c2g train`` puts them here when they have passed, ``--game`` takes them from here.  A net's
file is kept as it is, whatever it holds; only the peer that runs it reads it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from p2c2g.errors import UsageError
from p2c2g.media.hashes import name_of
from p2c2g.media.methods import NETWORKS
from p2c2g.system.files import write_together

#: Characters of a game's name at most.
MAX_NAME = 64
#: Bytes of a net's file and of a card at most.
MAX_MODEL, MAX_CARD = 512 * 1024, 64 * 1024
#: What nets give, as their cards say: residuals; those of the first form gave whole pictures.
FORM = 2


@dataclass(frozen=True, slots=True)
class OwnNet:
    """One net of a game.

    ``method`` is the method of its size, ``name`` the hash of its file as ``--ops`` takes it.
    """

    game: str
    method: str
    name: str
    path: Path
    card: dict[str, Any]

    @property
    def is_earlier(self) -> bool:
        """Tell whether it was made for an earlier version, and no peer can run it any more."""
        return self.card.get("form") != FORM


class NetStore:
    """Games' nets in a folder, at most one of each size for a game.

    Every method raises :class:`~p2c2g.errors.UsageError` where a text cannot be a game's name,
    and where the folder cannot be used.

    Args:
        folder: where they are; the user's own where not given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        base = Path(platformdirs.user_data_dir("p2c2g", appauthor=False))
        self.folder = folder if folder is not None else base / "nets"

    def put(self, game: str, method: str, model: bytes, card: Mapping[str, Any]) -> Path:
        """Keep a net, replacing the game's last one of that size; return its file.

        Raises:
            UsageError: the method or the net's length is not valid, or it cannot be written.
        """
        place = self._place(game)
        if method not in NETWORKS:
            raise UsageError(f"{method!r} is no net's method: give {', '.join(NETWORKS)}.")
        if not 0 < len(model) <= MAX_MODEL:
            raise UsageError(f"A net of {len(model)} bytes cannot be kept: 1 to {MAX_MODEL} can.")
        path = place / f"{method}.onnx"
        told = {**card, "form": FORM, "sha256": hashlib.sha256(model).hexdigest()}
        text = json.dumps(told, indent=1) + "\n"
        if len(text) > MAX_CARD:
            raise UsageError(f"A card of {len(text)} bytes cannot be kept: at most {MAX_CARD} can.")
        try:
            place.mkdir(parents=True, exist_ok=True)
            # The card last: a net without the card that describes it does not count.
            write_together({path: model, path.with_suffix(".json"): text})
        except OSError as error:
            raise UsageError(f"The net cannot be kept in {place}: {error.strerror}.") from error
        return path

    def find(self, game: str) -> tuple[OwnNet, ...]:
        """Return a game's nets, smallest first; empty where it has none.

        A net whose file is not the one that its card describes is left out.
        """
        place = self._place(game)
        found = (self._read(game, method, place / f"{method}.onnx") for method in NETWORKS)
        return tuple(net for net in found if net is not None)

    def games(self) -> list[str]:
        """Return the games that have a net, sorted."""
        with suppress(FileNotFoundError, NotADirectoryError):
            names = [path.name for path in self.folder.iterdir()]
            return sorted(name for name in names if _is_game(name) and self.find(name))
        return []

    def drop(self, game: str) -> int:
        """Remove a game's nets; return how many there were."""
        place = self._place(game)
        dropped = 0
        try:
            for method in NETWORKS:
                path = place / f"{method}.onnx"
                dropped += path.is_file()
                for each in (path.with_suffix(".json"), path):
                    each.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"{place} cannot be emptied: {error.strerror}.") from error
        with suppress(OSError):
            place.rmdir()  # Something else may lie there; then it stays.
        return dropped

    def _place(self, game: str) -> Path:
        if not _is_game(game):
            raise UsageError(
                f"{game[:80]!r} cannot be a game's name: give 1 to {MAX_NAME} letters, digits, "
                "dots and dashes, a letter or a digit first."
            )
        return self.folder / game

    @staticmethod
    def _read(game: str, method: str, path: Path) -> OwnNet | None:
        try:
            with path.open("rb") as stream:
                model = stream.read(MAX_MODEL + 1)
            with path.with_suffix(".json").open("rb") as stream:
                card = json.loads(stream.read(MAX_CARD))
        except (OSError, ValueError, RecursionError):
            return None
        whole = hashlib.sha256(model).hexdigest()
        if len(model) > MAX_MODEL or not isinstance(card, dict) or card.get("sha256") != whole:
            return None
        return OwnNet(game, method, name_of(model), path, card)


def _is_game(name: str) -> bool:
    return re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9.-]{{0,{MAX_NAME - 1}}}", name) is not None
