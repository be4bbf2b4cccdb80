"""A session's housekeeping: whatever has to wait for the broker and is in no hurry.

A thread of its own, so that neither the capture nor the results wait with it: it reconnects
the sending side, follows the registry, judges examinations, shares what is known of peers with
the other sessions, and asks peers to leave the capability queue and to come back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from p2c2g.errors import BrokerUnavailableError
from p2c2g.messaging import remote
from p2c2g.messaging.client import SOCKET_TIMEOUT
from p2c2g.messaging.dispatcher import Dispatcher
from p2c2g.peers.breaker import Breakers, Change
from p2c2g.peers.health import Health
from p2c2g.peers.shared_breakers import SharedBreakers
from p2c2g.peers.shared_health import SharedHealth
from p2c2g.peers.trust import Trust
from p2c2g.session.registry_follower import RegistryFollower
from p2c2g.verify.examiner import Examiner

logger = logging.getLogger(__name__)

#: Seconds between two rounds, and rounds between two looks at the registry, and between two
#: exchanges of what is known of peers.
INTERVAL = 0.25
WATCH_EVERY = 2
TELL_EVERY = 20


class Maintenance:
    """The thread.

    Args:
        app: the Celery application.
        queue: the capability queue.
        dispatcher: is reconnected where it has lost its connection.
        breakers: the session's breakers.
        shared: what sessions tell each other of them.
        registry_follower: follows the registry.
        examiner: has answers to be judged.
        shared_health: what sessions tell each other of the next two.
        health: what was seen of the peers.
        trust: how far they are believed.
        lock: guards these and the breakers.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        app: Any,
        queue: str,
        dispatcher: Dispatcher,
        breakers: Breakers,
        shared: SharedBreakers,
        registry_follower: RegistryFollower,
        examiner: Examiner,
        shared_health: SharedHealth,
        health: Health,
        trust: Trust,
        lock: threading.Lock,
        clock: Callable[[], float],
    ) -> None:
        self._app = app
        self._queue = queue
        self._dispatcher = dispatcher
        self._breakers = breakers
        self._shared = shared
        self._registry_follower = registry_follower
        self._examiner = examiner
        self._shared_health = shared_health
        self._health = health
        self._trust = trust
        self._lock = lock
        self._clock = clock
        self._lost = False
        self._round = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="p2c2g-keeper", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread; what peers have done until now is still told."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(5 * SOCKET_TIMEOUT)

    def _run(self) -> None:
        # At once: whoever waits for its first frame would like its peers to be known.
        self.round()
        while not self._ending.wait(INTERVAL):
            self.round()
        self.round()

    def round(self) -> None:
        """Do once whatever is to be done."""
        try:
            if not self._ending.is_set():
                self._dispatcher.connect()
            self._share()
            self._examiner.judge(self._clock())
            if self._round % WATCH_EVERY == 0:
                self._registry_follower.round()
            if self._round % TELL_EVERY == 0 or self._ending.is_set():
                self._tell()
            self._round += 1
        except BrokerUnavailableError as error:
            self._lost = True
            logger.debug("%s", error)

    def _share(self) -> None:
        with self._lock:
            if self._lost:
                self._breakers.forget_shared(self._clock())
                self._lost = False
            changes = self._breakers.take_changes()
        try:
            left = self._shared.sync(changes)
        except BrokerUnavailableError:
            with self._lock:
                self._breakers.put_back(changes)
            raise
        with self._lock:
            self._breakers.share(left, self._clock())
        if changes:
            self._ask(changes)

    def _tell(self) -> None:
        """Tell what was seen of the peers, and hear what others have seen."""
        with self._lock:
            health, trust = self._health.snapshot(), self._trust.snapshot()
        heard = self._shared_health.sync(health, trust)
        with self._lock:
            self._health.merge(heard.health)
            self._trust.merge(heard.trust)

    def _ask(self, changes: list[Change]) -> None:
        """Ask the peers to leave the capability queue, or to come back to it."""
        for change in changes:
            ask = remote.leave_queue if change.seconds else remote.join_queue
            ask(self._app, self._queue, change.peer)
            logger.warning(
                "Peer %s is asked to %s the queue %r.",
                change.peer,
                "leave" if change.seconds else "come back to",
                self._queue,
            )
