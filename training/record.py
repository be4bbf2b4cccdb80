"""Frames of a game, as it draws them: the large pictures that the nets learn from.

A recording is a folder of PNG files, numbered in the order of time, and ``recording.json`` with
what they are.  One that is cut short goes on where it was: whole scenes are the unit.
"""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from p2c2g.media.frame import Pixels
from training.games import SIZE, Game, playing

#: Seconds between two frames: nearer ones teach little.
INTERVAL = 0.5
#: A frame enters if this part of its pixels moved by more than eight levels.
_MOVED = 0.02


def record(game: Game, folder: Path, seconds: float, seed: int = 1, settle: float = 3.0) -> int:
    """Record each scene of a game for ``seconds`` in all; returns the number of frames there.

    Frames that hardly differ from the last one, and flat ones, are left out.

    Raises:
        SourceUnavailableError: the game does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    card = folder / "recording.json"
    done: list[int] = json.loads(card.read_text())["scenes"] if card.is_file() else []
    for scene in range(len(done), len(game.scenes)):
        begin, count = sum(done), 0
        last: Pixels | None = None
        due = settle
        with playing(game, scene, seed + scene) as screen:
            for now, pixels in screen:
                if now >= settle + seconds / len(game.scenes):
                    break
                if now < due or pixels.std() < 4 or not _new(pixels, last):
                    continue
                last = pixels.copy()
                name = folder / f"{begin + count:05}.png"
                cv2.imwrite(str(name), last, [cv2.IMWRITE_PNG_COMPRESSION, 1])
                count, due = count + 1, now + INTERVAL
        done.append(count)
        card.write_text(
            json.dumps({"game": game.name, "size": str(SIZE), "seed": seed, "scenes": done})
        )
    return sum(done)


def load(folder: Path) -> list[Pixels]:
    """Return a recording's frames in the order of time: (720, 1280, 3) BGR each."""
    frames = [cv2.imread(str(path)) for path in sorted(folder.glob("*.png"))]
    return [np.asarray(frame, np.uint8) for frame in frames if frame is not None]


def _new(pixels: Pixels, last: Pixels | None) -> bool:
    if last is None:
        return True
    step = np.s_[::4, ::4]
    moved = cv2.absdiff(np.ascontiguousarray(pixels[step]), np.ascontiguousarray(last[step])) > 8
    return bool(moved.mean() > _MOVED)
