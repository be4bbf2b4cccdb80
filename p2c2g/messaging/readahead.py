"""How many messages a worker keeps on their way: its bandwidth-delay product.

A far worker must have asked for the next messages one round trip before it needs them; a
near or slow one must not hold what an idle one could take.  Beyond one message a slot,
``round trip ÷ time between two completions`` on their way keep it busy: Little's law with
the broker's answer as the queue.  That holds for steady arrivals; those that come in bursts want
some to spare.
"""

from __future__ import annotations

import math
from collections import deque


class Window:
    """The read-ahead of one worker, from what it measures.

    Pure and without a lock: where two threads meet, one sample of a moving average is lost.

    Args:
        slots: tasks that the worker runs at once, 1 or more.
        most: the most messages ever kept on their way beyond the slots.
        smoothing: weight of the newest service time in the moving average, above 0 to 1.
        spare: messages on their way for each that steady arrivals would need, 1 or more.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self, slots: int, most: int = 128, smoothing: float = 0.1, spare: float = 1.0
    ) -> None:
        if slots < 1 or most < 1 or not 0 < smoothing <= 1 or not spare >= 1:
            raise ValueError(
                f"slots={slots}, most={most}, smoothing={smoothing}, spare={spare} cannot be: "
                "give slots, most and spare of 1 or more, and a smoothing above 0 and at most 1"
            )
        self._slots = slots
        self._most = most
        self._smoothing = smoothing
        self._spare = spare
        self._service: float | None = None
        self._round_trips: deque[float] = deque(maxlen=9)
        self._way: float | None = None

    def served(self, seconds: float) -> None:
        """Note how long one task took, in seconds."""
        if self._service is None:
            self._service = seconds
        else:
            self._service += self._smoothing * (seconds - self._service)

    def round_trip(self, seconds: float) -> None:
        """Note one round trip to the broker, in seconds."""
        self._round_trips.append(seconds)
        self._way = min(self._round_trips)

    @property
    def read_ahead(self) -> int:
        """Return how many messages to keep on their way beyond one a slot, at least one.

        The least of the last round trips is the line's: more is a busy machine.
        """
        if self._service is None or self._way is None:
            return 1
        interval = max(self._service, 1e-4) / self._slots
        ahead = math.ceil(self._spare * self._way / interval)
        return max(1, min(ahead, self._most))
