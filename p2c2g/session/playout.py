"""How long after its capture a frame is shown: on a schedule, never by its own arrival.

Pure.  A frame that was shown the moment it was complete would carry the network's jitter to the
eye.  So each waits until its capture plus the *playout delay*, which follows a high percentile of
recent latencies: it rises at once, since frames come late until it has risen, and falls at a rate
that nobody sees.  It is what a jitter buffer does for sound (Ramjee et al., 1994), and what
Moonlight does for games.

Where every frame of late was ready much sooner than it was shown, what held them up has gone: a
line that was full, or peers that had too much.  Then the delay falls faster, and what was before
says nothing any more.  To fall is to play a little faster, and for seconds 5 to 15 % of that goes
unnoticed (Kalman, Steinbach and Girod, "Adaptive media playout", 2004: up to 25 %), while a player
feels each 20 ms.  Where that was too soon, and the delay has to rise again, it waits twice as long
the next time: each rise is a jolt.

It begins at its most, since what is not known is taken to be slow.  As soon as some frames were
complete one after another it begins with what these took, and for some seconds falls at once where
they are ready sooner: peers warm up, and nobody has got used to anything yet.
"""

from __future__ import annotations

from collections import deque

#: Frames in a row that were complete, and seconds, after which it is known where to begin.
BEGIN_FRAMES, BEGIN = 8, 0.25
#: Seconds after that in which it falls at once.
BEGINS_FOR = 2.0
#: Share of recent frames that are complete by the time they are shown.
ON_TIME = 0.98
#: Seconds of delay that may be lost in a second: 2 % faster, 0.7 ms of a frame at 30 a second.
FALL = 0.02
#: The same where frames are ready much sooner, at least and at most; between these all of it would
#: go in so many seconds.
FALL_FASTER, FALL_MOST, FALL_WITHIN = 0.05, 0.15, 1.5
#: Much sooner: by so many seconds, all frames of so many seconds at first, and at most.
MUCH = 0.010
PATIENCE, PATIENCE_MOST = 1.0, 16.0
#: A rise within so many seconds after a faster fall says that it was too soon; so many without one,
#: that it was not.
TOO_SOON, SETTLED = 4.0, 60.0


class Playout:
    """The playout delay of one session.

    Args:
        budget: seconds that it never exceeds, above 0.  It begins there.
        window: frames that it looks back on.

    Raises:
        ValueError: a budget that is not above 0.
    """

    def __init__(self, budget: float, window: int = 120) -> None:
        if not budget > 0:
            raise ValueError(f"budget={budget} cannot be: give seconds above 0")
        self._budget = budget
        self._latencies: deque[float] = deque(maxlen=window)
        #: Frames of the last seconds than which none since took longer, so the first is the
        #: slowest.
        self._slowest: deque[tuple[float, float]] = deque()
        self._delay = budget
        self._at: float | None = None
        self._began: float | None = None
        #: When the first of the frames was that were complete in a row.
        self._complete_since: float | None = None
        self._begun_at: float | None = None
        self._patience = PATIENCE
        self._fell_at = self._rose_at = float("-inf")

    @property
    def delay(self) -> float:
        """Return the seconds from a frame's capture to its showing."""
        return self._delay

    def took(self, latency: float, now: float) -> None:
        """Note how long a frame took from its capture until it was complete.

        One that never was counts as the budget.
        """
        latency = min(latency, self._budget)
        if self._begun_at is None and not self._begins(latency, now):
            return
        self._latencies.append(latency)
        slowest = self._slowest_of_late(latency, now)
        wanted = self._usual()
        elapsed = max(0.0, now - self._at) if self._at is not None else 0.0
        self._at = now
        fall, spare = FALL, self._delay - slowest
        if spare > MUCH:
            if self._is_beginning(now):
                self._delay = slowest
            fall = min(max(FALL_FASTER, spare / FALL_WITHIN), FALL_MOST)
            self._fell_at = now
            if wanted > slowest:
                self._latencies = deque(
                    (min(each, slowest) for each in self._latencies), self._latencies.maxlen
                )
                wanted = slowest
        fallen = self._delay - fall * elapsed
        if wanted > self._delay + MUCH:
            self._rose(now)
        self._delay = max(wanted, fallen)

    # -- inside ------------------------------------------------------------------------------------

    def _begins(self, latency: float, now: float) -> bool:
        """Begin where frames were complete one after another; tell whether it does."""
        if latency >= self._budget:
            self._complete_since = None
            self._latencies.clear()
            return False
        if self._complete_since is None:
            self._complete_since = now
        self._latencies.append(latency)
        enough = len(self._latencies) >= BEGIN_FRAMES and now - self._complete_since >= BEGIN
        if enough:
            self._begun_at = now
            self._delay = max(self._latencies)
            self._latencies.pop()  # it is noted with the others
        return enough

    def _usual(self) -> float:
        ordered = sorted(self._latencies)
        return ordered[min(int(ON_TIME * len(ordered)), len(ordered) - 1)]

    def _slowest_of_late(self, latency: float, now: float) -> float:
        """Return how long the slowest frame of late took; the budget while too little is known."""
        slowest = self._slowest
        while slowest and slowest[-1][1] <= latency:
            slowest.pop()
        slowest.append((now, latency))
        patience = BEGIN if self._is_beginning(now) else self._patience
        while slowest[0][0] < now - patience:
            slowest.popleft()
        self._began = now if self._began is None else self._began
        return slowest[0][1] if now - self._began >= patience else self._budget

    def _is_beginning(self, now: float) -> bool:
        return self._begun_at is not None and now - self._begun_at < BEGINS_FOR

    def _rose(self, now: float) -> None:
        if now - self._fell_at < TOO_SOON:
            self._patience = min(2 * self._patience, PATIENCE_MOST)
        elif now - self._rose_at > SETTLED:
            self._patience = PATIENCE
        self._rose_at = now
