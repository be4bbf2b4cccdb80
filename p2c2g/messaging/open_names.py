"""What is called how at the broker of an open pool, where each principal has keys of its own.

==============================================  ==================  ==========================
key                                             writer              reader
==============================================  ==================  ==========================
``p:<peer>:in:<gamer>`` list                    that gamer          that peer
``p:<peer>:out:<gamer>.<session>`` stream       that peer adds;     that gamer
                                                the gamer makes
                                                and deletes it
``p:<peer>:told:enrol``, ``:told:beat``         that peer           gamers
``p:<peer>:own:*``                              that peer           that peer
``g:<gamer>:health``, ``:breakers``             that gamer          gamers
``g:<gamer>:blob:<hash>``                       that gamer          gamers and peers
``g:<gamer>:own:*``                             that gamer          that gamer
``o:peers`` hash, ``o:gamers`` set              operator            gamers
``o:standing:<peer>``                           operator            gamers; a peer its own
==============================================  ==================  ==========================

All of them begin with :func:`~p2c2g.messaging.names.celerys`, which kombu puts in front of a
queue's name by itself: those that are queues are given without it, and say so.  A result's sender
is the stream by which it came, and a chunk's gamer is the list.
"""

from __future__ import annotations

from p2c2g.messaging import names


def _key(*parts: str) -> str:
    return names.celerys() + ":".join(parts)


# -- a peer's ---------------------------------------------------------------------------------


def chunks_queue(peer: str, gamer: str) -> str:
    """Return the queue by which one gamer sends chunks to one peer; its key by ``queue_key``."""
    return f"p:{peer}:in:{gamer}"


def sender_of(queue: str) -> str:
    """Return the gamer whose chunks a queue brings; empty where it is no such queue."""
    parts = queue.split(":")
    return parts[3] if len(parts) == 4 and parts[0] == "p" and parts[2] == "in" else ""


def reader_of(queue: str) -> str:
    """Return the peer that a queue of chunks is for; empty where it is no such queue."""
    return queue.split(":")[1] if sender_of(queue) else ""


def results(peer: str, gamer: str, session: str) -> str:
    """Return the key of the stream by which a peer answers one session of a gamer."""
    return _key("p", peer, "out", f"{gamer}.{session}")


def result_sender(key: str) -> str:
    """Return the peer whose results a stream brings; empty where it is no such key."""
    parts = key.removeprefix(names.celerys()).split(":")
    return parts[1] if len(parts) == 4 and parts[0] == "p" and parts[2] == "out" else ""


def enrolment(peer: str) -> str:
    """Return the key of what a peer tells of itself."""
    return _key("p", peer, "told", "enrol")


def beat(peer: str) -> str:
    """Return the key of a peer's beat."""
    return _key("p", peer, "told", "beat")


def recall_queue(peer: str, reader: str) -> str:
    """Return the queue by which a peer calls its reads back; its key by ``queue_key``."""
    return f"p:{peer}:own:recall.{reader}"


def measurement(peer: str, token: str) -> str:
    """Return the key of what a peer sends to and fro to measure its line."""
    return _key("p", peer, "own", f"probe.{token}")


# -- a gamer's --------------------------------------------------------------------------------


def health(gamer: str) -> str:
    """Return the key of what a gamer has seen of peers."""
    return _key("g", gamer, "health")


def breakers(gamer: str) -> str:
    """Return the key of what a gamer says of breakers: JSON, the moment of each that is open."""
    return _key("g", gamer, "breakers")


def gamer_blob(gamer: str, name: str) -> str:
    """Return the key of a blob that a gamer gives to peers."""
    return _key("g", gamer, "blob", name)


def wake(gamer: str, session: str, number: int) -> str:
    """Return the key of the stream whose end is that of a session's reads.

    Args:
        gamer: whose.
        session: its id.
        number: how many there were before it.
    """
    return _key("g", gamer, "own", f"wake.{session}.{number}")


# -- the operator's ---------------------------------------------------------------------------


def peers() -> str:
    """Return the key of the hash of admitted peers: id → what the operator vouches for."""
    return _key("o", "peers")


def gamers() -> str:
    """Return the key of the set of gamers who have a login."""
    return _key("o", "gamers")


def standing(peer: str) -> str:
    """Return the key of what the operator says of a peer, and to it."""
    return _key("o", "standing", peer)
