"""What the newest residuals are worth to a frame that does not wait for its own.

Films of games, every frame as it was drawn at 1280x720 (``--record``), are played at 30 or 60
frames a second and scaled down by area to 640x360; a film with a folder ``small`` has what the game
itself drew at that size.  One may be a video, each frame of which counts as one at 30 a second.
The residuals are those of a net through the codecs both ways, and, as a bound, the truth less the
base.  Each frame is shown in three ways:

base
    at once, as the gamer's own machine makes it;
carried
    at once, with the residual of the frame that is 1, 2 or 3 frames older
    (:mod:`p2c2g.session.carried_residuals`), which is the newest there is after that time;
waited
    with its own residual, that many frames later.

dB are PSNR above that of the base, against the frame as it was drawn.  *Now* is what waiting shows
against the frame that the game has drawn by then: what is lost where things move.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from benchmarks.films import FILMS, played, record
from benchmarks.one_thread import milliseconds
from benchmarks.options import Parser, whole
from benchmarks.upscalers import Adder, learnt, perceived
from p2c2g.errors import P2C2GError, UsageError
from p2c2g.media.chunker import Grid, plan_chunks
from p2c2g.media.composition import Composition
from p2c2g.media.frame import Chunk, Pixels, Size
from p2c2g.media.motion import motion
from p2c2g.media.operations import Pipeline
from p2c2g.media.residual import Residual, difference, luma
from p2c2g.session.carried_residuals import Carrier
from p2c2g.system.malloc import keep_freed_memory
from p2c2g_training.measure import psnr
from p2c2g_training.pairs import CELL, Pair, based
from p2c2g_training.rivals import FORM

TWO = Fraction(2)
AGES = (1, 2, 3)
RATES = (60, 30)
#: The residuals of the bound: all that is missing.
TRUTH = "truth"
#: Frames at the beginning that only teach what can be carried.
WARM = 8


@dataclass(frozen=True, slots=True)
class Row:
    """The mean over one film's frames; ``worst`` is that of single frames, for what is carried."""

    film: str
    fps: int
    age: int
    residual: str
    base: float
    waited: float
    now: float
    carried: float
    worst: float
    base_seen: float | None
    waited_seen: float | None
    carried_seen: float | None


@dataclass(frozen=True, eq=False)
class Tick:
    """One frame: what it should be, its base, and its own residuals by their kind."""

    pair: Pair
    base: Pixels
    residuals: dict[str, Residual]
    below: float


def ticks(pairs: Sequence[Pair], adders: dict[str, Adder]) -> list[Tick]:
    """Return the frames with what waiting for them gives."""
    found = []
    for one in pairs:
        under = based(one.own)
        residuals = {TRUTH: difference(one.large, under, CELL)}
        for name, adder in adders.items():
            answer = FORM.encode(adder(one.arrived))
            residuals[name] = FORM.decode(answer, Size.of(under))
        found.append(Tick(one, under, residuals, psnr(under, one.large)))
    return found


def measure(
    film: str, fps: int, found: Sequence[Tick], residual: str, perceive: int
) -> Iterator[Row]:
    """Give the rows of one film at one rate, for one kind of residual."""
    source, output = Size.of(found[0].pair.own), Size.of(found[0].base)
    chunks = plan_chunks(Pipeline.parse("upscale:2").resolve(source), Grid(2, 1))
    last = found[WARM:]
    waited = [_shown(one, chunks, _cut(one.residuals[residual], chunks)) for one in found]
    seen = range(0, len(last), max(1, len(last) // perceive)) if perceive else range(0)
    seen = seen[:perceive]
    base_seen = [perceived(last[at].base, last[at].pair.large) for at in seen]
    waited_seen = [perceived(waited[WARM + at], last[at].pair.large) for at in seen]
    for age in AGES:
        pictures_ = _carried(found, chunks, output, residual, age)[WARM:]
        gains = [
            psnr(shown, one.pair.large) - one.below
            for shown, one in zip(pictures_, last, strict=True)
        ]
        now = [
            psnr(waited[WARM + at - age], one.pair.large) - one.below for at, one in enumerate(last)
        ]
        carried_seen = [perceived(pictures_[at], last[at].pair.large) for at in seen]
        yield Row(
            film, fps, age, residual,
            statistics.fmean(one.below for one in last),
            statistics.fmean(
                psnr(shown, one.pair.large) - one.below
                for shown, one in zip(waited[WARM:], last, strict=True)
            ),
            statistics.fmean(now),
            statistics.fmean(gains),
            min(gains),
            *(
                statistics.fmean(scores) if scores else None
                for scores in (base_seen, waited_seen, carried_seen)
            ),
        )  # fmt: skip


def _carried(
    found: Sequence[Tick], chunks: Sequence[Chunk], output: Size, residual: str, age: int
) -> list[Pixels]:
    """Return each frame with what the one ``age`` frames before it says."""
    carrier = Carrier(chunks, output, (TWO, TWO))
    shown = []
    for number, one in enumerate(found):
        old = number - age
        if old >= 0:
            known = found[old]
            carrier.learn(old, 0.0, known.pair.own, _cut(known.residuals[residual], chunks))
        residuals = carrier.carry(number, 0.0, one.pair.own).residuals
        if residual != TRUTH:  # It travels to the browser as it travelled here.
            residuals = {
                at: FORM.decode(FORM.encode(each), chunks[at].target.size)
                for at, each in residuals.items()
            }
        shown.append(_shown(one, chunks, residuals))
    return shown


def _cut(whole_: Residual, chunks: Sequence[Chunk]) -> dict[int, Residual]:
    return {chunk.index: chunk.target.of(whole_) for chunk in chunks}


def _shown(one: Tick, chunks: Sequence[Chunk], residuals: Mapping[int, Residual]) -> Pixels:
    return Composition.of(TWO, TWO).frame(
        one.base, [(chunks[at].target, residual) for at, residual in residuals.items()]
    )


def times(one: Pair, other: Pair) -> dict[str, float]:
    """Return milliseconds of one thread for 640x360 to 1280x720."""
    small = [np.asarray(cv2.resize(each.own, (640, 360)), np.uint8) for each in (one, other)]
    before, now = (luma(cv2.split(each)) for each in small)
    source = Size(640, 360)
    chunks = plan_chunks(Pipeline.parse("upscale:2").resolve(source), Grid(2, 1))
    carrier = Carrier(chunks, Size(1280, 720), (TWO, TWO))
    large = np.asarray(cv2.resize(one.large, (1280, 720)), np.uint8)
    residual = difference(large, based(small[0]), CELL)
    carrier.learn(0, 0.0, small[0], _cut(residual, chunks))
    return {
        "motion of a frame": milliseconds(lambda: motion(before, now, (0.5, 0.5))),
        "motion of a chunk": milliseconds(lambda: motion(before[:180], now[:180], (0.5, 0.5))),
        "all of carrying, a frame": milliseconds(lambda: carrier.carry(1, 0.0, small[1]).residuals),
        "encoding what is carried": milliseconds(lambda: FORM.encode(residual)),
    }


def markdown(rows: Sequence[Row], fps: int, residual: str) -> str:
    """Return a table: a line for each film."""
    own = [row for row in rows if (row.fps, row.residual) == (fps, residual)]
    heads = [
        f"{fps} FPS, {residual}", "base", "waited",
        *(f"carried {1000 * age / fps:.0f} ms" for age in AGES),
        *(f"now {1000 * age / fps:.0f} ms" for age in AGES), "worst frame",
    ]  # fmt: skip
    lines = [f"| {' | '.join(heads)} |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    for film in dict.fromkeys(row.film for row in own):
        its = sorted((row for row in own if row.film == film), key=lambda row: row.age)
        first = its[0]
        cells = [
            film,
            f"{first.base:.2f}{_seen(first.base_seen)}",
            f"{first.waited:+.2f}{_seen(first.waited_seen)}",
            *(f"{row.carried:+.2f}{_seen(row.carried_seen)}" for row in its),
            *(f"{row.now:+.2f}" for row in its),
            f"{min(row.worst for row in its):+.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _seen(score: float | None) -> str:
    return "" if score is None or math.isnan(score) else f" · {score:.1f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Record or measure, and write the tables."""
    parser = Parser(prog="latency_none", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--films", type=Path, default=Path("out/films"))
    parser.add_argument("--record", nargs="*", metavar="FILM",
                        help=f"record these, or all: {'; '.join(FILMS)}")  # fmt: skip
    parser.add_argument("--net", default="ml-small", help="whose residuals are carried")
    parser.add_argument("--frames", type=whole("a number of frames", 10, 600), default=40)
    parser.add_argument("--perceive", type=whole("a number of frames", 0, 100), default=2,
                        help="frames of each film that SSIMULACRA2 judges")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out/latency_none"))
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    keep_freed_memory()
    try:
        if options.record is not None:
            for name in options.record or FILMS:
                if name not in FILMS:
                    raise UsageError(f"There is no film {name!r}: give one of {'; '.join(FILMS)}.")
                record(name, FILMS[name], options.films)
            return 0
        rows = _measured(options.films, options.net, options.frames, options.perceive)
    except P2C2GError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "latency_none.json"
    file.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return 0


def _measured(folder: Path, net: str, frames: int, perceive: int) -> list[Row]:
    adders = {name: adder for name, adder in learnt(None).items() if name == net}
    films = sorted(path for path in folder.glob("*") if path.is_dir() or path.suffix == ".mp4")
    if not adders:
        raise UsageError(f"There is no net {net!r}: give one of {', '.join(learnt(None))}.")
    if not films:
        raise UsageError(
            f"There are no films in {folder}: python -m benchmarks.latency_none --record."
        )
    rows: list[Row] = []
    for fps in RATES:
        for path in films:
            if path.is_file() and fps != min(RATES):
                continue  # Films have 25 or 30 frames a second.
            found = ticks(played(path, fps, frames + WARM), adders)
            for residual, judged in ((net, perceive), (TRUTH, 0)):
                rows.extend(measure(path.stem, fps, found, residual, judged))
            print(path.stem, fps, flush=True)
        for residual in (net, TRUTH):
            print(markdown(rows, fps, residual), flush=True)
    one, other = (tick.pair for tick in found[-2:])
    for name, taken in times(one, other).items():
        print(f"| {name} | {taken:.2f} ms |", flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
