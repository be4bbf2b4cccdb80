"""Frames of games as they follow one another, 30 a second: what an inter-frame codec lives on.

A recording to train on leaves out what is near in time (:mod:`training.record`); here nothing is
left out, and a frame that the game did not draw again is there twice.  Of each scene there is one
stretch, in the same format: a folder of PNG files and ``recording.json``.

Run ``python -m benchmarks.moving`` where the games are installed; a few minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.options import Parser, whole
from p2c2g.errors import P2C2GError
from p2c2g.media.frame import Pixels
from p2c2g_training.recording import Folder, Recording, save
from training.games import GAMES, Game, find, playing

FPS = 30
#: Seconds from a game's start to the stretch: the longest opening is over by then.
SETTLE = 13.0
#: Scenes of each game, at most.
SCENES = 2


def stretch(game: Game, scene: int, frames: int, seed: int = 1) -> list[Pixels]:
    """Return so many frames of a scene, 30 a second.

    Raises:
        SourceUnavailableError: the game does not start.
    """
    taken: list[Pixels] = []
    with playing(game, scene, seed + scene, pause=0.001) as screen:
        for now, pixels in screen:
            if now >= SETTLE + len(taken) / FPS:
                taken.append(np.array(pixels))
                if len(taken) == frames:
                    break
    return taken


def record(game: Game, folder: Path, frames: int) -> Recording:
    """Record a stretch of each of a game's first scenes."""
    scenes = [stretch(game, scene, frames) for scene in range(min(SCENES, len(game.scenes)))]
    found = Recording(game.name, whole=True, scenes=tuple(len(one) for one in scenes))
    Folder(folder).write(found)
    for number, pixels in enumerate(one for scene in scenes for one in scene):
        save(folder / f"{number:05}.png", pixels)
    return found


def scenes(folder: Path) -> Iterator[list[Path]]:
    """Give the files of each scene of a recording, in the order of time."""
    found = Folder(folder)
    files = found.files()
    for count in found.read().scenes:
        yield files[:count]
        files = files[count:]


def main(arguments: Sequence[str] | None = None) -> int:
    """Record games."""
    parser = Parser(prog="moving", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("games", nargs="*", help=f"of {', '.join(GAMES)}; all if none is given")
    parser.add_argument("--frames", type=whole("a number of frames", 2, 1000), default=90)
    parser.add_argument("--out", type=Path, default=Path("out/moving"))
    options = parser.parse_args(arguments)
    try:
        for game in [find(name) for name in options.games or GAMES]:
            found = record(game, options.out / game.name, options.frames)
            print(f"{game.name}: {found.frames} frames of {len(found.scenes)} scenes", flush=True)
    except P2C2GError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
