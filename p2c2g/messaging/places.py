"""Where one session's chunks go, and where their results come.

In a pool of one's own: to a capability's queue or a peer's own, and all by one stream.  In an open
pool: to the peer's queue for this gamer, and by a stream for each peer, which says who sent them.
"""

from __future__ import annotations

from typing import Protocol

from p2c2g.messaging import names, open_names


class Places(Protocol):
    """The places of one session."""

    #: The queue that any peer reads; empty where each chunk is somebody's.
    shared_queue: str

    def queue(self, peer: str) -> str:
        """Return the queue of chunks for one peer; for an empty name, the shared one."""

    def stream(self, peer: str) -> str:
        """Return the key of the stream by which a peer answers; all one where that is shared."""

    def wake(self, number: int) -> str:
        """Return the key whose deletion ends reads of the streams, by how many were before it.

        Empty where the streams are always the same.
        """

    def sender(self, stream: str) -> str:
        """Return whose results alone a stream brings; empty where that is anybody's."""


class OwnPlaces:
    """The places of a session in a pool of one's own.

    Args:
        session: its id.
        queue: the capability queue.
    """

    def __init__(self, session: str, queue: str) -> None:
        self.shared_queue = queue
        self._stream = names.results(session)

    def queue(self, peer: str) -> str:
        """Return a peer's own queue, or the capability's."""
        return names.own_queue(peer) if peer else self.shared_queue

    def stream(self, peer: str) -> str:
        """Return the session's stream."""
        return self._stream

    def wake(self, number: int) -> str:
        """Return nothing."""
        return ""

    def sender(self, stream: str) -> str:
        """Return nothing: anyone with the broker's password may have written it."""
        return ""


class OpenPlaces:
    """The places of a session in an open pool.

    Args:
        gamer: whose session it is.
        session: its id.
    """

    def __init__(self, gamer: str, session: str) -> None:
        self.shared_queue = ""
        self._gamer = gamer
        self._session = session

    def queue(self, peer: str) -> str:
        """Return the peer's queue for this gamer.

        Raises:
            ValueError: no peer is named.
        """
        if not peer:
            raise ValueError("in an open pool each chunk is somebody's: name the peer")
        return open_names.chunks_queue(peer, self._gamer)

    def stream(self, peer: str) -> str:
        """Return the peer's stream for this session."""
        return open_names.results(peer, self._gamer, self._session)

    def wake(self, number: int) -> str:
        """Return the key of a stream that nobody writes to."""
        return open_names.wake(self._gamer, self._session, number)

    def sender(self, stream: str) -> str:
        """Return the peer."""
        return open_names.result_sender(stream)


def place(queue: str, session: str) -> str:
    """Return the key of the stream where the result of a chunk goes, at the peer.

    It is derived from where the chunk came, and never read from a message.

    Args:
        queue: the name of the queue from which the chunk came.
        session: the id of the session that its header names.
    """
    gamer = open_names.sender_of(queue)
    if not gamer:
        return names.results(session)
    return open_names.results(open_names.reader_of(queue), gamer, session)


def places(session: str, queue: str = "", gamer: str = "") -> Places:
    """Return a session's places.

    Args:
        session: its id.
        queue: the capability queue, of a pool of one's own.
        gamer: whose session it is in an open pool; empty in a pool of one's own.
    """
    return OpenPlaces(gamer, session) if gamer else OwnPlaces(session, queue)
