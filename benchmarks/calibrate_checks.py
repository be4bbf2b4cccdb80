"""How far honest results are from their sources, and which lies the check of results finds.

``python benchmarks/calibrate_checks.py fit`` prints the table of limits for
``p2c2g/verify/limits.py``.  With the table that is there, and on other pictures and at other
qualities than ``fit`` saw, ``alarms`` counts the honest results that are refused and ``lies``
the lies that are found; ``cost`` times one check.

The scenes: the shipped clip of a game, the same almost black, the moving pattern, pages of
text in colour, and noise.  Each picture goes the whole way that it goes in a session: cut with
its halo, encoded, decoded, processed, cropped, encoded, decoded.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

import p2c2g_capture
from p2c2g.errors import CheckError
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.codecs import CODECS, codec
from p2c2g.media.frame import Chunk, Pixels, Size
from p2c2g.media.operations import Pipeline, Plan
from p2c2g.verify.checks import Checker, Deviation, chance, measure
from p2c2g.verify.limits import limits_for
from p2c2g_capture.sources.pattern import PatternSource
from p2c2g_capture.sources.video import VideoSource
from p2c2g_workers.processors import run

#: The qualities of the table.
QUALITIES = (1, 5, 10, 20, 30, 50, 70, 85, 95, 100)
PIPELINES = (
    "upscale:2,sharpen:0.5",
    "upscale:2",
    "upscale:2,sharpen:4",
    "upscale:2:nearest",
    "upscale:2:bilinear",
    "upscale:2:lanczos,sharpen:1",
    "denoise:1,upscale:2",
    "denoise:0.3,upscale:2,sharpen:1",
    "upscale:3/2,sharpen:0.5",
    "upscale:4/3",
    "upscale:4:lanczos",
    "resize:416x234",
    "resize:417x235:nearest",
    "upscale:1/3:nearest",
    "upscale:1/2,upscale:4,sharpen:2",
    "sharpen:4",
    "denoise:1,sharpen:4",
    "pass",
)
GRIDS = (Grid(2, 1), Grid(1, 1), Grid(3, 4), Grid(8, 8), Grid(24, 24))
#: Factor between the worst honest result in ``fit`` and its limit.
MARGIN = 1.4
#: Bias, and source pixels that it may seem moved, that any result is allowed.
MIN_BIAS = 0.4
MIN_SHIFT = 1.4
#: Frames of the clip between a frame and the old one that a peer passes off for it.
STALE = 10


@dataclass(frozen=True, slots=True)
class Sample:
    """One chunk of one picture, on its way through one pipeline and codec."""

    scene: str
    frame: Pixels
    old: Pixels
    operations: str
    plan: Plan
    chunk: Chunk
    chunks: tuple[Chunk, ...]
    codec: str
    quality: int

    def honest(self, frame: Pixels | None = None) -> Pixels:
        """Return what an honest peer's result decodes to, for this frame or another."""
        return self._result(self.chunk, self.frame if frame is None else frame)

    def of_another_chunk(self) -> Pixels | None:
        """Return the result of another chunk of the same size, or None where there is none."""
        for other in self.chunks:
            if other.index != self.chunk.index and other.target.size == self.chunk.target.size:
                return self._result(other, self.frame)
        return None

    def _result(self, chunk: Chunk, frame: Pixels) -> Pixels:
        chosen = codec(self.codec)
        sent = chosen.decode(chosen.encode(cut(frame, chunk), self.quality))
        done = chunk.crop.of(run(self.plan, sent))
        return chosen.decode(chosen.encode(done, self.quality))

    @property
    def checker(self) -> Checker:
        """Return the session's checker."""
        return Checker(self.codec, self.quality, self.plan)

    def measured(self, result: Pixels) -> Deviation:
        """Return how far a result is from the source."""
        return measure(self.frame, self.chunk.rect, result, self.checker.cells(self.chunk))

    def ratios(self) -> tuple[float, float, float, float]:
        """Return by how much of limits of 1 an honest result is off: mean, bias, block, shift."""
        found = self.measured(self.honest())
        checker, limits = self.checker, limits_for(self.codec, self.quality)
        most, few = checker.most, chance(checker.cells(self.chunk))
        shift = max(abs(found.shift_x) / most.shift_x, abs(found.shift_y) / most.shift_y)
        return (
            found.mean / (most.mean * few) * limits.mean,
            found.bias / (most.bias * few) * limits.bias,
            found.block / (most.block * few) * limits.block,
            shift * limits.shift,
        )

    def passes(self, result: Pixels) -> bool:
        """Tell whether the check lets a result pass."""
        try:
            self.checker.check(self.frame, self.chunk, result)
        except CheckError:
            return False
        return True


# -- scenes


class Scenes:
    """Pictures with the one that was ten frames before them; odd and even ones are apart."""

    def __init__(self, size: Size, *, odd: bool) -> None:
        self._size = size
        self._odd = odd
        clip = Path(p2c2g_capture.__file__).parent / "clips" / "freedoom.mp4"
        self._video = VideoSource(clip, size, fps=60.0)
        self._pattern = PatternSource(size)

    def pictures(self, count: int) -> Iterator[tuple[str, Pixels, Pixels]]:
        """Give ``count`` pictures of every scene: its name, the picture and the old one."""
        for place in range(count):
            # Spread over the clip's ten seconds.
            number = STALE + 2 * (place * 290 // count) + self._odd
            old, new = self._video.grab(number - STALE).copy(), self._video.grab(number).copy()
            yield "game", new, old
            if place % 3 == 0:
                yield "dark", new // 12, old // 12
                yield "pattern", self._pattern.grab(number), self._pattern.grab(number - STALE)
            if place % 4 == 0:
                yield "text", text(self._size, number), text(self._size, number, scrolled=STALE)
            if place % 8 == 0:
                yield "noise", noise(self._size, number), noise(self._size, number - STALE)


def text(size: Size, seed: int, *, scrolled: int = 0) -> Pixels:
    """Return a page of text in many fonts and colours, moved up by so many pixels."""
    rng = random.Random(seed)
    shade = rng.randrange(60) if seed // 2 % 2 else rng.randrange(200, 256)
    page = np.full((size.height, size.width, 3), shade, np.uint8)
    top = 12 - scrolled
    while top < size.height:
        line = "".join(chr(rng.randrange(33, 127)) for _ in range(100))
        font, scale = rng.randrange(8), 0.3 + 0.4 * rng.random()
        colour = [rng.randrange(256) for _ in range(3)]
        edge = rng.choice([cv2.LINE_AA, cv2.LINE_8])
        cv2.putText(page, line, (rng.randrange(20), top), font, scale, colour, 1, edge)
        top += rng.randrange(11, 20)
    return page


def noise(size: Size, seed: int) -> Pixels:
    """Return noise in every pixel and colour."""
    shape = (size.height, size.width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def samples(
    count: int, name: str, qualities: tuple[int, ...] | None, *, odd: bool, seed: int
) -> Iterator[Sample]:
    """Give chunks of ``count`` pictures of each scene; qualities at random where None."""
    rng = random.Random(seed)
    fast = name in {"jpeg", "raw"}
    size = Size(640, 360) if fast else Size(320, 180)
    turn = 0
    for scene, frame, old in Scenes(size, odd=odd).pictures(count):
        for _ in range(4):
            turn += 1
            pipeline = Pipeline.parse(PIPELINES[turn % len(PIPELINES)])
            plan = pipeline.resolve(size)
            # A ratio that is not simple leaves no place to cut.
            grid = GRIDS[1] if "resize" in pipeline.text else rng.choice(GRIDS)
            chunks = plan_chunks(plan, grid)
            quality = rng.choice(qualities) if qualities else rng.randint(10, 100)
            for chunk in rng.sample(chunks, min(4, len(chunks))):
                yield Sample(scene, frame, old, pipeline.text, plan, chunk, chunks, name, quality)


# -- lies

Lie = Callable[[Sample, Pixels, random.Random], Pixels | None]


def _moved(result: Pixels, sample: Sample, x: int, y: int) -> Pixels:
    """Return a result moved by source pixels, its edge repeated."""
    by_x, by_y = round(x * sample.plan.scale_x), round(y * sample.plan.scale_y)
    height, width = result.shape[:2]
    columns = np.clip(np.arange(width) - by_x, 0, width - 1)
    rows = np.clip(np.arange(height) - by_y, 0, height - 1)
    return result[rows][:, columns]


def _garbage(_sample: Sample, result: Pixels, rng: random.Random) -> Pixels:
    return noise(Size.of(result), rng.randrange(1 << 30))


def _garbled_part(_sample: Sample, result: Pixels, rng: random.Random) -> Pixels:
    lie = result.copy()
    height, width = max(1, lie.shape[0] // 4), max(1, lie.shape[1] // 4)
    top, left = rng.randrange(lie.shape[0] - height + 1), rng.randrange(lie.shape[1] - width + 1)
    part = lie[top : top + height, left : left + width]
    part[:] = noise(Size.of(part), rng.randrange(1 << 30))
    return lie


def _shifted(pixels: int) -> Lie:
    def lie(sample: Sample, result: Pixels, rng: random.Random) -> Pixels:
        x, y = rng.choice([(pixels, 0), (-pixels, 0), (0, pixels), (0, -pixels), (pixels, pixels)])
        return _moved(result, sample, x, y)

    return lie


#: Each makes a lie of an honest result; None where it cannot.
LIES: dict[str, Lie] = {
    "garbage": _garbage,
    "garbage in 1/16 of it": _garbled_part,
    "black": lambda _sample, result, _rng: np.zeros_like(result),
    "another chunk": lambda sample, _result, _rng: sample.of_another_chunk(),
    "10 frames old": lambda sample, _result, _rng: sample.honest(sample.old),
    "shifted by 2": _shifted(2),
    "shifted by 4": _shifted(4),
    "shifted by 16": _shifted(16),
    "flipped across": lambda _sample, result, _rng: np.ascontiguousarray(result[:, ::-1]),
    "flipped down": lambda _sample, result, _rng: np.ascontiguousarray(result[::-1]),
    "brighter by 16": lambda _sample, result, _rng: np.asarray(
        cv2.add(result, (16, 16, 16, 0)),  # type: ignore[call-overload]
        np.uint8,
    ),
    "brighter by 1/4": lambda _sample, result, _rng: np.asarray(
        cv2.convertScaleAbs(result, alpha=1.25), np.uint8
    ),
    "red and blue swapped": lambda _sample, result, _rng: np.ascontiguousarray(result[..., ::-1]),
}
#: Levels by which the worst 32x32 pixels of a lie differ, at least, for it to count as seen.
VISIBLE = 8.0


def visible(lie: Pixels, honest: Pixels) -> float:
    """Return the mean difference in the worst 32x32 pixels, largest of three colours, levels."""
    off = cv2.absdiff(lie, honest)
    blurred = cv2.blur(off, (min(32, off.shape[1]), min(32, off.shape[0])))
    return float(np.asarray(blurred).max())


@dataclass(slots=True)
class Worst:
    """The largest of what it sees, and where it was."""

    ratio: float = 0.0
    where: str = ""

    def see(self, ratio: float, sample: Sample) -> None:
        """Keep it if it is larger."""
        if ratio > self.ratio:
            self.ratio = ratio
            self.where = f"{sample.scene} {sample.chunk.rect.size} {sample.operations}"

    def __str__(self) -> str:
        return f"{self.ratio:.2f} ({self.where})"


# -- the four commands


def fit(console: Console, count: int, names: list[str], seed: int) -> None:
    """Print the table of limits."""
    for name in names:
        lossless = CODECS[name].lossless
        rows: list[str] = []
        limits: tuple[float, ...] = (0.0, MIN_BIAS, 0.0, MIN_SHIFT)
        # From the best quality down: a worse one is never judged more strictly.
        for quality in (100,) if lossless else reversed(QUALITIES):
            worst = [Worst() for _ in limits]
            for sample in samples(count, name, (quality,), odd=False, seed=seed + quality):
                for kept, ratio in zip(worst, sample.ratios(), strict=True):
                    kept.see(ratio, sample)
            limits = tuple(
                max(limit, kept.ratio * MARGIN) for limit, kept in zip(limits, worst, strict=True)
            )
            console.print(f"# {name} {quality}: {'; '.join(map(str, worst))}")
            rows.append(f"{quality}: Limits({', '.join(f'{limit:.2f}' for limit in limits)})")
        console.print(f'"{"lossless" if lossless else name}": {{{", ".join(reversed(rows))}}},')


def alarms(console: Console, count: int, names: list[str], seed: int) -> None:
    """Print how many honest results are refused, by codec."""
    table = Table("codec", "honest chunks", "refused", title="False alarms")
    for name in names:
        taken = refused = 0
        for sample in samples(count, name, None, odd=True, seed=seed):
            result = sample.honest()
            taken += 1
            if not sample.passes(result):
                refused += 1
                console.print(
                    f"# refused: {sample.scene} {sample.chunk.rect.size} {sample.operations} "
                    f"{name} {sample.quality} {sample.measured(result)}"
                )
        table.add_row(name, str(taken), str(refused))
    console.print(table)


def is_usual(sample: Sample) -> bool:
    """Tell whether a sample is what sessions send: not noise, not small, not shrunk, not poor."""
    shrunk = min(step.scale_x for step in sample.plan.steps) < 1
    rect = sample.chunk.rect
    return (
        sample.scene != "noise"
        and not shrunk
        and sample.quality >= 70
        and rect.width * rect.height >= 64 * 64
    )


def lies(console: Console, count: int, names: list[str], seed: int) -> None:
    """Print how many lies are found, of those that can be seen."""
    found = {lie: {True: [0, 0], False: [0, 0]} for lie in LIES}
    rng = random.Random(seed)
    for name in names:
        for sample in samples(count, name, None, odd=True, seed=seed):
            result = sample.honest()
            for lie_name, make in LIES.items():
                lie = make(sample, result, rng)
                if lie is None or visible(lie, result) < VISIBLE:
                    continue
                row = found[lie_name][is_usual(sample)]
                row[0] += 1
                row[1] += not sample.passes(lie)
    table = Table("lie", "usual chunks", "others", title="Lies found")
    for lie_name, rows in found.items():
        columns = (f"{hit / max(1, taken):.1%} of {taken}" for taken, hit in rows.values())
        table.add_row(lie_name, *columns)
    console.print(table)


def cost(console: Console, count: int, _names: list[str], _seed: int) -> None:
    """Print the time of one check, on a core of its own: OpenCV is told to use no other."""
    cv2.setNumThreads(1)
    for size, text_ in ((Size(640, 360), "upscale:2"), (Size(640, 360), "upscale:3/2"),
                        (Size(1280, 720), "upscale:2")):  # fmt: skip
        plan = Pipeline.parse(text_).resolve(size)
        chunks = plan_chunks(plan, Grid(2, 1))
        _, frame, old = next(Scenes(size, odd=False).pictures(1))
        sample = Sample("game", frame, old, text_, plan, chunks[1], chunks, "jpeg", 85)
        result, checker = sample.honest(), Checker("jpeg", 85, plan)
        took = []
        for _ in range(count):
            start = time.thread_time()
            checker.check(frame, chunks[1], result)
            took.append((time.thread_time() - start) * 1e3)
        p50, p95 = np.percentile(took, [50, 95])
        console.print(f"{text_} to {chunks[1].target.size}: p50 {p50:.2f} ms, p95 {p95:.2f} ms")


def main() -> None:
    """Run one of the four."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=("fit", "alarms", "lies", "cost"))
    parser.add_argument("--count", type=int, default=150, help="pictures of the clip to take")
    parser.add_argument(
        "--codecs", nargs="+", choices=CODECS, default=["jpeg", "webp", "avif", "raw"]
    )
    parser.add_argument("--seed", type=int, default=0, help="draws operations, grids, qualities")
    asked = parser.parse_args()
    # Not as wide as a terminal may happen to be: the lines are pasted elsewhere.
    console = Console(soft_wrap=True, highlight=False)
    commands = {"fit": fit, "alarms": alarms, "lies": lies, "cost": cost}
    commands[asked.what](console, asked.count, asked.codecs, asked.seed)


if __name__ == "__main__":
    main()
