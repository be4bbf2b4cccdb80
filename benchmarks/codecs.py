"""How chunks and residuals are best written: bytes, dB and time of every codec and quality.

Frames of games (``python -m benchmarks.moving``), 1280x720 and scaled down by area to 640x360, go
through the whole chain: cut in two, encoded, enhanced by ``ml-small``, the residual encoded, and
composed with the base of the undamaged frame.  dB are over the base, of the picture shown; times
are of one thread, for one chunk.

*standard* is JPEG by the standard's tables, as chunks and residuals were written before; all else
is as the product writes it.  The last table says how many bytes are saved, both ways together, at
no fewer dB than JPEG 80 up and 75 down by the standard's tables gave on the same game.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import cv2

from benchmarks.chain import Frame
from benchmarks.moving import scenes
from benchmarks.options import Parser, whole
from p2c2g.errors import P2C2GError, UsageError
from p2c2g.media.codecs import codec, source_codec
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.residual import Form, Residual

#: Ways up and down by name and quality; those that ``before`` was are the first.
STANDARD = "standard"
SOURCES = (
    *((STANDARD, quality) for quality in (80, 70, 50, 30)),
    *(("jpeg", quality) for quality in (92, 85, 80, 70, 60, 50, 40, 30, 20)),
    *(("webp", quality) for quality in (20, 40, 60, 75)),
    *(("avif", quality) for quality in (30, 45, 60)),
)
RESIDUALS = (
    *((STANDARD, quality) for quality in (75, 60, 40)),
    *(("jpeg", quality) for quality in (85, 80, 75, 60, 50, 40, 30, 20)),
    *(("webp", quality) for quality in (10, 20, 40, 60, 75)),
    *(("avif", quality) for quality in (40, 60)),
)
#: A way up, and a way down.
Key = tuple[str, int]
Given = ParamSpec("Given")
Made = TypeVar("Made")
BEFORE: tuple[Key, Key] = (SOURCES[0], RESIDUALS[0])
USUAL: tuple[Key, Key] = (("jpeg", 80), ("jpeg", 75))
#: What is measured in all combinations.
WORTH_UP = [key for key in SOURCES if key[0] == "jpeg" or key in (("webp", 40), ("webp", 20))]
WORTH_DOWN = [key for key in RESIDUALS if key[0] in ("jpeg", "webp")]
_SMALL = 1e-12


@dataclass(frozen=True, slots=True)
class Point:
    """One chunk by one way up and one down: bytes, and the squared error of what is shown."""

    up: int
    down: int
    error: float


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame of a game: its chunks' points, its pixels and the dB of its base."""

    game: str
    chunks: tuple[Mapping[tuple[Key, Key], Point], ...]
    frame: Frame
    base: float

    def gain(self, errors: Sequence[float]) -> float:
        """Return the dB over the base of its chunks' errors."""
        return self.frame.decibels(errors) - self.base


class Stopwatch:
    """Milliseconds of one thread by what was done."""

    def __init__(self) -> None:
        self.taken: dict[str, list[float]] = defaultdict(list)

    def of(
        self, name: str, work: Callable[Given, Made], *given: Given.args, **more: Given.kwargs
    ) -> Made:
        """Do it, and note how long it took."""
        began = time.thread_time()
        made = work(*given, **more)
        self.taken[name].append(1e3 * (time.thread_time() - began))
        return made

    def median(self, name: str) -> float:
        """Return the median."""
        return statistics.median(self.taken[name])


def source(key: Key, pixels: Pixels) -> bytes:
    """Return a chunk as it is sent."""
    name, quality = key
    one = codec("jpeg") if name == STANDARD else source_codec(name)
    return one.encode(pixels, quality)


def residual(key: Key, values: Residual) -> bytes:
    """Return a residual as it is sent back."""
    name, quality = key
    if name != STANDARD:
        return Form(name, quality).encode(values)
    picture = (values + 128).clip(1, 255).astype("uint8")
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    return cv2.imencode(".jpg", picture, options)[1].tobytes()


def named(key: Key) -> str:
    """Return the name of the codec that decodes."""
    return "jpeg" if key[0] == STANDARD else key[0]


def is_measured(up: Key, down: Key) -> bool:
    """Tell whether two ways are measured together: the usual ones with all, others if worth it."""
    return (
        up in (USUAL[0], BEFORE[0])
        or down in (USUAL[1], BEFORE[1])
        or (up in WORTH_UP and down in WORTH_DOWN)
    )


def shoot(game: str, frame: Frame, watch: Stopwatch) -> Shot:
    """Send a frame by every way up and down."""
    found: list[dict[tuple[Key, Key], Point]] = []
    for chunk in frame.chunks:
        points: dict[tuple[Key, Key], Point] = {}
        size = chunk.target.size
        for up in SOURCES:
            sent = watch.of(f"up {up} encode", source, up, frame.source(chunk))
            watch.of(f"up {up} decode", codec(named(up)).decode, sent)
            answer = frame.answer(chunk, named(up), sent)
            for down in (down for down in RESIDUALS if is_measured(up, down)):
                back = watch.of(f"down {down} encode", residual, down, answer)
                form = Form(named(down), 100 if down[0] == STANDARD else down[1])
                read = watch.of(f"down {down} decode", form.decode, back, size)
                points[up, down] = Point(len(sent), len(back), frame.error(chunk, read))
        found.append(points)
    bare = frame.decibels([frame.error(chunk, None) for chunk in frame.chunks])
    return Shot(game, tuple(found), frame, bare)


# -- what is to be chosen


def gained(shots: Sequence[Shot], ways: tuple[Key, Key]) -> float:
    """Return the mean dB over the base by one way for all."""
    return statistics.fmean(
        shot.gain([points[ways].error for points in shot.chunks]) for shot in shots
    )


def taken(shots: Sequence[Shot], ways: tuple[Key, Key]) -> tuple[float, float]:
    """Return KiB a frame up and down by one way for all."""
    points = [points[ways] for shot in shots for points in shot.chunks]
    frames = 1024 * len(shots)
    return sum(point.up for point in points) / frames, sum(point.down for point in points) / frames


def cheapest(
    shots: Sequence[Shot], ups: Collection[Key], downs: Collection[Key]
) -> tuple[Key, Key]:
    """Return the ways of fewest bytes with no fewer dB than before."""
    due = gained(shots, BEFORE) - _SMALL
    every = ((up, down) for up in ups for down in downs if is_measured(up, down))
    ways = [way for way in every if gained(shots, way) >= due]
    return min(ways, key=lambda way: sum(taken(shots, way)))


def by_chunk(shots: Sequence[Shot], ups: Collection[Key], downs: Collection[Key]) -> float:
    """Return KiB a frame where each chunk has its own ways, with no fewer dB than before.

    Lagrange's multiplier: for each price of an error every chunk takes its cheapest ways, and the
    lowest price that gives the dB is looked for.
    """
    due = gained(shots, BEFORE)
    weights = [1 / sum(points[BEFORE].error for points in shot.chunks) for shot in shots]
    ways = [(up, down) for up in ups for down in downs if is_measured(up, down)]
    low, high, least = 0.0, 1e9, float("inf")
    for _ in range(50):
        price = (low * high) ** 0.5 if low else high / 1e6
        size, gains = 0, []
        for shot, weight in zip(shots, weights, strict=True):
            best = [_best(points, ways, price * weight) for points in shot.chunks]
            size += sum(one.up + one.down for one in best)
            gains.append(shot.gain([one.error for one in best]))
        if statistics.fmean(gains) >= due:
            high, least = price, min(least, size / 1024 / len(shots))
        else:
            low = price
        if low and high / low < 1.01:
            break
    return least


def _best(
    points: Mapping[tuple[Key, Key], Point], ways: Sequence[tuple[Key, Key]], price: float
) -> Point:
    return min((points[way] for way in ways), key=lambda one: one.up + one.down + price * one.error)


# -- what is written


def rates(shots: Sequence[Shot], watch: Stopwatch, way: str) -> str:
    """Return the table of the ways up, or down; the other way is the usual one."""
    at = 0 if way == "up" else 1
    lines = [
        f"| {way} | KiB a frame | of the usual | dB over base | less | encode ms | decode ms |",
        "|---|---|---|---|---|---|---|",
    ]
    usual = taken(shots, USUAL)[at]
    for key in SOURCES if way == "up" else RESIDUALS:
        ways = (key, USUAL[1]) if way == "up" else (USUAL[0], key)
        size, gain = taken(shots, ways)[at], gained(shots, ways)
        lines.append(
            f"| {key[0]} {key[1]} | {size:.1f} | {size / usual:.2f} | {gain:.3f} "
            f"| {gained(shots, USUAL) - gain:.3f} | {watch.median(f'{way} {key} encode'):.2f} "
            f"| {watch.median(f'{way} {key} decode'):.2f} |"
        )
    return "\n".join(lines)


def saved(shots: Sequence[Shot]) -> str:
    """Return the table of bytes that are saved, game by game and over all."""
    jpeg = [[key for key in keys if key[0] == "jpeg"] for keys in (SOURCES, RESIDUALS)]
    every = SOURCES, RESIDUALS
    games = list(dict.fromkeys(shot.game for shot in shots))
    columns: dict[str, Callable[[Sequence[Shot]], float]] = {
        "usual": lambda own: sum(taken(own, USUAL)),
        "down alone": lambda own: sum(taken(own, cheapest(own, [BEFORE[0]], RESIDUALS))),
        "up alone": lambda own: sum(taken(own, cheapest(own, SOURCES, [BEFORE[1]]))),
        "JPEG both": lambda own: sum(taken(own, cheapest(own, *jpeg))),
        "all codecs": lambda own: sum(taken(own, cheapest(own, *every))),
        "JPEG, a chunk": lambda own: by_chunk(own, *jpeg),
        "all, a chunk": lambda own: by_chunk(own, *every),
    }
    lines = [
        f"| game | dB before | KiB before | {' | '.join(columns)} |",
        "|---" * (len(columns) + 3) + "|",
    ]
    for game in [*games, "all"]:
        own = [shot for shot in shots if game in (shot.game, "all")]
        before = sum(taken(own, BEFORE))
        cells = [f"−{100 * (1 - column(own) / before):.0f} %" for column in columns.values()]
        lines.append(f"| {game} | {gained(own, BEFORE):.2f} | {before:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def shots_of(folder: Path, count: int, watch: Stopwatch) -> Iterator[Shot]:
    """Shoot ``count`` frames of each scene of every recording, evenly over it."""
    for game in sorted(folder.glob("*/")):
        for files in scenes(game):
            for at in range(min(count, len(files))):
                file = files[(2 * at + 1) * len(files) // (2 * min(count, len(files)))]
                yield shoot(game.name, Frame.read(file), watch)
        print(f"{game.name} is measured", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the tables."""
    parser = Parser(prog="codecs", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--recordings", type=Path, default=Path("out/moving"))
    parser.add_argument("--frames", type=whole("a number of frames", 1, 100), default=4,
                        help="of each scene")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out/codecs"))
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    watch = Stopwatch()
    try:
        shots = list(shots_of(options.recordings, options.frames, watch))
        if not shots:
            raise UsageError(
                f"There are no recordings in {options.recordings}: python -m benchmarks.moving."
            )
    except P2C2GError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    tables = [rates(shots, watch, "up"), rates(shots, watch, "down"), saved(shots)]
    print("\n\n".join(tables))
    options.out.mkdir(parents=True, exist_ok=True)
    rows = [
        {"game": shot.game, "size": str(Size.of(shot.frame.own)), "up": up, "down": down,
         "kib": taken([shot], (up, down)), "gain": gained([shot], (up, down))}
        for shot in shots for up, down in shot.chunks[0]
    ]  # fmt: skip
    (options.out / "codecs.json").write_text(json.dumps(rows, indent=1) + "\n")
    (options.out / "codecs.md").write_text("\n\n".join(tables) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
