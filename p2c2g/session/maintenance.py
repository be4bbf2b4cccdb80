"""A session's maintenance: whatever has to wait for the broker, or takes long, and is in no hurry.

A thread of its own, so that neither the capture nor the results wait with it: it reconnects the
sending side, shares breakers with the other sessions, follows the registry, compares answers to
examinations, and tells the other sessions what it has seen of the peers.  The simulator has the
same rounds, over a broker that answers at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Event
from typing import Any, Protocol

from p2c2g.errors import BrokerRefusesError, BrokerUnavailableError, ChunkError
from p2c2g.peers.breaker import Change, Words
from p2c2g.peers.health_words import Snapshot
from p2c2g.peers.shared_health import OtherSessions
from p2c2g.peers.trust import TrustSnapshot
from p2c2g.session.actions import Send
from p2c2g.session.core import Core
from p2c2g.session.registry_follower import RegistryFollower
from p2c2g.verify.examination import Comparer

logger = logging.getLogger(__name__)

#: Seconds between two rounds, and rounds between two looks at the registry, and between two
#: exchanges of what is known of peers.
INTERVAL = 0.25
LOOK_EVERY = 2
TELL_EVERY = 20


class CoreAccess(Protocol):
    """A core, held for as long as the block lasts, and somebody who carries out its decisions."""

    def __enter__(self) -> Core[Any, Any]:
        """Hold the core."""

    def __exit__(self, *exception: Any) -> None:
        """Let it go."""

    def perform(self, actions: Iterable[Send[Any]]) -> None:
        """Carry out what was decided."""


class SharedBreakersLike(Protocol):
    """What sessions tell each other of breakers (:mod:`p2c2g.peers.shared_breakers`)."""

    def sync(self, changes: list[Change]) -> Words:
        """Tell changes; return what other sessions say."""


class SharedHealthLike(Protocol):
    """What sessions tell each other of peers (:mod:`p2c2g.peers.shared_health`)."""

    def sync(self, health: Snapshot, trust: TrustSnapshot) -> OtherSessions:
        """Tell what this session has seen, and hear the others."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What lies around a session: each may raise BrokerUnavailableError.

    ``reconnect`` connects the sending side where it is not; ``ask`` asks peers to leave the
    capability queue, or to come back to it; ``comparer`` compares two answers, and waits for
    nobody; ``refusal`` returns what it means where the broker refuses the session, and may ask
    somebody; the broker's own sentence where empty.
    """

    reconnect: Callable[[], None]
    breakers: SharedBreakersLike
    ask: Callable[[list[Change]], None]
    registry: RegistryFollower
    comparer: Comparer
    health: SharedHealthLike
    refusal: Callable[[], str] = str


class Maintenance:
    """The maintenance of one session.  Belongs to one thread.

    Args:
        shell: the session's core.
        around: what it waits for.
        clock: seconds, monotonic.
    """

    def __init__(self, shell: CoreAccess, around: Surroundings, clock: Callable[[], float]) -> None:
        self._shell = shell
        self._around = around
        self._clock = clock
        self._lost = False
        self._refusal = ""
        self._round = 0
        self._ending = Event()

    def run(self) -> None:
        """Do a round at once, since who waits for its first frame wants its peers known.

        Then one every :data:`INTERVAL` until :meth:`finish`, and a last one: what peers have
        done until then is still told.
        """
        self.round()
        while not self._ending.wait(INTERVAL):
            self.round()
        self.round()

    def finish(self) -> None:
        """Have :meth:`run` return after one more round; from any thread."""
        self._ending.set()

    def round(self) -> None:
        """Do once whatever is to be done."""
        ending = self._ending.is_set()
        try:
            if not ending:
                self._around.reconnect()
            self._share_breakers()
            self._compare()
            if self._round % LOOK_EVERY == 0:
                self._look()
            if self._round % TELL_EVERY == 0 or ending:
                self._tell()
            self._round += 1
        except BrokerUnavailableError as error:
            self._lost = True
            self._refused(self._sentence_of(error))
            logger.debug("%s", error)
        else:
            self._refused("")

    def _sentence_of(self, error: BrokerUnavailableError) -> str:
        if not isinstance(error, BrokerRefusesError):
            return ""
        return self._around.refusal() or str(error)

    def _refused(self, sentence: str) -> None:
        if sentence != self._refusal:
            self._refusal = sentence
            with self._shell as core:
                core.broker_refuses(sentence, self._clock())

    def _share_breakers(self) -> None:
        with self._shell as core:
            if self._lost:
                core.broker_came_back(self._clock())
                self._lost = False
            changes = core.take_changes()
        try:
            words = self._around.breakers.sync(changes)
        except BrokerUnavailableError:
            with self._shell as core:
                core.put_back(changes)
            raise
        with self._shell as core:
            core.shared(words, self._clock())
        if changes:
            self._around.ask(changes)

    def _compare(self) -> None:
        with self._shell as core:
            answers = core.take_answers()
        for compare in answers:
            agree: bool | None = None
            try:
                agree = self._around.comparer.agree(compare.examination, compare.answer)
            except ChunkError as error:
                logger.info("Peer %s failed an examination: %s", compare.examination.peer, error)
            with self._shell as core:
                core.compared(compare, agree, self._clock())

    def _look(self) -> None:
        with self._shell as core:
            router = core.tables.router
            pool, bits = tuple(router.pool), router.bits
        news = self._around.registry.look(pool, bits)
        with self._shell as core:
            now = self._clock()
            if news.round_trip is not None:
                core.tables.lines.pinged(news.round_trip, now)
            sends = core.registry_said(news.facts, news.banned, now, unread=news.unread)
        self._shell.perform(sends)
        if news.dead:
            self._around.registry.sweep(news.dead)

    def _tell(self) -> None:
        with self._shell as core:
            health, trust = core.words()
        others = self._around.health.sync(health, trust)
        with self._shell as core:
            core.heard(others)
