"""What a game's training keeps on this machine until it is done: frames, and how far it is.

The folder is the user's own: ``training/GAME`` beside the finished nets.  Everything in it may be
deleted.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs

from p2c2g.system.files import write_whole
from p2c2g_training.recording import Folder

#: The file of a training that was cut short.
STATE = "state.pt"
_CARD = "run.json"


@dataclass(frozen=True, slots=True)
class Course:
    """What was asked of a training: where two are equal, the second continues the first.

    ``frames`` is a digest of the frames; ``seconds`` is None where ``steps`` give the length.
    """

    size: str
    seed: int
    seconds: float | None
    steps: int | None
    frames: str


class Home:
    """One game's folder."""

    def __init__(self, game: str, base: Path | None = None) -> None:
        data = base or Path(platformdirs.user_data_dir("p2c2g", appauthor=False))
        self.path = data / "training" / game
        self.frames = Folder(self.path / "frames")
        self.run = self.path / "run"

    def course(self) -> Course | None:
        """Return what was asked for last; None where there is nothing, or it cannot be read."""
        try:
            return Course(**self._card()["course"])
        except (KeyError, TypeError):
            return None

    def begin(self, course: Course) -> bool:
        """Make a course the current one; return whether it already was, so that it goes on."""
        if self.course() == course and (self.order() or (self.run / STATE).is_file()):
            return True
        self.forget_run()
        self._write({"course": asdict(course)})
        return False

    def order(self) -> str | None:
        """Return the id of this course's order at the pool, if there is one."""
        found = self._card().get("order")
        return found if isinstance(found, str) else None

    def blobs(self) -> list[str]:
        """Return the names of that order's blobs at the broker."""
        found = self._card().get("blobs")
        return [str(name) for name in found] if isinstance(found, list) else []

    def ordered(self, order: str, blobs: list[str]) -> None:
        """Note an order, just before it is sent."""
        self._write({**self._card(), "order": order, "blobs": blobs})

    def settled(self) -> None:
        """Note that there is no order at the pool any more."""
        card = self._card()
        self._write({key: card[key] for key in card if key not in {"order", "blobs"}})

    def forget_run(self) -> None:
        """Delete the training's state, not the frames."""
        shutil.rmtree(self.run, ignore_errors=True)
        (self.path / _CARD).unlink(missing_ok=True)

    def forget(self) -> None:
        """Delete everything."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _card(self) -> dict[str, Any]:
        try:
            card = json.loads((self.path / _CARD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return card if isinstance(card, dict) else {}

    def _write(self, card: dict[str, Any]) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.path / _CARD, json.dumps(card))


def digest(files: list[Path]) -> str:
    """Return a hash of a set of frames, by their names and lengths."""
    text = "\n".join(f"{file.name} {file.stat().st_size}" for file in files)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
