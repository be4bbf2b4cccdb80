"""One session: frames in, pictures out, with peers in between.

Four threads around one decision core (:mod:`p2c2g.session.core`), of which only the last ever
waits for the broker on purpose: the caller's, which captures, cuts, encodes and sends
(:meth:`Session.submit`); the collector's, which takes results as they come; the player's, which
shows frames on their schedule; and the maintenance's, which does whatever may wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random, SystemRandom
from time import monotonic
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from p2c2g.lines import figures as line_figures
from p2c2g.logs import rebind
from p2c2g.media import codec_speeds
from p2c2g.media.frame import Frame
from p2c2g.media.picture import Picture
from p2c2g.messaging.broker import Broker
from p2c2g.messaging.dispatcher import Dispatcher
from p2c2g.messaging.inbox import Inbox
from p2c2g.messaging.metering import meter
from p2c2g.messaging.places import places
from p2c2g.session import pool_figures, steering
from p2c2g.session.answers import Answers
from p2c2g.session.at_once import AtOnce
from p2c2g.session.changes import changes_of
from p2c2g.session.collector import Collector
from p2c2g.session.config import SessionConfig
from p2c2g.session.core import Core
from p2c2g.session.event_log import EventLog
from p2c2g.session.known_tally import KnownTally
from p2c2g.session.maintenance import Maintenance
from p2c2g.session.observer import Observer
from p2c2g.session.player import Player
from p2c2g.session.preparing import Preparer
from p2c2g.session.seals import seals_for
from p2c2g.session.sender import Sender
from p2c2g.session.shell import SessionCore, Shell
from p2c2g.session.surroundings import surroundings
from p2c2g.session.tally import Tally
from p2c2g.system.threads import SupervisedThread
from p2c2g.verify.evidence import Evidence
from p2c2g.verify.examination import ResidualComparer
from p2c2g.verify.results import ResultReader

#: Seconds beyond its own work that a thread may take to end.
_PATIENCE = 5.0


class Session:
    """The gamer's side of the pool.  Use it as a context manager, or start and close it.

    Args:
        broker: the pool's.
        config: what is done to each frame.
        sink: called with each picture in order, on the player's thread, or on that which submits
            frames where they are shown at once; must not block.
        clock: seconds, monotonic.
        random: where its chance comes from; peers must not be able to predict it.
        observers: hear what is decided (:class:`p2c2g.session.observer.Observer`).
        shows: whether pictures may be shown to an open pool's operator, as evidence against a
            peer; their hashes are, in any case.
    """

    def __init__(
        self,
        broker: Broker,
        config: SessionConfig,
        sink: Callable[[Picture], None],
        clock: Callable[[], float] = monotonic,
        random: Random | None = None,
        observers: Sequence[Observer] = (),
        *,
        shows: bool = False,
    ) -> None:
        self.id = uuid4().hex[:12]
        self.config = config
        self.tally = Tally(config.queue, config.operations.text)
        self._known = KnownTally()
        self._chunks = config.chunks
        self._clock = clock
        where = places(self.id, config.queue, broker.gamer)
        answers = Answers(clock) if broker.gamer else None
        random = random or SystemRandom()
        self._seals = seals_for(broker.membership, random, shows=shows)
        core: SessionCore = Core(
            self.id, config, random,
            (
                self.tally, self._known, EventLog(config.queue), *self._seals.observers,
                *((answers,) if answers else ()), *observers,
            ),
            has_shared_queue=bool(where.shared_queue),
            reads={name: speed.decode for name, speed in codec_speeds.here().items()},
        )  # fmt: skip
        #: The tables, for reports and tests; the session's threads change them.
        self.tables = core.tables
        # What is put to the broker before the first frame, such as nets, counts as well.
        core.tables.throttle.carried(meter.up, meter.down, clock())
        self._inbox = Inbox(broker.client, where)
        self._dispatcher = Dispatcher(broker.app, self.id, where, config.deadline, clock)
        self._sender = Sender(self.id, config, self._dispatcher, broker.client, self._seals)
        self._shell = Shell(core, self._sender, self._inbox.wake)
        reader = ResultReader(config.size, config.recipe)
        self._preparer = Preparer(
            self._shell,
            self._chunks,
            changes_of(config),
            reader,
            clock,
        )
        self._collector = Collector(
            self._inbox, self._shell, reader, self._chunks, self._seals, clock, answers
        )
        self._at_once = AtOnce(config, sink, clock) if config.at_once else None
        learn = self._at_once.learn if self._at_once else None
        self._player = Player(config, self._shell, sink, clock, learn)
        self._maintenance = Maintenance(
            self._shell,
            surroundings(
                broker,
                self.id,
                config,
                self._dispatcher,
                self._inbox,
                ResidualComparer(reader, self._chunks),
                self._seals,
                clock,
                answers.muted if answers else frozenset,
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
        """Take one frame: encode and send what is not known; it is shown by its deadline, or now.

        Frames are shown in order.  Never waits for the broker.

        Raises:
            RuntimeError: a thread of the session has died.
        """
        for thread in self._threads:
            thread.check()
        plan, payloads = self._preparer.prepare(frame)
        if self._at_once:
            self._at_once.show(frame, plan.known)
        connected = self._dispatcher.is_connected
        with self._shell as core:
            core.tables.throttle.carried(meter.up, meter.down, self._clock())
            sends = core.submit(
                frame.number, frame.pixels, payloads, plan, frame.captured_at, frame.grabbed_at,
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
        now = self._clock()
        with self._shell as core:
            in_flight, line = core.frames_in_flight, line_figures.own(core.tables.lines)
            limits = core.tables.throttle.live(now)
            steady = steering.live(core.tables.steering)
        return {
            **self.tally.live(now, in_flight),
            "line": line,
            "steady": steady,
            "known": self._known.lately(),
            **({"limits": limits} if limits else {}),
            **(self._at_once.live() if self._at_once else {}),
        }

    def lines(self) -> dict[str, Any]:
        """Return what is known of the lines: the gamer's own, and those of peers."""
        with self._shell as core:
            return line_figures.report(core.tables.lines)

    def breakers(self) -> dict[str, dict[str, Any]]:
        """Return the state of each peer's breaker, and how often this session opened it."""
        with self._shell as core:
            return pool_figures.breakers(core, self._clock())

    def routing(self) -> dict[str, Any]:
        """Return who is in the session's pool and how they stand, and what became of moves."""
        with self._shell as core:
            return pool_figures.routing(core)

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
            "known": self._known.figures(),
            "lines": self.lines(),
            "breakers": self.breakers(),
            "routing": self.routing(),
            "admission": {
                "asked": admission.asked,
                "refused": admission.refused,
                "bound": admission.bound,
            },
            "steady": steering.figures(tables.steering),
            **({"at_once": self._at_once.figures()} if self._at_once else {}),
            **self._limits(),
            **self._sealing(),
        }

    def _limits(self) -> dict[str, Any]:
        with self._shell as core:
            limits = core.tables.throttle.figures(self._clock())
        return {"limits": limits} if limits else {}

    def evidence(self) -> list[Evidence]:
        """Return what an open pool's operator can be shown of peers that were caught."""
        return self._seals.evidence()

    def _sealing(self) -> dict[str, Any]:
        if not self._seals.sealed:
            return {}
        shown = [each.model_dump(exclude_defaults=True) for each in self._seals.evidence()]
        return {"sealing": self._seals.figures(), "evidence": shown}

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
        self._sender.close()
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

    def _named(self, run: Callable[[], None]) -> Callable[[], None]:
        """Return what a thread runs: its lines in the log name the session."""

        def named() -> None:
            rebind(session=self.id)
            run()

        return named
