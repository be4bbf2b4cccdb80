"""What a session learns of its peers from the registry, and what it tells others of them.

Belongs to the keeper's thread, which has the time to wait for the broker.  A round costs two
round trips, however many peers there are; beats are asked of the session's own pool each time and
of the others in turn.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import monotonic

from p2c2g.peers.breaker import Breakers
from p2c2g.peers.messages import Capabilities, Enrolment, PeerState
from p2c2g.peers.registry import Pulse, Registry
from p2c2g.routing.router import Facts, Router
from p2c2g.session.config import FrameInFlight, SessionConfig
from p2c2g.session.runs import Runs

logger = logging.getLogger(__name__)

#: Beats that are asked for at once, beside the pool's.
SLICE = 256
#: Enrolments that are read anew each time, one after another: a peer may have learnt something.
ANEW = 8


class RegistryFollower:
    """Follows the registry on behalf of one session.

    Args:
        registry: where peers enrol.
        plan: the session's.
        router: is told what is known.
        breakers: is told who is banned.
        runs: is told who has gone.
        lock: guards all of these.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        registry: Registry,
        plan: SessionConfig,
        router: Router,
        breakers: Breakers,
        runs: Runs[FrameInFlight],
        lock: threading.Lock,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._registry = registry
        self._plan = plan
        self._router = router
        self._breakers = breakers
        self._runs = runs
        self._lock = lock
        self._clock = clock
        self._enrolments: dict[str, Enrolment] = {}
        self._promised: dict[str, float] = {}
        self._facts: dict[str, Facts] = {}
        self._turn = 0
        self._rotation = 0
        self._banned: frozenset[str] = frozenset()

    def round(self) -> None:
        """Learn once what is new; have others run what was with peers that have gone.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        ids = self._registry.ids()
        unknown = ids - self._enrolments.keys()
        for peer in self._enrolments.keys() - ids:
            self._drop(peer)
        known = sorted(self._enrolments)
        anew = {known[(self._turn + count) % len(known)] for count in range(ANEW) if known}
        for peer, enrolment in self._registry.enrolments(unknown | anew).items():
            self._enrolments[peer] = enrolment
            self._promised[peer] = promised(enrolment.capabilities, self._plan)
        self._turn += ANEW
        self._banned = frozenset(self._registry.banned())
        asked = self._asked()
        began = self._clock()
        pulses = self._registry.beats(asked)
        way = self._clock() - began
        dead = []
        for peer, pulse in pulses.items():
            if pulse.beat is None:
                dead.append(peer)
            elif (facts := self._read(peer, pulse, way)) is not None:
                self._facts[peer] = facts
        for peer in [p for p in self._facts if p not in self._enrolments or p in dead]:
            del self._facts[peer]
        now = self._clock()
        with self._lock:
            self._breakers.ban(self._banned)
            gone = self._router.learn(self._facts.values(), now)
        for peer in gone:
            self._runs.gone(peer, now)
        if dead:
            swept = self._registry.sweep(dead)
            for peer in swept:
                logger.warning("Peer %s has died; what it had goes to others.", peer)
                self._drop(peer)

    def _asked(self) -> list[str]:
        """Return whose beats are asked for: the pool's, and a slice of all others."""
        pool = [peer for peer in self._router.pool if peer in self._enrolments]
        inside = set(pool)
        others = sorted(peer for peer in self._enrolments if peer not in inside)
        if len(others) > SLICE:
            start = self._rotation % len(others)
            self._rotation = start + SLICE
            others = (others + others)[start : start + SLICE]
        return pool + others

    def _read(self, peer: str, pulse: Pulse, way: float) -> Facts | None:
        enrolment, beat = self._enrolments[peer], pulse.beat
        # Of another instance: it has enrolled anew, and will be read anew.
        if beat is None or beat.instance != enrolment.instance:
            self._drop(peer)
            return None
        return Facts(
            id=peer,
            ready=beat.state is PeerState.READY
            and self._plan.queue in enrolment.queues
            and peer not in self._banned,
            slots=enrolment.slots,
            busy=beat.in_flight + pulse.waiting,
            rtt=way + beat.rtt,
            seconds_per_megapixel=self._promised[peer],
            region=enrolment.region,
            line=enrolment.capabilities.up / self._router.bits or float("inf"),
        )

    def _drop(self, peer: str) -> None:
        self._enrolments.pop(peer, None)
        self._promised.pop(peer, None)


def promised(capabilities: Capabilities, plan: SessionConfig) -> float:
    """Return the seconds a megapixel of a plan's result that a probe promises.

    Each step is taken at the result's size, which is a little too long; 0 where the probe has
    not measured all of them.
    """
    names = [step.processor for step in plan.operations.resolve(plan.size).steps]
    speeds = [*map(capabilities.speeds.get, names), capabilities.codecs.get(plan.codec)]
    return sum(1 / speed for speed in speeds if speed) if all(speeds) else 0.0
