"""Chunks, what honest peers add to them, and what liars say: for the checks' calibration.

The scenes: the shipped clip of a game, the same almost black, the moving pattern, pages of text
in colour, noise, black and white noise, and checkers of one pixel; and games as they were
recorded (``python -m training record GAME``), where a folder of recordings is there.  Each
picture goes the way that it goes in a session: a chunk is cut with its halo, encoded, decoded,
and a peer's engine says what is to be added to its base.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import p2c2g_capture
from p2c2g.media.base import base
from p2c2g.media.chunker import Grid, cut, plan_chunks
from p2c2g.media.codecs import codec
from p2c2g.media.composition import Composition
from p2c2g.media.frame import Chunk, Pixels, Size
from p2c2g.media.operations import Pipeline, Plan
from p2c2g.media.residual import Form, Residual
from p2c2g_capture.sources.pattern import PatternSource
from p2c2g_capture.sources.video import VideoSource
from p2c2g_workers.engine import Work
from p2c2g_workers.engine.adding import added
from p2c2g_workers.processors import CPU, run

#: What sessions usually ask for, and everything else that they may.
USUAL = (
    "upscale:2:ml-tiny",
    "upscale:2:ml-small",
    "upscale:2,sharpen:0.5",
    "upscale:2:lanczos,sharpen:1",
    "upscale:3/2,sharpen:0.5",
)
OTHERS = (
    "upscale:2:bicubic",
    "upscale:2,sharpen:4",
    "upscale:2:nearest",
    "upscale:2:bilinear",
    "denoise:1,upscale:2:bicubic",
    "denoise:0.3,upscale:2,sharpen:1",
    "upscale:4/3:bicubic",
    "upscale:3:nearest",
    "upscale:4:lanczos",
    "upscale:1.37:bicubic,sharpen:4",
    "resize:416x234:lanczos",
    "resize:417x235:nearest",
    "upscale:1/3:nearest",
    "upscale:1/2:bicubic,upscale:4:bicubic,sharpen:2",
    "upscale:2:ml-large",
    "sharpen:4",
    "denoise:1,sharpen:4",
    "pass",
)
PIPELINES = USUAL + OTHERS
GRIDS = (Grid(2, 1), Grid(2, 2), Grid(3, 4), Grid(8, 8), Grid(24, 24))
#: Qualities of the way up, by JPEG at 4:2:0; 0 stands for no loss.
UPLINKS = (30, 40, 50, 60, 70, 80, 85, 90, 100, 0)
#: Frames of the clip between a frame and the old one that a peer passes off for it.
STALE = 10
#: Of a frame of a recording; larger ones are cut.
SIZE = Size(640, 360)


@dataclass(frozen=True)
class Sample:
    """One chunk of one picture, on its way through one pipeline, by ``uplink``."""

    scene: str
    frame: Pixels
    old: Pixels
    operations: str
    plan: Plan
    chunk: Chunk
    chunks: tuple[Chunk, ...]
    uplink: int

    @cached_property
    def sent(self) -> Pixels:
        """Return the chunk as it arrives."""
        return self._sent(self.chunk, self.frame)

    def residual(self, *, in_colour: bool = False) -> Residual:
        """Return what an honest peer adds."""
        return self.added(self.sent, in_colour=in_colour)

    def added(self, sent: Pixels, operations: str = "", *, in_colour: bool = False) -> Residual:
        """Return what operations add to what is given for the chunk."""
        plan = Pipeline.parse(operations).resolve(self.plan.source) if operations else self.plan
        return _added(plan, self.chunk, sent, in_colour=in_colour)

    def picture(self) -> Pixels:
        """Return the whole picture that the operations make of the chunk."""
        return self.chunk.crop.of(run(self.plan, self.sent))

    def of_another_frame(self, frame: Pixels, *, in_colour: bool = False) -> Residual:
        """Return an honest peer's residual of the same chunk of another frame."""
        return self.added(self._sent(self.chunk, frame), in_colour=in_colour)

    def of_another_chunk(self, *, in_colour: bool = False) -> Residual | None:
        """Return that of another chunk of the same size, or None where there is none."""
        for other in self.chunks:
            if other.index != self.chunk.index and other.target.size == self.chunk.target.size:
                sent = self._sent(other, self.frame)
                return _added(self.plan, other, sent, in_colour=in_colour)
        return None

    def shown(self, residual: Residual) -> Pixels:
        """Return the chunk as it is shown with a residual."""
        out = np.empty((*residual.shape[:2], 3), np.uint8)
        terms = Composition.of(self.plan.scale_x, self.plan.scale_y)
        terms.part(self._under, self.chunk.target, residual, out)
        return out

    @property
    def under(self) -> Pixels:
        """Return the chunk as it is shown with none."""
        return self.chunk.target.of(self._under)

    @cached_property
    def _under(self) -> Pixels:
        return base(self.frame, self.plan.scale_x, self.plan.scale_y, self.plan.output)

    def _sent(self, chunk: Chunk, frame: Pixels) -> Pixels:
        if not self.uplink:
            return cut(frame, chunk)
        chosen = codec("jpeg")
        return chosen.decode(chosen.encode(cut(frame, chunk), self.uplink))


def _added(plan: Plan, chunk: Chunk, sent: Pixels, *, in_colour: bool) -> Residual:
    form = Form("raw", 100, in_colour=in_colour)
    work = Work(plan, "raw", b"", chunk.padded.size, chunk.crop, form)
    return added(CPU, work, sent)


def through(residual: Residual, form: Form) -> Residual:
    """Return a residual as it arrives."""
    return form.decode(form.encode(residual), Size.of(residual))  # type: ignore[arg-type]


# -- scenes


class Scenes:
    """Pictures with the one that was there some frames before; odd and even ones are apart.

    Args:
        odd: which of them.
        recordings: a folder of recorded games, in which there may be none.
    """

    def __init__(self, *, odd: bool, recordings: Path | None = None) -> None:
        self._odd = odd
        clip = Path(p2c2g_capture.__file__).parent / "clips" / "freedoom.mp4"
        self._video = VideoSource(clip, SIZE, fps=60.0)
        self._pattern = PatternSource(SIZE)
        folders = sorted(recordings.glob("*/")) if recordings else []
        self._games = {each.name: sorted(each.glob("*.png")) for each in folders}

    def pictures(self, count: int) -> Iterator[tuple[str, Pixels, Pixels]]:
        """Give ``count`` pictures of every scene: its name, the picture and the old one."""
        for place in range(count):
            # Spread over the clip's ten seconds.
            number = STALE + 2 * (place * 290 // count) + self._odd
            old, new = self._video.grab(number - STALE).copy(), self._video.grab(number).copy()
            yield "game", new, old
            for name, files in self._games.items():
                if len(files) >= 4:
                    at = 2 * (place * (len(files) // 2) // count) + self._odd
                    yield name, _recorded(files[(at + 2) % len(files)]), _recorded(files[at])
            if place % 2:
                yield "text", text(number), text(number, scrolled=STALE)
            elif place % 4:
                yield "noise", noise(number), noise(number - STALE)
                yield "hard", _hard(number), _hard(number - STALE)
            else:
                yield "dark", new // 12, old // 12
                yield "pattern", self._pattern.grab(number), self._pattern.grab(number - STALE)


def _recorded(file: Path) -> Pixels:
    drawn = file.parent / "small" / file.name
    picture: Any
    if drawn.is_file():
        picture = cv2.imread(str(drawn))
    else:
        large: Any = cv2.imread(str(file))
        half = (large.shape[1] // 2, large.shape[0] // 2)
        picture = cv2.resize(large, half, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(np.asarray(picture, np.uint8)[: SIZE.height, : SIZE.width])


def text(seed: int, *, scrolled: int = 0) -> Pixels:
    """Return a page of text in many fonts and colours, moved up by so many pixels."""
    rng = random.Random(seed)
    shade = rng.randrange(60) if seed // 2 % 2 else rng.randrange(200, 256)
    page = np.full((SIZE.height, SIZE.width, 3), shade, np.uint8)
    top = 12 - scrolled
    while top < SIZE.height:
        line = "".join(chr(rng.randrange(33, 127)) for _ in range(100))
        font, scale = rng.randrange(8), 0.3 + 0.4 * rng.random()
        colour = [rng.randrange(256) for _ in range(3)]
        edge = rng.choice([cv2.LINE_AA, cv2.LINE_8])
        cv2.putText(page, line, (rng.randrange(20), top), font, scale, colour, 1, edge)
        top += rng.randrange(11, 20)
    return page


def noise(seed: int, size: Size = SIZE) -> Pixels:
    """Return noise in every pixel and colour."""
    shape = (size.height, size.width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def _hard(seed: int) -> Pixels:
    """Return checkers of one pixel above, and below noise of black and white, and edges."""
    rng = np.random.default_rng(seed)
    page = noise(seed)
    half = SIZE.height // 2
    page[half:] = np.where(page[half:] > 127, np.uint8(255), np.uint8(0))
    page[half:, SIZE.width // 2 :] = 255 * (np.arange(SIZE.width // 2) // 29 % 2)[None, :, None]
    rows, columns = np.indices((half, SIZE.width))
    two = rng.integers(0, 256, (2, 3), dtype=np.uint8)
    page[:half] = two[(rows + columns) % 2]
    return page


def samples(
    count: int,
    *,
    odd: bool,
    seed: int,
    recordings: Path | None = None,
    most: int = 1 << 16,
    pipelines: Sequence[str] = (),
) -> Iterator[Sample]:
    """Give chunks of ``count`` pictures of each scene.

    Args:
        count: of the clip and of each recorded game; of the others, a half or a quarter.
        odd: of which half of the pictures.
        seed: draws grids, chunks and the way up.
        recordings: a folder of recorded games.
        most: source pixels of a chunk.
        pipelines: those to draw from, instead of all.
    """
    rng = random.Random(seed)
    for scene, frame, old in Scenes(odd=odd, recordings=recordings).pictures(count):
        drawn = [rng.choice(pipelines)] if pipelines else [rng.choice(USUAL), rng.choice(OTHERS)]
        for operations in drawn:
            plan = Pipeline.parse(operations).resolve(Size.of(frame))
            # A ratio that is not simple leaves no place to cut.
            whole = "resize" in operations or plan.align[0] > 64
            chunks = plan_chunks(plan, Grid(1, 1) if whole else rng.choice(GRIDS))
            fit = [each for each in chunks if each.rect.width * each.rect.height <= most]
            for chunk in rng.sample(fit or list(chunks), min(2, len(fit or chunks))):
                uplink = rng.choice(UPLINKS)
                yield Sample(scene, frame, old, operations, plan, chunk, chunks, uplink)
