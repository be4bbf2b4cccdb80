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
from typing import Any

import psutil
from celery import bootsteps, signals
from celery.worker import state
from kombu import Queue

import p2c2g.messaging.drain  # noqa: F401 - the command that ends this peer in good order
from p2c2g.errors import P2C2GError, UsageError
from p2c2g.messaging.client import redis_client
from p2c2g.messaging.labels import is_name
from p2c2g.messaging.names import CAPABILITIES, own_queue
from p2c2g.messaging.pools import PATIENCE
from p2c2g.messaging.publishing import anonymous_queue
from p2c2g.peers.messages import Capabilities, Enrolment
from p2c2g.peers.registry import Registry
from p2c2g.peers.versions import spoken
from p2c2g.settings import Settings, load
from p2c2g_workers import probe
from p2c2g_workers.broker_watch import BrokerWatch
from p2c2g_workers.engine import Engine, Kind, current
from p2c2g_workers.engine.choosing import open_engine
from p2c2g_workers.engine.cpu import CpuEngine
from p2c2g_workers.engine.guarded import Guarded
from p2c2g_workers.heart import Heart
from p2c2g_workers.naming import Claim
from p2c2g_workers.peer import Peer

logger = logging.getLogger(__name__)

#: Seconds for which a leaving worker waits for a measurement that is running.
PROBE_TIMEOUT = 10.0
#: Most queues that an enrolment lists.
MAX_QUEUES = 64
GPU, CPU = CAPABILITIES
NO_GPU = "looked for CUDA, OpenCL and Metal and found no GPU"


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
        **kwargs: Any,
    ) -> None:
        super().__init__(consumer, **kwargs)
        settings = load()
        self._app = consumer.app
        queues = self._app.amqp.queues
        self._engine: Engine = CpuEngine()
        problem = ""
        if GPU in queues.consume_from:
            problem = self._open(settings, prefork=bool(consumer.pool.uses_semaphore))
        #: What the machine can do with each of its engines; the one in use counts.
        self._known: dict[Kind, Capabilities] = {}
        for engine in (CpuEngine(), self._engine):
            self._known[engine.kind] = probe.quick(engine)
        self._probing: dict[Kind, threading.Thread] = {}
        self._ended = threading.Event()
        #: Whether the queue gpu was left, and whether cpu is served instead of it.
        self._left = self._stands_in = False
        choose_queues(queues, self._capabilities, cpu_fallback, problem)
        id = str(consumer.hostname)  # noqa: A001 - the registry's word
        claim = Claim.of(getattr(consumer, "controller", None), id)
        if claim.wanted != id:
            logger.warning("%s is taken: this worker is called %s.", claim.wanted, id)
        if not is_name(id):
            raise UsageError(
                f"{id!r} cannot be a peer's id: give one of at most 200 characters without "
                "blanks with -n."
            )
        self._first = Enrolment(
            id=id,
            name=(peer_name or "").strip(),
            region=(region or "").strip(),
            instance=claim.instance,
            slots=consumer.pool.limit or 1,
            queues=self._queues(id),
            interval=settings.worker.beat_interval,
            capabilities=self._capabilities,
            speaks=spoken(),
        )
        queues.select_add(_direct_queue(id))
        self._client = consumer.client = redis_client(settings, PATIENCE)
        psutil.cpu_percent()  # It covers the time since the last call, hence a first one.
        consumer.peer = self.peer = Peer(
            in_flight=lambda: len(state.reserved_requests),
            load=lambda: psutil.cpu_percent() / 100,
        )
        self._heart = Heart(
            Registry(self._client),
            self.peer,
            self._describe,
            self._fail,
            control=bool(self._app.conf.worker_enable_remote_control),
            look=BrokerWatch(self._client, lambda: list(queues.consume_from)).look,
        )
        self._consumer = consumer
        consumer.leave = self._leave
        # Weakly held by the signal, strongly by the consumer's list of steps.
        signals.worker_shutting_down.connect(self._on_signal, dispatch_uid="p2c2g-enrolment")

    def start(self, consumer: Any) -> None:
        """Enrol as soon as the broker answers; runs again after a reconnect."""
        self._heart.start()
        self._measure()
        # A card that came or went while the broker was away.
        self._follow_engine()

    def close(self, consumer: Any) -> None:
        """Report that the worker ends, before anything else ends."""
        self.peer.drain()

    def stop(self, consumer: Any) -> None:
        """Report that no chunks are read: the connection is lost, or the worker ends."""
        self.peer.consuming(False)

    def _leave(self) -> None:
        self._ended.set()
        self._heart.leave()
        for probing in list(self._probing.values()):
            probing.join(PROBE_TIMEOUT)
        self._client.close()
        self._engine.close()

    def _on_signal(self, **_: Any) -> None:
        self._ended.set()
        self.peer.drain()

    def _queues(self, id: str) -> tuple[str, ...]:  # noqa: A002
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
            "capabilities": self._capabilities,
        }
        return self._first.model_copy(update=changes)

    @property
    def _capabilities(self) -> Capabilities:
        """Return what the machine can do now."""
        return self._known[self._engine.kind]

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
        """Measure with the engine in use, on a thread of its own; once for each engine."""
        kind = self._engine.kind
        if kind not in self._probing:
            # Not a daemon: a thread that is in a library's C++ when Python ends aborts the whole
            # process (SIGABRT).  It ends soon: see _ended.
            self._probing[kind] = threading.Thread(
                target=self._probe, args=(kind,), name="p2c2g-probe"
            )
            self._probing[kind].start()

    def _probe(self, kind: Kind) -> None:
        """Measure the machine, or load what was measured before, and report it."""
        try:
            measured = probe.capabilities(
                self._client, engine=self._engine, stop=self._ended.is_set
            )
        except P2C2GError as error:
            logger.warning("Could not measure this machine: %s", error)
            return
        if self._ended.is_set():
            return
        if self._engine.kind == kind:
            self._known[kind] = measured
            self.peer.wake()
        else:
            self._probing.pop(kind)  # The engine changed meanwhile; measured again when it is back.

    def _fail(self, sentence: str, code: int) -> None:
        """End the worker from the heart's thread."""
        logger.critical("%s", sentence)
        self._consumer.ending.begin(code=code)
        state.should_stop = code
        if self._consumer.hub is not None:
            self._consumer.hub.call_soon(_nothing)


def choose_queues(
    queues: Any, capabilities: Capabilities, cpu_fallback: bool, problem: str = ""
) -> None:
    """Leave only queues that this machine can serve.

    Args:
        queues: Celery's, with what ``-Q`` chose.
        capabilities: the machine's.
        cpu_fallback: whether ``cpu`` may replace what was asked for.
        problem: why a graphics card that is there cannot be used.

    Raises:
        UsageError: it was told to serve a queue that it cannot.
    """
    missing = [
        name
        for name in queues.consume_from
        if name in CAPABILITIES and name not in capabilities.queues
    ]
    if not missing:
        return
    told = queues._consume_from is not None
    names = ", ".join(missing)
    if told and not cpu_fallback:
        raise UsageError(
            f"This machine cannot serve the queue {names}: {problem or NO_GPU}. Give "
            "--cpu-fallback or -Q cpu to serve the queue cpu."
        )
    queues.deselect(missing)
    if told:
        queues.select_add(queues["cpu"])
        why = problem or "Found no GPU"
        logger.warning("%s: serving the queue cpu in place of %s.", why, names)


def _direct_queue(id: str) -> Queue:  # noqa: A002
    """Return a peer's own queue, on which sessions send it what only it is to do.

    It has the name that Celery's ``worker_direct`` would give it, but no exchange of its own:
    that setting would leave a binding at the broker for every peer that ever existed.
    """
    return anonymous_queue(own_queue(id))


def _nothing() -> None:
    """Wake the loop."""
