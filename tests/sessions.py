"""A session's frames one by one, for tests that wait for what is shown of each."""

from __future__ import annotations

import queue
from time import monotonic
from typing import Any, Self

from p2c2g.media.frame import Frame, Pixels
from p2c2g.media.picture import Picture
from p2c2g.messaging.broker import Broker
from p2c2g.session.config import SessionConfig
from p2c2g.session.session import Session
from p2c2g.settings import Settings

#: Seconds after which a picture that is waited for will not come, on any machine.
PATIENCE = 60.0


class Screen:
    """A sink whose pictures can be waited for."""

    def __init__(self) -> None:
        self._pictures: queue.Queue[Picture] = queue.Queue()

    def __call__(self, picture: Picture) -> None:
        self._pictures.put(picture)

    def next(self) -> Picture:
        """Wait for the next picture."""
        return self._pictures.get(timeout=PATIENCE)


class Player:
    """A session that is given one frame after another, as a context manager."""

    def __init__(self, settings: Settings, config: SessionConfig) -> None:
        self._broker = Broker(settings)
        self._screen = Screen()
        self.session = Session(self._broker, config, self._screen)
        self.sent = 0

    def __enter__(self) -> Self:
        self.session.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close(self.sent)
        self._broker.close()

    def play(self, pixels: Pixels) -> Picture:
        """Send a frame; return what is shown of it."""
        self.session.submit(now_captured(self.sent, pixels))
        self.sent += 1
        return self._screen.next()

    def ran(self) -> dict[str, int]:
        """Return how many chunks were made by which pipeline."""
        summary: dict[str, Any] = self.session.tally.summary()
        return dict(summary["ran"])


def now_captured(number: int, pixels: Pixels) -> Frame:
    """Return a frame that was captured at this moment."""
    now = monotonic()
    return Frame(number, pixels, now, monotonic())
