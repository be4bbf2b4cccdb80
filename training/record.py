"""Frames of a game, as it draws them: the large pictures that the nets learn from.

A recording is a folder of PNG files, numbered in the order of time, and ``recording.json``, which
describes them.  One that was interrupted goes on after its last whole scene.
"""

from __future__ import annotations

import json
from pathlib import Path

from p2c2g.errors import UsageError
from p2c2g.media.frame import Pixels
from p2c2g.system.files import write_whole
from p2c2g_training.recording import Sieve, load, save
from training.games import SIZE, Game, playing

__all__ = ["load", "load_small", "record"]


def load_small(folder: Path, frames: int) -> list[Pixels]:
    """Return the frames that a game drew at half the size, where a recording has them.

    They are in its folder ``small``, under the same names.

    Raises:
        UsageError: they are not as many as ``frames``.
    """
    found = load(folder / "small")
    if len(found) != frames:
        raise UsageError(f"{folder / 'small'} has {len(found)} frames where {frames} are due.")
    return found


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
        sieve = Sieve(due=settle)
        with playing(game, scene, seed + scene) as screen:
            for now, pixels in screen:
                if now >= settle + seconds / len(game.scenes):
                    break
                if sieve.takes(now, pixels):
                    save(folder / f"{begin + count:05}.png", pixels)
                    count += 1
        done.append(count)
        about = {"game": game.name, "size": str(SIZE), "seed": seed, "scenes": done}
        write_whole(card, json.dumps(about))
    return sum(done)
