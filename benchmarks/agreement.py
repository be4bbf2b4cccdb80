"""How far honest answers to one chunk are apart, and which lazy ones are told from them.

``python benchmarks/agreement.py`` prints, by codec: how often two honest answers agree where
one was rounded differently (each pixel moved by -1, 0 or 1 at random before the work or after it,
by another encoder of the same kind, or by five points of quality), and how often a cheat is found
out.  The limits of ``p2c2g/verify/agreement.py`` are chosen by it; ``--worst`` prints how far
honest answers are from them.

The scenes are those of ``calibrate_checks.py``: a game, the same almost black, a moving pattern
and text, without noise, in which nothing is alike.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import cv2
import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from benchmarks.calibrate_checks import Scenes
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Chunk, Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.verify.agreement import Disagreement, compare, same_picture
from p2c2g_workers.processors import run

PIPELINES = (
    "upscale:2,sharpen:0.5",
    "upscale:2",
    "upscale:2:lanczos,sharpen:1",
    "denoise:0.3,upscale:2,sharpen:1",
    "upscale:3/2,sharpen:0.5",
)
QUALITIES = (70, 85, 95)
GRIDS = (Grid(2, 1), Grid(2, 2), Grid(3, 4))
#: Levels (root mean square) by which a cheat's answer differs, at least, to count as seen.
VISIBLE = 1.5


@dataclass(frozen=True, slots=True)
class Sample:
    """One chunk as a peer has it, and what it is asked for."""

    scene: str
    size: Size
    chunk: Chunk
    sent: Pixels
    operations: str
    codec: str
    quality: int
    rng: np.random.Generator

    def work(self, operations: str | None = None, sent: Pixels | None = None) -> Pixels:
        """Return the chunk after operations, before it is encoded."""
        plan = Pipeline.parse(operations or self.operations).resolve(self.size)
        done = run(plan, self.sent if sent is None else sent)
        return np.ascontiguousarray(self.chunk.crop.of(done))

    def back(self, pixels: Pixels, quality: int | None = None) -> Pixels:
        """Return what the session decodes of an answer."""
        chosen = codec(self.codec)
        return chosen.decode(chosen.encode(pixels, quality or self.quality))

    def rounded(self, pixels: Pixels) -> Pixels:
        """Return pixels moved by -1, 0 or 1 at random."""
        off = self.rng.integers(-1, 2, pixels.shape)
        return np.asarray(np.clip(pixels + off, 0, 255), np.uint8)


def samples(count: int, name: str, seed: int) -> Iterator[Sample]:
    """Give chunks of ``count`` pictures of each scene."""
    rng, size = random.Random(seed), Size(640, 360)
    turn = 0
    for scene, frame, _ in Scenes(size, odd=bool(seed % 2)).pictures(count):
        if scene == "noise":
            continue
        for _ in range(3):
            turn += 1
            operations = PIPELINES[turn % len(PIPELINES)]
            grid, quality = rng.choice(GRIDS), rng.choice(QUALITIES)
            chunk = rng.choice(plan_chunks(Pipeline.parse(operations).resolve(size), grid))
            chosen = codec(name)
            sent = chosen.decode(chosen.encode(cut(frame, chunk), quality))
            noise = np.random.default_rng(turn)
            yield Sample(scene, size, chunk, sent, operations, name, quality, noise)


def _other_encoder(sample: Sample) -> Pixels | None:
    if sample.codec != "jpeg":
        return None
    stream = io.BytesIO()
    image = Image.fromarray(cv2.cvtColor(sample.work(), cv2.COLOR_BGR2RGB))
    image.save(stream, "JPEG", quality=sample.quality, subsampling=2)
    return codec("jpeg").decode(stream.getvalue())


def _method(name: str) -> Callable[[Sample], Pixels | None]:
    def cheat(sample: Sample) -> Pixels | None:
        steps = [
            f"{':'.join(step.split(':')[:2])}:{name}" if step.startswith("upscale") else step
            for step in sample.operations.split(",")
        ]
        return sample.back(sample.work(",".join(steps)))

    return cheat


def _without(name: str) -> Callable[[Sample], Pixels | None]:
    def cheat(sample: Sample) -> Pixels | None:
        steps = sample.operations.split(",")
        left = [step for step in steps if not step.startswith(name)]
        return sample.back(sample.work(",".join(left))) if len(left) < len(steps) else None

    return cheat


def _blurred(sample: Sample) -> Pixels:
    return sample.back(np.asarray(cv2.GaussianBlur(sample.work(), (0, 0), 1.0), np.uint8))


def _half(sample: Sample) -> Pixels:
    """Scale the answer down and up again: half of the work at half of the size."""
    done = sample.work()
    small = cv2.resize(done, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return sample.back(np.asarray(cv2.resize(small, (done.shape[1], done.shape[0])), np.uint8))


def _quarter(sample: Sample) -> Pixels:
    """Do a quarter of the chunk with nearest, and the rest as asked."""
    done, lazy = sample.work(), _method("nearest")(sample)
    assert lazy is not None
    height, width = done.shape[0] // 2, done.shape[1] // 2
    done[:height, :width] = lazy[:height, :width]
    return sample.back(done)


def _brighter(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.add(pixels, np.ones_like(pixels)), np.uint8)


Answer = Callable[[Sample], Pixels | None]
HONEST: dict[str, Answer] = {
    "rounded after the work": lambda each: each.back(each.rounded(each.work())),
    "rounded before the work": lambda each: each.back(each.work(sent=each.rounded(each.sent))),
    "brighter by 1": lambda each: each.back(_brighter(each.work())),
    "another encoder": _other_encoder,
    "quality less 5": lambda each: each.back(each.work(), each.quality - 5),
}
CHEATS: dict[str, Answer] = {
    "nearest": _method("nearest"),
    "bilinear": _method("bilinear"),
    "no sharpening": _without("sharpen"),
    "no denoising": _without("denoise"),
    "blurred": _blurred,
    "half the size": _half,
    "a quarter by nearest": _quarter,
}


def judge(console: Console, count: int, names: list[str], seed: int, *, worst: bool) -> None:
    """Print how many honest answers agree and how many cheats do not."""
    table = Table("answer", *names, title="Answers that do not agree with the honest one")
    rows: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    farthest: dict[str, list[Disagreement]] = defaultdict(list)
    for name in names:
        for sample in samples(count, name, seed):
            honest = sample.back(sample.work())
            for kind, make in {**HONEST, **CHEATS}.items():
                answer = make(sample)
                if answer is None or (kind in CHEATS and apart(answer, honest) < VISIBLE):
                    continue
                rows[kind][name].append(not same_picture(honest, answer))
                farthest[f"{kind}, {name}"].append(compare(honest, answer))
    for kind, by_codec in rows.items():
        cells = (by_codec[name] for name in names)
        table.add_row(kind, *(f"{sum(c)} of {len(c)}" if c else "-" for c in cells))
    console.print(table)
    if worst:
        for kind, found in farthest.items():
            difference = [each.difference for each in found]
            change = [each.change for each in found]
            console.print(
                f"{kind}: difference {min(difference):.2f} to {max(difference):.2f}, "
                f"change {min(change):.2f} to {max(change):.2f}"
            )


def apart(one: Pixels, other: Pixels) -> float:
    """Return the root mean square difference in brightness, in levels."""
    grey = [cv2.cvtColor(each, cv2.COLOR_BGR2GRAY).astype(np.float32) for each in (one, other)]
    return float(np.sqrt(np.mean((grey[0] - grey[1]) ** 2)))


def cost(console: Console) -> None:
    """Print the time of one comparison, on one core."""
    cv2.setNumThreads(1)
    for size in (Size(1280, 720), Size(640, 360)):
        picture = np.random.default_rng(1).integers(0, 256, (size.height, size.width, 3), np.uint8)
        started = time.perf_counter()
        for _ in range(20):
            same_picture(picture, picture)
        console.print(f"{size}: {(time.perf_counter() - started) / 20 * 1e3:.1f} ms a comparison")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pictures", type=int, default=12, help="of each scene (default 12)")
    parser.add_argument("--codecs", default="jpeg,webp,raw", help="joined by commas")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--worst", action="store_true", help="print how far all are apart")
    given = parser.parse_args()
    console = Console(highlight=False, width=160)
    judge(console, given.pictures, given.codecs.split(","), given.seed, worst=given.worst)
    cost(console)


if __name__ == "__main__":
    main()
