"""The worker's consumer: no gossip, no mingle, and reads sent ahead that follow its speed.

Gossip's traffic grows with the square of the number of workers, and strangers have nothing to
tell each other, so Celery's steps for both are left out, and its heart beats on a thread
(:mod:`p2c2g_workers.monitors`).  :mod:`p2c2g_workers.read_ahead_step` is added: it tells the
transport how many reads to keep outstanding, and recalls them before the worker stops.

A worker ends in this order: the reads are recalled; a warm shutdown finishes what was received,
a cold one only what is running; the results are sent; what never started goes back to its queue;
then the peer deregisters, and what waits in its own queue goes to the capability's.
"""

from __future__ import annotations

import gc
import logging
import sys
import threading
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
import redis
from celery import platforms, signals
from celery.app.task import Task as StockTask
from celery.concurrency.base import BasePool
from celery.exceptions import CPendingDeprecationWarning, WorkerShutdown
from celery.worker import state
from celery.worker.consumer import Consumer as StockConsumer
from kombu.exceptions import OperationalError

from p2c2g.errors import BrokerRefusesError, P2C2GError, UsageError
from p2c2g.joining.expulsion import Expulsion
from p2c2g.messaging import names, open_names
from p2c2g.messaging.client import Client, redis_client
from p2c2g.messaging.errors import BROKER_ERRORS
from p2c2g.messaging.results import FrameResultBackend, flush_results, is_open_pool
from p2c2g.messaging.transport import Transport
from p2c2g.settings import load
from p2c2g_workers import refusals
from p2c2g_workers.absence import Absence
from p2c2g_workers.ending import Ending
from p2c2g_workers.gamers import ended
from p2c2g_workers.monitors import Monitors
from p2c2g_workers.naming import Claim
from p2c2g_workers.read_ahead_step import ReadAhead
from p2c2g_workers.receiving import Receiving
from p2c2g_workers.request import Request

if TYPE_CHECKING:
    from p2c2g_workers.peer import Peer
    from p2c2g_workers.wishes import Wishes

logger = logging.getLogger(__name__)

#: Seconds between attempts to reach a broker that is away: the first, the increase, the most.
RECONNECT = {"interval_start": 0.1, "interval_step": 0.1, "interval_max": 0.5}


class RefusedError(click.ClickException):
    """The command line asks for something impossible: prints the sentence and exits with 2."""

    exit_code = UsageError.exit_code


class Consumer(StockConsumer):
    """Celery's consumer with the steps that a peer needs.

    Raises:
        RefusedError: a step cannot do what the command line asks of it.
    """

    #: Whether the worker ends without finishing what it has received.
    cold = False
    #: What this worker tells others; None for a worker that does not enrol.
    peer: Peer | None = None
    #: Deregisters it; called last.
    leave: Callable[[], None] | None = None
    #: A client of the broker, of a worker that enrols.
    client: Client | None = None
    #: What its owner wants of it; None where that cannot change while it runs.
    wishes: Wishes | None = None

    def tell_line(self, mbps: float | None) -> None:
        """Tell others what the line may carry now; a worker that enrols does."""

    class Blueprint(StockConsumer.Blueprint):
        """The steps, in the order of their dependencies."""

        default_steps = [  # noqa: RUF012 - Celery's own attribute, read only
            *(
                step
                for step in StockConsumer.Blueprint.default_steps
                if not step.endswith((":Mingle", ":Gossip", ":Heart"))
            ),
            Monitors,
            ReadAhead,
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Other steps require mingle, and so bring it back: it waits a second for answers whenever
        # the worker connects.
        kwargs.update(without_mingle=True, without_gossip=True)
        asked = kwargs.get("worker_options") or {}
        self.tells_monitors = not asked.get("without_heartbeat")
        self._is_open = is_open_pool(kwargs["app"])
        membership = load().membership if self._is_open else None
        #: Asks why an open pool has this peer no more; "" where nobody says.
        self.why_out: Callable[[], str] = Expulsion(membership).sentence if membership else str
        grace = refusals.GRACE if self._is_open else 0.0
        self._belief = refusals.Belief(grace, why=self.why_out)
        self._last_word = threading.Lock()
        if self._is_open:
            # Nobody may hear them.
            self.tells_monitors = False
            kwargs.update(without_heartbeat=True, task_events=False)
        if asked.get("no_task_events"):
            # So is Celery's sender of events, which any monitor could turn on.
            kwargs["without_heartbeat"] = True
        self.ending = Ending(lambda: bool(state.active_requests), self._broker_answers)
        # Weakly held by the signal.
        signals.worker_shutting_down.connect(self._on_signal, dispatch_uid="p2c2g-ending")
        try:
            super().__init__(*args, **kwargs)
        except UsageError as error:
            # A worker that has left the terminal has nothing but its log.
            if not sys.stderr.isatty():
                logger.critical("%s", error)
            if not self._is_open:
                _give_up_name(self.controller, self.hostname)
            raise RefusedError(str(error)) from error

    def _broker_answers(self) -> bool:
        if self.client is None:
            return False
        # Not that one: it is patient.
        client = redis_client(load())
        try:
            return bool(client.ping())
        except BROKER_ERRORS:
            return False
        finally:
            client.close()

    def _end_cold(self, *_: Any) -> None:
        self.ending.begin(cold=True, code=platforms.EX_FAILURE)
        state.should_terminate = platforms.EX_FAILURE

    def _on_signal(self, how: str = "", exitcode: int = platforms.EX_OK, **_: Any) -> None:
        self.ending.begin(cold=how.lower() == "cold", code=exitcode or platforms.EX_OK)

    def start(self) -> None:
        """Work until the end; what cannot be waited for is one sentence, and its exit code."""
        try:
            super().start()
        except P2C2GError as error:
            refused = isinstance(error, BrokerRefusesError)
            self.say_last(self.why_refused(error) if refused else str(error))
            self.ending.begin(code=error.exit_code)
            raise WorkerShutdown(error.exit_code) from error

    def why_refused(self, error: P2C2GError) -> str:
        """Return the sentence for a refusal by the broker that ends this worker."""
        principal = self.app.principal
        return str(error) if principal is None else ended(principal, error, self.why_out())

    def say_last(self, sentence: str) -> None:
        """Log why it ends; where several threads find that out, the first one's word is enough."""
        if self._last_word.acquire(blocking=False):
            logger.critical("%s", sentence)

    def stop(self) -> None:
        """End: however that began, the broker cannot hold it up."""
        self.ending.begin()
        super().stop()

    def update_strategies(self) -> None:
        """Check every task's messages."""
        for task in self.app.tasks.values():
            if task.Request == StockTask.Request:
                task.Request = f"{Request.__module__}:Request"
        super().update_strategies()

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Any:
        """Return what begins each task, whatever its message is."""
        return Receiving(super().create_task_handler(*args, **kwargs))

    def call_soon_ack(self, p: Any, *args: Any, **kwargs: Any) -> Any:
        """Acknowledge at once, in the pool's thread: our channel only marks it.

        Celery would wake the loop for it, once a chunk.
        """
        if isinstance(getattr(self.connection, "transport", None), Transport):
            return p(*args, **kwargs)
        return super().call_soon_ack(p, *args, **kwargs)

    def on_ready(self) -> None:
        """Prepare for the first chunk.

        SIGQUIT is handled here where Celery's own handler cannot deal with the pool.  Celery's
        does its work inside the signal handler, wherever the main thread happens to be: it waits
        for pool threads that may want a lock which the main thread holds, and ends running tasks,
        which threads do not allow.  So ours only sets a flag.
        """
        if self.restart_count == 0 and not self._ends_tasks():
            platforms.signals["SIGQUIT"] = self._end_cold
            if isinstance(self.app.backend, FrameResultBackend):
                self.app.backend.open()
            # What is loaded by now stays: searching it for garbage took 42 ms in the middle of a
            # chunk.
            gc.collect()
            gc.freeze()
        super().on_ready()
        if self.peer is not None:
            self.peer.consuming(True)

    def ensure_connected(self, conn: Any) -> Any:
        """Try often to reach a broker that is away, and speak seldom of it.

        Celery's own pauses grow by 2 s each time, and it says so each time.

        Raises:
            BrokerRefusesError: it is there, and will not have this worker.
        """
        ensure, absence = conn.ensure_connection, Absence()

        def tell(error: Exception, _pause: float) -> None:
            self._belief.check(error)
            sentence = absence.missed(conn.as_uri(), error)
            if sentence:
                logger.warning("%s", sentence)

        def ensure_or_refuse(_told: Callable[..., Any], *args: Any, **options: Any) -> Any:
            while True:
                try:
                    return ensure(tell, *args, **(options | RECONNECT))
                except (OperationalError, redis.ResponseError) as error:
                    # It is there, and does not even answer a PING: it is busy with a script.
                    tell(error, RECONNECT["interval_max"])
                    refusals.pause(state.maybe_shutdown)

        conn.ensure_connection = ensure_or_refuse
        connected = super().ensure_connected(conn)
        self._belief.passed()
        if absence:
            logger.warning("The broker answers.")
        return connected

    def _ends_tasks(self) -> bool:
        """Tell whether the pool can end a running task; prefork can."""
        return bool(self.pool.uses_semaphore)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Keep what the pool's threads have received; with prefork, Celery throws it away.

        Handing it back as well would run it twice.  What the broker refuses is waited out.

        Raises:
            BrokerRefusesError: it will go on refusing.
        """
        self._belief.check(exc)
        if type(self.pool).flush is BasePool.flush:
            for channel in self.connection.transport.channels:
                channel.do_restore = False
        with warnings.catch_warnings():  # About a setting that we have made.
            warnings.simplefilter("ignore", CPendingDeprecationWarning)
            super().on_connection_error_after_connected(exc)
        if isinstance(exc, redis.ResponseError) and self.client is not None:
            refusals.wait_out(self.client, *self._tried(), state.maybe_shutdown)

    def _tried(self) -> tuple[str, dict[str, str]]:
        """Return a key by which writing is tried, and the kinds that others must have."""
        principal = self.app.principal
        if principal is not None:  # Its keys can be of no other kind.
            return open_names.measurement(principal.id, "write"), {}
        queues = self.app.amqp.queues.consume_from
        return names.measurement("write"), refusals.kinds(self.hostname, queues)

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Try again, unless the broker will go on refusing.

        Raises:
            BrokerRefusesError: it will.
        """
        self._belief.check(exc)
        super().on_connection_error_before_connected(exc)

    def terminate(self) -> None:
        """End at once (cold shutdown): what has not started goes back to its queue."""
        self.cold = True
        self.stop()
        if not self._ends_tasks():
            self.pool.stop()

    def shutdown(self) -> None:
        """Close; the pool has ended, so the last results are ready to be sent."""
        flush_results(self.app)
        super().shutdown()
        if self.leave is not None:
            self.leave()


def _give_up_name(controller: Any, name: str) -> None:
    client = redis_client(load())
    Claim.of(controller, name).release(client, name)
    client.close()


@signals.worker_process_shutdown.connect
def _flush_child(**_: Any) -> None:
    """Send a prefork child's last results; its application is the current one."""
    from celery import current_app

    flush_results(current_app._get_current_object())
