"""Tells monitors, such as Flower, that this worker lives, from a thread of its own.

Celery's own heart sends from the worker's loop, which a silent broker then holds up.  What a
monitor learns of each chunk is another matter: the events of ``-E``.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from celery import bootsteps
from celery.utils.sysinfo import load_average
from celery.worker import state
from celery.worker.consumer.connection import Connection
from kombu.exceptions import OperationalError

from p2c2g.messaging.client import open_connection
from p2c2g.messaging.errors import BROKER_ERRORS
from p2c2g.peers.registry import MISSED

logger = logging.getLogger(__name__)

#: Seconds between two events.
INTERVAL = 2.0
#: Seconds for which an ending worker waits until monitors have been told.
LAST_WORD = 1.0


class Monitors(bootsteps.StartStopStep):
    """Sends ``worker-online``, ``worker-heartbeat`` and ``worker-offline`` while the worker lives.

    In the place of Celery's heart; ``--without-heartbeat`` and ``--heartbeat-interval`` are its
    options.
    """

    requires = (Connection,)

    def __init__(
        self, consumer: Any, heartbeat_interval: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(consumer, **kwargs)
        self.enabled = consumer.tells_monitors
        self._consumer = consumer
        self._interval = float(heartbeat_interval or INTERVAL)
        self._ended = threading.Event()
        self._connection: Any = None
        self._thread: threading.Thread | None = None

    def start(self, consumer: Any) -> None:
        """Begin; a reconnect of the worker's changes nothing here."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="p2c2g-monitors", daemon=True)
            self._thread.start()

    def stop(self, consumer: Any) -> None:
        """Go on: it may be a reconnect, and what was received is still being finished."""

    def shutdown(self, consumer: Any) -> None:
        """Tell that the worker has ended, where the broker lets it."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(LAST_WORD)

    def _run(self) -> None:
        event = "worker-online"
        while True:
            if self._tell(event):
                event = "worker-heartbeat"
            if self._ended.wait(self._interval):
                break
        self._tell("worker-offline")
        self._hang_up()

    def _tell(self, event: str) -> bool:
        """Send one event; tell whether it has left."""
        app = self._consumer.app
        try:
            if self._connection is None:
                self._connection = open_connection(app)
            with app.events.Dispatcher(
                self._connection,
                hostname=self._consumer.hostname,
                groups=["worker"],
                buffer_while_offline=False,
            ) as dispatcher:
                dispatcher.send(
                    event,
                    # Monitors give up who was silent for twice as long: as the registry does.
                    freq=self._interval * MISSED / 2,
                    active=len(state.active_requests),
                    processed=state.all_total_count[0],
                    loadavg=load_average(),
                    **state.SOFTWARE_INFO,
                )
        except (OperationalError, *BROKER_ERRORS) as error:
            logger.debug("Monitors were not told of %s: %s", event, error)
            self._hang_up()
            return False
        return True

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()
