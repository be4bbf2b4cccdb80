"""The worker's consumer: no gossip, no mingle, and reads sent ahead that follow its speed.

Gossip's traffic grows with the square of the workers and strangers have nothing to tell
each other, so neither step is here.  :class:`ReadAhead` is: it tells the transport how many
messages to keep on their way, and calls them back before the worker stops.
"""

from __future__ import annotations

import logging
import threading
from time import monotonic
from typing import Any

from celery import bootsteps, signals
from celery.worker import state
from celery.worker.consumer import Consumer as StockConsumer

from p2c2g.messaging.readahead import Window

logger = logging.getLogger(__name__)

#: Seconds between measurements of the way to the broker.
PROBE_INTERVAL = 5.0
#: Seconds that a stopping worker gives to the chunks that it has already received.
FINISH_TIMEOUT = 3.0


class ReadAhead(bootsteps.StartStopStep):  # type: ignore[misc]
    """Keeps the transport's read-ahead at the bandwidth-delay product of this worker."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **kwargs: Any) -> None:
        self._started: dict[str, float] = {}
        self._ended = threading.Event()
        super().__init__(consumer, **kwargs)

    def start(self, consumer: Any) -> None:
        """Follow the tasks and the way to the broker; runs again after a reconnect."""
        self._consumer = consumer
        self._window = Window(slots=consumer.pool.num_processes or 1)
        transport = consumer.connection.transport
        transport.running = lambda: len(state.active_requests)
        self._transport = transport
        self._ended = threading.Event()
        signals.task_prerun.connect(self._on_start, dispatch_uid="p2c2g-readahead")
        signals.task_postrun.connect(self._on_end, dispatch_uid="p2c2g-readahead")
        threading.Thread(
            target=self._probe, args=(self._ended,), name="p2c2g-rtt", daemon=True
        ).start()

    def stop(self, consumer: Any) -> None:
        """Take no more, hand back what was read ahead, finish what was received."""
        self._ended.set()
        signals.task_prerun.disconnect(dispatch_uid="p2c2g-readahead")
        signals.task_postrun.disconnect(dispatch_uid="p2c2g-readahead")
        if consumer.task_consumer is None or consumer.connection is None:
            return
        channel = consumer.task_consumer.channel
        returned = channel.stop_reading()
        if returned:
            logger.info("Handed %d chunks back to their queues.", returned)
        deadline = monotonic() + FINISH_TIMEOUT
        poll = threading.Event()
        # Celery tells nobody when its last request ends, hence the look every 10 ms.
        while state.reserved_requests and monotonic() < deadline:
            poll.wait(0.01)

    def _on_start(self, task_id: str = "", **_: Any) -> None:
        self._started[task_id] = monotonic()

    def _on_end(self, task_id: str = "", **_: Any) -> None:
        started = self._started.pop(task_id, None)
        if started is not None:
            self._window.served(monotonic() - started)
            self._transport.read_ahead = self._window.read_ahead
        hub = self._consumer.hub
        if hub is not None:
            hub.call_soon(_nothing)  # The loop sends the next read at its next turn.

    def _probe(self, ended: threading.Event) -> None:
        """Measure round trips to the broker on a connection of its own."""
        with self._consumer.app.connection_for_read() as connection:
            while not ended.is_set():
                try:
                    client = connection.default_channel.client
                    for _ in range(3):
                        sent = monotonic()
                        client.ping()
                        self._window.round_trip(monotonic() - sent)
                    self._transport.read_ahead = self._window.read_ahead
                except connection.connection_errors as error:
                    logger.debug("Could not measure the way to the broker: %s", error)
                    return  # The worker's own connection notices too, and starts us anew.
                ended.wait(PROBE_INTERVAL)


def _nothing() -> None:
    """Wake the loop."""


class Consumer(StockConsumer):  # type: ignore[misc]
    """Celery's consumer with the steps that a peer needs."""

    class Blueprint(StockConsumer.Blueprint):  # type: ignore[misc]
        """The steps, in order of their needs."""

        default_steps = [  # noqa: RUF012 - Celery's own attribute, read only
            *(
                step
                for step in StockConsumer.Blueprint.default_steps
                if not step.endswith((":Mingle", ":Gossip"))
            ),
            ReadAhead,
        ]
