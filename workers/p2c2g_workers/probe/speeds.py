"""How fast an engine of this machine is at every operation and codec, on a real chunk.

One slot's work: a chunk of 640x180, half a frame of 640x360, and as many threads inside OpenCV as
a worker gives it; each operation is asked for by the example in its row.  The best of some runs
counts: other work on the machine makes a run slower, never faster.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from itertools import takewhile
from time import perf_counter

import cv2
import numpy as np

from p2c2g.errors import P2C2GError
from p2c2g.media.codecs import CODECS, source_codec
from p2c2g.media.frame import Pixels, Rect, Size
from p2c2g.media.operations import OPERATIONS, Pipeline
from p2c2g.media.residual import Form
from p2c2g.settings import load
from p2c2g_workers import processors as _processors
from p2c2g_workers.engine import Engine, Work

logger = logging.getLogger(__name__)

#: Returns whether measuring is to end.
Stop = Callable[[], bool]
#: Pixels of the chunk that is worked on, and of its frame.
SIZE, FRAME = Size(640, 180), Size(640, 360)
#: Seconds of runs of one thing, and the fewest runs.
BUDGET, RUNS = 0.1, 3
#: Seconds of the first run above which there is only one more; a first run may be slow because a
#: device compiles.
SLOW = 0.5
#: Of the chunk, and of its residual.
QUALITY, RESIDUAL_QUALITY = 80, 75
#: What is done to measure codecs: a residual of something to encode.
CHANGE = "sharpen:0.5"


def known() -> tuple[str, ...]:
    """Return the names of the processors to be measured."""
    return _processors.known()


def threads() -> int:
    """Return the threads that OpenCV gets inside one chunk.

    Raises:
        UsageError: the settings are wrong.
    """
    return load().worker.opencv_threads


def processors(engine: Engine, stop: Stop = lambda: False) -> dict[str, float]:
    """Return an engine's megapixels of result a second by processor.

    What it cannot do is left out; so is what fails, with a line in the log.

    Args:
        engine: does the work.
        stop: asked before each; once it returns True, the rest is not measured.
    """
    found = {}
    with _Threads(threads()):
        for name in takewhile(lambda _: not stop(), known()):
            try:
                work = chunk(_example(name), "raw", frame=FRAME)
                if not all(map(engine.can, work.plan.steps)):
                    continue
                seconds = _best(partial(_processing, engine, work))
            except P2C2GError as error:
                logger.warning("The processor %s is left out: %s", name, error)
                continue
            found[name] = work.crop.width * work.crop.height / seconds / 1e6
    return found


def codecs(engine: Engine, stop: Stop = lambda: False) -> dict[str, float]:
    """Return megapixels a second of decoding and encoding by codec; as :func:`processors`."""
    found = {}
    with _Threads(threads()):
        for name in takewhile(lambda _: not stop(), CODECS):
            try:
                seconds = _best(partial(_codec_seconds, engine, chunk(CHANGE, name)))
            except P2C2GError as error:
                logger.warning("The codec %s is left out: %s", name, error)
                continue
            found[name] = SIZE.width * SIZE.height / seconds / 1e6
    return found


def chunk(pipeline: str, name: str, size: Size = SIZE, *, frame: Size | None = None) -> Work:
    """Return a chunk of the probe's picture that asks for a pipeline, in the codec both ways.

    Args:
        pipeline: its text.
        name: of the codec.
        size: of the chunk.
        frame: the size of the frame that it is of; the chunk is all of it where None.

    Raises:
        UsageError: there is no such pipeline or codec.
    """
    plan = Pipeline.parse(pipeline).resolve(frame or size)
    payload = source_codec(name).encode(picture(size), QUALITY)
    whole = plan.output_of(size)
    crop = Rect(0, 0, whole.width, whole.height)
    return Work(plan, name, payload, size, crop, Form(name, RESIDUAL_QUALITY))


def _example(processor: str) -> str:
    operation, _, method = processor.partition(":")
    row = OPERATIONS.get(operation)
    text = operation if row is None else row.example
    return f"{text}:{method}" if method else text


@lru_cache(maxsize=4)
def picture(size: Size = SIZE) -> Pixels:
    """Return a chunk that is as hard to work on as a photograph: noise of many sizes, 1/f."""
    random = np.random.default_rng(1)
    whole = np.zeros((size.height, size.width, 3), np.float32)
    for octave in range(7):
        cells = (max(2, size.height >> octave), max(2, size.width >> octave), 3)
        noise = random.normal(0, 2.0**octave, cells).astype(np.float32)
        whole += cv2.resize(noise, (size.width, size.height), interpolation=cv2.INTER_CUBIC)
    whole = np.clip(128 + whole * (50 / float(whole.std())), 0, 255)
    made = np.asarray(whole, np.uint8)
    made.flags.writeable = False  # All callers get the same array.
    return made


def _processing(engine: Engine, work: Work) -> float:
    return engine.enhance(work).process_us / 1e6


def _codec_seconds(engine: Engine, work: Work) -> float:
    start = perf_counter()
    done = engine.enhance(work)
    return perf_counter() - start - done.process_us / 1e6


def _best(work: Callable[[], float]) -> float:
    """Return the least seconds that ``work`` returned; the first run only warms caches."""
    began = perf_counter()
    first = work()
    if first > SLOW:
        return min(first, work())
    best, runs = float("inf"), 0
    while runs < RUNS or perf_counter() - began < BUDGET:
        best = min(best, work())
        runs += 1
    # A clock of microseconds measures 0 for an operation that does nothing.
    return max(best, 1e-6)


class _Threads:
    """Sets OpenCV's number of threads inside a ``with`` block."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._before = cv2.getNumThreads()

    def __enter__(self) -> None:
        cv2.setNumThreads(self._count)

    def __exit__(self, *_: object) -> None:
        with suppress(cv2.error):
            cv2.setNumThreads(self._before)
