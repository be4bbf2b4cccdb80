"""Is an inter-frame codec worth it for what goes up: H.264 in lanes, against a JPEG a chunk.

A *lane* is one region of the screen at one peer: its frames follow one another in one H.264 stream
(x264, ``zerolatency``, by PyAV), and each needs the one before it.  So a chunk that goes to another
peer, or follows one that was lost, is a key frame; and what is sent a second time beside the first
run is one as well.

Consecutive frames of games at 30 a second (``python -m benchmarks.moving``), cut in two as the
product does; the picture that arrives is enhanced by ``ml-small``, and dB are those of the picture
shown, over the base, of every tenth frame.  Bytes are interpolated at the dB that JPEG gives at two
qualities, and are of all frames, or of changed chunks alone: one whose pixels are those of the
frame before is not sent.  Luma is as JPEG has it, all 256 levels, so nothing is lost by ranges.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import Any

import av
import cv2
import numpy as np
import psutil

from benchmarks.chain import Frame
from benchmarks.lane_codec import Lane, decoder
from benchmarks.moving import scenes
from benchmarks.options import Parser, whole
from p2c2g.errors import P2C2GError, UsageError
from p2c2g.media.codecs import codec, source_codec
from p2c2g.media.frame import Pixels

JPEG = (80, 50, 30)
RATES = (16, 22, 26, 30, 34, 38)


@dataclass(frozen=True, slots=True)
class Way:
    """How lanes are run: x264's preset, and how many of them take turns at one region.

    With three, a frame needs the third before it, whose fate is known by then: a lost message
    costs one frame.  With one it costs all frames until the session knows of it.
    """

    preset: str
    turns: int

    def __str__(self) -> str:
        return self.preset + (f", {self.turns} take turns" if self.turns > 1 else "")


WAYS = (Way("ultrafast", 1), Way("veryfast", 1), Way("veryfast", 3))
#: Parts of all chunks that are lost or moved; as many again are sent twice.
LOSSES = (0.0, 0.05)
#: Every so many frames the picture is looked at.
LOOK = 10
#: JPEG's qualities at whose dB bytes are compared: the usual one, and that of a narrow line.
EQUAL = (80, 30)
MANY = 16


@dataclass
class Run:
    """One scene sent one way: KiB a frame of all and of changed chunks, dB over the base, ms."""

    game: str
    way: str
    quality: int
    loss: float
    every: float = 0.0
    changed: float = 0.0
    gain: float = 0.0
    encode: float = 0.0
    decode: float = 0.0
    keys: float = 0.0


@dataclass
class Scene:
    """Frames, which of their chunks are those of the frame before, and the dB of their bases."""

    game: str
    frames: list[Frame]
    same: list[list[bool]] = field(init=False)
    bases: dict[int, float] = field(init=False)

    def __post_init__(self) -> None:
        self.same = [[False] * len(self.frames[0].chunks)] + [
            [np.array_equal(old.source(one), new.source(one)) for one in new.chunks]
            for old, new in pairwise(self.frames)
        ]
        self.bases = {
            at: one.decibels([one.error(chunk, None) for chunk in one.chunks])
            for at, one in enumerate(self.frames)
            if at % LOOK == 0
        }

    def gain(self, arrived: Mapping[tuple[int, int], Pixels]) -> float:
        """Return the dB over the base by the pictures that arrived, by frame and chunk."""
        gains = []
        for at, bare in self.bases.items():
            one = self.frames[at]
            errors = [
                one.error(chunk, one.answer_to(chunk, arrived[at, chunk.index]))
                for chunk in one.chunks
            ]
            gains.append(one.decibels(errors) - bare)
        return statistics.fmean(gains)


def by_jpeg(scene: Scene, quality: int) -> Iterator[Run]:
    """Send each chunk by itself; give a run for each loss."""
    arrived: dict[tuple[int, int], Pixels] = {}
    took: tuple[list[float], list[float]] = ([], [])
    sizes = kept = 0
    for at, frame in enumerate(scene.frames):
        for chunk in frame.chunks:
            began = time.thread_time()
            data = source_codec("jpeg").encode(frame.source(chunk), quality)
            took[0].append(time.thread_time() - began)
            sizes += len(data)
            kept += 0 if scene.same[at][chunk.index] else len(data)
            if at in scene.bases:
                began = time.thread_time()
                arrived[at, chunk.index] = codec("jpeg").decode(data)
                took[1].append(time.thread_time() - began)
    gain, count = scene.gain(arrived), 1024 * len(scene.frames)
    encode, decode = (1e3 * statistics.median(one) for one in took)
    for loss in LOSSES:
        # What is sent twice costs as much once more.
        every, changed = ((1 + loss) * size / count for size in (sizes, kept))
        yield Run(scene.game, "jpeg", quality, loss, every, changed, gain, encode, decode)


def by_lane(scene: Scene, way: Way, rate: int, loss: float, *, changed: bool) -> Run:
    """Send each chunk in its lane; ``changed``: but for those that are as they were.

    The dB are what is shown where nothing is lost.
    """
    random, sizes, keys = Random(7), 0, 0
    arrived: dict[tuple[int, int], Pixels] = {}
    shown: dict[int, Pixels] = {}
    took: tuple[list[float], list[float]] = ([], [])
    lanes = [
        [Lane(way.preset, rate, scene.frames[0].source(one)) for _ in range(way.turns)]
        for one in scene.frames[0].chunks
    ]
    is_due = [[True] * way.turns for _ in lanes]
    sent = [0] * len(lanes)
    for at, frame in enumerate(scene.frames):
        for chunk in frame.chunks:
            place, pixels = chunk.index, frame.source(chunk)
            if place not in shown or not (changed and scene.same[at][place]):
                turn = sent[place] % way.turns
                lane, is_key = lanes[place][turn], is_due[place][turn]
                began = time.thread_time()
                data = lane.encode(pixels, is_key=is_key)
                between = time.thread_time()
                shown[place] = lane.decode(data, pixels)
                took[0].append(between - began)
                took[1].append(time.thread_time() - between)
                sizes, keys, sent[place] = sizes + len(data), keys + is_key, sent[place] + 1
                # Lost, or gone elsewhere: the next is a key frame.  Sent twice: the copy is one.
                is_due[place][turn] = random.random() < loss
                if random.random() < loss:
                    sizes += len(Lane(way.preset, rate, pixels).encode(pixels, is_key=True))
            if at in scene.bases:
                arrived[at, place] = shown[place]
    encode, decode = (1e3 * statistics.median(one) for one in took)
    size = sizes / 1024 / len(scene.frames)
    gain = scene.gain(arrived) if not loss and changed else math.nan
    key = keys / sum(sent)
    every, kept = (math.nan, size) if changed else (size, math.nan)
    return Run(scene.game, str(way), rate, loss, every, kept, gain, encode, decode, key)


def runs_of(scene: Scene) -> Iterator[Run]:
    """Send one scene every way."""
    for quality in JPEG:
        yield from by_jpeg(scene, quality)
    for way in WAYS:
        for rate in RATES:
            gain = math.nan
            for loss in LOSSES:
                one = by_lane(scene, way, rate, loss, changed=True)
                one.gain = gain = gain if loss else one.gain
                if not loss and way.turns == 1:
                    one.every = by_lane(scene, way, rate, 0.0, changed=False).every
                yield one


# -- what is written


def size_at(runs: Sequence[Run], gain: float, value: str) -> float | None:
    """Return the KiB a frame at a gain, interpolated; None beyond what was measured."""
    points = sorted((run.gain, math.log(getattr(run, value))) for run in runs)
    for (low, first), (high, last) in pairwise(points):
        if low <= gain <= high:
            return math.exp(first + (last - first) * (gain - low) / max(high - low, 1e-9))
    return None


def compared(runs: Sequence[Run]) -> str:
    """Return the table of bytes at equal dB, scene by scene."""
    heads = ["scene", "dB of", "dB over base", "JPEG, all", "JPEG, changed"]
    heads += [f"{way}, all" for way in WAYS if way.turns == 1]
    heads += [f"{way}, {100 * loss:.0f} % lost" for way in WAYS for loss in LOSSES]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for game in dict.fromkeys(run.game for run in runs):
        own = [run for run in runs if run.game == game]
        for quality in EQUAL:
            jpeg = {run.loss: run for run in own if (run.way, run.quality) == ("jpeg", quality)}
            usual = jpeg[0.0]
            cells = [f"{usual.every:.1f}", f"{usual.changed:.1f}"]
            for way in WAYS:
                lane = [run for run in own if run.way == str(way) and not run.loss]
                if way.turns == 1:
                    cells.append(_cell(size_at(lane, usual.gain, "every"), usual.every))
            for way in WAYS:
                for loss in LOSSES:
                    lane = [run for run in own if run.way == str(way) and run.loss == loss]
                    found = size_at(lane, usual.gain, "changed")
                    cells.append(_cell(found, jpeg[loss].changed))
            lines.append(f"| {game} | JPEG {quality} | {usual.gain:.3f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(size: float | None, against: float) -> str:
    return "–" if size is None else f"{size:.1f} ({100 * (size / against - 1):+.0f} %)"


def times(runs: Sequence[Run]) -> str:
    """Return the table of milliseconds a chunk, the median of the scenes."""
    lines = ["| way | encode ms | decode ms |", "|---|---|---|"]
    for way, quality in (("jpeg", 80), ("jpeg", 30), *((str(one), 30) for one in WAYS)):
        own = [run for run in runs if (run.way, run.quality, run.loss) == (way, quality, 0)]
        encode, decode = (
            statistics.median(getattr(run, name) for run in own) for name in ("encode", "decode")
        )
        lines.append(f"| {way} {quality} | {encode:.2f} | {decode:.2f} |")
    return "\n".join(lines)


def memory(scene: Scene) -> str:
    """Return what encoders and decoders of lanes take, in MiB each."""
    process = psutil.Process(os.getpid())
    chunk = scene.frames[0].chunks[0]
    first, second = (frame.source(chunk) for frame in scene.frames[:2])
    lane = Lane(WAYS[-1].preset, 30, first)
    data = [lane.encode(first, is_key=True), lane.encode(second, is_key=False)]
    kept: list[Any] = []
    grown = []
    for make in (decoder, lambda: Lane(WAYS[-1].preset, 30, first)):
        before = process.memory_info().rss
        for _ in range(MANY):
            one = make()
            if isinstance(one, Lane):
                one.encode(first, is_key=True)
                one.encode(second, is_key=False)
            else:
                for part in data:
                    one.decode(av.Packet(part))
            kept.append(one)
        grown.append((process.memory_info().rss - before) / MANY / 2**20)
    return f"A decoder takes {grown[0]:.1f} MiB, a lane's both ends {grown[1]:.1f} MiB."


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the tables."""
    parser = Parser(prog="lanes", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--recordings", type=Path, default=Path("out/moving"))
    parser.add_argument("--frames", type=whole("a number of frames", 2, 1000), default=90,
                        help="of each scene")  # fmt: skip
    parser.add_argument("--scenes", type=whole("a number of scenes", 1, 100), default=2,
                        help="of each game")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out/lanes"))
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    runs: list[Run] = []
    said = ""
    try:
        for folder in sorted(options.recordings.glob("*/")):
            for number, files in enumerate(islice(scenes(folder), options.scenes)):
                read = [Frame.read(file) for file in files[: options.frames]]
                scene = Scene(f"{folder.name} {number + 1}", read)
                said = said or memory(scene)
                runs.extend(runs_of(scene))
                print(f"{scene.game} is measured", file=sys.stderr, flush=True)
        if not runs:
            raise UsageError(
                f"There are no recordings in {options.recordings}: python -m benchmarks.moving."
            )
    except P2C2GError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    text = "\n\n".join((compared(runs), times(runs), said))
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "lanes.json").write_text(
        json.dumps([asdict(run) for run in runs], indent=1) + "\n"
    )
    (options.out / "lanes.md").write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
