"""One session: frames in, pictures out, with peers in between.

Four threads around one decision core (:mod:`p2c2g.session.core`), of which only the last ever
waits for the broker on purpose: the caller's, which captures, cuts, encodes and sends
(:meth:`Session.submit`); the collector's, which takes results as they come; the player's, which
shows frames on their schedule; and the maintenance's, which does whatever may wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from random import Random, SystemRandom
from time import monotonic
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from p2c2g.logs import rebind
from p2c2g.media.chunker import cut
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Frame
from p2c2g.media.picture import Picture
from p2c2g.messaging.broker import Broker
from p2c2g.messaging.dispatcher import Dispatcher
from p2c2g.messaging.inbox import Inbox
from p2c2g.peers.breaker import Change
from p2c2g.peers.registry import Registry
from p2c2g.peers.shared_breakers import SharedBreakers
from p2c2g.peers.shared_health import SharedHealth
from p2c2g.session.collector import Collector
from p2c2g.session.config import SessionConfig
from p2c2g.session.core import Core
from p2c2g.session.event_log import EventLog
from p2c2g.session.maintenance import Maintenance, Surroundings
from p2c2g.session.observer import Observer
from p2c2g.session.player import Player
from p2c2g.session.registry_follower import RegistryFollower
from p2c2g.session.sender import Sender
from p2c2g.session.shell import SessionCore, Shell
from p2c2g.session.tally import Tally
from p2c2g.system.threads import SupervisedThread
from p2c2g.verify.examination import ResidualComparer
from p2c2g.verify.results import ResultReader

logger = logging.getLogger(__name__)

#: Seconds beyond its own work that a thread may take to end.
_PATIENCE = 5.0


class Session:
    """The gamer's side of the pool.  Use it as a context manager, or start and close it.

    Args:
        broker: the pool's.
        config: what is done to each frame.
        sink: called with each picture in order, on the player's thread; must not block.
        clock: seconds, monotonic.
        random: where its chance comes from; peers must not be able to predict it.
        observers: hear what is decided (:class:`p2c2g.session.observer.Observer`).
    """

    def __init__(
        self,
        broker: Broker,
        config: SessionConfig,
        sink: Callable[[Picture], None],
        clock: Callable[[], float] = monotonic,
        random: Random | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.id = uuid4().hex[:12]
        self.config = config
        self.tally = Tally(config.queue, config.operations.text)
        self._chunks = config.chunks
        self._codec = codec(config.codec)
        self._clock = clock
        self._broker = broker
        core: SessionCore = Core(
            self.id, config, random or SystemRandom(),
            (self.tally, EventLog(config.queue), *observers),
        )  # fmt: skip
        #: The tables, for reports and tests; the session's threads change them.
        self.tables = core.tables
        self._inbox = Inbox(broker.client, self.id)
        self._dispatcher = Dispatcher(broker.app, self.id, config.queue, config.deadline, clock)
        self._shell = Shell(core, Sender(self.id, config, self._dispatcher), self._inbox.wake)
        reader = ResultReader(config.form, config.operations.resolve(config.size))
        self._collector = Collector(self._inbox, self._shell, reader, self._chunks, clock)
        self._player = Player(config, self._shell, sink, clock)
        self._maintenance = Maintenance(
            self._shell,
            Surroundings(
                reconnect=self._dispatcher.connect,
                breakers=SharedBreakers(broker.client, clock),
                ask=self._ask,
                registry=RegistryFollower(Registry(broker.client), config, clock),
                comparer=ResidualComparer(reader, self._chunks),
                health=SharedHealth(broker.client, self.id),
            ),
            clock,
        )
        self._threads = [
            SupervisedThread(f"p2c2g-{name}", self._named(run))
            for name, run in (
                ("collector", self._collector.run),
                ("player", self._player.run),
                ("maintenance", self._maintenance.run),
            )
        ]

    def start(self) -> None:
        """Open the results stream, connect, and start the threads.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        self._inbox.open()
        self._dispatcher.connect()
        for thread in self._threads:
            thread.start()

    def submit(self, frame: Frame) -> None:
        """Cut, encode and send one frame; it will be shown, in order, by its deadline.

        Never waits for the broker.

        Raises:
            RuntimeError: a thread of the session has died.
        """
        for thread in self._threads:
            thread.check()
        payloads = tuple(
            self._codec.encode(cut(frame.pixels, chunk), self.config.quality)
            for chunk in self._chunks
        )
        connected = self._dispatcher.is_connected
        with self._shell as core:
            sends = core.submit(
                frame.number, frame.pixels, payloads, frame.captured_at, frame.grabbed_at,
                self._clock(), connected=connected,
            )  # fmt: skip
        self._shell.perform(sends)

    @property
    def frames_in_flight(self) -> int:
        """Return how many frames have not been shown."""
        with self._shell as core:
            return core.frames_in_flight

    @property
    def every(self) -> int:
        """Return of how many ticks of the source one is to be captured: 1 where there is time."""
        return self.tables.rate.every

    def live(self) -> dict[str, Any]:
        """Return the figures of the last seconds."""
        return self.tally.live(self._clock(), self.frames_in_flight)

    def breakers(self) -> dict[str, dict[str, Any]]:
        """Return the state of each peer's breaker, and how often this session opened it."""
        with self._shell as core:
            return core.breaker_states(self._clock())

    def routing(self) -> dict[str, Any]:
        """Return who is in the session's pool and how they stand, and what became of moves."""
        with self._shell as core:
            return core.routing()

    def figures(self) -> dict[str, Any]:
        """Return what was counted, for the report."""
        tables = self.tables
        attempts, hedging, admission = tables.attempts, tables.hedging, tables.admission
        figures = self.tally.summary()
        if not figures["notices"] and (said := tables.presence.last_word()):
            figures["notices"] = [{"at_s": None, "said": said}]
        return {
            **figures,
            "attempts": {str(number): attempts.accepted[number] for number in (1, 2, 3)},
            "results": {
                "late": attempts.late,
                "duplicate": attempts.duplicate,
                "failed": attempts.failed,
                "exhausted": attempts.exhausted,
                "given_up": attempts.silent,
                "given_up_came": attempts.revived,
            },
            "hedges": {
                "sent": attempts.hedges,
                "won": attempts.hedges_won,
                "refused": hedging.hedges.refused,
                "reruns_refused": hedging.reruns.refused,
            },
            "breakers": self.breakers(),
            "routing": self.routing(),
            "admission": {
                "refused": admission.refused,
                "window": round(admission.window, 1),
            },
        }

    def close(self, due: int | None = None) -> None:
        """Show what is still in flight, end the threads and leave nothing at the broker.

        Args:
            due: frames that the source was due in all, where that is more than were submitted;
                those never submitted count as captured and dropped.
        """
        collector, player, maintenance = self._threads
        self._player.finish()
        player.join(self.config.deadline + _PATIENCE)
        self._collector.finish()
        collector.join(_PATIENCE)
        if due is not None:
            self.tally.captured = due
        self._maintenance.finish()
        maintenance.join(_PATIENCE)
        self._dispatcher.close()
        self._inbox.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, changes: list[Change]) -> None:
        """Ask peers to leave the capability queue, or to come back to it."""
        for change in changes:
            ask = self._broker.leave_queue if change.seconds else self._broker.join_queue
            ask(self.config.queue, change.peer)

    def _named(self, run: Callable[[], None]) -> Callable[[], None]:
        """Return what a thread runs: its lines in the log name the session."""

        def named() -> None:
            rebind(session=self.id)
            run()

        return named
