"""The simulated broker: the capability queue, each peer's own, and the reads that wait there.

As Redis has it: who has waited longest gets the next message; a queue is bounded and its
oldest message goes first; a peer that vanished still has its reads there, and what they are
given is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from p2c2g.messaging.dispatcher import DIRECT_LENGTH, QUEUE_LENGTH
from p2c2g.peers.breaker import Change
from p2c2g.peers.messages import PeerState
from p2c2g.simulator.engine import Engine
from p2c2g.simulator.peers import Message, Peer


class Broker:
    """The queues and the registry.

    Args:
        engine: the clock.
        queue_length: messages of the capability queue; drop policy: the oldest.
        own_length: the same of a peer's own.
    """

    def __init__(
        self,
        engine: Engine,
        queue_length: int = QUEUE_LENGTH,
        own_length: int = DIRECT_LENGTH,
    ) -> None:
        self._engine = engine
        self._queue_length = queue_length
        self._own_length = own_length
        #: Who is enrolled.
        self.peers: dict[str, Peer] = {}
        self._queue: deque[Message] = deque()
        # One entry a read; those of a peer that was served from its own queue are stale.
        self._parked: deque[Peer] = deque()
        self._stale: dict[str, int] = {}
        self._opened: dict[str, dict[str, float]] = {}  # a peer that has gone is taken out with it
        #: Messages that a full queue dropped, or that went to a name that nobody has.
        self.dropped = 0
        #: Messages that a steal moved, and steals that found nothing.
        self.moved = 0
        self.missed = 0

    def __len__(self) -> int:
        return len(self._queue)

    # -- the registry --------------------------------------------------------------------------

    def enrol(self, peer: Peer) -> None:
        """Take a peer into the registry."""
        self.peers[peer.id] = peer

    def left(self, peer: Peer) -> None:
        """Note that a peer has left in order."""
        self.remove(peer)

    def remove(self, peer: Peer) -> bool:
        """Take a peer out of the registry: what waits in its queue is the others' next."""
        if self.peers.pop(peer.id, None) is None:
            return False
        self._opened.pop(peer.id, None)
        while peer.own:
            self._push(peer.own.pop(), is_next=True)
        return True

    def sync(self, session: str, changes: Iterable[Change]) -> dict[str, dict[str, float]]:
        """Take breakers that a session has opened and closed; return what others have opened.

        Whose breaker is opened is asked to leave the capability queue until it is closed again.

        Returns:
            Seconds until each peer may be tried, by peer and session; below 0 where it may be.
        """
        now = self._engine.now
        for change in changes:
            words = self._opened.setdefault(change.peer, {})
            if change.seconds:
                words[session] = max(words.get(session, float("-inf")), now + change.seconds)
            else:
                words.pop(session, None)
            peer = self.peers.get(change.peer)
            if peer is not None and peer.state is PeerState.READY:
                self.redirect(peer, reads_all=not words)
        heard = {
            peer: {other: until - now for other, until in words.items() if other != session}
            for peer, words in self._opened.items()
        }
        return {peer: words for peer, words in heard.items() if words}

    # -- the queues ------------------------------------------------------------------------------

    def send(self, message: Message, peer: str) -> None:
        """Put a message into a peer's own queue, or into the capability queue where empty."""
        if not peer:
            self._push(message)
            return
        target = self.peers.get(peer)
        if target is None:
            self.dropped += 1  # A list that nobody reads; it expires.
        else:
            self._push_own(target, message)

    def _push(self, message: Message, *, is_next: bool = False) -> None:
        reader = next(self._readers(), None)
        if reader is not None:
            reader.parked -= 1
            reader.take(message)
            return
        if is_next:
            self._queue.appendleft(message)
        else:
            self._queue.append(message)
        if len(self._queue) > self._queue_length:
            self._queue.popleft()
            self.dropped += 1

    def _readers(self) -> Iterator[Peer]:
        """Take the read that has waited longest."""
        while self._parked:
            peer = self._parked.popleft()
            if self._stale.get(peer.id):
                self._stale[peer.id] -= 1
            else:
                yield peer

    def _push_own(self, peer: Peer, message: Message, *, is_next: bool = False) -> None:
        if peer.parked:
            peer.parked -= 1
            if peer.reads_all:
                self._stale[peer.id] = self._stale.get(peer.id, 0) + 1
            peer.take(message)
            return
        if is_next:  # a move bounds no queue
            peer.own.appendleft(message)
            return
        peer.own.append(message)
        if len(peer.own) > self._own_length:
            peer.own.popleft()
            self.dropped += 1

    def read(self, peer: Peer, count: int) -> None:
        """Take reads of a peer that reach the broker now, each led by another queue."""
        for _ in range(count):
            first, second = (peer.own, self._queue) if peer.prefers_own else (self._queue, peer.own)
            peer.prefers_own = not peer.prefers_own
            if not peer.reads_all:
                first = second = peer.own
            if first:
                peer.take(first.popleft())
            elif second:
                peer.take(second.popleft())
            else:
                peer.parked += 1
                if peer.reads_all:
                    self._parked.append(peer)

    def redirect(self, peer: Peer, *, reads_all: bool) -> None:
        """Have a peer's reads name the capability queue or not: they are called back."""
        if peer.reads_all == reads_all:
            return
        peer.reads_all = reads_all
        self._stale.pop(peer.id, None)
        self._parked = deque(each for each in self._parked if each is not peer)
        count, peer.parked = peer.parked, 0
        self.read(peer, count)

    def move(self, message_of: tuple[str, tuple[int, int]], source: str, to: str) -> bool:
        """Move a chunk from one peer's own queue to another's, if it still waits there.

        Args:
            message_of: the session and the chunk.
            source: where it was sent.
            to: who is to have it.
        """
        giver, taker = self.peers.get(source), self.peers.get(to)
        if giver is not None and taker is not None:
            for message in giver.own:
                if (message.session, message.key) == message_of:
                    giver.own.remove(message)
                    self._push_own(taker, message, is_next=True)
                    self.moved += 1
                    return True
        self.missed += 1
        return False
