"""The thread that keeps this peer's enrolment and beats, on a connection of its own.

A slow broker holds up this thread and not the worker's loop.  It enrols, beats, enrols again
where the broker has forgotten the peer (it was restarted, or this machine slept), and ends the
worker where the peer may not take part.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

from p2c2g.errors import BrokerRefusesError, BrokerUnavailableError, UsageError
from p2c2g.peers.messages import Enrolment
from p2c2g.peers.registry import MISSED, Registry, Standing
from p2c2g_workers.peer import Peer

logger = logging.getLogger(__name__)

#: Round trips of which the shortest is reported.
ROUND_TRIPS = 8
#: Seconds for which a leaving peer waits for a beat that is being sent.
JOIN_TIMEOUT = 5.0


class Heart:
    """One peer's enrolment and beats.

    Args:
        registry: on a client of its own.
        peer: what the beats report.
        describe: returns the enrolment as it should be now; where it has changed, the peer
            enrols again.
        failed: called once, from this thread, with a sentence and an exit code where the
            peer may not take part.
        control: whether the worker listens to Celery's remote control.
        look: called after each beat that the broker took; raises as the registry does.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        registry: Registry,
        peer: Peer,
        describe: Callable[[], Enrolment],
        failed: Callable[[str, int], None],
        *,
        control: bool = True,
        look: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._registry = registry
        self._peer = peer
        self._describe = describe
        self._failed = failed
        self._control = control
        self._look = look
        self._clock = clock
        self._enrolled: Enrolment | None = None
        self._enrolled_once = False
        self._taken_since: float | None = None
        self._away = False
        self._ended = False
        self._round_trips: deque[float] = deque(maxlen=ROUND_TRIPS)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; a second call does nothing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="p2c2g-heart", daemon=True)
            self._thread.start()

    def leave(self) -> None:
        """Stop beating and deregister; logs where the broker does not answer."""
        self._ended = True
        self._peer.wake()
        if self._thread is not None:
            self._thread.join(JOIN_TIMEOUT)
        if not self._enrolled_once:
            return
        enrolment = self._describe()
        try:
            self._registry.leave(enrolment.id, enrolment.queues, enrolment.instance)
        except BrokerUnavailableError as error:
            logger.warning("Could not deregister, others will sweep: %s", error)

    def _run(self) -> None:
        while not self._ended:
            began = self._clock()
            interval = self._describe().interval
            if not self._turn():
                return
            self._peer.wait(began + interval - self._clock())

    def _turn(self) -> bool:
        """Beat or enrol once; return whether to go on."""
        try:
            standing = self._beat()
            self._look()
        except BrokerRefusesError as error:
            self._failed(str(error), error.exit_code)
            return False
        except BrokerUnavailableError as error:
            if not self._away:
                logger.warning("Could not send this peer's beat to the registry: %s", error)
            self._away = True
            return True
        except UsageError as error:
            return self._wait_out(error)
        self._away = False
        self._taken_since = None
        if standing.banned is not None:
            reason = standing.banned.rstrip(".") or "no reason is given"
            self._failed(f"This peer, {self._describe().id}, is banned: {reason}.", 1)
            return False
        return True

    def _beat(self) -> Standing:
        enrolment = self._describe()
        if enrolment == self._enrolled:
            beat = self._peer.beat(enrolment.instance, self._rtt())
            sent = self._clock()
            standing = self._registry.beat(enrolment, beat)
            self._round_trips.append(self._clock() - sent)
            if standing.enrolled or standing.banned is not None or self._ended:
                return standing
        beat = self._peer.beat(enrolment.instance, self._rtt())
        standing = self._registry.enrol(enrolment, beat, control=self._control)
        if standing.enrolled:
            how = "again " if self._enrolled_once else ""
            queues = ", ".join(enrolment.queues) or "no queue"
            logger.info("Enrolled %sas %s, for %s.", how, enrolment.id, queues)
            self._enrolled = enrolment
            self._enrolled_once = True
        return standing

    def _wait_out(self, error: UsageError) -> bool:
        """Wait while the holder of this name may be a killed worker whose beat still counts."""
        now = self._clock()
        if self._taken_since is None:
            self._taken_since = now
            logger.info(
                "The name is taken, perhaps by a killed worker; waiting for its beat to end."
            )
        # One more, since its beats and our attempts are out of step.
        if now - self._taken_since <= (MISSED + 1) * self._describe().interval:
            return True
        self._failed(str(error), error.exit_code)
        return False

    def _rtt(self) -> float:
        return min(self._round_trips, default=0.0)
