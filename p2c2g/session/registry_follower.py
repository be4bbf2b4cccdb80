"""What a session learns of its peers from the registry.

A look costs two round trips, however many peers there are; beats are asked of the session's own
pool each time and of the others in turn.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Protocol

from p2c2g.peers.messages import Capabilities, Enrolment, PeerState
from p2c2g.peers.registry import Pulse
from p2c2g.peers.standing import Voucher
from p2c2g.routing.router import Facts
from p2c2g.session.config import SessionConfig

logger = logging.getLogger(__name__)

#: Beats that are asked for at once, beside the pool's.
SLICE = 256
#: Enrolments that are read again each time, one after another: a peer may have learnt something.
READ_AGAIN = 8
#: Peers at most whose answers a session reads, where each has a stream of its own.
MOST_FOLLOWED = 64


class PeerRegistry(Protocol):
    """Where peers enrol; every method may raise BrokerUnavailableError."""

    def ids(self) -> frozenset[str]:
        """Return who is enrolled."""

    def enrolments(self, ids: Collection[str]) -> dict[str, Enrolment]:
        """Return what these have enrolled with."""

    def banned(self) -> dict[str, str]:
        """Return who is banned, and why."""

    def beats(self, ids: Sequence[str]) -> dict[str, Pulse]:
        """Return the latest beats of these."""

    def unread(self, ids: Collection[str]) -> int:
        """Return how many of these, of whom nothing could be read, have told something."""

    def sweep(self, ids: Collection[str]) -> list[str]:
        """Remove those of them that are dead, and return them."""


@dataclass(frozen=True, slots=True)
class News:
    """What one look at the registry said: of living peers, of banned ones, and who is dead.

    ``unread`` counts those who cannot be read here, such as peers of another version;
    ``round_trip`` is seconds to the broker and back, None where nothing was asked.
    """

    facts: tuple[Facts, ...]
    banned: frozenset[str]
    dead: tuple[str, ...]
    unread: int = 0
    round_trip: float | None = None


class RegistryFollower:
    """Follows the registry on behalf of one session.  Belongs to one thread.

    Args:
        registry: where peers enrol.
        config: the session's.
        clock: seconds, monotonic.
        follow: has these peers' answers read, and no others', where not everybody's are: raises
            BrokerUnavailableError.
        voucher: returns what the operator of an open pool vouches for.
        muted: returns who is not to be followed.
    """

    def __init__(
        self,
        registry: PeerRegistry,
        config: SessionConfig,
        clock: Callable[[], float] = monotonic,
        follow: Callable[[Collection[str]], None] | None = None,
        voucher: Callable[[str], Voucher | None] = lambda _: None,
        muted: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self._muted = muted
        self._voucher = voucher
        self._follow = follow
        self._followed: frozenset[str] = frozenset()
        self._registry = registry
        self._config = config
        self._clock = clock
        self._enrolments: dict[str, Enrolment] = {}
        self._promised: dict[str, float] = {}
        self._facts: dict[str, Facts] = {}
        self._turn = 0
        self._rotation = 0

    def look(self, pool: Collection[str], bits: float) -> News:
        """Return what the registry says now.

        Args:
            pool: the session's, whose beats are asked for each time.
            bits: of a megapixel of results, by which a peer's line is judged.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        ids = self._registry.ids()
        unknown = ids - self._enrolments.keys()
        for peer in self._enrolments.keys() - ids:
            self._drop(peer)
        known = sorted(self._enrolments)
        again = {known[(self._turn + count) % len(known)] for count in range(READ_AGAIN) if known}
        for peer, enrolment in self._registry.enrolments(unknown | again).items():
            self._enrolments[peer] = enrolment
            self._promised[peer] = promised(enrolment.capabilities, self._config)
        self._turn += READ_AGAIN
        asked = self._asked(pool)
        began = self._clock()
        pulses = self._registry.beats(asked)
        rtt = self._clock() - began
        banned = frozenset(self._registry.banned())
        dead = []
        for peer, pulse in pulses.items():
            if pulse.beat is None:
                dead.append(peer)
            elif (facts := self._read(peer, pulse, banned, rtt, bits)) is not None:
                self._facts[peer] = facts
        for peer in [p for p in self._facts if p not in self._enrolments or p in dead]:
            del self._facts[peer]
        unread = self._registry.unread(ids - self._enrolments.keys())
        return News(self._answerable(pool), banned, tuple(dead), unread, rtt if asked else None)

    def _answerable(self, pool: Collection[str]) -> tuple[Facts, ...]:
        """Return the facts; who is not followed takes no chunks.

        Followed are the pool, and of all others those first that take chunks now, are followed
        already, and are fast by their own word.
        """
        facts = self._facts.values()
        if self._follow is None:
            return tuple(facts)
        muted = self._muted()
        order = sorted(
            (each for each in facts if each.id not in muted),
            key=lambda each: (
                each.id not in pool,
                not each.ready,
                each.id not in self._followed,
                each.seconds_per_megapixel or float("inf"),
                each.id,
            ),
        )
        followed = frozenset(each.id for each in order[:MOST_FOLLOWED])
        self._follow(followed)
        self._followed = followed
        return tuple(each if each.id in followed else replace(each, ready=False) for each in facts)

    def sweep(self, dead: Collection[str]) -> None:
        """Remove the dead from the registry.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        for peer in self._registry.sweep(dead):
            logger.info("Peer %s has died.", peer)
            self._drop(peer)

    def _asked(self, pool: Collection[str]) -> list[str]:
        """Return whose beats are asked for: the pool's, and a slice of all others."""
        mine = [peer for peer in pool if peer in self._enrolments]
        inside = set(mine)
        others = sorted(peer for peer in self._enrolments if peer not in inside)
        if len(others) > SLICE:
            start = self._rotation % len(others)
            self._rotation = start + SLICE
            others = (others + others)[start : start + SLICE]
        return mine + others

    def _read(
        self, peer: str, pulse: Pulse, banned: frozenset[str], rtt: float, bits: float
    ) -> Facts | None:
        enrolment, beat = self._enrolments[peer], pulse.beat
        # Of another instance: it has enrolled again, and will be read again.
        if beat is None or beat.instance != enrolment.instance:
            self._drop(peer)
            return None
        serves = self._config.queue in enrolment.queues
        voucher = self._voucher(peer)
        return Facts(
            id=peer,
            serves=serves,
            ready=serves and beat.state is PeerState.READY and peer not in banned,
            slots=enrolment.slots,
            busy=beat.in_flight + pulse.waiting,
            rtt=rtt + beat.rtt,
            seconds_per_megapixel=self._promised[peer],
            line=enrolment.capabilities.up / bits or float("inf"),
            account=voucher.account if voucher else "",
            network=voucher.network if voucher else "",
            codecs=enrolment.capabilities.codecs,
            sessions=beat.sessions,
        )

    def _drop(self, peer: str) -> None:
        self._enrolments.pop(peer, None)
        self._promised.pop(peer, None)


def promised(capabilities: Capabilities, config: SessionConfig) -> float:
    """Return the seconds a megapixel of a session's result that a probe promises.

    Each step is taken at the result's size, which is a little too long; 0 where the probe has
    not measured all of them.
    """
    names = [step.processor for step in config.operations.resolve(config.size).steps]
    speeds = [*map(capabilities.speeds.get, names), capabilities.codecs.get(config.codec)]
    return sum(1 / speed for speed in speeds if speed) if all(speeds) else 0.0
