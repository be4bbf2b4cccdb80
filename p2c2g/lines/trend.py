"""Whether a line's queue grows, stands or shrinks, by the trend of its delay.

The trendline filter and the adaptive threshold of Google's congestion control
(draft-ietf-rmcat-gcc-02; Carlucci et al., 2016).  The threshold follows the trend, quickly up and
slowly down: with a fixed one a flow that fills every buffer would make this one give way for ever.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Final, Literal

Usage = Literal["normal", "overuse", "underuse"]

#: Points, and seconds, over which the trend is sought, and points that it takes at least; groups
#: that arrive within so many seconds are one point, the one of them that waited least.
POINTS, SPAN, FEWEST, APART = 20, 1.0, 5, 0.02
#: Seconds by which a slope, which has no unit, is multiplied to compare it with the threshold:
#: at first less, while few points were seen.
GAIN: Final = 0.24
_GAIN_EACH: Final = GAIN / 20
#: The threshold, in seconds: at first, least, most; its ways up and down, a second; and how far
#: beyond it a trend may be that it still follows, since a line that broke down is no jitter.
FIRST, MIN, MAX = 0.0125, 0.008, 0.6
UP, DOWN, OUTLIER = 10.0, 0.18, 0.015
_LONGEST_STEP = 0.1
#: Points in a row that must be above it.
IN_A_ROW = 2
_FLATTER = 0.95
#: Seconds, and of the usual jitter so many times, by which a queue that grows may be shorter than a
#: point before.  What a machine held up that stood still for a moment comes one after another, each
#: less late than the one before.
_SHORTER, _JITTERS = 0.003, 2.0
#: Weight of the latest difference in the jitter, and the most that is taken for jitter.
_JITTER_WEIGHT, _JITTER_MOST = 1 / 16, 0.01
#: Seconds, and points, in all of which something must have waited so that a queue stands.
STOOD, STOOD_POINTS = 0.3, 3


class Trend:
    """The trend of one line's delay."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque(maxlen=POINTS)
        self._seen = 0
        self._threshold = FIRST
        self._at: float | None = None
        self._above = 0
        self._before = 0.0
        self._usage: Usage = "normal"
        self._jitter = 0.0
        #: Seconds of delay that are added in a second.
        self.slope = 0.0

    def restart(self) -> None:
        """Forget the delays: their clocks have jumped."""
        self._points.clear()
        self._seen = self._above = 0
        self._before = self.slope = 0.0
        self._usage = "normal"

    def add(self, arrived: float, delay: float) -> Usage:
        """Take the delay of one group, and when it arrived, and say what the queue does.

        Args:
            arrived: seconds of a clock, that of earlier ones.
            delay: seconds, from any constant.
        """
        points = self._points
        if points and arrived < points[-1][0] + APART:
            points[-1] = (points[-1][0], min(points[-1][1], delay))
            return self._usage
        if points:
            differs = min(abs(delay - points[-1][1]), _JITTER_MOST)
            self._jitter += _JITTER_WEIGHT * (differs - self._jitter)
        points.append((arrived, delay))
        while arrived - points[0][0] > SPAN and len(points) > FEWEST:
            points.popleft()
        self._seen += 1
        if len(points) < FEWEST:
            return "normal"
        self.slope = _slope(points)
        trend = self.slope * min(self._seen * _GAIN_EACH, GAIN)
        self._usage = self._judge(trend)
        self._adapt(abs(trend), arrived)
        self._before = trend
        return self._usage

    def standing(self, least: float) -> float:
        """Return the seconds above the least that everything has waited lately.

        As CoDel has it (RFC 8289): a queue that was empty in between only smooths a burst.
        """
        if len(self._points) < STOOD_POINTS:
            return 0.0
        latest, shortest = self._points[-1][0], inf
        for count, (at, delay) in enumerate(reversed(self._points)):
            if count >= STOOD_POINTS and latest - at > STOOD:
                break
            shortest = min(shortest, delay)
        return max(0.0, shortest - least)

    def _judge(self, trend: float) -> Usage:
        self._above = self._above + 1 if trend > self._threshold else 0
        if trend < -self._threshold or self._shrinks():
            return "underuse"
        # One that gets flatter has been dealt with.
        is_flatter = trend < _FLATTER * self._before
        return "overuse" if self._above >= IN_A_ROW and not is_flatter else "normal"

    def _shrinks(self) -> bool:
        """Tell whether the latest point has waited much less than the one before."""
        before, latest = self._points[-2][1], self._points[-1][1]
        return before - latest > _SHORTER + _JITTERS * self._jitter

    def _adapt(self, trend: float, now: float) -> None:
        step = 0.0 if self._at is None else min(max(now - self._at, 0.0), _LONGEST_STEP)
        self._at = now
        if trend > self._threshold + OUTLIER:
            return
        speed = UP if trend > self._threshold else DOWN
        self._threshold += min(1.0, speed * step) * (trend - self._threshold)
        self._threshold = min(max(self._threshold, MIN), MAX)


def _slope(points: deque[tuple[float, float]]) -> float:
    """Return the slope of the line of least squares."""
    count, (start, base) = len(points), points[0]
    sum_x = sum_y = sum_xy = sum_xx = 0.0
    for x, y in points:  # From the first of them, so that no digits are lost.
        x -= start
        y -= base
        sum_x += x
        sum_y += y
        sum_xy += x * y
        sum_xx += x * x
    along = sum_xx - sum_x * sum_x / count
    return (sum_xy - sum_x * sum_y / count) / along if along > 1e-9 else 0.0
