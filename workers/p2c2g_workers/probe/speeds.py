"""How fast this machine's processors and codecs are, on a real chunk.

One slot's work: a chunk of 640x180, as a frame of 1280x720 has eight, and as many threads
inside OpenCV as a worker gives it.  The best of some runs counts: what else the machine does
meanwhile makes a run slower and none faster.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import perf_counter

import cv2
import numpy as np

from p2c2g.errors import P2C2GError
from p2c2g.media.codecs import CODECS, Codec
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.settings import load
from p2c2g_workers import processors as _processors

logger = logging.getLogger(__name__)

#: Pixels of the chunk that is worked on.
SIZE = Size(640, 180)
#: Seconds of runs of one thing, and the fewest runs.
BUDGET, RUNS = 0.1, 3
#: Seconds of the first run after which there is no other.
SLOW = 0.5
QUALITY = 85

#: What is asked of each operation.
_ASKED = {
    "upscale": "upscale:2",
    "resize": f"resize:{2 * SIZE.width}x{2 * SIZE.height}",
    "sharpen": "sharpen:0.5",
    "denoise": "denoise:0.3",
    "pass": "pass",
}


def known() -> tuple[str, ...]:
    """Return the processors that there are to be measured."""
    return _processors.known()


def threads() -> int:
    """Return the threads that OpenCV gets inside one chunk.

    Raises:
        UsageError: the settings are wrong.
    """
    return load().worker.opencv_threads


def processors() -> dict[str, float]:
    """Return megapixels of result a second by processor; one that fails is left out."""
    pixels = picture()
    found = {}
    with _Threads(threads()):
        for name in known():
            operation, _, method = name.partition(":")
            try:
                text = _ASKED.get(operation, operation) + (f":{method}" if method else "")
                plan = Pipeline.parse(text).resolve(SIZE)
                seconds = _best(partial(_processors.run, plan, pixels))
            except P2C2GError as error:
                logger.warning("The processor %s is left out: %s", name, error)
                continue
            found[name] = plan.output.width * plan.output.height / seconds / 1e6
    return found


def codecs() -> dict[str, float]:
    """Return megapixels a second of encoding and decoding by codec; as :func:`processors`."""
    pixels = picture()
    found = {}
    with _Threads(threads()):
        for name, codec in CODECS.items():
            try:
                seconds = _best(partial(_there_and_back, codec, pixels))
            except P2C2GError as error:
                logger.warning("The codec %s is left out: %s", name, error)
                continue
            found[name] = SIZE.width * SIZE.height / seconds / 1e6
    return found


def picture(seed: int = 1) -> Pixels:
    """Return a chunk that is as hard to work on as a photograph: noise of many sizes, 1/f."""
    random = np.random.default_rng(seed)
    whole = np.zeros((SIZE.height, SIZE.width, 3), np.float32)
    for octave in range(7):
        cells = (max(2, SIZE.height >> octave), max(2, SIZE.width >> octave), 3)
        noise = random.normal(0, 2.0**octave, cells).astype(np.float32)
        whole += cv2.resize(noise, (SIZE.width, SIZE.height), interpolation=cv2.INTER_CUBIC)
    whole = np.clip(128 + whole * (50 / float(whole.std())), 0, 255)
    return np.asarray(whole, np.uint8)


def _there_and_back(codec: Codec, pixels: Pixels) -> Pixels:
    return codec.decode(codec.encode(pixels, QUALITY), limit=SIZE)


def _best(work: Callable[[], object]) -> float:
    """Return the seconds of the fastest run, a first one not counted that warms caches."""
    began = perf_counter()
    work()
    first = perf_counter() - began
    if first > SLOW:
        return first
    best, runs = float("inf"), 0
    while runs < RUNS or perf_counter() - began < BUDGET:
        start = perf_counter()
        work()
        best = min(best, perf_counter() - start)
        runs += 1
    return max(best, 1e-9)


class _Threads:
    """OpenCV's threads for a while."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._before = cv2.getNumThreads()

    def __enter__(self) -> None:
        cv2.setNumThreads(self._count)

    def __exit__(self, *_: object) -> None:
        with suppress(cv2.error):
            cv2.setNumThreads(self._before)
