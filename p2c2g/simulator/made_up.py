"""Sessions that nobody plays: made up by liars, to praise themselves and blame everybody else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from p2c2g.peers.health_words import HealthEntry, Snapshot
from p2c2g.peers.trust import MAX_CAUGHT, MOST, TrustSnapshot
from p2c2g.simulator.peers import Peer

#: Seconds a megapixel that they say of a liar, and of others.
_FAST, _SLOW = 0.001, 900.0
_RESULTS = 1_000_000


def words(
    count: int, peers: Iterable[Peer], operation: str
) -> Iterator[tuple[str, Snapshot, TrustSnapshot]]:
    """Return what so many made-up sessions tell of peers: a name, their health and their trust.

    The word is the worst that there is: of a liar that it was caught more often than anybody can
    say and has been good for long since, so that it would outrank those who caught it.
    """
    told = tuple(peers)
    health = Snapshot(
        operations={
            operation: {
                peer.id: HealthEntry(
                    count=_RESULTS,
                    on_time=float(peer.lies),
                    seconds_per_megapixel=_FAST if peer.lies else _SLOW,
                )
                for peer in told
            }
        }
    )
    trust = TrustSnapshot(peers={peer.id: (MAX_CAUGHT, MOST if peer.lies else 0) for peer in told})
    for number in range(count):
        yield f"made-up{number}", health, trust
