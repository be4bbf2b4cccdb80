"""What the reliability tests share: a session that plays in real time, and what it shows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic
from types import TracebackType
from typing import Any, Self

import numpy as np

from p2c2g.media.chunker import Grid
from p2c2g.media.frame import Size
from p2c2g.media.operations import Pipeline
from p2c2g.media.picture import FrameState, Picture
from p2c2g.messaging.broker import Broker
from p2c2g.session.config import SessionConfig
from p2c2g.session.session import Session
from p2c2g.settings import Settings
from tests.honest import EXACT, shown
from tests.lane import settings
from tests.sessions import PATIENCE, now_captured

FPS = 30.0
SIZE = Size(160, 90)
#: Seconds in which a pool that is not given its processors comes to do what is waited for.
MOST = 2 * PATIENCE
#: So many source frames there are; they are played in turn.
REEL = 8


class Gamer:
    """A session that is fed ``FPS`` frames a second until it is left.

    Every chunk of a picture that is complete is compared with what an honest peer makes of it:
    by ``ops``, or by any of ``allowed`` where these leave a choice.
    """

    def __init__(
        self,
        url: str | Settings,
        size: Size = SIZE,
        ops: str = "upscale:2",
        allowed: Sequence[str] = (),
        **plan: Any,
    ) -> None:
        pipeline = Pipeline.parse(ops)
        wanted = {"size": size, "operations": pipeline, "grid": Grid(2, 2), "codec": "raw",
                  "form": EXACT, "deadline": 0.2, "fps": FPS,
                  "reuse": False,  # The reel goes round.
                  "steady": False,  # Else a busy machine is asked for less.
                  **plan}  # fmt: skip
        self.broker = Broker(settings(url) if isinstance(url, str) else url)
        self.session = Session(self.broker, SessionConfig(**wanted), self._show)
        random = np.random.default_rng(7)
        small = (REEL, size.height // 10, size.width // 10, 3)
        blocks = random.integers(0, 256, small, np.uint8)
        self.reel = [block.repeat(10, 0).repeat(10, 1) for block in blocks]
        whole = [Pipeline.parse(text).resolve(size) for text in allowed or (ops,)]
        self._honest = [[shown(each, pixels) for each in whole] for pixels in self.reel]
        self.submitted = 0
        self.shown: list[FrameState] = []
        self.numbers: list[int] = []
        self.wrong: list[int] = []
        self._changed = threading.Condition()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._play, name="gamer")
        self.crash: BaseException | None = None

    def __enter__(self) -> Self:
        self.session.start()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self.session.close(self.submitted)
        self.broker.close()
        if kind is None:
            assert self.crash is None
            assert self.wrong == [], "wrong pixels were shown"
            # A busy machine may be so late with one that a newer one is there.
            passed_over = self.session.tally.passed_over
            assert self.numbers == sorted(set(self.numbers)), "a frame was shown twice, or late"
            assert len(self.numbers) + passed_over == self.submitted, "a frame was lost"
            assert self.session.tally.order_violations == 0
            assert len(self.session.tables.attempts) == 0

    def _play(self) -> None:
        try:
            start = monotonic()
            while not self._over.wait(max(0.0, start + self.submitted / FPS - monotonic())):
                pixels = self.reel[self.submitted % REEL]
                self.session.submit(now_captured(self.submitted, pixels))
                self.submitted += 1
        except BaseException as error:
            self.crash = error
            raise

    def _show(self, picture: Picture) -> None:
        honest = self._honest[picture.number % REEL]
        if picture.state is FrameState.COMPLETE and not all(
            any(np.array_equal(part.of(picture.pixels), part.of(each)) for each in honest)
            for part in (chunk.target for chunk in self.session.config.chunks)
        ):
            self.wrong.append(picture.number)
        with self._changed:
            self.shown.append(picture.state)
            self.numbers.append(picture.number)
            self._changed.notify_all()

    def until(self, happened: Callable[[], bool], what: str) -> None:
        """Play on until something has happened; it is looked at after each picture."""
        first = len(self.shown)
        with self._changed:
            came = self._changed.wait_for(happened, MOST)
        states = "".join(state.value[0] for state in self.shown[first:])
        assert came, f"{what}; shown were {states[-1000:]!r}; {self.session.figures()}"

    def play(self, frames: int) -> None:
        """Play so many more frames."""
        wanted = len(self.shown) + frames
        self.until(lambda: len(self.shown) >= wanted, f"{frames} more frames are not shown")

    def play_complete(self, frames: int = 15) -> None:
        """Play until so many in a row are complete."""
        first = len(self.shown)
        self.until(
            lambda: (
                len(self.shown) - first >= frames
                and set(self.shown[-frames:]) == {FrameState.COMPLETE}
            ),
            f"no {frames} complete frames in a row",
        )

    def play_degraded(self, frames: int = 15) -> None:
        """Play until so many in a row are not complete."""
        first = len(self.shown)
        self.until(
            lambda: (
                len(self.shown) - first >= frames
                and set(self.shown[-frames:]) == {FrameState.DEGRADED}
            ),
            f"no {frames} degraded frames in a row",
        )
