"""One session: frames in, pictures out, with peers in between.

Four threads, of which only the last ever waits for the broker on purpose: the caller's, which
captures, cuts, encodes and sends (:meth:`Session.submit`); the collector's, which takes results
as they come and has chunks run again; the player's, which shows frames on their schedule; and
the keeper's, which reconnects and tells other sessions of bad peers.  They share the tables
below one lock, held for microseconds.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from math import ceil
from random import Random, SystemRandom
from time import monotonic
from typing import Any
from uuid import uuid4

import numpy as np
import redis
from celery import Celery

from p2c2g.errors import BrokerUnavailableError
from p2c2g.logs import rebind
from p2c2g.media.chunker import cut
from p2c2g.media.codecs import codec
from p2c2g.media.frame import Frame, Picture
from p2c2g.messaging.inbox import Inbox
from p2c2g.peers.book import PeerBook
from p2c2g.peers.breaker import Breakers
from p2c2g.peers.health import Health
from p2c2g.peers.registry import Registry
from p2c2g.peers.shared_breakers import SharedBreakers
from p2c2g.peers.shared_health import SharedHealth
from p2c2g.peers.trust import Trust
from p2c2g.routing.policies import make
from p2c2g.routing.router import Router
from p2c2g.session.admission import Admission
from p2c2g.session.attempts import Attempts
from p2c2g.session.collector import Collector
from p2c2g.session.config import FrameInFlight, Part, SessionConfig
from p2c2g.session.dispatcher import QUEUE_LEAST, QUEUE_LENGTH, Dispatcher
from p2c2g.session.hedging import Hedging
from p2c2g.session.maintenance import Maintenance
from p2c2g.session.player import Player
from p2c2g.session.reassembler import Pending
from p2c2g.session.registry_follower import RegistryFollower
from p2c2g.session.runs import Runs
from p2c2g.session.sender import Sender
from p2c2g.session.tally import Tally
from p2c2g.verify.examination import PictureComparer
from p2c2g.verify.examiner import Examiner

__all__ = ["Session", "SessionConfig"]

logger = logging.getLogger(__name__)

#: Seconds between attempts to reach a broker that is away.
_REOPEN_INTERVAL = 0.1


class Session:
    """The gamer's side of the pool.

    Args:
        app: the Celery application.
        client: a client of the same broker, for the results stream.
        plan: what is done to each frame.
        sink: called with each picture in order, on the player's thread; must not block.
        clock: seconds, monotonic.
        random: where its chance comes from.
    """

    def __init__(
        self,
        app: Celery,
        client: redis.Redis,
        plan: SessionConfig,
        sink: Callable[[Picture], None],
        clock: Callable[[], float] = monotonic,
        random: Random | None = None,
    ) -> None:
        # A liar shall not foresee when it is examined.
        random = random or SystemRandom()
        self.id = uuid4().hex[:12]
        self.plan = plan
        self.tally = Tally()
        self.attempts = Attempts()
        self.admission = Admission(ceil(plan.deadline * plan.fps) + 1, plan.deadline)
        self.hedging = Hedging(plan.deadline)
        book = PeerBook()
        self.breakers = Breakers(book)
        self.health = Health(book)
        self.trust = Trust(random, book)
        self._chunks = plan.chunks
        self._codec = codec(plan.codec)
        self._clock = clock
        self._lock = threading.Lock()
        self._dispatcher = Dispatcher(app, self.id, plan.queue, plan.deadline, clock)
        self._inbox = Inbox(client, self.id)
        self.player = Player(plan, self.tally, self._lock, sink, self._released, clock)
        self.router = Router(
            make(plan.policy, random),
            session=self.id,
            operation=plan.operations.text,
            megapixels=plan.megapixels,
            need=plan.fps * sum(plan.megapixels),
            deadline=plan.deadline,
            book=book,
            health=self.health,
            trust=self.trust,
            breakers=self.breakers,
        )
        self._sender = Sender(self.id, plan, self._dispatcher, self.tally, self.router.rtt, clock)
        self._runs = Runs(
            plan.operations.text, plan.megapixels, self._sender.send, self.attempts, self.hedging,
            self.breakers, self.health, self.router, self.player.flight, self._lock,
            self._sender.move,
        )  # fmt: skip
        self._examiner = Examiner(
            plan, self.attempts, self.breakers, self.health, self.trust, self.router, self._lock,
            random, PictureComparer(plan),
        )  # fmt: skip
        self._collector = Collector(
            plan, self.attempts, self.admission, self.breakers, self._runs, self._examiner,
            self._sender, self.player, self.tally, self._lock, clock,
        )  # fmt: skip
        registry_follower = RegistryFollower(
            Registry(client), plan, self.router, self.breakers, self._runs, self._lock, clock
        )
        self._maintenance = Maintenance(
            app, plan.queue, self._dispatcher, self.breakers, SharedBreakers(client, clock),
            registry_follower, self._examiner, SharedHealth(client, self.id), self.health, self.trust,
            self._lock, clock,
        )  # fmt: skip
        self._looks_at = float("-inf")  # when the collector looks again by itself
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="p2c2g-collector", daemon=True)
        self._crash: BaseException | None = None

    def start(self) -> None:
        """Open the results stream and start collecting.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        self._inbox.open()
        self._dispatcher.connect()
        self._thread.start()
        self.player.start()
        self._maintenance.start()

    def submit(self, frame: Frame) -> None:
        """Cut, encode and send one frame; it will be shown, in order, by its deadline.

        Never waits for the broker.

        Raises:
            RuntimeError: a thread of the session has died.
        """
        crash = self._crash or self.player.crash
        if crash is not None:
            raise RuntimeError("a thread of the session has died") from crash
        payloads = tuple(
            self._codec.encode(cut(frame.pixels, chunk), self.plan.quality)
            for chunk in self._chunks
        )
        canvas = np.empty((self.plan.output.height, self.plan.output.width, 3), np.uint8)
        now = self._clock()
        self.tally.captured = frame.number + 1
        with self._lock:
            send = self._dispatcher.is_connected and self.admission.admit(
                frame.number, range(len(self._chunks)), now
            )
            due = frame.captured_at + self.player.delay
            flight = FrameInFlight(
                frame,
                payloads,
                canvas,
                due=due,
                deadline=frame.captured_at + self.plan.deadline,
                was_sent=send,
                missing=len(self._chunks),
            )
            self.player.expect(flight)
            wake = False
            if send:
                self._bound_queue()
                self._runs.open(flight, now)
                look = self._runs.next_look()
                wake = look is not None and look < self._looks_at
        if not send:
            return
        if not self._runs.send_first(flight):
            with self._lock:
                flight.was_sent = False
                self.admission.forget(frame.number)
                self.player.hopeless(flight)
            return
        with self._lock:
            probe = self._examiner.probe(flight, now)
        if probe is not None:
            self._sender.send(flight, [probe])
        if wake:
            self._inbox.wake()

    def _bound_queue(self) -> None:
        """While nothing comes back, what stands in the queue waits for nobody."""
        least = max(QUEUE_LEAST, len(self._chunks))
        self._dispatcher.queue_length = (
            least if self.admission.is_lost else max(QUEUE_LENGTH, least)
        )

    def live(self) -> dict[str, Any]:
        """Return the figures of the last seconds."""
        return self.tally.live(self._clock(), len(self.player))

    def breakers(self) -> dict[str, dict[str, Any]]:
        """Return the state of each peer's breaker, and how often this session opened it."""
        with self._lock:
            states = self.breakers.states(self._clock())
        return {
            peer: {"state": state.value, "opened": opened}
            for peer, (state, opened) in sorted(states.items())
        }

    def routing(self) -> dict[str, Any]:
        """Return who is in the session's pool and how they stand, and what became of moves."""
        with self._lock:
            pool = {
                peer: {
                    "score": round(candidate.score, 1),
                    "ms_per_megapixel": round(candidate.seconds_per_megapixel * 1e3, 2),
                    "rtt_ms": round(candidate.rtt * 1e3, 2),
                    "in_a_row": self.trust.in_a_row(peer),
                }
                for peer, candidate in self.router.pool.items()
            }
            examiner = self._examiner
            return {
                "policy": self.plan.policy,
                "pool": pool,
                "stolen": self._runs.stolen,
                "examinations": {
                    "begun": examiner.begun,
                    "canaries": examiner.canaries,
                    "agreed": examiner.agreed,
                    "differed": examiner.differed,
                    "incomparable": examiner.incomparable,
                },
            }

    def close(self, due: int) -> None:
        """Show what is still in flight, end the threads and leave nothing at the broker.

        Args:
            due: frames that the source was due in all; those never submitted count as
                captured and dropped.
        """
        self.player.finish()
        self._ending.set()
        self._inbox.wake()
        if self._thread.is_alive():
            self._thread.join(5)
        self.tally.captured = due
        self._maintenance.close()
        self._dispatcher.close()
        self._inbox.close()

    def _released(self, pending: Pending[FrameInFlight, Part]) -> None:
        """Close a frame's chunks, for the player; the lock is held."""
        self._runs.close(pending.number, self._clock())
        if pending.frame.was_sent:
            self.admission.shown(complete=pending.complete, now=self._clock())

    # -- the collector's thread ----------------------------------------------------------

    def _run(self) -> None:
        rebind(session=self.id)
        try:
            while not self._ending.is_set():
                self._turn()
        except BaseException as error:
            self._crash = error
            logger.exception("The collector died")
            raise

    def _turn(self) -> None:
        """Wait for results or the next look at what is missing, and deal with either."""
        with self._lock:
            look = self._runs.next_look()
            self._looks_at = float("inf") if look is None else look
        timeout = None if look is None else max(0.0, look - self._clock())
        try:
            if self._inbox.wait(timeout):
                for arrival in self._inbox.read():
                    self._collector.take(arrival, self._clock())
        except BrokerUnavailableError as error:
            logger.warning("%s Frames are shown from the base layer.", error)
            self._reopen()
        with self._lock:
            self._looks_at = float("-inf")
        self._runs.look(self._clock())

    def _reopen(self) -> None:
        while not self._ending.is_set():
            try:
                self._inbox.open()
            except BrokerUnavailableError:
                self._ending.wait(_REOPEN_INTERVAL)
            else:
                return
