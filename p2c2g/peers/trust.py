"""How far a peer's results are believed.

Pure; randomness is injected.  This is BOINC's adaptive replication (Anderson, "BOINC: A Platform
for Volunteer Computing", Journal of Grid Computing, 2020): a new peer is not trusted until
:data:`ENOUGH` comparisons in a row have agreed, and gets only copies of others' chunks before;
after ``n`` of them it is compared with probability ``1/n``; one that did not agree takes it back
to nothing.  Here ``n`` counts comparisons and not results, and stops at :data:`MOST`: who has
been good for long is still compared now and then.

Sessions tell each other what they have found out themselves (:meth:`Trust.merge`), and anybody
may write such a word.  So a word is worth no more than :data:`WORD` comparisons that agreed, or
did not, and all together :data:`MOST_TOLD`: without any comparison here nobody is trusted.  Who
says the opposite of what was found here, again and again, is not believed at all.  What a session
has seen itself goes before all of it: who was caught here is trusted again by what is found here
alone, and who is trusted by what was found here stays so, and is only compared more often where
a quorum of sessions warns.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from statistics import median_low
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from p2c2g.messaging.labels import Name
from p2c2g.peers.book import MAX_TOLD, QUORUM, PeerBook

#: Comparisons in a row after which a peer is trusted, and that are counted at most.
ENOUGH = 10
MOST = 200
#: Comparisons that a session's word is worth at most: fewer than a quorum make nobody trusted.
WORD = -(-ENOUGH // QUORUM)
#: And all words of a peer together: the rest of :data:`ENOUGH` has to be seen here.
MOST_TOLD = ENOUGH - QUORUM
#: Peers of which a session has to say the opposite of what was found here, beyond those of which it
#: says the same, before it is not believed.
OPPOSITE = 2
#: Bad results that are counted.
MAX_CAUGHT = 1_000_000
#: Of whom nothing was found out: never caught, and never compared.
_NEW = (0, 0)

Caught = Annotated[int, Field(ge=0, le=MAX_CAUGHT)]
InARow = Annotated[int, Field(ge=0, le=MOST)]


class TrustSnapshot(BaseModel):
    """What one session knows: by peer, how often it was caught, and good ones since then."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = 1
    peers: Annotated[dict[Name, tuple[Caught, InARow]], Field(max_length=MAX_TOLD)] = {}


class Trust:
    """What one session knows and was told.  Not thread-safe.

    Args:
        rng: draws whether a peer is compared.
        book: the session's peers.
    """

    def __init__(self, rng: random.Random, book: PeerBook) -> None:
        self._rng = rng
        self._book = book
        # By peer, what others' words are worth: comparisons that agreed, below 0 that did not.
        self._told: dict[str, int] = {}

    def in_a_row(self, peer: str) -> int:
        """Return the comparisons in a row that agreed, :data:`MOST` at most.

        Others' words count among them as far as they are believed.
        """
        caught, in_a_row = self._own(peer)
        told = self._told.get(peer, 0)
        if told <= -QUORUM * WORD:
            return min(in_a_row, ENOUGH)
        if told > 0 and not caught:
            return min(in_a_row + min(told, MOST_TOLD), MOST)
        return in_a_row

    def shown_here(self, peer: str) -> int:
        """Return the comparisons in a row that agreed in this session, whatever others say."""
        return self._own(peer)[1]

    def caught(self, peer: str) -> int:
        """Return how often this session found that a result of a peer did not agree."""
        return self._own(peer)[0]

    def is_trusted(self, peer: str) -> bool:
        """Tell whether a peer's results may be shown as they come."""
        return self.in_a_row(peer) >= ENOUGH

    def is_doubted(self, peer: str) -> bool:
        """Tell whether a peer was caught more than once and has not made up for it.

        Once is no proof: of two that differ one is wrong.
        """
        caught, in_a_row = self._own(peer)
        return _verdict(caught, in_a_row, often=2) is False

    def wants_check(self, peer: str) -> bool:
        """Draw whether the next chunk of a peer is to be compared; always of one not trusted."""
        in_a_row = self.in_a_row(peer)
        return in_a_row < ENOUGH or self._rng.random() < 1 / in_a_row

    def valid(self, peer: str) -> None:
        """Note that a result agreed with another peer's or a known answer."""
        caught, in_a_row = self._own(peer)
        self._put(peer, (caught, min(in_a_row + 1, MOST)))

    def invalid(self, peer: str) -> None:
        """Note that a result did not agree."""
        caught, _ = self._own(peer)
        self._put(peer, (min(caught + 1, MAX_CAUGHT), 0))

    # -- what sessions tell each other ------------------------------------------------------

    def snapshot(self) -> TrustSnapshot:
        """Return what this session has found out itself, the peer heard of last first."""
        compared = (
            peer for peer in reversed(self._book) if peer.trust != _NEW and peer.has_valid_name
        )
        return TrustSnapshot(peers={peer.name: peer.trust for peer in islice(compared, MAX_TOLD)})

    def merge(self, others: Iterable[TrustSnapshot]) -> list[bool]:
        """Take what other sessions know, in place of what they told before.

        Returns:
            Of each, in their order, whether it is believed.
        """
        told: Counter[str] = Counter()
        believed = []
        for snapshot in others:
            believed.append(self._believes(snapshot))
            if believed[-1]:
                for peer, known in snapshot.peers.items():
                    told[peer] += _worth(*known)
        self._told = told
        return believed

    def _believes(self, snapshot: TrustSnapshot) -> bool:
        opposite = 0
        for peer, known in snapshot.peers.items():
            mine, its = _verdict(*self._own(peer), often=2), _verdict(*known)
            if None not in (mine, its):
                opposite += 1 if mine is not its else -1
        return opposite < OPPOSITE

    def _own(self, peer: str) -> tuple[int, int]:
        known = self._book.get(peer)
        return _NEW if known is None else known.trust

    def _put(self, peer: str, trust: tuple[int, int]) -> None:
        self._book.known(peer).trust = trust


def _verdict(caught: int, in_a_row: int, often: int = 1) -> bool | None:
    """Return whether a peer is trusted; None where that is not yet known.

    Once is no proof: of two that differ one is wrong, and both begin again.
    """
    if in_a_row >= ENOUGH:
        return True
    return False if caught >= often else None


def _worth(caught: int, in_a_row: int) -> int:
    """Return what a session's word is worth."""
    if caught and in_a_row < ENOUGH:
        return -WORD
    return min(in_a_row, WORD)


def claimed(told: Iterable[TrustSnapshot], peer: str) -> tuple[int, int]:
    """Return what sessions say of a peer, for people to read: caught, and good ones since.

    Half of those that know it say as much, or more; none of it is proof.
    """
    words = [each.peers[peer] for each in told if peer in each.peers]
    if not words:
        return _NEW
    return median_low(word[0] for word in words), median_low(word[1] for word in words)
