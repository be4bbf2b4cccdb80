"""How far honest residuals are from their sources, and which lies the check of results finds.

``python benchmarks/calibrate_checks.py fit`` prints the table of limits for
``p2c2g/verify/limits.py``.  With the table that is there, and on other pictures and at other
qualities than ``fit`` saw, ``alarms`` counts the honest residuals that are refused and ``lies``
the lies that are found; ``cost`` times one check.  ``check_samples.py`` has the scenes; games
recorded in ``--recordings`` are among them.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

if not __package__:  # started by its path: find our packages, and no neighbour as a library
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.check_lies import LIES, VISIBLE, is_usual, visible
from benchmarks.check_samples import Sample, Scenes, samples, through
from p2c2g.errors import CheckError
from p2c2g.media.chunker import Grid, plan_chunks
from p2c2g.media.codecs import CODECS
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.residual import Form, Residual
from p2c2g.verify.checks import Checker, chance, measure
from p2c2g.verify.limits import limits_for

#: The qualities of the table.
QUALITIES = (1, 10, 30, 50, 75, 90, 100)
#: Factor between the worst honest residual in ``fit`` and its limit; of correlations, what is
#: between.
MARGIN, APART = 1.4, 0.1
#: Bias, and gain by a move, that any residual is allowed; the largest correlation that is due.
MIN_BIAS, MIN_BESIDE, MAX_PLACE = 0.3, 0.05, 0.3
#: One in so many samples goes through the slow codecs, if it has no more source pixels than that,
#: and one in so many has its colours taken, too.
SLOW, SMALL, COLOURS = 4, 1 << 16, 2


def ratios(sample: Sample, residual: Residual, form: Form) -> tuple[float, ...]:
    """Return a residual's figures, the first three by how much of limits of 1 they are off."""
    checker, limits = Checker(form, sample.plan), limits_for(form)
    cells = checker.cells(sample.chunk)
    found = measure(sample.frame, sample.chunk.rect, residual, cells)
    most, few = checker.most, chance(cells)
    return (
        found.energy / (most.energy * few) * limits.energy,
        found.bias / (most.bias * few) * limits.bias,
        found.block / (most.block * few) * limits.block,
        found.place,
        found.beside,
    )


def refusal(sample: Sample, residual: Residual, form: Form) -> str:
    """Return why the check refuses a residual; empty where it passes."""
    try:
        Checker(form, sample.plan).check(sample.frame, sample.chunk, residual)
    except CheckError as error:
        return str(error)
    return ""


# -- the four commands


@dataclass(slots=True)
class Worst:
    """The largest of what it sees, or the smallest, and where it was."""

    value: float
    where: str = ""

    def see(self, value: float, sample: Sample, *, least: bool = False) -> None:
        """Keep it if it is worse."""
        if value < self.value if least else value > self.value:
            self.value = value
            self.where = (
                f"{sample.scene} {sample.chunk.rect.size} {sample.operations} {sample.uplink}"
            )

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.where})"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for."""

    console: Console
    count: int
    codecs: list[str]
    seed: int
    recordings: Path

    def taken(self, *, odd: bool) -> Iterator[tuple[Sample, list[tuple[str, bool]]]]:
        """Give samples, each with the codecs that it goes through and whether in colour."""
        found = samples(self.count, odd=odd, seed=self.seed, recordings=self.recordings)
        for number, sample in enumerate(found):
            rect = sample.chunk.rect
            slow = number % SLOW == 0 and rect.width * rect.height <= SMALL
            names = [each for each in self.codecs if slow or each in {"jpeg", "lossless"}]
            colours = (False, True) if number // SLOW % COLOURS == 0 else (False,)
            yield sample, list(product(names, colours))


def _form(name: str, quality: int, gain: int, *, in_colour: bool) -> Form:
    lossless = name == "lossless"
    return Form("raw" if lossless else name, quality, 1 if lossless else gain, in_colour)


def _said(name: str, *, in_colour: bool) -> str:
    return f"{name}, {'colour' if in_colour else 'luma'}"


Kind = tuple[str, bool]


def fit(asked: Asked) -> None:
    """Print the table of limits."""
    least = (0.0, 0.0, 0.0, 1.0, -1.0)
    worst: dict[Kind, dict[int, list[Worst]]] = {
        kind: {
            quality: [Worst(value) for value in least]
            for quality in ((100,) if kind[0] == "lossless" else QUALITIES)
        }
        for kind in product(asked.codecs, (False, True))
    }
    rng = random.Random(asked.seed)
    for sample, kinds in asked.taken(odd=False):
        gain = rng.choice((1, 1, 2, 4))
        for name, in_colour in kinds:
            residual = sample.residual(in_colour=in_colour)
            for quality, kept in worst[name, in_colour].items():
                form = _form(name, quality, gain, in_colour=in_colour)
                for at, ratio in enumerate(ratios(sample, through(residual, form), form)):
                    kept[at].see(ratio, sample, least=at == 3)
    # What passes without loss passes with it.
    start = dict.fromkeys((False, True), (0.0, MIN_BIAS, 0.0, MAX_PLACE, MIN_BESIDE))
    for kind, by_quality in sorted(worst.items(), key=lambda row: row[0][0] != "lossless"):
        limits = start[kind[1]]
        rows: list[str] = []
        # From the best quality down: a worse one is never judged more strictly.
        for quality, kept in reversed(by_quality.items()):
            energy, bias, block, place, beside = (each.value for each in kept)
            limits = (
                max(limits[0], energy * MARGIN),
                max(limits[1], bias * MARGIN),
                max(limits[2], block * MARGIN),
                min(limits[3], place - APART),
                max(limits[4], beside + APART),
            )
            asked.console.print(f"# {kind} {quality}: {'; '.join(map(str, kept))}")
            rows.append(f"{quality}: Limits({', '.join(f'{limit:.2f}' for limit in limits)})")
        if kind[0] == "lossless":
            start[kind[1]] = limits
        asked.console.print(f'("{kind[0]}", {kind[1]}): {{{", ".join(reversed(rows))}}},')


def alarms(asked: Asked) -> None:
    """Print how many honest residuals are refused, by codec."""
    found: dict[Kind, list[bool]] = defaultdict(list)
    rng = random.Random(asked.seed)
    for sample, kinds in asked.taken(odd=True):
        for name, in_colour in kinds:
            honest = sample.residual(in_colour=in_colour)
            for _ in range(1 if name == "lossless" else 3):
                form = _form(name, rng.randint(10, 100), rng.choice((1, 2)), in_colour=in_colour)
                why = refusal(sample, through(honest, form), form)
                found[name, in_colour].append(bool(why))
                if why:
                    asked.console.print(
                        f"# {why} {sample.scene} {sample.chunk.rect.size} {sample.operations} "
                        f"{form} up {sample.uplink}"
                    )
    table = Table("form", "honest chunks", "refused", title="False alarms")
    for (name, in_colour), refused in found.items():
        table.add_row(_said(name, in_colour=in_colour), str(len(refused)), str(sum(refused)))
    asked.console.print(table)


def lies(asked: Asked) -> None:
    """Print how many lies are found, of those that can be seen."""
    rng = random.Random(asked.seed)
    found: dict[Kind, dict[str, dict[bool, list[bool]]]] = defaultdict(
        lambda: defaultdict(lambda: {True: [], False: []})
    )
    passed: dict[str, list[float]] = defaultdict(list)
    for sample, kinds in asked.taken(odd=True):
        for kind in kinds:
            residual = sample.residual(in_colour=kind[1])
            form = _form(kind[0], rng.choice((60, 75, 85)), 1, in_colour=kind[1])
            honest = sample.shown(through(residual, form))
            for lie_name, make in LIES.items():
                lie = make(sample, residual, rng)
                if lie is None:
                    continue
                lie = through(lie, form)
                shown = sample.shown(lie)
                if visible(shown, honest) < VISIBLE:
                    continue
                refused = bool(refusal(sample, lie, form))
                found[kind][lie_name][is_usual(sample)].append(refused)
                if not refused and kind == ("jpeg", False):
                    passed[lie_name].append(cv2.PSNR(shown, sample.under))
    for (name, in_colour), by_lie in found.items():
        table = Table("lie", "usual chunks", "others", title=_said(name, in_colour=in_colour))
        for lie_name in LIES:
            rows = by_lie[lie_name].values()
            table.add_row(lie_name, *(f"{np.mean(each or 0):.1%} of {len(each)}" for each in rows))
        asked.console.print(table)
    for lie_name, near in passed.items():
        asked.console.print(
            f"{lie_name}, where it passes, luma by jpeg: shown {np.median(near):.1f} dB from the "
            f"base, {np.percentile(near, 5):.1f} at the 5th percentile"
        )


def cost(asked: Asked) -> None:
    """Print the time of one check, of one core."""
    _, frame, old = next(Scenes(odd=False).pictures(1))
    for factor, operations in (
        (1, "upscale:2:ml-tiny"),
        (1, "upscale:3/2,sharpen:1"),
        (2, "upscale:2:ml-tiny"),
    ):
        whole = np.asarray(cv2.resize(frame, None, fx=factor, fy=factor), np.uint8)
        plan = Pipeline.parse(operations).resolve(Size.of(whole))
        chunks = plan_chunks(plan, Grid(2, 1))
        sample = Sample("game", whole, old, operations, plan, chunks[1], chunks, 80)
        for form in (Form("jpeg", 75), Form("jpeg", 75, in_colour=True)):
            residual = through(sample.residual(in_colour=form.in_colour), form)
            checker, took = Checker(form, plan), []
            for _ in range(asked.count):
                start = time.thread_time()
                checker.check(whole, chunks[1], residual)
                took.append((time.thread_time() - start) * 1e3)
            p50, p95 = np.percentile(took, [50, 95])
            asked.console.print(
                f"{operations} to {chunks[1].target.size}, {residual.shape[2]} planes: "
                f"p50 {p50:.2f} ms, p95 {p95:.2f} ms"
            )


def main() -> None:
    """Run one of the four."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=("fit", "alarms", "lies", "cost"))
    parser.add_argument("--count", type=int, default=20, help="pictures of each game to take")
    names = [*(name for name, each in CODECS.items() if not each.lossless), "lossless"]
    parser.add_argument("--codecs", nargs="+", choices=names, default=names)
    parser.add_argument("--seed", type=int, default=0, help="draws operations, grids, qualities")
    parser.add_argument("--recordings", type=Path, default=Path("out/recordings"))
    asked = parser.parse_args()
    # Not as wide as a terminal may happen to be: the lines are pasted elsewhere.
    console = Console(soft_wrap=True, highlight=False)
    cv2.setNumThreads(1)
    commands = {"fit": fit, "alarms": alarms, "lies": lies, "cost": cost}
    commands[asked.what](Asked(console, asked.count, asked.codecs, asked.seed, asked.recordings))


if __name__ == "__main__":
    main()
