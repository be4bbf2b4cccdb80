"""Who has answered lately: the peers to which a chunk may be sent directly.

Pure.  A peer's own queue is only worth sending to while the peer lives: a message to a name
that nobody has is a list that nobody reads.  So only those count whose last result is young.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container

#: Peers remembered; one more drops the one that has been silent longest.
MAX_PEERS = 256


class Presence:
    """The peers of one session, by their latest results.

    Args:
        recent: seconds for which a result vouches for its peer.
    """

    def __init__(self, recent: float = 1.0) -> None:
        self._recent = recent
        self._seen: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def seen(self, peer: str, now: float) -> None:
        """Note a result of a peer."""
        self._seen[peer] = now
        self._seen.move_to_end(peer)
        if len(self._seen) > MAX_PEERS:
            self._seen.popitem(last=False)

    def forget(self, peer: str) -> None:
        """Note that a peer has left."""
        self._seen.pop(peer, None)

    def other(self, now: float, used: Container[str], allowed: Callable[[str], bool]) -> str | None:
        """Return the peer that answered last, and is allowed and not yet ``used``.

        Who has just answered lives, has a slot free, and is as a rule one of the fast ones.
        """
        for peer, at in reversed(self._seen.items()):
            if now - at > self._recent:
                return None
            if peer not in used and allowed(peer):
                return peer
        return None
