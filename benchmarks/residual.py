"""What the gamer's own machine makes of a frame, what peers add to it, and for how many bytes.

Frames as games drew them at 1280x720 (``python -m training record GAME``) are scaled down by area
to 640x360; where a recording has a folder ``small``, its frames of the same names are taken in
place of that: what the game itself draws at that size.  Four tables:

free
    ways of enlarging the undamaged frame, for which nobody is needed;
added
    what nets add through the codecs: the whole picture as it travelled before, and the residual;
sweep
    quality and subsampling of the way up, and quality and colours of the way down;
time
    milliseconds of each step on one thread.

PSNR is in dB, and SSIMULACRA2 is 100 for the same picture; both are against the frame as drawn.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import simplejpeg

from benchmarks.one_thread import milliseconds
from benchmarks.options import Parser, whole
from benchmarks.upscalers import perceived
from p2c2g.errors import P2C2GError, UsageError
from p2c2g.media.base import base
from p2c2g.media.cells import cell_of
from p2c2g.media.composition import Composition
from p2c2g.media.frame import Pixels, Rect, Size
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Pipeline
from p2c2g.media.residual import Form, Residual, difference
from p2c2g.system.malloc import keep_freed_memory
from p2c2g_training.fsr import fsr
from p2c2g_training.measure import psnr
from p2c2g_workers.processors import run

TWO = Fraction(2)
CELL = cell_of(TWO, TWO)
OPERATIONS = ("upscale:2:bicubic,sharpen:0.5", *(f"upscale:2:{net}" for net in NETWORKS))
USUAL_UP, USUAL_DOWN = 80, 75
#: What the sweep runs, the ways up, and the ways down.
SWEPT = "upscale:2:ml-small"
UP, SUBSAMPLINGS = (30, 50, 60, 70, 80, 85, 92), ("420", "444")
FORMS = (
    *(Form("jpeg", quality) for quality in (20, 40, 60, 75, 85, 92)),
    *(Form("jpeg", quality, in_colour=True) for quality in (40, 60, 75, 85)),
    *(Form("jpeg", quality, 2) for quality in (20, 40, 60, 75)),
    *(Form(codec, quality) for codec in ("webp", "avif") for quality in (20, 40, 60, 75)),
    Form("raw", 100),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One way of making the picture, and its mean over one game's frames.

    ``up`` and ``down`` are KiB a frame.
    """

    table: str
    game: str
    name: str
    psnr: float
    ssimulacra2: float | None
    up: float = 0.0
    down: float = 0.0


@dataclass(frozen=True, slots=True)
class Pair:
    """A frame as it is captured, and as it should look."""

    small: Pixels
    large: Pixels


def pairs(folder: Path, count: int) -> list[Pair]:
    """Return ``count`` pairs of a recording, evenly over it."""
    files = sorted(folder.glob("*.png"))
    found = []
    for at in range(min(count, len(files))):
        file = files[at * len(files) // count]
        large = np.asarray(cv2.imread(str(file)), np.uint8)
        large = large[: large.shape[0] // 2 * 2, : large.shape[1] // 2 * 2]
        drawn = folder / "small" / file.name
        half = (large.shape[1] // 2, large.shape[0] // 2)
        small = (
            cv2.imread(str(drawn))
            if drawn.is_file()
            else cv2.resize(large, half, interpolation=cv2.INTER_AREA)
        )
        found.append(Pair(np.asarray(small, np.uint8), large))
    return found


def based(small: Pixels) -> Pixels:
    """Return the base layer at twice the size."""
    return base(small, TWO, TWO, Size(2 * small.shape[1], 2 * small.shape[0]))


def enhanced(text: str, small: Pixels) -> Pixels:
    """Return what a peer's operations make of a picture."""
    return run(Pipeline.parse(text).resolve(Size.of(small)), small)


def jpeg(pixels: Pixels, quality: int, subsampling: str = "420") -> tuple[Pixels, int]:
    """Return a picture as it arrives, and its bytes."""
    whole_ = np.ascontiguousarray(pixels)
    data = simplejpeg.encode_jpeg(whole_, quality, "BGR", subsampling, fastdct=False)
    back = simplejpeg.decode_jpeg(data, "BGR", fastdct=False, fastupsample=True)
    return np.asarray(back, np.uint8), len(data)


def shown(under: Pixels, residual: Residual) -> Pixels:
    """Return base and residual together."""
    place = Rect(0, 0, under.shape[1], under.shape[0])
    return Composition.of(TWO, TWO).frame(under, [(place, residual)])


def free(pair: Pair) -> Iterator[tuple[str, Pixels, int, int]]:
    """Give what needs nobody: name, picture, bytes up and down."""
    size = (pair.large.shape[1], pair.large.shape[0])
    linear = cv2.resize(pair.small, size, interpolation=cv2.INTER_LINEAR)
    yield "bilinear", np.asarray(linear, np.uint8), 0, 0
    cubic = cv2.resize(pair.small, size, interpolation=cv2.INTER_CUBIC)
    yield "bicubic", np.asarray(cubic, np.uint8), 0, 0
    yield "lanczos", enhanced("upscale:2:lanczos", pair.small), 0, 0
    yield "bicubic + sharpen", enhanced("upscale:2:bicubic,sharpen:0.5", pair.small), 0, 0
    yield "FSR", fsr(pair.small), 0, 0
    yield "base", based(pair.small), 0, 0


def added(pair: Pair) -> Iterator[tuple[str, Pixels, int, int]]:
    """Give what peers add, as a whole picture and as a residual."""
    arrived, up = jpeg(pair.small, USUAL_UP)
    under, there = based(pair.small), based(arrived)
    yield "base", under, 0, 0
    for text in OPERATIONS:
        made = enhanced(text, arrived)
        name = text.removeprefix("upscale:2:")
        picture, down = jpeg(made, 85)
        yield f"{name}, whole", picture, up, down
        for in_colour in (False, True):
            picture, down = arriving(under, there, made, Form("jpeg", USUAL_DOWN, 1, in_colour))
            yield f"{name}, {'colour' if in_colour else 'luma'}", picture, up, down


def sweep(pair: Pair) -> Iterator[tuple[str, Pixels, int, int]]:
    """Give every quality of the way up and down, one net throughout."""
    under = based(pair.small)
    yield "base", under, 0, 0
    for subsampling in SUBSAMPLINGS:
        for quality in UP:
            arrived, up = jpeg(pair.small, quality, subsampling)
            there, made = based(arrived), enhanced(SWEPT, arrived)
            for form in FORMS:
                if form.codec != "jpeg" and (quality, subsampling) != (USUAL_UP, "420"):
                    continue
                picture, down = arriving(under, there, made, form)
                kind = "colour" if form.in_colour else "luma"
                name = f"{subsampling} {quality}: {form.codec} {form.quality} {kind}"
                yield name + (f" x{form.gain}" if form.gain > 1 else ""), picture, up, down


def arriving(under: Pixels, there: Pixels, made: Pixels, form: Form) -> tuple[Pixels, int]:
    """Return what is shown of what a peer made, by the base there and here, and its bytes."""
    data = form.encode(difference(made, there, CELL, in_colour=form.in_colour))
    return shown(under, form.decode(data, Size.of(under))), len(data)


def measure(game: str, found: Sequence[Pair], table: str, perceive: int) -> Iterator[Row]:
    """Give the rows of one table for one game; SSIMULACRA2 is of the first so many pairs."""
    ways: dict[str, list[tuple[float, float | None, int, int]]] = {}
    for at, pair in enumerate(found):
        for name, picture, up, down in TABLES[table](pair):
            score = perceived(picture, pair.large) if at < perceive else None
            ways.setdefault(name, []).append((psnr(picture, pair.large), score, up, down))
    for name, values in ways.items():
        near, scores, up_bytes, down_bytes = zip(*values, strict=True)
        seen = [score for score in scores if score is not None]
        yield Row(
            table,
            game,
            name,
            statistics.fmean(near),
            statistics.fmean(seen) if seen else None,
            statistics.fmean(up_bytes) / 1024,
            statistics.fmean(down_bytes) / 1024,
        )


TABLES = {"free": free, "added": added, "sweep": sweep}


def times(pair: Pair) -> dict[str, float]:
    """Return milliseconds of one thread for each step, at 640x360 to 1280x720."""
    small = np.asarray(cv2.resize(pair.small, (640, 360)), np.uint8)
    under, form = based(small), Form("jpeg", USUAL_DOWN)
    made = enhanced("upscale:2:bicubic,sharpen:1", small)
    residual = difference(made, under, CELL)
    data, out = form.encode(residual), np.empty_like(under)
    place, terms = Rect(0, 0, 1280, 720), Composition.of(TWO, TWO)
    steps: dict[str, Callable[[], object]] = {
        "base": lambda: base(small, TWO, TWO, Size(1280, 720), out),
        "difference": lambda: difference(made, under, CELL),
        "residual, encoded": lambda: form.encode(residual),
        "residual, decoded": lambda: form.decode(data, Size(1280, 720)),
        "composition": lambda: terms.part(under, place, residual, out),
        "whole picture, encoded": lambda: jpeg_bytes(made),
        "whole picture, decoded": partial(simplejpeg.decode_jpeg, jpeg_bytes(made), "BGR"),
        "OpenCV's bicubic": lambda: cv2.resize(small, (1280, 720), interpolation=cv2.INTER_CUBIC),
    }
    return {name: milliseconds(step) for name, step in steps.items()}


def jpeg_bytes(pixels: Pixels) -> bytes:
    """Return a picture as JPEG 85 4:2:0."""
    return bytes(simplejpeg.encode_jpeg(pixels, 85, "BGR", "420", fastdct=False))


def markdown(rows: Sequence[Row], table: str) -> str:
    """Return a table of one kind: a line for each way, a column for each game."""
    own = [row for row in rows if row.table == table]
    games = list(dict.fromkeys(row.game for row in own))
    lines = [f"| {table} | {' | '.join(games)} |", "|---" * (len(games) + 1) + "|"]
    for name in dict.fromkeys(row.name for row in own):
        cells = {row.game: _cell(row) for row in own if row.name == name}
        lines.append(f"| {name} | {' | '.join(cells.get(game, '–') for game in games)} |")
    return "\n".join(lines)


def _cell(row: Row) -> str:
    seen = "" if row.ssimulacra2 is None else f" · {row.ssimulacra2:.1f}"
    sizes = f" · {row.up:.0f}+{row.down:.0f} KiB" if row.down else ""
    return f"{row.psnr:.2f}{seen}{sizes}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the tables."""
    parser = Parser(prog="residual", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--recordings", type=Path, default=Path("out/recordings"))
    parser.add_argument("--tables", nargs="+", choices=[*TABLES, "time"], default=["free", "added"])
    parser.add_argument("--frames", type=whole("a number of frames", 1, 100), default=4)
    parser.add_argument("--perceive", type=whole("a number of frames", 0, 100), default=2,
                        help="frames of each game that SSIMULACRA2 judges")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out/residual"))
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    keep_freed_memory()
    try:
        games = {
            folder.name: pairs(folder, options.frames)
            for folder in sorted(options.recordings.glob("*/"))
        }
        games = {name: found for name, found in games.items() if found}
        if not games:
            raise UsageError(
                f"There are no recordings in {options.recordings}: "
                "python -m training record crispy-doom."
            )
        rows: list[Row] = []
        for table in options.tables:
            if table == "time":
                for name, taken in times(next(iter(games.values()))[0]).items():
                    print(f"| {name} | {taken:.2f} ms |", flush=True)
                continue
            for game, found in games.items():
                rows.extend(measure(game, found, table, options.perceive))
            print(markdown(rows, table), flush=True)
    except P2C2GError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "residual.json"
    file.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
