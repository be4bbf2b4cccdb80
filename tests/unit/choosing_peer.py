"""A simulated peer that chooses its nets as a real one does, and is cold at first."""

from __future__ import annotations

from collections import Counter

from p2c2g.simulator.engine import Engine
from p2c2g.simulator.peers import Message, Peer
from p2c2g_workers.ladder import PRODUCTS
from p2c2g_workers.method_chooser import MethodChooser, Rung

SMALL, TINY, FOOT = (Rung(name, PRODUCTS[name]) for name in ("ml-small", "ml-tiny", "base"))
#: Seconds a megapixel of 1280x720, of nets and of what a chunk takes besides, on one core.
SECONDS = {SMALL: 0.037, TINY: 0.0098, FOOT: 0.001}
BESIDES = 0.0065


class Choosing:
    """Has a peer choose.

    Args:
        peer: the peer.
        engine: the clock.
        cold: seconds that the first run of a net takes on top; each later one half of that.
    """

    def __init__(self, peer: Peer, engine: Engine, cold: float = 0.0) -> None:
        self._peer, self._engine, self._cold = peer, engine, cold
        self._chooser = MethodChooser(engine.clock)
        self._began = engine.now
        #: What it is at: its rung, size and seconds.
        self._at: tuple[Rung, float, float] | None = None
        #: When which rung was taken.
        self.ran: list[tuple[float, Rung]] = []
        peer.effort = self._effort

    def counted(self, since: float) -> Counter[str]:
        """Return how often each was taken since a moment."""
        return Counter(rung.name for at, rung in self.ran if at >= since)

    def _effort(self, message: Message, waited: float) -> float:
        now, size = self._engine.now, message.megapixels
        if self._at is not None:
            self._chooser.note(*self._at)
        self._chooser.begins(size, now - self._began)
        self._began = now
        turns = self._peer.waiting + 1
        rung = self._chooser.choose([SMALL, TINY, FOOT], size, message.budget - waited, turns)
        self.ran.append((now, rung))
        seconds = SECONDS[rung] * size
        if rung is not FOOT:
            seconds, self._cold = seconds + self._cold, self._cold / 2
        self._at = rung, size, seconds
        return seconds / size + BESIDES
