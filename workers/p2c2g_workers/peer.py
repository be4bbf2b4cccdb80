"""What this worker is doing, as its beats report it; the worker's other steps change it.

:attr:`Consumer.peer <p2c2g_workers.consumer.Consumer.peer>` is that of a running worker.
Any thread may call it, and so may a signal's handler: changes are single assignments, and
waking uses a queue whose ``put`` may be called while another ``put`` runs.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic

from p2c2g.peers.messages import Beat, PeerState
from p2c2g.peers.sharing import Sharing

#: Chunks whose times are kept between two beats; the oldest are dropped.
MAX_TIMES = 1024
#: Most characters of a pause's reason in a beat.
MAX_REASON = 200


class Times:
    """The seconds of each chunk since the last beat: all counted, :data:`MAX_TIMES` kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: deque[float] = deque(maxlen=MAX_TIMES)
        self._count = 0

    def add(self, seconds: float) -> None:
        """Note how long one chunk took."""
        with self._lock:
            self._kept.append(seconds)
            self._count += 1

    def take(self) -> tuple[int, float, float]:
        """Return count, mean and 95th percentile (nearest rank), and start again from zero."""
        with self._lock:
            kept, count = sorted(self._kept), self._count
            self._kept.clear()
            self._count = 0
        if not kept:
            return count, 0.0, 0.0
        return count, sum(kept) / len(kept), kept[math.ceil(0.95 * len(kept)) - 1]


class Peer:
    """The state of one worker.

    Args:
        in_flight: returns how many chunks are received and not ended.
        load: returns the share of the machine's CPU that is in use, 0 to 1.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        in_flight: Callable[[], int],
        load: Callable[[], float],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._in_flight = in_flight
        self._load = load
        self._clock = clock
        self._started = clock()
        self._consuming = False
        self._reason = ""
        self._draining = False
        self._drained_by = ""
        self._times = Times()
        self._lock = threading.Lock()
        self._sharing = Sharing()
        self._woken: SimpleQueue[None] = SimpleQueue()

    @property
    def state(self) -> PeerState:
        """Return what it is doing; draining is for good, and a pause outlasts a reconnect."""
        if self._draining:
            return PeerState.DRAINING
        if self._reason:
            return PeerState.PAUSED
        return PeerState.READY if self._consuming else PeerState.STARTING

    def consuming(self, now: bool) -> None:
        """Note whether the worker reads chunks."""
        if now != self._consuming:
            self._consuming = now
            self.wake()

    def pause(self, reason: str) -> None:
        """Report that it takes no chunks for a while, and why.  Only reports: see ``guest``."""
        reason = reason.strip()[:MAX_REASON] or "paused"
        if reason != self._reason:
            self._reason = reason
            self.wake()

    def resume(self) -> None:
        """Report that the pause is over."""
        if self._reason:
            self._reason = ""
            self.wake()

    @property
    def why(self) -> str:
        """Return why it is paused, or who asked it to leave; "" where that is not known."""
        return self._drained_by if self._draining else self._reason

    def drain(self, by: str = "") -> None:
        """Report that it finishes what it has, and leaves.

        Args:
            by: who asked for it.
        """
        self._drained_by = self._drained_by or by.strip()[:MAX_REASON]
        if not self._draining:
            self._draining = True
            self.wake()

    def served(self, seconds: float, whose: str = "") -> None:
        """Note that a chunk has ended, the seconds that it took, and whose it was."""
        self._times.add(seconds)
        if whose:
            with self._lock:
                self._sharing.took(whose, seconds, self._clock())

    def beat(self, instance: str, rtt: float, rise: float = 0.0) -> Beat:
        """Return the beat of this moment; the chunks' times start again from zero.

        Args:
            instance: distinguishes this worker from others of its name.
            rtt: the round trip to the broker, in seconds.
            rise: what it takes beyond that as a rule.
        """
        served, mean, p95 = self._times.take()
        state = self.state
        with self._lock:
            sessions = self._sharing.sessions(self._clock())
        return Beat(
            instance=instance,
            state=state,
            load=min(max(self._load(), 0.0), 1.0),
            in_flight=self._in_flight(),
            served=served,
            seconds_per_chunk=mean,
            seconds_per_chunk_p95=p95,
            rtt=rtt,
            rise=rise,
            uptime=max(self._clock() - self._started, 0.0),
            reason=self._reason if state is PeerState.PAUSED else "",
            sessions=round(sessions, 3),
        )

    def wake(self) -> None:
        """Let the next beat go out now."""
        if self._woken.empty():  # One is enough, however many changes there are.
            self._woken.put(None)

    def wait(self, seconds: float) -> None:
        """Wait for so long, or until somebody wakes."""
        try:
            self._woken.get(timeout=max(seconds, 0.0))
        except Empty:
            return
