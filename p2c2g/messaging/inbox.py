"""The session's end of its results: one stream, or in an open pool one for each peer.

Reads are sent ahead here too: a consumer group needs no last identifier in its request, so
several ``XREADGROUP`` can be outstanding on one connection, and a result that arrives while
the last ones are on their way costs no round trip of its own.

A read names its streams when it is sent.  Where they change, the reads that are outstanding have to
end, and without a message being lost: each also names a stream that nobody writes to, and once that
is deleted, the broker refuses them all, which takes nothing from any.
"""

from __future__ import annotations

import selectors
import socket
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from redis import ResponseError

from p2c2g.errors import BrokerUnavailableError
from p2c2g.messaging.client import Client
from p2c2g.messaging.errors import BROKER_ERRORS, CONNECTION_ERRORS, translated
from p2c2g.messaging.limits import MAX_READ
from p2c2g.messaging.pipelining import CommandStream
from p2c2g.messaging.places import Places

_GROUP = "session"
_READS_AHEAD = 4
#: Entries that one read may bring, and the bytes of one before any has been seen.
_BATCH = 64
_EXPECTED = 1 << 20
#: What is left of the largest entry's size at each further one: a session's frames change.
_FADE = 0.99
#: Milliseconds after which the broker answers a read with nothing, as a sign of life.
_BLOCK_MS = 2000
#: Seconds without any answer after which the connection counts as dead.
SILENCE = 6.0
#: How the broker refuses a read of which a stream is not there, waiting or not.
_GONE = ("UNBLOCKED", "NOGROUP")
#: Bytes of a text in an entry that are read: ours have a thousand letters at most.
_TEXT = 4096
#: Seconds that a stream outlives a session that vanished.
_EXPIRY = 30
#: Seconds after which its life is prolonged.
REFRESH_INTERVAL = 10.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One entry of a stream: a task's end, as its peer tells it.

    ``error`` and ``peer`` are told of a failure, in place of the header.  Where a stream is one
    peer's alone, ``peer`` is that, whatever was told.
    """

    task_id: str
    succeeded: bool
    header: bytes
    payload: bytes
    error: str
    peer: str


class Inbox:
    """The results of one session, as they come.

    The streams are made by :meth:`open` and :meth:`follow`, and vanish with the session: peers add
    to them only while they exist.  All methods belong to one thread but :meth:`wake`, and
    :meth:`follow`, which belongs to another.

    Args:
        client: the broker's.
        places: where the results come.
    """

    def __init__(self, client: Client, places: Places) -> None:
        self._client = client
        self._places = places
        #: How often the streams have changed, and what the reads of now name; set as one.
        self._now = (0, self._named(0, ()))
        self._errands = CommandStream(lambda: client.connection_pool)
        self._connection: Any = None
        self._socket: socket.socket | None = None
        #: The reads that are outstanding, each by the number of changes before it.
        self._reads: deque[int] = deque()
        self._largest = float(_EXPECTED)
        self._answered_at = 0.0
        self._refreshed_at = 0.0
        self._selector = selectors.DefaultSelector()
        self._waker, self._wakee = socket.socketpair()
        for end in (self._waker, self._wakee):
            end.setblocking(False)
        self._selector.register(self._wakee, selectors.EVENT_READ)

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys of the streams that are read now."""
        return self._now[1]

    def open(self) -> None:
        """Make the streams and send the first reads; again after an error.

        Raises:
            BrokerUnavailableError: the broker does not answer.
        """
        try:
            with translated():
                self._make(self.keys)
                self._drop()
                self._connection = self._client.connection_pool.get_connection()
                self._socket = self._connection._sock
                self._selector.register(self._socket, selectors.EVENT_READ)
        except BrokerUnavailableError:
            self._drop()
            raise
        self._answered_at = self._refreshed_at = monotonic()
        self._send_reads()

    def follow(self, peers: Collection[str]) -> None:
        """Read the answers of these peers from now on, and of no others.

        Their streams are there when this returns, so that they may be sent chunks.  Waits for the
        broker where they are others than before, in two round trips.

        Raises:
            BrokerUnavailableError: the broker does not answer; those of before are read.
        """
        number, before = self._now
        if not self._places.wake(number):
            return
        after = self._named(number + 1, peers)
        if set(after[1:]) == set(before[1:]):
            return
        with translated():
            self._make(sorted(set(after) - set(before)))
            self._now = (number + 1, after)
            self._client.delete(*sorted(set(before) - set(after)))

    def wait(self, timeout: float | None) -> bool:
        """Wait for results, for :meth:`wake`, or for ``timeout`` seconds.

        Returns:
            Whether there may be something to read.
        """
        try:
            if self._connection is not None and self._reads and self._connection.can_read(0):
                return True
        except CONNECTION_ERRORS:
            return True  # There is an error to read.
        readable = False
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._wakee:
                with suppress(BlockingIOError):
                    self._wakee.recv(4096)
            else:
                readable = True
        return readable

    def wake(self) -> None:
        """End a :meth:`wait` from another thread."""
        with suppress(BlockingIOError, OSError):
            self._waker.send(b"\0")

    def read(self) -> Iterator[Arrival]:
        """Give what has arrived, without waiting for more.

        Raises:
            BrokerUnavailableError: the connection failed; :meth:`open` makes another.
        """
        try:
            with translated("The broker went away"):
                while self._reads and self._connection.can_read(0):
                    reply = self._next_reply()
                    self._answered_at = monotonic()
                    # Before anything else, so that the next ones are on their way; but what
                    # has come is given even where no more can be asked for.
                    failure = self._try_send_reads()
                    for key, entries in _pairs(reply):
                        sender = self._places.sender(key.decode())
                        for _id, fields in entries:
                            self._largest = max(sum(map(len, fields)), _FADE * self._largest)
                            yield _arrival(fields, sender)
                    if failure is not None:
                        raise failure
                self._keep_alive()
        except BrokerUnavailableError:
            self._drop()
            raise

    def close(self) -> None:
        """Delete the streams and close."""
        with suppress(*BROKER_ERRORS):
            self._client.delete(*self.keys)
        self._drop()
        self._selector.close()
        self._waker.close()
        self._wakee.close()

    def _named(self, number: int, peers: Collection[str]) -> tuple[str, ...]:
        """Return the keys that a read names: first the one that ends it, where there is any."""
        wake = self._places.wake(number)
        if not wake:
            return (self._places.stream(""),)
        return (wake, *map(self._places.stream, sorted(peers)))

    def _make(self, keys: Collection[str]) -> None:
        with self._client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.xgroup_create(key, _GROUP, id="$", mkstream=True)
                pipe.expire(key, _EXPIRY)
            made = pipe.execute(raise_on_error=False)
        for each in made:
            if isinstance(each, Exception) and "BUSYGROUP" not in str(each):
                raise each

    def _next_reply(self) -> Any:
        """Return what the oldest read has brought: nothing where a stream that it named is gone.

        Of before, or of now: who is banned loses all keys, which ends the reads of others' too.
        """
        try:
            return self._connection.read_response()
        except ResponseError as error:
            number, keys = self._now
            if self._reads[0] == number:
                if not str(error).startswith(_GONE):
                    raise
                self._make(keys)
            return None
        finally:
            self._reads.popleft()

    def _try_send_reads(self) -> Exception | None:
        try:
            self._send_reads()
        except CONNECTION_ERRORS as error:
            return error
        return None

    def _send_reads(self) -> None:
        number, keys = self._now
        missing = _READS_AHEAD - len(self._reads)
        # No more than the reader takes at once, which would give the connection up.  It is counted
        # by the stream.
        count = min(_BATCH, 1 + int(MAX_READ / max(self._largest, 1) / len(keys)))
        command = (
            "XREADGROUP", "GROUP", _GROUP, "session", "COUNT", count, "BLOCK", _BLOCK_MS,
            "NOACK", "STREAMS", *keys, *(">" for _ in keys),
        )  # fmt: skip
        connection = self._connection
        # No health check: its PING would wait behind the reads and take one's reply.
        connection.send_packed_command(
            connection.pack_commands([command] * missing), check_health=False
        )
        self._reads.extend([number] * missing)

    def _keep_alive(self) -> None:
        now = monotonic()
        if now - self._answered_at > SILENCE:
            raise TimeoutError(f"no answer for {now - self._answered_at:.0f} s")
        if now - self._refreshed_at > REFRESH_INTERVAL:
            self._refreshed_at = now
            # Nobody waits a round trip for it, and no result waits behind it.
            self._errands.send([("EXPIRE", key, _EXPIRY) for key in self.keys])

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._reads.clear()
        self._errands.close()
        sock, self._socket = self._socket, None
        if sock is not None:
            with suppress(KeyError, ValueError):
                self._selector.unregister(sock)
        if connection is not None:
            connection.disconnect()
            self._client.connection_pool.release(connection)


def _pairs(reply: Any) -> Any:
    """Return ``(key, entries)`` pairs of a read's reply in either protocol version."""
    if not reply:
        return ()
    return reply.items() if isinstance(reply, dict) else reply


def _arrival(flat: list[bytes], sender: str) -> Arrival:
    fields = dict(zip(flat[::2], flat[1::2], strict=False))

    def text(name: bytes) -> str:
        return fields.get(name, b"")[:_TEXT].decode(errors="replace")

    return Arrival(
        task_id=text(b"id"),
        succeeded=fields.get(b"state") == b"SUCCESS",
        header=fields.get(b"header", b""),
        payload=fields.get(b"payload", b""),
        error=text(b"error"),
        peer=sender or text(b"peer"),
    )
