"""One look at a pool of one's own: who beats, and what waits for whoever comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from p2c2g.messaging import names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import translated
from p2c2g.peers.messages import Beat, Enrolment
from p2c2g.peers.registry import Registry


@dataclass(frozen=True, slots=True)
class Peer:
    """One that beats.

    ``waiting`` is the chunks in its own queue; ``banned`` why it gets none, else None.
    """

    enrolment: Enrolment
    beat: Beat
    waiting: int
    banned: str | None

    @property
    def state(self) -> str:
        """Return its state in a word; a ban goes before what it says of itself."""
        return "banned" if self.banned is not None else self.beat.state.value

    @property
    def rate(self) -> float:
        """Return the chunks that it ended a second, over its last beat."""
        return self.beat.served / self.enrolment.interval


@dataclass(frozen=True, slots=True)
class Seen:
    """The living peers in order of their ids, and the chunks in each queue that several read."""

    peers: tuple[Peer, ...] = ()
    queues: Mapping[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Return the chunks a second of all peers."""
        return sum(peer.rate for peer in self.peers)

    @property
    def waiting(self) -> int:
        """Return the chunks that wait, wherever."""
        return sum(peer.waiting for peer in self.peers) + sum(self.queues.values())


def look_at(client: Client) -> Seen:
    """Look at the pool.

    Raises:
        BrokerUnavailableError: the broker does not answer.
    """
    peers = [
        Peer(each.enrolment, each.beat, each.waiting, each.banned)
        for each in Registry(client).records()
        if each.beat is not None
    ]
    with translated(), client.pipeline(transaction=False) as pipeline:
        for name in names.CAPABILITIES:
            pipeline.llen(names.queue_key(name))
        lengths = pipeline.execute()
    return Seen(tuple(peers), dict(zip(names.CAPABILITIES, map(int, lengths), strict=True)))
