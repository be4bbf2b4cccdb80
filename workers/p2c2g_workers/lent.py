"""The step of a worker whose owner follows it: it writes what the peer does, and serves its page.

It begins before the broker is reached, so that its owner sees that it waits for that.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from time import time
from typing import Any, Final

from celery import bootsteps

from p2c2g import __version__
from p2c2g.errors import P2C2GError, UnavailableError
from p2c2g.lending.home import Home
from p2c2g.lending.state import EVERY, State, Word
from p2c2g.peers.messages import PeerState
from p2c2g.system.cpus import cores
from p2c2g.system.threads import SupervisedThread
from p2c2g_workers.page.done import Counting, Done
from p2c2g_workers.page.kept_log import kept_log
from p2c2g_workers.page.machine import Machine, MachineWatch
from p2c2g_workers.wishes import PAGE_VARIABLE, home_of_process

logger = logging.getLogger(__name__)

#: Seconds after a chunk for which a peer counts as working.
WORKING: Final = 3.0
_WORDS: Final = {
    PeerState.STARTING: Word.STARTING,
    PeerState.PAUSED: Word.PAUSED,
    PeerState.DRAINING: Word.DRAINING,
}


class Lent:
    """What a lent machine's peer does, put together once a second.

    Args:
        peer: says what it does.
        name: as the pool knows it.
        label: as people call it.
        done: counts its chunks.
        before: what the process before it wrote last.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        peer: Any,
        name: str,
        label: str,
        done: Done,
        before: State | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self._peer = peer
        self._name, self._label = name, label
        self._done = done
        self._clock = clock
        self._started = clock()
        self._total, self._worked = (before.total, before.worked) if before else (0, 0.0)
        self._word, self._since = Word.STARTING, self._started
        self.page = ""

    def look(self, *, ended: bool = False) -> State:
        """Return what it does now: for one caller, once a second."""
        now, last, rate = self._clock(), self._done.last, self._done.look()
        word = _WORDS.get(self._peer.state, Word.READY)
        if word is Word.READY and last is not None and now - last < WORKING:
            word = Word.WORKING
        if ended:
            word = Word.ENDED
        if word is not self._word:
            self._word, self._since = word, now
        return State(
            pid=os.getpid(),
            version=__version__,
            name=self._name,
            label=self._label,
            word=word,
            why=self._peer.why,
            since=self._since,
            started=self._started,
            written=now,
            chunks=self._done.chunks,
            failed=self._done.failed,
            last_chunk=last,
            rate=rate,
            total=self._total + self._done.chunks,
            worked=self._worked + self._done.worked,
            gamers=self._done.gamers(),
            page=self.page,
        )


class LentStep(bootsteps.StartStopStep):
    """Keeps the state's file and the page, from the worker's beginning until it has left."""

    requires = ("p2c2g_workers.guest:Guest",)

    def __init__(self, consumer: Any, peer_name: str | None = None, **kwargs: Any) -> None:
        super().__init__(consumer, **kwargs)
        self.enabled = consumer.wishes is not None
        if not self.enabled:
            return
        self._home: Home | None = home_of_process()
        before = None if self._home is None else State.read(self._home.state)
        self.done = Done()
        self._counting = Counting(self.done)
        self._watch = MachineWatch()
        name = str(consumer.hostname)
        self._lent = Lent(consumer.peer, name, (peer_name or "").strip(), self.done, before)
        self.wishes = consumer.wishes
        self.slots = consumer.pool.limit or 1
        self.cores = cores()
        self._page: Any = None
        self._told = False
        self._ended = threading.Event()
        self.state: State = self._lent.look()
        self.machine: Machine = self._watch.look()
        self._open_page()
        self._write(self._lent.look())
        self._thread = SupervisedThread("p2c2g-lent", self._run)
        self._thread.start()

    @property
    def is_kept(self) -> bool:
        """Tell whether what is changed on the page outlasts the process."""
        return self._home is not None

    @property
    def log(self) -> list[dict[str, Any]]:
        """Return the last lines of the log, the newest first."""
        return [
            {"at": line.at, "level": line.level, "text": line.text} for line in kept_log.lines()
        ]

    def start(self, consumer: Any) -> None:
        """Go on: it has begun before."""

    def stop(self, consumer: Any) -> None:
        """Go on: the broker may only be away."""

    def shutdown(self, consumer: Any) -> None:
        """Write that it has ended, and close the page."""
        self._ended.set()
        self._thread.join(5.0)
        self._counting.close()
        self._write(self._lent.look(ended=True))
        if self._page is not None:
            self._page.close()

    def _run(self) -> None:
        while not self._ended.wait(EVERY):
            self.machine = self._watch.look()
            self._write(self._lent.look())

    def _write(self, state: State) -> None:
        self.state = state
        if self._home is None:
            return
        try:
            state.write(self._home.state)
            self._told = False
        except UnavailableError as error:
            if not self._told:
                self._told = True
                logger.warning("%s", error)

    def _open_page(self) -> None:
        port = os.environ.get(PAGE_VARIABLE, "")
        if not port.isdecimal():
            return
        try:
            from p2c2g_workers.page.server import PageServer, token_of

            self._page = PageServer(self, token_of(self._home), int(port))
            self._lent.page = self._page.start()
        except P2C2GError as error:
            logger.warning("This peer has no page: %s", error)
