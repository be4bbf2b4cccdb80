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

#: Outstanding reads for each that steady arrivals would need: messages come in bursts.  At a
#: round trip of 40 ms, 8 threads and 20 ms of work, chunks a second: 235 with 1, 294 with
#: 1.5, 332 with 2, 342 with 3, where a near worker does 327.
SPARE = 2.0
#: Messages on their way at most.
MOST = 128


def read_ahead(
    slots: int, seconds: float, round_trip: float, *, spare: float = SPARE, most: int = MOST
) -> int:
    """Return how many messages a worker keeps on their way beyond one a slot, at least one.

    Args:
        slots: tasks that it runs at once.
        seconds: of one task.
        round_trip: seconds to the broker and back.
        spare: messages on their way for each that steady arrivals would need.
        most: the most ever kept.
    """
    interval = max(seconds, 1e-4) / slots
    return max(1, min(math.ceil(spare * round_trip / interval), most))


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
        self, slots: int, most: int = MOST, smoothing: float = 0.1, spare: float = 1.0
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
        self._round_trips: deque[float] = deque(maxlen=4)
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
        return read_ahead(self._slots, self._service, self._way, spare=self._spare, most=self._most)
