"""The thread that keeps this peer's enrolment and beats, on a connection of its own.

A slow broker holds up this thread and not the worker's loop.  It enrols, beats, enrols again
where the broker has forgotten the peer (it was restarted, or this machine slept), and ends the
worker where the peer may not take part.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from statistics import median
from time import monotonic
from typing import Protocol

from p2c2g.errors import BrokerRefusesError, BrokerUnavailableError, UsageError
from p2c2g.peers.messages import Beat, Enrolment
from p2c2g.peers.registry import MISSED, BeatReply
from p2c2g_workers.peer import Peer
from p2c2g_workers.refusals import Belief

logger = logging.getLogger(__name__)

#: Round trips of which the shortest is reported, and what the middle one takes beyond it.
ROUND_TRIPS = 8
#: Seconds for which a leaving peer waits for a beat that is being sent.
JOIN_TIMEOUT = 5.0


class PeerRegistry(Protocol):
    """Where a peer enrols; every method may raise BrokerUnavailableError."""

    def enrol(self, enrolment: Enrolment, beat: Beat, *, control: bool = False) -> BeatReply:
        """Write both; UsageError where another has the place."""

    def beat(self, enrolment: Enrolment, beat: Beat) -> BeatReply:
        """Tell that a peer lives."""

    def leave(self, id: str, queues: Sequence[str], instance: str = "") -> None:  # noqa: A002
        """Deregister."""


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
        hear: told what the registry says to each beat of one that may take part.
        refused: returns the sentence for a broker that will not have this peer.
        grace: seconds for which it may be that it will again, but where ``why`` says
            something.
        why: asks why it will not; "" where nobody says.
        look: called after each beat that the broker took; raises as the registry does.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        registry: PeerRegistry,
        peer: Peer,
        describe: Callable[[], Enrolment],
        failed: Callable[[str, int], None],
        *,
        control: bool = True,
        hear: Callable[[BeatReply], None] = lambda _: None,
        refused: Callable[[BrokerRefusesError], str] = str,
        grace: float = 0.0,
        why: Callable[[], str] = str,
        look: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._registry = registry
        self._peer = peer
        self._describe = describe
        self._failed = failed
        self._control = control
        self._hear = hear
        self._refused = refused
        self._belief = Belief(grace, clock, why)
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
            # That it is refused was said, and is why it ends.
            level = logging.DEBUG if isinstance(error, BrokerRefusesError) else logging.WARNING
            logger.log(level, "Could not deregister, others will sweep: %s", error)

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
            if not self._belief.lasts():
                self._away = True
                return True
            self._failed(self._refused(error), error.exit_code)
            return False
        except BrokerUnavailableError as error:
            if not self._away:
                logger.warning("Could not send this peer's beat to the registry: %s", error)
            self._away = True
            return True
        except UsageError as error:
            return self._wait_out(error)
        self._away = False
        self._belief.passed()
        self._taken_since = None
        if standing.banned is not None:
            reason = standing.banned.rstrip(".") or "no reason is given"
            self._failed(f"This peer, {self._describe().id}, is banned: {reason}.", 1)
            return False
        self._hear(standing)
        return True

    def _beat(self) -> BeatReply:
        enrolment = self._describe()
        if enrolment == self._enrolled:
            beat = self._beat_of(enrolment)
            sent = self._clock()
            standing = self._registry.beat(enrolment, beat)
            self._round_trips.append(self._clock() - sent)
            if standing.enrolled or standing.banned is not None or self._ended:
                return standing
        beat = self._beat_of(enrolment)
        standing = self._registry.enrol(enrolment, beat, control=self._control)
        if standing.enrolled:
            how = "again " if self._enrolled_once else ""
            queues = ", ".join(enrolment.queues) or "no queue"
            # What was only measured meanwhile, such as the line, interests nobody.
            known, before = enrolment == self._enrolled, self._enrolled
            is_news = known or before is None or before.queues != enrolment.queues
            level = logging.INFO if is_news else logging.DEBUG
            logger.log(level, "Enrolled %sas %s, for %s.", how, enrolment.id, queues)
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

    def _beat_of(self, enrolment: Enrolment) -> Beat:
        trips = self._round_trips
        least = min(trips, default=0.0)
        return self._peer.beat(enrolment.instance, least, median(trips or (0.0,)) - least)
