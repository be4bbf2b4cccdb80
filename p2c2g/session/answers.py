"""No peer answers more than it was asked: what one sends beyond that is not looked at.

Of an open pool, where each peer's stream says who sent what.  The broker lets a peer add to its own
stream as much as it likes, and would carry all of it to the gamer.  So each chunk that is sent to
a peer is worth some answers of it; who has used up its own is *muted*: its stream goes, and it
gets no chunks for a while; so is who sends much that is no answer (:mod:`p2c2g.peers.noise`).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from p2c2g.media.frame import ChunkKey
from p2c2g.peers.noise import Noise
from p2c2g.session.observer import Observer

logger = logging.getLogger(__name__)

#: Answers that each chunk is worth: a connection that was lost may bring one twice.
EACH = 2
#: Answers in hand at most: a peer whose line was gone for a while may have 512 to send
#: (:mod:`p2c2g.messaging.writer`), and sends again what was not confirmed.
BURST = 1024
#: Seconds for which a peer is muted.
MUTED = 60.0
#: Peers that are remembered; the one asked least lately is forgotten.
MAX_PEERS = 4096


class Answers(Observer):
    """The answers that each peer of one session has in hand.  Thread-safe.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[str, int] = {}
        self._muted: dict[str, float] = {}
        self._noise = Noise(clock)

    def run_sent(self, key: ChunkKey, attempt: int, peer: str, size: int) -> None:
        """Note that a chunk goes to a peer."""
        self._asked(peer)

    def chunk_moved(self, key: ChunkKey, source: str, to: str) -> None:
        """Note that another gets it."""
        self._asked(to)

    def _asked(self, peer: str) -> None:
        with self._lock:
            self._left[peer] = min(self._left.pop(peer, BURST) + EACH, BURST)
            if len(self._left) > MAX_PEERS:
                del self._left[next(iter(self._left))]

    def came(self, peer: str) -> bool:
        """Note an answer; tell whether to look at it."""
        with self._lock:
            left = self._left[peer] = self._left.get(peer, BURST) - 1
            if left >= 0 and peer not in self._muted:
                return True
            is_news = peer not in self._muted
            self._muted[peer] = self._clock() + MUTED
        if is_news:
            logger.warning(
                "Peer %s answers what nobody asked: it is not heard for %g s.", peer, MUTED
            )
        return False

    def was_useless(self, peer: str, size: int) -> None:
        """Note that an answer of so many bytes was none."""
        self._noise.heard(peer, size)

    def muted(self) -> frozenset[str]:
        """Return who is not to be heard now."""
        now = self._clock()
        with self._lock:
            for peer in [peer for peer, until in self._muted.items() if until <= now]:
                del self._muted[peer]
                self._left.pop(peer, None)
            muted = frozenset(self._muted)
        return muted | self._noise.loud()
