"""``--compare``: a film is scaled down, played through the pool, and compared with itself.

The film's own picture is the original.  Against it stand what this machine makes of the small
picture alone, bicubic, Lanczos and the base layer, with pixels that no codec has touched; and the
picture as it was shown.  So the figures say what the pool is worth, and not what a codec cost.

PSNR is taken while the film plays, on a thread of its own from a bounded queue: what it has no
time for is left out, and counted.  SSIMULACRA2 takes seconds a picture; it is taken at the end,
of a few frames chosen by chance, and only where its package is installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
from PIL import Image

from p2c2g.display.hub import Hub, Subscription
from p2c2g.errors import UsageError
from p2c2g.media.base import base
from p2c2g.media.frame import Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.picture import FrameState, Picture
from p2c2g.session.config import SessionConfig
from p2c2g.system import priority
from p2c2g.system.threads import SupervisedThread
from p2c2g_capture.sources import Source, scaled

#: Pictures that wait to be compared.  Drop policy: the oldest.
QUEUE = 8
#: Frames of which SSIMULACRA2 is taken.
SCORED = 4
#: What is compared with the original, in the order in which it is told.
OWN = ("bicubic", "lanczos", "base")
PICTURES = (*OWN, "enhanced")
#: Decibels of two pictures that are equal; else it would be without end.
EQUAL_DB = 100.0
#: Frames told one by one in a report; later ones count in the means alone.
MAX_ROWS = 20_000
#: Seconds that the pictures which wait at the end may take.
_PATIENCE = 60.0
#: Niceness of the thread that compares: the session comes first.
_NICENESS = 10


def small_size(large: Size, pipeline: Pipeline) -> Size:
    """Return the size of frames that a pipeline makes as large as ``large``, exactly.

    Raises:
        UsageError: there is none, or the pipeline does not enlarge.
    """
    sample = pipeline.resolve(Size(64, 64))
    if any(operation.name == "resize" for operation in pipeline.operations):
        raise UsageError("--compare with a resize needs the small size: give --size too.")
    _check_enlarges(sample.source, sample.output, pipeline)
    width, height = large.width / sample.scale_x, large.height / sample.scale_y
    small = Size(math.floor(width), math.floor(height))
    if small.width != width or small.height != height or pipeline.resolve(small).output != large:
        raise UsageError(
            f"The film is {large}, and no frame of whole pixels becomes that by "
            f"{pipeline.text!r}: give --size for --compare, such as --size {small}, and the film "
            "is first scaled to what that becomes."
        )
    return small


def _check_enlarges(small: Size, large: Size, pipeline: Pipeline) -> None:
    if large.width <= small.width or large.height <= small.height:
        raise UsageError(
            f"--compare has nothing to compare where {pipeline.text!r} does not enlarge: give "
            '--ops such as "upscale:2".'
        )


class Original(Source):
    """A film as a source of small frames, which keeps the large ones until they are compared.

    Thread-safe.

    Args:
        film: the large pictures.
        pipeline: what is to make the small ones large again.
        size: of the small ones; None for the film's own size divided by the pipeline's factor.

    Raises:
        UsageError: there is no such size, or the film is too small for it.
    """

    def __init__(self, film: Source, pipeline: Pipeline, size: Size | None = None) -> None:
        self._film = film
        self.name, self.film = film.name, film.film
        self.size = small_size(film.size, pipeline) if size is None else size
        #: Of the originals.
        self.large = pipeline.resolve(self.size).output
        _check_enlarges(self.size, self.large, pipeline)
        if film.size.width < self.large.width or film.size.height < self.large.height:
            raise UsageError(
                f"The film is {film.size}, too small for an original of {self.large}: give a "
                "smaller --size, or leave it out."
            )
        self._pairs: OrderedDict[int, tuple[Pixels, Pixels]] = OrderedDict()
        self._last: tuple[Pixels, Pixels, Pixels] | None = None
        self._lock = threading.Lock()
        #: Frames that are kept until they are compared; the oldest is dropped.
        self.most = QUEUE

    def grab(self, number: int) -> Pixels:
        """Return the small picture of a tick, and keep the large one."""
        film = self._film.grab(number)
        if self._last is None or self._last[0] is not film:  # A slow film repeats its pictures.
            large = scaled(film, self.large)
            self._last = (film, large, scaled(large, self.size))
        _, large, small = self._last
        with self._lock:
            self._pairs[number] = (large, small)
            while len(self._pairs) > self.most:
                self._pairs.popitem(last=False)
        return small

    def take(self, number: int) -> tuple[Pixels, Pixels] | None:
        """Return a frame's original and its small picture, once; None where it was dropped."""
        with self._lock:
            while self._pairs and next(iter(self._pairs)) < number:
                self._pairs.popitem(last=False)  # Never shown, or not to be compared.
            return self._pairs.pop(number, None)

    def close(self) -> None:
        """Close the film."""
        self._film.close()


class Comparer:
    """Compares the pictures that a hub publishes with their originals.

    Args:
        original: the source that the session plays.
        config: the session's.
        score: gives SSIMULACRA2 of an original and a picture; None leaves it out.
    """

    def __init__(
        self,
        original: Original,
        config: SessionConfig,
        score: Callable[[Pixels, Pixels], float] | None,
    ) -> None:
        self._original = original
        self._config = config
        self._score = score
        self._plan = config.operations.resolve(config.size)
        # Those in flight, and those that wait here.
        original.most = math.ceil(config.deadline * config.fps) + QUEUE + 4
        self._subscription: Subscription | None = None
        self._thread = SupervisedThread("p2c2g-comparer", self._run)
        self._sums = dict.fromkeys(PICTURES, 0.0)
        self._rows: list[list[float]] = []
        self._compared = self._complete = self._missing = 0
        self._chosen: list[tuple[Pixels, dict[str, Pixels]]] = []
        self._chance = np.random.default_rng(0)
        self._scores: dict[str, float] = {}
        self._scored = 0
        self._stopped = False

    def start(self, hub: Hub) -> None:
        """Compare what the hub publishes from now on, until it is closed."""
        self._subscription = hub.subscribe(QUEUE, "drop-oldest")
        self._thread.start()

    def finish(self) -> None:
        """Compare what still waits; the hub has been closed.

        Raises:
            RuntimeError: the comparison has died.
        """
        self._thread.join(_PATIENCE)
        self._thread.check()

    @property
    def to_score(self) -> int:
        """Return of how many frames :meth:`score` takes SSIMULACRA2."""
        return len(self._chosen)

    def score(self) -> None:
        """Take SSIMULACRA2 of the chosen frames, seconds each, until :meth:`stop`."""
        sums = dict.fromkeys(PICTURES, 0.0)
        for large, pictures in self._chosen:
            for name, pixels in pictures.items():
                if self._stopped:
                    return
                assert self._score is not None  # noqa: S101 - else none is chosen
                sums[name] += self._score(large, pixels)
            self._scored += 1
            self._scores = {name: round(each / self._scored, 2) for name, each in sums.items()}

    def stop(self) -> None:
        """Have :meth:`score` end soon, from a signal's handler."""
        self._stopped = True

    def figures(self) -> dict[str, Any]:
        """Return what came of it, for the report; means over the frames that were compared."""
        count = self._compared
        means = {name: round(each / count, 3) for name, each in self._sums.items()} if count else {}
        dropped = self._subscription.dropped if self._subscription is not None else 0
        return {
            "original": str(self._original.large),
            "frames": count,
            "complete": self._complete,
            "left_out": dropped + self._missing,
            "psnr_db": means,
            "gain_db": round(means["enhanced"] - max(means[name] for name in OWN), 3)
            if means
            else None,
            "ssimulacra2": {"frames": self._scored, **self._scores} if self._scores else None,
            "by_frame": {"columns": ["number", "complete", *PICTURES], "rows": self._rows},
        }

    def live(self) -> dict[str, dict[str, float]]:
        """Return for a readout the mean PSNR of base layer and enhanced picture, once known."""
        count = self._compared
        if not count:
            return {}
        return {"psnr_db": {name: self._sums[name] / count for name in ("base", "enhanced")}}

    # -- inside -----------------------------------------------------------------------------------

    def _run(self) -> None:
        priority.lower_thread(_NICENESS)
        assert self._subscription is not None  # noqa: S101 - start has made it
        for picture in self._subscription:
            self._compare(picture)

    def _compare(self, picture: Picture) -> None:
        pair = self._original.take(picture.number)
        if pair is None:
            self._missing += 1
            return
        large, small = pair
        output = self._original.large
        pictures = {
            **alone(small, output),
            "base": base(small, self._plan.scale_x, self._plan.scale_y, output),
            "enhanced": picture.pixels,
        }
        decibels = {name: psnr(pixels, large) for name, pixels in pictures.items()}
        complete = picture.state is FrameState.COMPLETE
        self._compared += 1
        self._complete += complete
        for name, found in decibels.items():
            self._sums[name] += found
        if len(self._rows) < MAX_ROWS:
            row = [round(decibels[name], 3) for name in PICTURES]
            self._rows.append([picture.number, int(complete), *row])
        # Each frame has the same chance to be among the chosen (reservoir sampling).
        if self._score is None:
            return
        place = int(self._chance.integers(self._compared))
        if len(self._chosen) < SCORED:
            self._chosen.append((large, pictures))
        elif place < SCORED:
            self._chosen[place] = (large, pictures)


def alone(small: Pixels, output: Size) -> dict[str, Pixels]:
    """Return what this machine makes of its own picture without anybody: bicubic and Lanczos."""
    size = (output.width, output.height)
    bicubic = cv2.resize(small, size, interpolation=cv2.INTER_CUBIC)
    lanczos = Image.fromarray(small).resize(size, Image.Resampling.LANCZOS)
    return {"bicubic": np.asarray(bicubic, np.uint8), "lanczos": np.asarray(lanczos, np.uint8)}


def psnr(pixels: Pixels, original: Pixels) -> float:
    """Return the PSNR of a picture in decibels, :data:`EQUAL_DB` where it is the original."""
    return min(EQUAL_DB, float(cv2.PSNR(pixels, original)))


def ssimulacra2() -> Callable[[Pixels, Pixels], float] | None:
    """Return what gives SSIMULACRA2 of an original and a picture; None where it is missing."""
    if importlib.util.find_spec("ssimulacra2") is None:
        return None

    def score(original: Pixels, pixels: Pixels) -> float:
        # Imported late: it needs scipy, whose start takes a second.
        measure: Any = importlib.import_module("ssimulacra2").compute_ssimulacra2
        return float(measure(_file(original), _file(pixels)))

    return score


def lines(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the figures in lines, each with what it is about."""
    if not figures["frames"]:
        return [("compared", "no frame was shown in time to be compared with the original")]
    left_out = f"; {figures['left_out']} left out" if figures["left_out"] else ""
    scores = figures["ssimulacra2"]
    count = f"{figures['frames']} frames, {figures['complete']} of them complete{left_out}"
    told = [("compared", f"{count}; the original is {figures['original']}")]
    names = {
        "bicubic": "own, bicubic", "lanczos": "own, Lanczos", "base": "base layer",
        "enhanced": "enhanced",
    }  # fmt: skip
    for picture, name in names.items():
        score = f", SSIMULACRA2 {scores[picture]:.1f}" if scores else ""
        told.append((name, f"{figures['psnr_db'][picture]:.2f} dB{score}"))
    gain = figures["gain_db"]
    than = "better" if gain >= 0 else "worse"
    told.append(
        ("the pool", f"{abs(gain):.2f} dB {than} than the best that this machine does alone")
    )
    return told


def _file(pixels: Pixels) -> io.BytesIO:
    written = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels[:, :, ::-1])).save(written, "BMP")
    return written
