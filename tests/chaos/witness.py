"""Watches the pictures: when each was shown, and whether it shows what was captured.

The session's own thread only notes the time and hands the picture over; the pixels are looked
at in a thread of their own, so that the watching does not make the pictures late.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from p2c2g.media.frame import Pixels
from p2c2g.media.operations import Plan
from p2c2g.media.picture import FrameState, Picture
from p2c2g_capture.sources.pattern import read_numbers
from tests.chaos.events import Shown
from tests.honest import shown

#: Pictures that wait to be looked at.  Policy: one more is not looked at, and counted.
WAITING = 1024
#: Frames whose source is kept, the oldest dropped: more than can be in flight.
KEPT = 512
#: A chunk is wrong where its mean absolute difference from our own work on it is more than this
#: part of :func:`_allowance`.  Measured on pattern and clip at 320x180 and 640x360, JPEG at 85:
#: honest results and base layer 0.51 at most; pictures moved by (7, 4) pixels 1.22 at least, and
#: another chunk's 2.79.  An old picture of the clip can be less where the game stood still.
DIFFERENCE = 0.85


class Witness:
    """The sink of a session, and the thread that looks at the pictures.

    Args:
        plan: the session's operations, resolved; our own work on a frame is compared with.
        chunks: rectangles of the enhanced frame.
        numbered: whether the source is the pattern, whose pictures carry their number.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        plan: Plan,
        chunks: Sequence[tuple[int, int, int, int]],
        *,
        numbered: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._chunks = chunks
        self._numbered = numbered
        self._clock = clock
        self._lock = threading.Lock()
        self._sources: OrderedDict[int, Pixels] = OrderedDict()
        self._queue: queue.Queue[Picture | None] = queue.Queue(WAITING)
        self.shown: list[Shown] = []
        self.wrong: dict[int, str] = {}
        #: The largest difference of a chunk that was not called wrong.
        self.largest = 0.0
        self.unseen = 0
        self.crash: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="chaos-witness", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def captured(self, number: int, pixels: Pixels) -> None:
        """Keep what was captured, to compare with what is shown."""
        with self._lock:
            self._sources[number] = pixels
            if len(self._sources) > KEPT:
                self._sources.popitem(last=False)

    def __call__(self, picture: Picture) -> None:
        """Take a picture that is shown now: the session's sink."""
        self.shown.append(
            Shown(
                frame=picture.number,
                captured=picture.captured_at,
                shown=self._clock(),
                complete=picture.state is FrameState.COMPLETE,
                enhanced=tuple(tile.residual is not None for tile in picture.tiles),
                thread=threading.current_thread().name,
                waited=_waited(),
            )
        )
        try:
            self._queue.put_nowait(picture)
        except queue.Full:
            self.unseen += 1

    def close(self) -> None:
        """Look at what is left, and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (picture := self._queue.get()) is not None:
                with self._lock:
                    source = self._sources.pop(picture.number, None)
                why = "nobody captured it" if source is None else self._judge(picture, source)
                if why:
                    self.wrong[picture.number] = why
        except BaseException as error:
            self.crash = error
            raise

    def _judge(self, picture: Picture, source: Pixels) -> str:
        """Say what is wrong with a picture; nothing where it is right."""
        if self._numbered:
            numbers = set(read_numbers(picture.pixels))
            if numbers != {picture.number}:
                return f"its stamps say {sorted(map(str, numbers))}"
        difference = self._differences(picture.pixels, source)
        if difference > DIFFERENCE:
            return f"a chunk differs from our own work by {difference:.2f} of what may be"
        self.largest = max(self.largest, difference)
        return ""

    def _differences(self, pixels: Pixels, source: Pixels) -> float:
        """Return the largest difference of a chunk from our own work, as a part of what may be."""
        own = shown(self._plan, source)
        largest = 0.0
        for x, y, width, height in self._chunks:
            ours = np.ascontiguousarray(own[y : y + height, x : x + width])
            theirs = np.ascontiguousarray(pixels[y : y + height, x : x + width])
            largest = max(largest, _difference(ours, theirs) / _allowance(ours))
        return largest


def _difference(one: Pixels, other: Pixels) -> float:
    return float(np.mean(cv2.mean(cv2.absdiff(one, other))[:3]))


def _allowance(pixels: Pixels) -> float:
    """Return half of what moving a picture by (7, 4) pixels changes, and 1 for flat ones."""
    return 0.5 * _difference(pixels[4:, 7:], pixels[:-4, :-7]) + 1


def _waited() -> float:
    """Return for how many seconds this process's threads were ready and had no core, in all.

    A thread that has ended takes its share with it; the session's do not end in a run.
    """
    total = 0
    for task in Path("/proc/self/task").glob("*/schedstat"):
        with suppress(OSError):  # The thread has just ended.
            total += int(task.read_text().split()[1])
    return total / 1e9
