"""The session of one run over a line, in a process of its own.

It is started by its path, so that it can play by another version's packages beside this one's; so
of the benchmarks it imports only ``child.py``, and of a session what every version has.  An order
is a :class:`Run` as JSON.  It is first warmed up by a session of its own, answers ``ready``, plays
when it is told to, answers ``played``, and then with the report and a row for each picture that was
shown.  What is compared with the original is computed in between, so that it costs the run nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Lock, Semaphore
from typing import Any

import cv2

from benchmarks.child import Parent
from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Frame, Pixels, Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.picture import FrameState, Picture
from p2c2g.media.residual import Form
from p2c2g.messaging.broker import Broker
from p2c2g.session.config import SessionConfig
from p2c2g.session.report import build_report
from p2c2g.session.session import Session
from p2c2g.settings import load
from p2c2g.system.malloc import keep_freed_memory
from p2c2g_capture.pacer import Pacer
from p2c2g_capture.sources import Source, open_source, shipped_clip

#: Seconds of frames that are played before and not measured.
WARM_UP = 1.5
FILM_FPS = 30.0


@dataclass(frozen=True, slots=True)
class Run:
    """What a session is to do over a line.

    Args:
        film: a file, or empty for the shipped clip, which has no original to compare with.
        size: of the frames.
        fps: frames a second; of the film always as many a second as :data:`FILM_FPS`, so that less
            is slower and a frame differs no more from the one before.
        seconds: how long.
        ops: what peers do.
        still: whether the film's first picture stands.
        quality: of the chunks.
        residual_quality: of what comes back.
        deadline_ms: of a frame.
        window: frames that are out all the time, where the source is to set no pace.
        compare: pictures a second that are compared with the original.
        limit_mbps: Mbit/s up and down that the gamer gives at most, both or none.
        steady: whether anything is given up where there is too little, in a version that does that.
    """

    film: str = ""
    size: str = "640x360"
    fps: float = 30.0
    seconds: float = 6.0
    ops: str = "upscale:2:ml"
    grid: str = "2x1"
    still: bool = False
    quality: int = 80
    residual_quality: int = 75
    deadline_ms: float = 100.0
    window: int | None = None
    compare: float = 0.0
    limit_mbps: tuple[float, ...] = ()
    steady: bool = True


class Reel(Source):
    """The frames of a run, taken before, so that the source is not measured."""

    def __init__(self, order: Run, seconds: float) -> None:
        self.size = Size.parse(order.size)
        self.name = order.film
        with _film(order, self.size) as film:
            count = 1 if order.still else max(1, round(seconds * order.fps))
            self._frames = [film.grab(number).copy() for number in range(count)]

    def grab(self, number: int) -> Pixels:
        """Return a frame; no array comes twice, as with a screen."""
        frame = self._frames[number % len(self._frames)]
        return frame if number < len(self._frames) else frame.copy()

    def close(self) -> None:
        """Let go of the frames."""
        self._frames.clear()


class Screen:
    """Notes what is shown, and keeps some of it to be compared."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._lock = Lock()
        #: Number, seconds of capture, ready and shown, and of each chunk whether it is enhanced.
        self.rows: list[tuple[int, float, float, float, str]] = []
        self.kept: list[Picture] = []

    def show(self, picture: Picture) -> None:
        """Take a picture from the session."""
        now = time.monotonic()
        chunks = "".join("01"[tile.residual is not None] for tile in picture.tiles)
        with self._lock:
            self.rows.append((picture.number, picture.captured_at, picture.ready_at, now, chunks))
            if self._every and picture.number % self._every == 0:
                self.kept.append(picture)


def _film(order: Run, size: Size | None) -> Source:
    return open_source(f"video:{order.film or shipped_clip()}", size, FILM_FPS)


def _config(order: Run) -> SessionConfig:
    deadline = order.deadline_ms / 1e3
    return SessionConfig(
        size=Size.parse(order.size),
        operations=Pipeline.parse(order.ops),
        grid=Grid.parse(order.grid),
        quality=order.quality,
        form=Form("jpeg", order.residual_quality),
        deadline=deadline,
        fps=order.fps if order.window is None else order.window / deadline,
        paced=order.window is None,
        **_newer(order),
    )


def _newer(order: Run) -> dict[str, Any]:
    """Return what is asked for and not every version knows."""
    more: dict[str, Any] = {}
    # Where the reel goes round as fast as it can, what comes again would be known, and whatever
    # there is room for is sent.
    is_flood = order.window is not None
    if (is_flood or not order.steady) and "steady" in SessionConfig.__dataclass_fields__:
        more["steady"] = False
    if is_flood and "reuse" in SessionConfig.__dataclass_fields__:
        more["reuse"] = False
    if order.limit_mbps:
        from p2c2g.session.limits import Limits

        up, down = order.limit_mbps
        more["limits"] = Limits.of_mbps(up, down)
    return more


def play(
    broker: Broker, order: Run, reel: Reel, seconds: float, played: Callable[[], None]
) -> dict[str, Any]:
    """Play; return the report, the rows and the comparisons, which come after ``played``."""
    keep_freed_memory()
    screen = Screen(round(order.fps / order.compare) if order.compare else 0)
    session = Session(broker, _config(order), screen.show)
    session.start()
    pacer = Pacer(reel, order.fps, seconds)
    began, used = time.monotonic(), time.process_time()
    for frame in pacer:
        session.submit(frame)
        pacer.every = session.every
    ended, used = time.monotonic(), time.process_time() - used
    session.close(pacer.due)
    played()
    report = build_report(session, {})
    return {
        "report": report,
        "rows": screen.rows,
        "due": pacer.due,
        "began": began,
        "ended": ended,
        "cpu_s": used,
        "decibels": compared(order, screen.kept) if order.compare else [],
    }


def compared(order: Run, pictures: list[Picture]) -> list[tuple[int, float, float]]:
    """Return of each picture its number, and PSNR of base and picture against the original.

    Nothing comes of a film that is smaller than the pictures.
    """
    if not pictures or not order.film:
        return []
    found = []
    with _film(order, pictures[0].output) as film:
        for picture in pictures:
            original = film.grab(0 if order.still else picture.number)
            base, shown = (
                min(99.0, float(cv2.PSNR(pixels, original)))
                for pixels in (picture.base, picture.pixels)
            )
            found.append((picture.number, base, shown))
    return found


def flood(broker: Broker, order: Run, reel: Reel, window: int) -> dict[str, Any]:
    """Keep ``window`` frames out all the time; return the complete ones a second."""
    room = Semaphore(window)
    complete: list[float] = []

    def sink(picture: Picture) -> None:
        if picture.state is FrameState.COMPLETE:
            complete.append(picture.ready_at)
        room.release()

    session = Session(broker, _config(order), sink)
    session.start()
    start, number = time.monotonic(), 0
    while (now := time.monotonic()) < start + order.seconds:
        room.acquire()
        session.submit(Frame(number, reel.grab(number), now, now))
        number += 1
    session.close(number)
    half = start + order.seconds / 2  # the pipe fills: not counted
    counted = sum(half <= at < now for at in complete)
    return {"frames_per_s": counted / (now - half)}


def _obey() -> None:
    broker, parent = Broker(load()), Parent()
    for word in parent.orders():
        order = Run(**word)
        with Reel(order, order.seconds) as reel:
            if order.window is None:
                play(broker, replace(order, compare=0.0), reel, WARM_UP, lambda: None)
            parent.answer("ready")
            if parent.order() is None:
                return
            if order.window is None:
                parent.answer(
                    play(broker, order, reel, order.seconds, lambda: parent.answer("played"))
                )
            else:
                parent.answer(flood(broker, order, reel, order.window))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        _obey()
