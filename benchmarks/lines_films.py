"""Films of real games at 1280x720, for the benchmark of lines (``benchmarks/lines.py``).

``python -m benchmarks.lines_films FOLDER --games supertux2 openttd`` plays each game under Xvfb
by a seeded hand (``training/games.py``) and keeps what it draws, picture by picture, so well that
the codec does not show.  About eighteen pictures a second are taken and thirty played, so a film
is faster than the game was; where a game drew nothing new, its film has the same picture twice.
``python capture/make_clip.py --large 2560x1440 --output dsda-doom.mp4`` makes one more, which is
the same each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from rich.console import Console

from benchmarks.options import Parser, number, run
from p2c2g.media.frame import Pixels
from training.games import GAMES, SIZE, find, playing

#: Pictures a second of the films.
FPS = 30
#: Seconds of play that are passed over: logos and menus.
SETTLE = 14.0
_CODEC = {"preset": "fast", "crf": "8", "g": str(FPS)}


def pictures(game: str, scene: int = 0, settle: float = SETTLE) -> Iterator[Pixels]:
    """Give what a game draws, after ``settle`` seconds.

    Raises:
        SourceUnavailableError: it does not start, or ended.
    """
    with playing(find(game), scene, seed=1) as screen:
        for at, pixels in screen:
            if at >= settle:
                yield pixels.copy()


def write(path: Path, frames: Iterable[Pixels]) -> None:
    """Write a film of frames of :data:`~training.games.SIZE`."""
    # Without the protocol, FFmpeg would take a colon in the name for the end of one.
    with av.open(f"file:{path}", "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=_CODEC)
        stream.width, stream.height, stream.pix_fmt = SIZE.width, SIZE.height, "yuv444p"
        for at, pixels in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(pixels, format="bgr24")
            picture.pts, picture.time_base = at, Fraction(1, FPS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def main(arguments: list[str]) -> int:
    """Record; return the exit status."""
    parser = Parser(prog="lines_films", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    whole = [name for name, game in GAMES.items() if game.part.width == SIZE.width]
    parser.add_argument("--games", nargs="+", choices=whole, default=["supertux2", "openttd"])
    parser.add_argument(
        "--seconds", type=number("a time in seconds", 1, 120), default=16.0, help="of each film"
    )
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    for game in options.games:
        path = options.folder / f"{game}.mp4"
        write(path, islice(pictures(game), round(options.seconds * FPS)))
        Console(stderr=True, highlight=False).print(f"{path}")
    return 0


if __name__ == "__main__":
    run(main)
