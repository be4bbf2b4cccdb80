"""The book of peers: whom a session knows, and what it knows of each.

Pure; every call is told what time it is.  There is one record a peer, and each table keeps its
part of it there: breakers, health, trust, routing and the peer's clock.  So a peer is known or
forgotten once, by one rule:

* who is registered (the registry speaks of it) is kept;
* of all others, names that results, breakers or other sessions brought, at most
  :data:`MAX_UNREGISTERED` are kept.  One more drops the one heard of least lately whose breaker
  is closed, and only where none is closed the least lately one: who is shut out cannot wash that
  away by making up names.

A peer is *heard of* when it sends a result or a failure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from p2c2g.messaging.labels import is_name
from p2c2g.peers.candidate import Candidate
from p2c2g.peers.peer_clock import PeerClock

if TYPE_CHECKING:  # these tables are built on the book
    from p2c2g.peers.breaker import Breaker
    from p2c2g.peers.health import Seen

#: Peers of which a session tells others at most.
MAX_TOLD = 256
#: Sessions that have to say the same of a peer before their word decides something here.
QUORUM = 3
#: Peers known that are not registered: room for each breaker that sessions share, and as many more.
MAX_UNREGISTERED = 2 * MAX_TOLD


@dataclass(slots=True, eq=False)
class KnownPeer:
    """What a session knows of one peer.  Each table writes its own part.

    Args:
        name: the peer's id.
        is_registered: whether the registry speaks of it; the book's.
        heard_at: when it last sent a result or a failure, in seconds of the caller's clock; -inf
            where it never has; the book's.
        is_ready: whether it takes chunks of this session's queue, as the registry says.
        candidate: what routing knows of it while it is there; None where it has left.
        breaker: its breaker; None while nothing has been noted: that is a closed one.
        operations: what was seen of it by operation; the one heard of last is last.
        trust: how often it was caught, and comparisons that agreed since then.
        account: whose it is, as the operator of an open pool says; empty where nobody does.
        network: where it is, likewise.
    """

    name: str
    is_registered: bool = False
    heard_at: float = float("-inf")
    is_ready: bool = False
    candidate: Candidate | None = None
    breaker: Breaker | None = None
    operations: dict[str, Seen] = field(default_factory=dict)
    trust: tuple[int, int] = (0, 0)
    account: str = ""
    network: str = ""
    _clock: PeerClock | None = field(default=None, init=False, repr=False)

    @property
    def clock(self) -> PeerClock:
        """Return what is known of its clock: made for those alone that are asked for it."""
        if self._clock is None:
            self._clock = PeerClock()
        return self._clock

    @property
    def is_shut_out(self) -> bool:
        """Tell whether its breaker is not closed."""
        return self.breaker is not None and not self.breaker.is_closed

    @property
    def has_valid_name(self) -> bool:
        """Tell whether a peer may be called so: sessions read of no other."""
        return is_name(self.name)


class PeerBook:
    """The peers of one session.  Not thread-safe.

    Iterates over all of them, who was heard of least lately first.

    Args:
        max_unregistered: peers known that are not registered, 1 or more.
    """

    def __init__(self, max_unregistered: int = MAX_UNREGISTERED) -> None:
        self._max_unregistered = max_unregistered
        self._peers: OrderedDict[str, KnownPeer] = OrderedDict()
        # Of these, in the same order, those that may be forgotten.
        self._unregistered: OrderedDict[str, KnownPeer] = OrderedDict()
        self._registered: tuple[KnownPeer, ...] = ()
        self._has_register = False

    def __len__(self) -> int:
        return len(self._peers)

    def __iter__(self) -> Iterator[KnownPeer]:
        return iter(self._peers.values())

    def __reversed__(self) -> Iterator[KnownPeer]:
        return reversed(self._peers.values())

    @property
    def registered(self) -> tuple[KnownPeer, ...]:
        """Return the peers of which the registry speaks, in its order."""
        return self._registered

    def is_absent(self, name: str) -> bool:
        """Tell whether the registry has spoken, and not of this peer."""
        known = self._peers.get(name)
        return self._has_register and (known is None or not known.is_registered)

    def get(self, name: str) -> KnownPeer | None:
        """Return what is known of a peer, or None."""
        return self._peers.get(name)

    def known(self, name: str) -> KnownPeer:
        """Return what is known of a peer: a new record where nothing was."""
        peer = self._peers.get(name)
        if peer is None:
            if len(self._unregistered) >= self._max_unregistered:
                self._forget_one()
            peer = self._add(name)
            self._unregistered[name] = peer
            self._unregistered.move_to_end(name, last=False)
        return peer

    def heard(self, name: str, now: float) -> KnownPeer:
        """Note that a peer has sent a result or a failure; return what is known of it."""
        peer = self.known(name)
        peer.heard_at = max(peer.heard_at, now)
        self._peers.move_to_end(name)
        if not peer.is_registered:
            self._unregistered.move_to_end(name)
        return peer

    def heard_since(self, moment: float) -> Iterator[KnownPeer]:
        """Give those that were heard of at a moment or later, the last one first."""
        for peer in reversed(self._peers.values()):
            if peer.heard_at < moment:
                return
            yield peer

    def belong_together(self, one: str, other: str) -> bool:
        """Tell whether two peers are of one account, or of one network, as far as is known."""
        first, second = self._peers.get(one), self._peers.get(other)
        if first is None or second is None:
            return False
        return bool(first.account and first.account == second.account) or bool(
            first.network and first.network == second.network
        )

    def register(self, names: Iterable[str]) -> frozenset[str]:
        """Take over of whom the registry speaks.

        Who is there no longer loses what is of its presence, and keeps its breaker, its trust and
        its health while there is room.

        Returns:
            Those of whom it spoke the last time, and no more.
        """
        self._has_register = True
        before = self._registered
        for peer in before:
            peer.is_registered = False
        registered = {name: self._peers.get(name) or self._add(name) for name in names}
        self._registered = tuple(registered.values())
        for peer in self._registered:
            peer.is_registered = True
            self._unregistered.pop(peer.name, None)
        gone = [peer for peer in before if not peer.is_registered]
        for peer in gone:
            peer.is_ready = False
            peer.candidate = None
        if gone:
            self._unregistered = OrderedDict(
                (peer.name, peer) for peer in self if not peer.is_registered
            )
        while len(self._unregistered) > self._max_unregistered:
            self._forget_one()
        return frozenset(peer.name for peer in gone)

    def _add(self, name: str) -> KnownPeer:
        """Add a peer that was never heard of: before all that were."""
        peer = self._peers[name] = KnownPeer(name)
        self._peers.move_to_end(name, last=False)
        return peer

    def _forget_one(self) -> None:
        least_lately = next(iter(self._unregistered))
        name = next(
            (peer.name for peer in self._unregistered.values() if not peer.is_shut_out),
            least_lately,
        )
        del self._peers[name], self._unregistered[name]
