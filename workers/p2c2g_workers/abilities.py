"""What this machine can do with each of its engines: guessed at first, then measured."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from p2c2g.errors import P2C2GError
from p2c2g.messaging.client import Client
from p2c2g.peers.messages import Capabilities
from p2c2g_workers import probe
from p2c2g_workers.engine import Engine, Kind
from p2c2g_workers.engine.cpu import CpuEngine

logger = logging.getLogger(__name__)

#: Seconds for which a leaving worker waits for a measurement that is running.
PROBE_TIMEOUT = 10.0


class Abilities:
    """What is told of the machine; the engine in use counts.

    Args:
        engine: the one that works; it may stand for another for a while.
        most: what a guest's line may carry, in bits a second: so much is told, and not tried.  0
            where that is all of it.
        changed: called when there is something else to tell, from any thread.
        ended: says that the worker leaves.
    """

    def __init__(
        self, engine: Engine, most: float, changed: Callable[[], None], ended: threading.Event
    ) -> None:
        self._engine = engine
        self._most = most
        self._changed = changed
        self._ended = ended
        self._known: dict[Kind, Capabilities] = {}
        for each in (CpuEngine(), engine):
            self._known[each.kind] = probe.quick(each)
        self._probing: dict[Kind, threading.Thread] = {}

    @property
    def now(self) -> Capabilities:
        """Return what the machine can do now."""
        return self._known[self._engine.kind]

    def measure(self, client: Client, line_key: str | None) -> None:
        """Measure with the engine in use, on a thread of its own; once for each engine.

        Args:
            client: to the broker, whose line is tried.
            line_key: the key by which that is done in an open pool.
        """
        kind = self._engine.kind
        if kind not in self._probing:
            # Not a daemon: a thread that is in a library's C++ when Python ends aborts the whole
            # process (SIGABRT).  It ends soon: see _ended.
            self._probing[kind] = threading.Thread(
                target=self._probe, args=(kind, client, line_key), name="p2c2g-probe"
            )
            self._probing[kind].start()

    def bound_line(self, most: float) -> bool:
        """Tell from now on what a guest's line may carry, in bits a second; 0 where it is all.

        Returns:
            Whether it has to be measured anew.
        """
        self._most = most
        if most:
            for kind, known in self._known.items():
                self._known[kind] = self._bounded(known)
            self._changed()
            return False
        if any(each.is_alive() for each in self._probing.values()):
            return False
        self._probing.clear()
        return True

    def wait(self) -> None:
        """Wait for measurements that are running; they end soon once the worker leaves."""
        for probing in list(self._probing.values()):
            probing.join(PROBE_TIMEOUT)

    def _bounded(self, known: Capabilities) -> Capabilities:
        return known.model_copy(update={"up": self._most, "down": self._most})

    def _probe(self, kind: Kind, client: Client, line_key: str | None) -> None:
        """Measure the machine, or load what was measured before, and report it."""
        try:
            measured = probe.capabilities(
                None if self._most else client,
                engine=self._engine,
                stop=self._ended.is_set,
                line_key=line_key,
            )
        except P2C2GError as error:
            logger.warning("Could not measure this machine: %s", error)
            return
        if self._ended.is_set():
            return
        if self._engine.kind == kind:
            self._known[kind] = self._bounded(measured) if self._most else measured
            self._changed()
        else:
            self._probing.pop(kind)  # The engine changed meanwhile; measured again when it is back.
