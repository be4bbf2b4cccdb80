"""Who examines whom: who has to show itself, and who gives a second opinion.

Pure; every call is told what time it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import islice

from p2c2g.peers.book import PeerBook
from p2c2g.peers.breaker import Breakers, State
from p2c2g.peers.trust import ENOUGH, Trust
from p2c2g.routing.pool import SessionPool

#: Seconds for which an answer vouches that its peer lives: a message to a name that nobody has is
#: a list that nobody reads.
RECENT = 1.0
#: Newcomers of which it is asked whether anybody can examine them.
_NEWCOMERS = 8


class Referees:
    """The newcomers and referees of one session.

    Args:
        book: its peers.
        trust: whose results count without a second opinion.
        breakers: the peers' breakers.
        pool: to whom it sends.
    """

    def __init__(self, book: PeerBook, trust: Trust, breakers: Breakers, pool: SessionPool) -> None:
        self._book = book
        self._trust = trust
        self._breakers = breakers
        self._pool = pool

    def newcomer(self, peer: str, busy: Collection[str], now: float) -> str:
        """Return a peer that has to show itself, and is not ``busy`` with that; empty for none.

        The one that has shown most, of those unrelated to ``peer``: so one after another comes to
        be trusted, and early.
        """
        may_work = self.may_work(now)
        found, most = "", -1
        for each in self._book.registered:
            if each.is_ready and each.name not in busy:
                in_a_row = self._trust.in_a_row(each.name)
                if (
                    most < in_a_row < ENOUGH
                    and may_work(each.name)
                    and self.are_unrelated(peer, each.name)
                ):
                    found, most = each.name, in_a_row
        return found

    def referee(self, peer: str, used: Collection[str], now: float) -> str:
        """Return who gives a second opinion: unrelated to ``peer``, rather trusted; or nobody."""
        may_work = self.may_work(now)
        others = [
            candidate
            for candidate in self._pool.members
            if candidate.id not in used
            and may_work(candidate.id)
            and self.are_unrelated(peer, candidate.id)
        ]
        best = max(
            others,
            key=lambda one: (self._trust.is_trusted(one.id), -one.backlog, one.last_result),
            default=None,
        )
        if best is not None:
            return best.id
        return self.answered_last(used, now, lambda other: self.are_unrelated(peer, other))

    def has_referee(self, peer: str, now: float) -> bool:
        """Tell whether anybody is there who could give a second opinion on a peer."""
        may_work = self.may_work(now)
        return any(
            each.is_ready and may_work(each.name) and self.are_unrelated(peer, each.name)
            for each in self._book.registered
        )

    def has_newcomers(self, now: float) -> bool:
        """Tell whether some peer has still to show itself, and could."""
        may_work = self.may_work(now)
        newcomers = (
            each.name
            for each in self._book.registered
            if each.is_ready
            and may_work(each.name)
            and not self._trust.is_trusted(each.name)
            and not self._trust.is_doubted(each.name)
        )
        return any(self.has_referee(peer, now) for peer in islice(newcomers, _NEWCOMERS))

    def are_unrelated(self, one: str, other: str) -> bool:
        """Tell whether two peers are different ones that do not belong together."""
        return one != other and not self._book.belong_together(one, other)

    def may_work(self, now: float) -> Callable[[str], bool]:
        """Return what tells whether a peer may have work."""
        return lambda peer: self._breakers.state(peer, now) is State.CLOSED

    def answered_last(
        self, used: Collection[str], now: float, may: Callable[[str], bool] = lambda _: True
    ) -> str:
        """Return the peer of the youngest answer, of those that ``may`` and are not ``used``.

        Who has just answered lives, has a slot free, and is as a rule one of the fast ones.
        """
        may_work = self.may_work(now)
        lately = (peer.candidate for peer in self._book.heard_since(now - RECENT))
        others = [
            candidate
            for candidate in lately
            if candidate is not None
            and now - candidate.last_result <= RECENT
            and candidate.id not in used
            and may_work(candidate.id)
            and may(candidate.id)
        ]
        best = max(others, key=lambda one: one.last_result, default=None)
        return best.id if best is not None else ""
