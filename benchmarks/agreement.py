"""How far honest answers to one chunk are apart, and which lazy ones are told from them.

``python benchmarks/agreement.py`` prints, by codec: how often two honest residuals agree where
one was rounded differently (each pixel moved by -1, 0 or 1 at random before the work or after it,
by another encoder of the same kind, or by five points of quality), and how often a cheat is found
out.  The limits of ``p2c2g/verify/agreement.py`` are chosen by it; ``--worst`` prints how far
answers are from them.

The scenes are those of ``check_samples.py``, without noise, in which nothing is alike.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.check_samples import USUAL, samples, through
from benchmarks.check_samples import Sample as Chunked
from p2c2g.media.flat import RESIDUAL_STEP, step
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.residual import Form, Residual
from p2c2g.verify.agreement import Disagreement, compare, same_residual

PIPELINES = (*USUAL, "denoise:0.3,upscale:2,sharpen:1")
QUALITIES = (60, 75, 85)
#: Levels (root mean square) by which a cheat's residual differs, at least, to count as seen.
VISIBLE = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One chunk as a peer has it, what it is asked for, and in which form."""

    chunk: Chunked
    form: Form
    rng: np.random.Generator

    def work(self, operations: str = "", sent: Pixels | None = None) -> Residual:
        """Return what operations add to the chunk, or to what is given for it."""
        sent = self.chunk.sent if sent is None else sent
        return self.chunk.added(sent, operations, in_colour=self.form.in_colour)

    def back(self, residual: Residual, quality: int | None = None) -> Residual:
        """Return what the session decodes of an answer."""
        form = self.form
        if quality is not None:
            form = Form(form.codec, quality, form.gain, form.in_colour)
        return through(residual, form)

    def rounded(self, pixels: Pixels) -> Pixels:
        """Return pixels moved by -1, 0 or 1 at random."""
        return np.asarray(np.clip(pixels + self._off(pixels), 0, 255), np.uint8)

    def off(self, residual: Residual) -> Residual:
        """Return a residual moved by -1, 0 or 1 at random."""
        return np.asarray(residual + self._off(residual), np.int16)

    def _off(self, values: NDArray[Any]) -> NDArray[np.int64]:
        return self.rng.integers(-1, 2, values.shape)


def taken(
    count: int, name: str, seed: int, recordings: Path | None = None, *, in_colour: bool = False
) -> Iterator[Sample]:
    """Give chunks of ``count`` pictures of each scene; odd seeds look at other frames."""
    found = samples(
        count, odd=bool(seed % 2), seed=seed, recordings=recordings, pipelines=PIPELINES
    )
    for number, chunk in enumerate(found):
        if chunk.scene not in {"noise", "hard"}:
            form = Form(name, QUALITIES[number % len(QUALITIES)], in_colour=in_colour)
            yield Sample(chunk, form, np.random.default_rng(number))


def _other_encoder(sample: Sample) -> Residual | None:
    """JPEG's arithmetic in floats, by the same steps."""
    if sample.form.codec != "jpeg" or sample.form.in_colour:
        return None
    levels = np.clip(sample.work() + 128, 1, 255)[:, :, 0].astype(np.float32) - 128
    height, width = levels.shape
    levels = np.pad(levels, ((0, -height % 8), (0, -width % 8)), "edge")
    blocks = levels.reshape(levels.shape[0] // 8, 8, -1, 8).swapaxes(1, 2)
    turn: Any = cv2.dct(np.eye(8, dtype=np.float32), flags=cv2.DCT_ROWS).T
    one = step(sample.form.quality, RESIDUAL_STEP)
    coded = np.rint(turn @ blocks @ turn.T / one) * one
    back = np.rint(turn.T @ coded @ turn).swapaxes(1, 2).reshape(levels.shape)
    found: Residual = back[:height, :width, None].astype(np.int16)
    return found


def _method(name: str) -> Callable[[Sample], Residual | None]:
    def cheat(sample: Sample) -> Residual | None:
        asked = sample.chunk.operations
        steps = [
            f"{':'.join(step.split(':')[:2])}:{name}" if step.startswith("upscale") else step
            for step in asked.split(",")
        ]
        if ("ml-" in name and "ml-" not in asked) or ",".join(steps) == asked:
            return None
        return sample.back(sample.work(",".join(steps)))

    return cheat


def _plain(sample: Sample) -> Residual:
    """Enlarge, and do nothing else."""
    factor = sample.chunk.plan.scale_x
    return sample.back(sample.work(f"upscale:{factor}:bicubic"))


def _without(name: str) -> Callable[[Sample], Residual | None]:
    def cheat(sample: Sample) -> Residual | None:
        steps = sample.chunk.operations.split(",")
        left = [step for step in steps if not step.startswith(name)]
        return sample.back(sample.work(",".join(left))) if len(left) < len(steps) else None

    return cheat


def _blurred(sample: Sample) -> Residual:
    levels = sample.work()
    blurred = cv2.GaussianBlur(levels, (0, 0), 1.0)
    return sample.back(np.asarray(blurred, np.int16).reshape(levels.shape))


def _quarter(sample: Sample) -> Residual:
    """Do three quarters of the chunk as asked, and nothing to the rest."""
    done = sample.work()
    height, width = done.shape[0] // 2, done.shape[1] // 2
    done[:height, :width] = 0
    return sample.back(done)


Answer = Callable[[Sample], Residual | None]
HONEST: dict[str, Answer] = {
    "rounded after the work": lambda each: each.back(each.off(each.work())),
    "rounded before the work": lambda each: each.back(
        each.work(sent=each.rounded(each.chunk.sent))
    ),
    "another encoder": _other_encoder,
    "quality less 5": lambda each: each.back(each.work(), each.form.quality - 5),
}
CHEATS: dict[str, Answer] = {
    "nothing": lambda each: np.zeros_like(each.work()),
    "plain bicubic": _plain,
    "nearest": _method("nearest"),
    "another net": _method("ml-tiny"),
    "no sharpening": _without("sharpen"),
    "half as strong": lambda each: each.back(each.work() // 2),
    "sign flipped": lambda each: each.back(-each.work()),
    "blurred": _blurred,
    "nothing in a quarter": _quarter,
}


def judge(
    console: Console, count: int, names: list[str], seed: int, recordings: Path, *, worst: bool
) -> None:
    """Print how many honest answers agree and how many cheats do not."""
    table = Table("answer", *names, title="Answers that do not agree with the honest one")
    rows: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    farthest: dict[str, list[Disagreement]] = defaultdict(list)
    for name in names:
        codec, _, colour = name.partition("+")
        for sample in taken(count, codec, seed, recordings, in_colour=bool(colour)):
            honest = sample.back(sample.work())
            for kind, make in {**HONEST, **CHEATS}.items():
                answer = make(sample)
                if answer is None or (kind in CHEATS and apart(answer, honest) < VISIBLE):
                    continue
                rows[kind][name].append(not same_residual(honest, answer))
                farthest[f"{kind}, {name}"].append(compare(honest, answer))
    for kind, by_codec in rows.items():
        cells = (by_codec[name] for name in names)
        table.add_row(kind, *(f"{sum(c)} of {len(c)}" if c else "-" for c in cells))
    console.print(table)
    if worst:
        for kind, found in farthest.items():
            difference = np.percentile([each.difference for each in found], (0, 5, 95, 100))
            change = np.percentile([each.change for each in found], (0, 5, 95, 100))
            console.print(f"{kind}: difference {difference.round(2)}, change {change.round(2)}")


def apart(one: Residual, other: Residual) -> float:
    """Return the root mean square difference, in levels."""
    return float(np.sqrt(np.mean(np.square(np.subtract(one, other, dtype=np.float32)))))


def cost(console: Console) -> None:
    """Print the time of one comparison, on one core."""
    for size in (Size(1280, 720), Size(1280, 360)):
        shape = (size.height, size.width, 1)
        residual = np.random.default_rng(1).integers(-9, 10, shape, np.int16)
        started = time.thread_time()
        for _ in range(20):
            same_residual(residual, residual)
        console.print(f"{size}: {(time.thread_time() - started) / 20 * 1e3:.1f} ms a comparison")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pictures", type=int, default=12, help="of each scene (default 12)")
    parser.add_argument("--codecs", default="jpeg,webp,raw,jpeg+colour", help="joined by commas")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--worst", action="store_true", help="print how far all are apart")
    parser.add_argument("--recordings", type=Path, default=Path("out/recordings"))
    given = parser.parse_args()
    cv2.setNumThreads(1)
    console = Console(highlight=False, width=160)
    names = given.codecs.split(",")
    judge(console, given.pictures, names, given.seed, given.recordings, worst=given.worst)
    cost(console)


if __name__ == "__main__":
    main()
