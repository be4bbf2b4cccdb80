"""A tone for each flash of a test picture: what synchrony is measured by.

The picture says when it flashes, and a moment later the sound of that moment is made: so each
beep begins at the very time at which its flash was captured.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from p2c2g.media.sound import CHANNELS, PACKET_SAMPLES, PACKET_SECONDS, RATE
from p2c2g_capture.sound import Block, SoundSource

#: The tone, in hertz, how loud it is of 32767, and the seconds that it lasts.
TONE, LEVEL, BEEP_SECONDS = 1000.0, 12_000, 0.1
#: The sound of a moment is made so many seconds after it: until then its flash is told.
LAG = 0.002
#: Beeps to come, at most.
_MOST = 16


class Beeps(SoundSource):
    """Silence, and a beep wherever one was asked for.

    ``clock`` is the session's, in seconds; ``wait`` waits a number of them and says whether the
    source was closed meanwhile.
    """

    name = "the test picture"

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._clock = clock
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        self._asked: deque[float] = deque(maxlen=_MOST)
        self._next_at: float | None = None

    def beep(self, at: float) -> None:
        """Have a beep begin at a time of the clock; from any thread."""
        self._asked.append(at)

    def read(self) -> Block | None:
        """Make the next twenty milliseconds as soon as they are over."""
        now = self._clock()
        if self._next_at is None or now - self._next_at > 1.0:
            self._next_at = now  # The machine slept.
        begin = self._next_at
        if self._wait(max(0.0, begin + PACKET_SECONDS + LAG - now)) or self._closed.is_set():
            return None
        self._next_at = begin + PACKET_SECONDS
        return Block(self._sound_of(begin), begin)

    def close(self) -> None:
        """End it."""
        self._closed.set()

    def _sound_of(self, begin: float) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
        times = begin + np.arange(PACKET_SAMPLES) / RATE
        loud = np.zeros(PACKET_SAMPLES)
        for at in tuple(self._asked):
            since = times - at
            inside = (since >= 0) & (since < BEEP_SECONDS)
            loud += np.where(inside, np.sin(2 * np.pi * TONE * since) * LEVEL, 0.0)
        while self._asked and self._asked[0] + BEEP_SECONDS < begin:
            self._asked.popleft()
        return np.repeat(loud.astype(np.int16)[:, np.newaxis], CHANNELS, axis=1)
