"""How fast this machine is with each codec: what a peer's probe says of a peer.

A few runs on a small picture, at a line's qualities, of the codecs that a line may ask for; all of
it takes some hundredths of a second, once for each process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from p2c2g.media.codecs import CODECS
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.greys import GREYS

#: Of the picture: as wide as a chunk and small enough to take a moment.
SIZE = Size(320, 96)
QUALITY = 70
NAMES = ("jpeg", "webp")
#: Runs of each, of which the fastest counts: what else the machine does only takes time.
RUNS = 3
#: Pixels of a square of the picture; of a residual, the part of the squares where anything is
#: added, and how many levels that is.
_SQUARE = 8
_EDGES, _STEP = 0.05, 2.0


@dataclass(frozen=True, slots=True)
class CodecSpeed:
    """Megapixels a second of one thread: sources in colour encoded, residuals (luma) decoded."""

    encode: float
    decode: float


@lru_cache(maxsize=1)
def here() -> Mapping[str, CodecSpeed]:
    """Return what this machine does, by codec; measured at the first call."""
    return measured(time.thread_time)


def measured(clock: Callable[[], float]) -> dict[str, CodecSpeed]:
    """Measure the codecs of a line by a clock of seconds."""
    pixels, grey = _picture(), _residual()
    return {
        name: CodecSpeed(
            _speed(partial(CODECS[name].encode, pixels, QUALITY), clock),
            _speed(partial(GREYS[name].decode, GREYS[name].encode(grey, QUALITY)), clock),
        )
        for name in NAMES
    }


def _speed(work: Callable[[], object], clock: Callable[[], float]) -> float:
    taken = []
    for _ in range(RUNS):
        began = clock()
        work()
        taken.append(clock() - began)
    # A clock of low resolution may say that it took no time.
    return SIZE.width * SIZE.height / 1e6 / max(min(taken), 1e-6)


def _residual() -> Pixels:
    """Return what is added to a picture: little, at a part of its edges; read-only."""
    random = np.random.default_rng(1)
    across, down = SIZE.width // _SQUARE, SIZE.height // _SQUARE
    has_edges = random.random((down, across, 1)) < _EDGES
    steps = random.normal(0, _STEP, (SIZE.height, SIZE.width, 1))
    made: Pixels = (128 + steps * has_edges.repeat(_SQUARE, 0).repeat(_SQUARE, 1)).astype(np.uint8)
    made.flags.writeable = False
    return made


def _picture() -> Pixels:
    """Return edges and slopes, about as hard as a game's picture; read-only."""
    random = np.random.default_rng(1)
    across, down = SIZE.width // _SQUARE, SIZE.height // _SQUARE
    coarse = random.integers(0, 256, (down, across, 3), np.uint8)
    slopes = np.linspace(0, 60, SIZE.width, dtype=np.uint8)[None, :, None]
    made: Pixels = coarse.repeat(_SQUARE, 0).repeat(_SQUARE, 1) // 2 + slopes
    made.flags.writeable = False
    return made
