"""What one session's part of its peers would be, as those say for how many others they work.

Pure.  Only who has more than its part asks whether it has (:mod:`p2c2g.session.steady`): queues do
not tell.  Whose frames come first after a pause finds none in any frame, takes all that it wants,
and the others wait behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from p2c2g.peers.candidate import Candidate

#: Seconds between two looks.
LOOK_EVERY = 0.5
#: Sessions from which on a peer is shared.
SHARED = 1.2
#: Seconds a megapixel below which a measured time is taken for this: nothing takes none.
_FASTEST = 1e-6


class FairShare:
    """The part of one session.

    Args:
        megapixels: of each chunk's result.
    """

    def __init__(self, megapixels: Sequence[float]) -> None:
        self._each = sum(megapixels) / len(megapixels)
        self._looked_at = -inf
        self._found = inf

    def look(self, peers: Iterable[Candidate], now: float) -> float:
        """Return the chunks a second that are this session's part; inf where nothing is shared.

        Args:
            peers: those that may have its chunks.
            now: seconds of the session's clock.
        """
        if now - self._looked_at >= LOOK_EVERY:
            self._looked_at, found, is_shared = now, 0.0, False
            for each in peers:
                able = each.slots / max(each.seconds_per_megapixel, _FASTEST)
                found += able / max(each.sessions, 1.0)
                is_shared |= each.sessions >= SHARED
            self._found = found / self._each if is_shared else inf
        return self._found
