"""The worker's step that has as many reads sent ahead as its speed and its line are worth."""

from __future__ import annotations

import logging
import threading
from functools import partial
from time import monotonic
from typing import Any

import redis
from celery import bootsteps, signals
from celery.worker import state
from redis.exceptions import ConnectionError as RedisConnectionError

from p2c2g.messaging.readahead import SPARE, Window
from p2c2g_workers.request import whose

logger = logging.getLogger(__name__)

#: Seconds between measurements of the round trip to the broker.
PROBE_INTERVAL = 5.0
#: Round trips in one measurement, of which the shortest counts.
PROBES = 3
#: Seconds for which a stopping worker waits for the chunks that it has already received.
FINISH_TIMEOUT = 3.0


class ReadAhead(bootsteps.StartStopStep):
    """Keeps the transport's read-ahead at the bandwidth-delay product of this worker."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        self._consumer = consumer
        self._window = Window(slots=consumer.pool.limit or 1, spare=SPARE)
        self._transport: Any = None
        self._channel: Any = None
        self._started: dict[str, float] = {}
        self._ended = threading.Event()
        if not consumer.pool.uses_semaphore:  # Prefork's tasks end in other processes.
            # Weakly held by the signals, strongly by the consumer's list of steps.
            signals.task_prerun.connect(self._on_start, dispatch_uid="p2c2g-readahead")
            signals.task_postrun.connect(self._on_end, dispatch_uid="p2c2g-readahead")
        super().__init__(consumer, **kwargs)

    def start(self, consumer: Any) -> None:
        """Follow the tasks and the round trip to the broker; runs again after a reconnect."""
        transport = consumer.connection.transport
        transport.running = lambda: len(state.active_requests)
        transport.read_ahead = self._window.read_ahead
        self._transport = transport
        self._channel = consumer.task_consumer.channel
        self._ended = threading.Event()
        threading.Thread(
            target=self._probe,
            args=(self._ended, transport, self._channel),
            name="p2c2g-rtt",
            daemon=True,
        ).start()

    def stop(self, consumer: Any) -> None:
        """Take no more, hand back what was read ahead, finish what was received."""
        self._ended.set()
        if consumer.task_consumer is None or consumer.connection is None:
            return  # After a lost connection, which took the reads with it.
        returned = consumer.task_consumer.channel.stop_reading()
        if returned:
            logger.info("Handed %d chunks back to their queues.", returned)
        if consumer.cold or consumer.pool.uses_semaphore:
            return  # The prefork pool finishes when it is stopped, and needs its own loop.
        deadline = monotonic() + FINISH_TIMEOUT
        poll = threading.Event()
        # Celery signals nobody when its last request ends, hence the look every 10 ms.
        while state.reserved_requests and monotonic() < deadline:
            poll.wait(0.01)

    def _on_start(self, task_id: str = "", **_: Any) -> None:
        self._started[task_id] = monotonic()

    def _on_end(self, task_id: str = "", task: Any = None, **_: Any) -> None:
        started = self._started.pop(task_id, None)
        if started is not None:
            seconds = monotonic() - started
            self._window.served(seconds)
            if self._consumer.peer is not None:
                self._consumer.peer.served(seconds, whose(getattr(task, "request", None)))
            if self._transport is not None:
                self._transport.read_ahead = self._window.read_ahead
        # Celery does the same a moment later, but nothing would then wake the loop, which sends
        # the next read on its next turn.  Where reads are outstanding, the next message wakes it
        # soon enough.
        request = state.requests.get(task_id)
        if request is not None:
            state.active_requests.discard(request)
        hub, channel = self._consumer.hub, self._channel
        if hub is not None and channel is not None and not channel.reads:
            hub.call_soon(_nothing)

    def _probe(self, ended: threading.Event, transport: Any, channel: Any) -> None:
        """Measure round trips to the broker on a connection of their own."""
        while not ended.is_set():
            try:
                shortest = min(channel.round_trip() for _ in range(PROBES))
            except (OSError, redis.RedisError) as error:
                if not ended.is_set():
                    logger.warning("The broker does not answer (%s): connecting again.", error)
                    channel.hang_up()
                    if channel.closed and (hub := self._consumer.hub) is not None:
                        # Nothing is read any more of which the loop could notice that.
                        hub.call_soon(partial(_reconnect, ended))
                return  # The loop notices, and calls start() again.
            self._window.round_trip(shortest)
            transport.round_trip = shortest
            transport.read_ahead = self._window.read_ahead
            ended.wait(PROBE_INTERVAL)


def _reconnect(ended: threading.Event) -> None:
    """Have the loop connect again, unless it has done so meanwhile."""
    if not ended.is_set():
        raise RedisConnectionError("the worker's channel was closed")


def _nothing() -> None:
    """Wake the loop."""
