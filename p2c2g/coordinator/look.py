"""What the broker says of an open pool's peers now, for the coordinator's pages.

All of it is strangers' words: each is read within a length, and what cannot be read is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

from p2c2g.errors import WireError
from p2c2g.messaging import names, open_names
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import translated
from p2c2g.peers.messages import MAX_BEAT, MAX_ENROLMENT, Beat, Enrolment, parse

#: Pairs of peer and gamer whose queues are counted.
_MOST_QUEUES = 4_096


@dataclass(frozen=True, slots=True)
class Seen:
    """A peer that beats.

    ``rate`` is the chunks that it ended a second, ``rank`` its place by that, from 1 on.
    ``waiting`` is what lies in its queues.
    """

    enrolment: Enrolment
    beat: Beat
    rate: float
    rank: int
    waiting: int


def look(client: Client, peers: Collection[str], gamers: Collection[str]) -> Mapping[str, Seen]:
    """Return the peers that beat, by id.

    Args:
        client: the operator's.
        peers: whom to look for.
        gamers: whose queues to count.

    Raises:
        BrokerUnavailableError: the broker does not answer.
    """
    if not peers:
        return {}
    with translated("The peers could not be looked at"):
        pipeline = client.pipeline(transaction=False)
        for peer in peers:
            pipeline.getrange(open_names.enrolment(peer), 0, MAX_ENROLMENT)
            pipeline.getrange(open_names.beat(peer), 0, MAX_BEAT)
        told = pipeline.execute(raise_on_error=False)
    known: dict[str, tuple[Enrolment, Beat]] = {}
    for peer, enrolment, beat in zip(peers, told[::2], told[1::2], strict=True):
        if isinstance(enrolment, bytes) and isinstance(beat, bytes):
            with suppress(WireError):
                known[peer] = parse(Enrolment, enrolment), parse(Beat, beat)
    waiting = _waiting(client, known, gamers)
    rates = {peer: beat.served / enrolment.interval for peer, (enrolment, beat) in known.items()}
    ranks = {
        peer: place
        for place, peer in enumerate(sorted(rates, key=lambda peer: (-rates[peer], peer)), 1)
    }
    return {
        peer: Seen(enrolment, beat, rates[peer], ranks[peer], waiting.get(peer, 0))
        for peer, (enrolment, beat) in known.items()
    }


def _waiting(client: Client, peers: Collection[str], gamers: Collection[str]) -> dict[str, int]:
    pairs = [(peer, gamer) for peer in peers for gamer in gamers][:_MOST_QUEUES]
    if not pairs:
        return {}
    with translated("The queues could not be counted"):
        pipeline = client.pipeline(transaction=False)
        for peer, gamer in pairs:
            pipeline.llen(names.queue_key(open_names.chunks_queue(peer, gamer)))
        lengths = pipeline.execute(raise_on_error=False)
    waiting: dict[str, int] = {}
    for (peer, _), length in zip(pairs, lengths, strict=True):
        if isinstance(length, int):
            waiting[peer] = waiting.get(peer, 0) + length
    return waiting
