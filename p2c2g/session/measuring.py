"""Tells the lines of a session what its runs and results show of them.

Apart from the table of attempts, which forgets a chunk when its frame is shown: a result that comes
too late for anybody says most of a line that is full.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from p2c2g.lines.line import Lines
from p2c2g.media.frame import ChunkKey
from p2c2g.session.actions import Result

#: Runs that are remembered at most, and seconds; the oldest are forgotten.
MAX_RUNS, LONGEST = 4096, 10.0


class _Sent(NamedTuple):
    peer: str  # Empty where any peer of the capability queue may have taken it.
    size: int
    at: float


class Measuring:
    """Measures one session's lines.  Not thread-safe.

    Args:
        lines: the session's.
    """

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._out: OrderedDict[tuple[ChunkKey, int], _Sent] = OrderedDict()

    def __len__(self) -> int:
        return len(self._out)

    def sent(self, key: ChunkKey, attempt: int, peer: str, size: int, now: float) -> None:
        """Note a run that leaves with a chunk of ``size`` bytes."""
        out = self._out
        out[key, attempt] = _Sent(peer, size, now)
        while len(out) > MAX_RUNS or now - next(iter(out.values())).at > LONGEST:
            out.popitem(last=False)
        if peer:
            self._lines.sent(peer, size, now)

    def arrived(self, result: Result, now: float) -> None:
        """Take the times of a result, whatever comes of it; of each run once."""
        sent = self._out.pop((result.key, result.attempt), None)
        if sent is None or sent.peer not in ("", result.peer):
            return  # One that was moved on its way, or not that peer's.
        received = result.started - result.waited
        if not 0 <= result.done - received <= now - sent.at:
            return  # It cannot be, as the peer's clock will say to who asks it.
        self._lines.arrived(
            result.peer, sent.size, result.size, sent.at, received - sent.at, result.waited,
            result.idle, result.seconds, now - result.done, now, is_prompt=result.is_prompt,
        )  # fmt: skip

    def gone(self, peer: str) -> None:
        """Forget a peer that has died or left."""
        self._lines.forget(peer)

    def lost(self, key: ChunkKey, attempt: int, now: float) -> None:
        """Note that a run stays silent."""
        sent = self._out.get((key, attempt))
        if sent is not None and sent.peer:
            self._lines.lost(sent.peer, now)
