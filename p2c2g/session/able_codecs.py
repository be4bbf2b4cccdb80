"""In which codecs residuals may be written now: those for which both ends have the time.

Pure.  :func:`p2c2g.session.recipes.in_time` says it of a moment; here it is kept steady.  What is
asked of it is all that the session might want, and not what it asks for at present: else a codec
would relieve a line, more chunks would be asked for, and there would be no time for it again.  A
codec that is in use stays for as long as there is nearly the time for it, and where the peers'
time runs short it is given up first, and not tried again for a while.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from p2c2g.peers.candidate import Candidate
from p2c2g.session.config import SessionConfig
from p2c2g.session.recipes import ALWAYS, Load, in_time, peer_part

#: Seconds between two looks, and for which nothing is tried after the peers were short of time.
LOOK_EVERY, REST = 1.0, 20.0
#: Part of the time for which peers work, from which on they have none for it; and from which on
#: nothing new is tried.
BUSY, MUCH = 0.9, 0.75
#: What is in use stays while there is the time for this part of it.
STAYS = 0.75
#: Part of a frame's time that a peer may take to write one residual.
ONE = 0.1


class AbleCodecs:
    """The codecs of one session's residuals.

    Args:
        config: the session's.
        here: megapixels a second of residuals that this machine reads, by codec.
    """

    def __init__(self, config: SessionConfig, here: Mapping[str, float]) -> None:
        megapixels = config.megapixels
        self._count = len(megapixels)
        self._each = sum(megapixels) / self._count
        # Three colours are three times the work.
        self._each *= 3 if config.form.in_colour else 1
        self._seconds = ONE * config.deadline
        self._here = here
        self._looked_at = self._rests_until = float("-inf")
        self._found = ALWAYS

    def look(
        self, fps: float, pool: Iterable[Candidate], now: float, *, busy: float
    ) -> frozenset[str]:
        """Return them as of now.

        Args:
            fps: frames a second that may be enhanced.
            pool: the peers that are sent to.
            now: seconds of the session's clock.
            busy: part of the time for which the peers work.
        """
        if busy >= BUSY:
            if self._found != ALWAYS:
                self._rests_until, self._found = now + REST, ALWAYS
        elif now >= max(self._rests_until, self._looked_at + LOOK_EVERY):
            self._looked_at = now
            load = Load(self._count * fps, self._each, self._seconds)
            peers = [(each.slots, peer_part(each.codecs, encoding=True)) for each in pool]
            eased = replace(load, chunks=STAYS * load.chunks)
            stay = self._found & in_time(eased, self._here, peers)
            new = in_time(load, self._here, peers) if busy < MUCH else ALWAYS
            self._found = new | stay
        return self._found
