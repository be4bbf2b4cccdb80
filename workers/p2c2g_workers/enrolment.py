"""The worker's step that makes it a peer: it enrols, beats, and leaves in good order.

It decides first what the worker serves.  Before anything is consumed, it opens the graphics card
where the queue ``gpu`` is served, drops the queues that this machine cannot serve, or refuses to
start where it was told to serve them.  When a card is lost later, the queue ``gpu`` is left, and
``cpu`` is served instead where nothing else would remain; when the card works again, ``gpu`` is
served again.  The peer stays enrolled all the while.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import psutil
from celery import bootsteps, signals
from celery.platforms import EX_OK
from celery.worker import state
from kombu import Queue

import p2c2g.messaging.drain  # noqa: F401 - the command that ends this peer in good order
from p2c2g.commands.guest import Limits
from p2c2g.errors import UsageError
from p2c2g.messaging import open_names
from p2c2g.messaging.client import redis_client
from p2c2g.messaging.labels import WHAT_IS_A_NAME, is_name
from p2c2g.messaging.names import CAPABILITIES, own_queue
from p2c2g.messaging.pools import PATIENCE
from p2c2g.messaging.publishing import anonymous_queue
from p2c2g.peers.messages import Enrolment
from p2c2g.peers.open_registry import OpenStandings
from p2c2g.peers.registry import BeatReply, Registry
from p2c2g.peers.versions import spoken
from p2c2g.settings import Settings, load
from p2c2g_workers import opening, probe
from p2c2g_workers.abilities import Abilities
from p2c2g_workers.broker_watch import BrokerWatch
from p2c2g_workers.engine import Engine, current
from p2c2g_workers.engine.choosing import open_engine
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.engine.guarded import Guarded
from p2c2g_workers.gamers import Gamers
from p2c2g_workers.heart import Heart, PeerRegistry
from p2c2g_workers.naming import Claim
from p2c2g_workers.peer import Peer
from p2c2g_workers.refusals import GRACE
from p2c2g_workers.serving import CPU, GPU, capabilities_asked, choose_queues

logger = logging.getLogger(__name__)

#: Most queues that an enrolment lists.
MAX_QUEUES = 64


class EnrolmentStep(bootsteps.StartStopStep):
    """Keeps the registry informed of this worker.

    It adds ``consumer.peer``, to which other steps report what the worker does.

    Raises:
        UsageError: the queues or the name that the worker was given are not valid.
    """

    # Stopped before the reads are recalled, so that the registry is told first.
    requires = ("p2c2g_workers.read_ahead_step:ReadAhead",)

    def __init__(
        self,
        consumer: Any,
        peer_name: str | None = None,
        region: str | None = None,
        cpu_fallback: bool = False,
        max_mbps: str | float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(consumer, **kwargs)
        settings = load()
        self._app = consumer.app
        queues = self._app.amqp.queues
        principal = self._app.principal
        if principal is not None and consumer.pool.uses_semaphore:
            # Children would seal with the same keys, and count from the same number.
            raise UsageError(
                "A worker of an open pool is one process: give -P threads, or leave -P out."
            )
        self._engine: Engine = CpuEngine()
        problem = ""
        if GPU in queues.consume_from:
            problem = self._open(settings, prefork=bool(consumer.pool.uses_semaphore))
        self._ended = threading.Event()
        self._abilities = Abilities(
            self._engine,
            1e6 * (Limits.parse(max_mbps=max_mbps).max_mbps or 0.0),
            lambda: self.peer.wake(),
            self._ended,
        )
        #: Whether the queue gpu was left, and whether cpu is served instead of it.
        self._left = self._stands_in = False
        choose_queues(queues, self._abilities.now, cpu_fallback, problem)
        id = str(consumer.hostname)  # noqa: A001 - the registry's word
        claim = Claim.of(getattr(consumer, "controller", None), id)
        if principal is not None:
            id = principal.id  # noqa: A001
        elif claim.wanted != id:
            logger.warning("%s is taken: this worker is called %s.", claim.wanted, id)
        if not is_name(id):
            raise UsageError(f"{id!r} cannot be a peer's id: give one of {WHAT_IS_A_NAME} with -n.")
        #: What it can do in an open pool, where no queue says so.
        self._asked: tuple[str, ...] | None = None
        if principal is not None:
            self._asked = capabilities_asked(queues, principal)
        opener = opening.opener_for(settings.membership, claim.instance)
        opening.use(opener)
        exchange, signature = opener.told()
        self._first = Enrolment(
            id=id,
            name=(peer_name or "").strip(),
            region=(region or "").strip(),
            instance=claim.instance,
            slots=consumer.pool.limit or 1,
            queues=self._queues(id),
            interval=settings.worker.beat_interval,
            capabilities=self._abilities.now,
            speaks=spoken(),
            exchange=exchange,
            exchange_signature=signature,
        )
        self._client = consumer.client = redis_client(settings, PATIENCE)
        self._gamers: Gamers | None = None
        self._line_key: str | None = None
        registry: PeerRegistry = Registry(self._client)
        look: Callable[[], None] = BrokerWatch(self._client, lambda: list(queues.consume_from)).look
        if principal is None:
            queues.select_add(_direct_queue(id))
        else:
            self._gamers = Gamers(consumer, principal)
            self._line_key = open_names.measurement(id, "line")
            registry, look = OpenStandings(self._client), _nothing  # Its operator looks to it.
        psutil.cpu_percent()  # It covers the time since the last call, hence a first one.
        consumer.peer = self.peer = Peer(
            in_flight=lambda: len(state.reserved_requests),
            load=lambda: psutil.cpu_percent() / 100,
        )
        self._heart = Heart(
            registry,
            self.peer,
            self._describe,
            self._fail,
            control=bool(self._app.conf.worker_enable_remote_control),
            hear=self._hear,
            refused=consumer.why_refused,
            grace=0.0 if principal is None else GRACE,
            why=consumer.why_out,
            look=look,
        )
        self._consumer = consumer
        consumer.leave = self._leave
        consumer.tell_line = self._tell_line
        # Weakly held by the signal, strongly by the consumer's list of steps.
        signals.worker_shutting_down.connect(self._on_signal, dispatch_uid="p2c2g-enrolment")

    def start(self, consumer: Any) -> None:
        """Enrol as soon as the broker answers; runs again after a reconnect."""
        self._heart.start()
        self._measure()
        # A card that came or went while the broker was away, and gamers.
        self._follow_engine()
        if self._gamers is not None:
            self._gamers.follow()

    def close(self, consumer: Any) -> None:
        """Report that the worker ends, before anything else ends."""
        self.peer.drain()

    def stop(self, consumer: Any) -> None:
        """Report that no chunks are read: the connection is lost, or the worker ends."""
        self.peer.consuming(False)

    def _hear(self, standing: BeatReply) -> None:
        """Follow what the operator of an open pool says; on the heart's thread."""
        if self._gamers is None:
            return
        self._gamers.hear(standing)
        if standing.drained is not None and not self._ended.is_set():
            self._ended.set()
            logger.warning(
                "This peer, %s, is to leave, as its pool's operator says: %s.",
                self._first.id, standing.drained.rstrip("."),
            )  # fmt: skip
            self.peer.drain("the pool's operator")
            state.should_stop = EX_OK
            self._consumer.hub.call_soon(_nothing)

    def _tell_line(self, mbps: float | None) -> None:
        """Tell what a guest's line may carry from now on; where that is all of it, try it out."""
        if self._abilities.bound_line(1e6 * (mbps or 0.0)):
            self._measure()

    def _leave(self) -> None:
        self._ended.set()
        self._heart.leave()
        self._abilities.wait()
        self._client.close()
        self._engine.close()

    def _on_signal(self, **_: Any) -> None:
        self._ended.set()
        self.peer.drain()

    def _queues(self, id: str) -> tuple[str, ...]:  # noqa: A002
        if self._asked is not None:
            lost = isinstance(self._engine, Guarded) and not self._engine.well
            return (CPU,) if lost and GPU in self._asked else self._asked
        own = own_queue(id)
        names = list(self._app.amqp.queues.consume_from)
        return tuple(name for name in names if name != own and is_name(name))[:MAX_QUEUES]

    def _describe(self) -> Enrolment:
        """Return the present enrolment: queues come and go by remote control."""
        if self._engine.kind == CPU and self._left and GPU in self._app.amqp.queues.consume_from:
            # A session that trusts the peer again has added a queue that it cannot serve now.
            self._soon()
        changes = {
            "queues": self._queues(self._first.id),
            "capabilities": self._abilities.now,
        }
        return self._first.model_copy(update=changes)

    def _open(self, settings: Settings, *, prefork: bool) -> str:
        """Open the graphics card and let the tasks use it; return why that is not possible.

        Raises:
            UsageError: the settings name a card that is not there.
        """
        gpus = probe.gpus()
        if gpus and prefork:
            return "a graphics card belongs to one process, so it needs -P threads"
        choice = open_engine(settings.worker, gpus)
        if choice.gpu is None:
            return choice.problems
        logger.info("Works on %s by %s.", choice.gpu.name, choice.gpu.kind)
        self._engine = Guarded(
            choice.engine, CpuEngine(), lambda _reason: self._changed(), self._changed
        )
        current.use(self._engine)
        return ""

    def _changed(self) -> None:
        """Report, and change queues, now that the engine has changed; from any thread."""
        self._measure()
        self.peer.wake()
        self._soon()

    def _soon(self) -> None:
        if self._consumer.hub is not None:
            self._consumer.hub.call_soon(self._follow_engine)

    def _follow_engine(self) -> None:
        """Serve the queues that the engine in use is for; on the loop's thread."""
        consumer, served = self._consumer, self._app.amqp.queues.consume_from
        if self._asked is not None:
            self.peer.wake()
            return
        if consumer.task_consumer is None or not isinstance(self._engine, Guarded):
            return  # While the broker is away: it is done after the reconnect.
        if self._engine.well:
            if self._left:
                consumer.add_task_queue(GPU)
            if self._stands_in:
                consumer.cancel_task_queue(CPU)
            self._left = self._stands_in = False
        elif GPU in served:
            consumer.cancel_task_queue(GPU)
            self._left = True
            if not any(name in served for name in CAPABILITIES):
                consumer.add_task_queue(CPU)
                self._stands_in = True
        self.peer.wake()

    def _measure(self) -> None:
        self._abilities.measure(self._client, self._line_key)

    def _fail(self, sentence: str, code: int) -> None:
        """End the worker from the heart's thread."""
        self._consumer.say_last(sentence)
        self._consumer.ending.begin(code=code)
        state.should_stop = code
        if self._consumer.hub is not None:
            self._consumer.hub.call_soon(_nothing)


def _direct_queue(id: str) -> Queue:  # noqa: A002
    """Return a peer's own queue, on which sessions send it what only it is to do.

    It has the name that Celery's ``worker_direct`` would give it, but no exchange of its own:
    that setting would leave a binding at the broker for every peer that ever existed.
    """
    return anonymous_queue(own_queue(id))


def _nothing() -> None:
    """Wake the loop."""
