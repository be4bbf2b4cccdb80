"""How far a peer's results are believed.

Pure; randomness is injected.  This is BOINC's adaptive replication (Anderson, "BOINC: A Platform
for Volunteer Computing", Journal of Grid Computing, 2020): a new peer is not trusted until
:data:`ENOUGH` comparisons in a row have agreed, and gets only copies of others' chunks before;
after ``n`` of them it is compared with probability ``1/n``; one that did not agree takes it back
to nothing.  Here ``n`` counts comparisons and not results, and stops at :data:`MOST`: who has
been good for long is still compared now and then.

Sessions share what they know (:meth:`Trust.merge`).  How often a peer has ever been caught goes
before how often it has been good: the word of who saw the latest bad result outranks any
number of good ones before it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import islice
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from p2c2g.messaging.labels import Name
from p2c2g.peers.book import MAX_TOLD, PeerBook

#: Comparisons in a row after which a peer is trusted, and that are counted at most.
ENOUGH = 10
MOST = 200
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
        # Caught, and good ones since: compared as pairs, so that later news outranks earlier.
        self._others: dict[str, tuple[int, int]] = {}

    def in_a_row(self, peer: str) -> int:
        """Return the comparisons in a row that agreed, :data:`MOST` at most."""
        return self._of(peer)[1]

    def caught(self, peer: str) -> int:
        """Return how often a result of a peer did not agree."""
        return self._of(peer)[0]

    def is_trusted(self, peer: str) -> bool:
        """Tell whether a peer's results may be shown as they come."""
        return self.in_a_row(peer) >= ENOUGH

    def wants_check(self, peer: str) -> bool:
        """Draw whether the next chunk of a peer is to be compared; always of one not trusted."""
        in_a_row = self.in_a_row(peer)
        return in_a_row < ENOUGH or self._rng.random() < 1 / in_a_row

    def valid(self, peer: str) -> None:
        """Note that a result agreed with another peer's or a known answer."""
        caught, in_a_row = self._of(peer)
        self._put(peer, (caught, min(in_a_row + 1, MOST)))

    def invalid(self, peer: str) -> None:
        """Note that a result did not agree."""
        caught, _ = self._of(peer)
        self._put(peer, (min(caught + 1, MAX_CAUGHT), 0))

    # -- what sessions tell each other ------------------------------------------------------

    def snapshot(self) -> TrustSnapshot:
        """Return what this session has found out itself, the peer heard of last first."""
        compared = (
            peer for peer in reversed(self._book) if peer.trust != _NEW and peer.has_valid_name
        )
        return TrustSnapshot(peers={peer.name: peer.trust for peer in islice(compared, MAX_TOLD)})

    def merge(self, others: Iterable[TrustSnapshot]) -> None:
        """Take what other sessions know, in place of what they told before."""
        told: dict[str, tuple[int, int]] = {}
        for snapshot in others:
            for peer, known in snapshot.peers.items():
                told[peer] = max(told.get(peer, _NEW), known)
        self._others = told

    def _of(self, peer: str) -> tuple[int, int]:
        known = self._book.get(peer)
        return max(_NEW if known is None else known.trust, self._others.get(peer, _NEW))

    def _put(self, peer: str, trust: tuple[int, int]) -> None:
        self._book.known(peer).trust = trust
